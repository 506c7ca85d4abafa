//! The route table, then one file a route: its parameters, what it reads, what it answers.
//! [`openapi`] gives the description of exactly these routes.
use axum::Router;
use fittrack_runtime::docs;
use fittrack_runtime::edge::{Edge, EdgeSettings};
use fittrack_runtime::problem::Problem;
use fittrack_runtime::rate_limit::{Class, limited};
use fittrack_runtime::server;
use fittrack_runtime::shutdown::Tasks;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::cache::stamps::Stamp;
use crate::problems::of_database;
use crate::read_model::ReadModel;

mod athlete;
mod import;
mod leaderboard;
mod leaderboard_me;
mod me;
mod measurements;
mod original;
mod privacy_zones;
mod recording;
mod totals;
mod workout;
mod workouts;

/// Every route with the class its requests are counted in.
fn table() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(crate::openapi::frame())
        .routes(limited(Class::Read, routes!(me::get_me)))
        .routes(limited(Class::Read, routes!(measurements::list_measurements)))
        .routes(limited(Class::Read, routes!(privacy_zones::get_privacy_zones)))
        .routes(limited(Class::Read, routes!(athlete::get_athlete)))
        .routes(limited(Class::Read, routes!(workouts::list_workouts)))
        .routes(limited(Class::Read, routes!(workout::get_workout)))
        .routes(limited(Class::Read, routes!(recording::get_recording)))
        .routes(limited(Class::Read, routes!(original::get_original)))
        .routes(limited(Class::Read, routes!(import::get_import)))
        .routes(limited(Class::Read, routes!(totals::get_totals)))
        .routes(limited(Class::Read, routes!(leaderboard::get_leaderboard)))
        .routes(limited(Class::Read, routes!(leaderboard_me::get_leaderboard_place)))
        .routes(limited(Class::Read, routes!(crate::openapi::show_openapi)))
        .routes(limited(Class::Read, routes!(crate::openapi::show_problem)))
        .routes(limited(Class::Read, routes!(docs::show_docs)))
        .routes(limited(Class::Read, routes!(docs::show_docs_file)))
}

/// What stands around the routes.
pub fn edge(app: &App, settings: EdgeSettings) -> Edge {
    // There is no command here that would have to end.
    Edge::new(settings, &openapi(), app.verifier.clone(), Tasks::detached(), None)
}

/// All routes with their state, behind their edge.
pub fn router(app: App, edge: &Edge) -> Router {
    server::public_layers_behind(edge, table().split_for_parts().0.with_state(app))
}

/// The description of all routes.
pub fn openapi() -> OpenApi {
    crate::openapi::completed(table().split_for_parts().1)
}

/// For routes whose query has none but the consistency token.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

/// A row that may be another athlete's, stamped by its owner in the read models its answer depends on.
///
/// The owner is known only from the row, and the stamp must be older than the row: so it is read as if it were the caller's
/// own, and once more where it is not.
async fn stamped_by_owner<R, F>(
    app: &App,
    models: &[ReadModel],
    caller: Uuid,
    read: impl Fn() -> F,
    owner: impl Fn(&R) -> Uuid,
) -> Result<(Stamp, Option<R>), Problem>
where
    F: Future<Output = Result<Option<R>, sqlx::Error>>,
{
    let stamp = app.stamp_in(models, caller);
    let row = read().await.map_err(of_database)?;
    let Some(other) = row.as_ref().map(&owner).filter(|owner| *owner != caller) else { return Ok((stamp, row)) };
    let stamp = app.stamp_in(models, other);
    Ok((stamp, read().await.map_err(of_database)?))
}

fn no_such_workout() -> Problem {
    Problem::not_found("there is no such workout, or none you may see")
}

fn no_recording() -> Problem {
    Problem::not_found("this workout was logged by hand: it has no recording")
}
