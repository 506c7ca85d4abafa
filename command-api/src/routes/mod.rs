//! The routes: the table of all of them first, then what they share. Each route is a file of its own, read from top to bottom.
mod accepted;
mod account;
pub mod command;
mod documentation;
pub mod fields;
pub mod idempotency;
pub mod if_match;
pub mod problems;
mod profile;
mod workouts;

use axum::{Router, extract::DefaultBodyLimit};
use fittrack_runtime::server;
use utoipa::openapi::OpenApi;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

use crate::app::App;

/// Every route of this service.
fn table() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(documentation::frame())
        .routes(routes!(account::register::register_athlete))
        .routes(routes!(account::password::change_password))
        .routes(routes!(account::first_password::set_first_password))
        .routes(routes!(account::sessions::log_in, account::sessions::list_sessions))
        .routes(routes!(account::refresh::refresh_session))
        .routes(routes!(account::end_session::sign_out))
        .routes(routes!(account::end_session::end_session))
        .routes(routes!(account::api_keys::create_api_key, account::api_keys::list_api_keys))
        .routes(routes!(account::api_keys::end_api_key))
        .routes(routes!(account::api_keys::exchange_api_key))
        .routes(routes!(account::jwks::list_keys))
        .routes(routes!(account::revoked::list_revoked_sessions))
        .routes(routes!(profile::update_profile))
        .routes(routes!(workouts::log::log_workout))
        .routes(routes!(workouts::edit::edit_workout, workouts::delete::delete_workout))
        .routes(with_body_limit(routes!(workouts::import::import_recording), workouts::MAX_UPLOAD_BYTES))
        .routes(routes!(documentation::show_openapi))
}

/// A route whose bodies may be longer than the others'.
fn with_body_limit((schemas, paths, router): UtoipaMethodRouter<App>, bytes: usize) -> UtoipaMethodRouter<App> {
    (schemas, paths, router.layer(DefaultBodyLimit::max(bytes)))
}

/// The router with everything a public answer needs around it.
pub fn router(app: App) -> Router {
    let (router, _) = table().split_for_parts();
    server::public_layers(router.with_state(app))
}

/// The document that describes the routes.
pub fn openapi() -> OpenApi {
    table().into_openapi()
}
