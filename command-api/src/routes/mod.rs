//! The routes: the table of all of them first, then what they share. Each route is a file of its own, read from top to bottom.
mod accepted;
mod account;
pub mod command;
mod documentation;
pub mod fields;
mod headers;
pub mod idempotency;
pub mod if_match;
mod measurements;
mod privacy_zones;
pub mod problems;
mod profile;
mod refusals;
mod words;
mod workouts;

use axum::Router;
use fittrack_runtime::{
    docs,
    edge::{Edge, EdgeSettings},
    rate_limit::{Class, limited},
    server,
};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

/// Every route of this service, with the class its requests are counted in.
fn table() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(documentation::frame())
        .routes(limited(Class::Auth, routes!(account::register::register_athlete, account::erase::erase_account)))
        .routes(limited(Class::Read, routes!(account::erasure::show_erasure)))
        .routes(limited(Class::Auth, routes!(account::password::change_password)))
        .routes(limited(Class::Auth, routes!(account::first_password::set_first_password)))
        .routes(limited(Class::Auth, routes!(account::sessions::log_in)))
        .routes(limited(Class::Read, routes!(account::sessions::list_sessions)))
        .routes(limited(Class::Write, routes!(account::refresh::refresh_session)))
        .routes(limited(Class::Write, routes!(account::end_session::sign_out)))
        .routes(limited(Class::Write, routes!(account::end_session::end_session)))
        .routes(limited(Class::Write, routes!(account::api_keys::create_api_key)))
        .routes(limited(Class::Read, routes!(account::api_keys::list_api_keys)))
        .routes(limited(Class::Write, routes!(account::api_keys::end_api_key)))
        .routes(limited(Class::Auth, routes!(account::api_keys::exchange_api_key)))
        .routes(limited(Class::Export, routes!(account::export::request_export)))
        .routes(limited(Class::Read, routes!(account::export::show_export)))
        .routes(limited(Class::Read, routes!(account::export::download_export)))
        .routes(limited(Class::Read, routes!(account::jwks::list_keys)))
        .routes(limited(Class::Read, routes!(account::revoked::list_revoked_sessions)))
        .routes(limited(Class::Write, routes!(profile::update_profile)))
        .routes(limited(Class::Write, routes!(measurements::record_measurement)))
        .routes(limited(Class::Write, routes!(privacy_zones::set_privacy_zones)))
        .routes(limited(Class::Write, routes!(workouts::log::log_workout)))
        .routes(limited(Class::Write, routes!(workouts::edit::edit_workout, workouts::delete::delete_workout)))
        .routes(limited(Class::Write, routes!(workouts::import::import_recording)))
        .routes(limited(Class::Read, routes!(documentation::show_openapi)))
        .routes(limited(Class::Read, routes!(documentation::show_problem)))
        .routes(limited(Class::Read, routes!(docs::show_docs)))
        .routes(limited(Class::Read, routes!(docs::show_docs_file)))
}

/// What stands around the routes.
pub fn edge(app: &App, settings: EdgeSettings) -> Edge {
    let record = refusals::record(app.notes.clone());
    Edge::new(settings, &openapi(), app.verifier.clone(), app.tasks.clone(), Some(record))
}

/// The routes behind their edge.
pub fn router(app: App, edge: &Edge) -> Router {
    let (router, _) = table().split_for_parts();
    server::public_layers_behind(edge, router.with_state(app))
}

/// The document that describes the routes.
pub fn openapi() -> OpenApi {
    table().into_openapi()
}
