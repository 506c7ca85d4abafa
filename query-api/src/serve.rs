//! The process: keys, checkpoints and notices are followed in the background, and the routes are served.
//! It starts before its databases, the issuer and Kafka, and is ready once the read models answer and its keys are known.
use std::convert::Infallible;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use fittrack_runtime::auth::{JwksSource, Verifier};
use fittrack_runtime::pg::PoolSettings;
use fittrack_runtime::process::Process;
use fittrack_runtime::server;

use crate::app::App;
use crate::changes::follow;
use crate::ready::ReadyFirst;
use crate::routes;
use crate::settings::Settings;

/// Queries, the reading of checkpoints and, without Kafka, the one that listens.
const READ_MODELS_CONNECTIONS: u32 = 12;
/// As many as blobs may be in memory at once.
const RECORDINGS_CONNECTIONS: u32 = 4;
/// A reader would rather hear "not now" than wait longer.
const ACQUIRE: Duration = Duration::from_secs(2);
/// Longest a query may take.
const STATEMENT: Duration = Duration::from_secs(5);

/// Runs the query API until it is told to stop.
pub async fn serve(settings: Settings) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let process = Process::start("query-api", &settings.common).await?;
    let shutdown = process.shutdown.clone();
    let verifier = Verifier::new(JwksSource::Url(settings.jwks_url), &settings.issuer, &settings.audience)?;
    let read_models = settings.read_models.pool(pool(READ_MODELS_CONNECTIONS))?;
    let recordings = settings.recordings.pool(pool(RECORDINGS_CONNECTIONS))?;
    let app = App::new(verifier.clone(), read_models, recordings, settings.cache_bytes);

    let background = shutdown.background_token();
    let (check, stop) = (process.readiness.check("signing keys"), background.clone());
    shutdown.spawn_background("signing keys", async move {
        verifier.keep_fresh(check, stop).await;
        Ok::<(), Infallible>(())
    });
    let check = process.readiness.check("read models");
    let following = follow::checkpoints(Arc::clone(&app.changes), check, background.clone());
    shutdown.spawn_background("checkpoints", following);
    let check = process.readiness.check("cursor key");
    shutdown.spawn_background("cursor key", follow::cursor_key(app.clone(), check, background.clone()));
    let check = process.readiness.check("token key");
    shutdown.spawn_background("token key", follow::token_key(app.clone(), check, background.clone()));
    if let Some(access) = &settings.kafka {
        access.warn_if_exposed();
    }
    let following = follow::notices(Arc::clone(&app.changes), settings.kafka, background);
    shutdown.spawn_background("notices", following);

    let listener = server::bind(settings.listen).await?;
    tracing::info!(listen = %settings.listen, "serving");
    let limits = settings.edge.server_limits();
    let edge = routes::edge(&app, settings.edge);
    let application = ReadyFirst::new(app.clone(), edge.clone(), routes::router(app, &edge));
    let serving = server::serve(listener, application, limits, shutdown.token());
    shutdown.spawn("public API", serving);
    Ok(process.run_until_done().await)
}

fn pool(connections: u32) -> PoolSettings {
    PoolSettings {
        acquire_timeout: ACQUIRE,
        statement_timeout: STATEMENT,
        ..PoolSettings::new("query-api").max_connections(connections)
    }
}
