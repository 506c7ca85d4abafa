//! Two command APIs and two projectors at once; one of each is frozen past its lease and wakes up believing it still
//! holds what the other has taken over. It must change nothing.

use std::time::Duration;

use fittrack_journeys::invariants;
use fittrack_journeys::patience::until;
use fittrack_journeys::writers::{Plan, Writers};

use super::{SOME, stage};

/// Of both the relay and the projectors.
const LEASE: Duration = Duration::from_secs(10);

const HOLDERS: &str = "
    SELECT count(DISTINCT holder) FROM checkpoints WHERE worker = $1 AND lease_expires_at > clock_timestamp()";

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_replica_wakes_up_and_changes_nothing() {
    let stage = stage().await;
    let stack = &stage.stack;
    stack.spawn_replica("command-api").await.unwrap();
    stack.spawn_replica("projectors").await.unwrap();
    let api = stack.api_through(&["command-api", "command-api-2"]).unwrap();
    let writers = Writers::start(&api, Plan::default()).await.unwrap();
    writers.more(SOME).await.unwrap();
    until("both replicas have their share", async || {
        let (mut store, mut read_models) = (
            stack.event_store().await.map_err(|error| error.to_string())?,
            stack.read_models().await.map_err(|error| error.to_string())?,
        );
        let relays: i64 = holders("relay", &mut store).await?;
        let projectors: i64 = holders("totals.v1", &mut read_models).await?;
        if (relays, projectors) == (2, 2) { Ok(()) } else { Err(format!("{relays} relays, {projectors} projectors")) }
    })
    .await
    .unwrap();

    for (frozen_api, frozen_projectors) in [("command-api", "projectors-2"), ("command-api-2", "projectors")] {
        eprintln!("{frozen_api} and {frozen_projectors} sleep");
        stack.pause(frozen_api).unwrap();
        stack.pause(frozen_projectors).unwrap();
        // Time itself is the fault here: the lease has to pass while they sleep.
        tokio::time::sleep(LEASE + Duration::from_secs(2)).await;
        eprintln!("{frozen_api} and {frozen_projectors} wake up");
        stack.resume(frozen_api).unwrap();
        stack.resume(frozen_projectors).unwrap();
        writers.more(SOME).await.unwrap();
    }
    let ledger = writers.stop().await.unwrap();
    invariants::hold(stack, &ledger, "replicas frozen past their lease").await.unwrap();
}

async fn holders(worker: &str, database: &mut sqlx::PgConnection) -> Result<i64, String> {
    sqlx::query_scalar(HOLDERS).bind(worker).fetch_one(database).await.map_err(|error| error.to_string())
}
