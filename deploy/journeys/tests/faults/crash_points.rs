//! `kill -9` at the two moments that matter of each kind of command (H-3, H-5), held still by a lock its append has to wait for:
//! before its COMMIT, and between its COMMIT and its answer. The same request with the same key then has one effect, the first
//! or the second time, and whoever asks a third time is told the same.

use fittrack_journeys::client::credentials;
use fittrack_journeys::patience::until;
use fittrack_journeys::{Answer, Api, Athlete, Call, TestStack, bodies, recordings};
use fittrack_local::Parts;
use serde_json::json;
use sqlx::PgConnection;

use super::stage;

/// What `append_events` locks its partitions with (`schemas/event-store/0003_append_events.sql`).
const LOCK: i32 = 1_179_210_836;
const PARTITIONS: i32 = 32;

/// When the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    BeforeCommit,
    BetweenCommitAndAnswer,
}

/// While it is shut, every append waits within its transaction.
struct Gate(PgConnection);

impl Gate {
    async fn shut(stack: &TestStack) -> Self {
        let mut store = stack.event_store().await.unwrap();
        let lock = "SELECT pg_advisory_lock($1, p) FROM generate_series(0, $2 - 1) AS p";
        sqlx::query(lock).bind(LOCK).bind(PARTITIONS).execute(&mut store).await.unwrap();
        Self(store)
    }

    /// The backends that wait at it.
    async fn waiting(&mut self) -> Vec<i32> {
        let waiting =
            "SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = $1 AND NOT granted";
        sqlx::query_scalar(waiting).bind(i64::from(LOCK)).fetch_all(&mut self.0).await.unwrap()
    }

    async fn until_somebody_waits(&mut self) -> Vec<i32> {
        until("an append waits", async || match self.waiting().await {
            none if none.is_empty() => Err("nobody waits".to_owned()),
            backends => Ok(backends),
        })
        .await
        .unwrap()
    }

    /// Ends these backends with nothing committed.
    async fn abort(&mut self, backends: &[i32]) {
        let end = "SELECT pg_terminate_backend(pid) FROM unnest($1::integer[]) AS pid";
        sqlx::query(end).bind(backends).execute(&mut self.0).await.unwrap();
        self.until_gone(backends).await;
    }

    /// Lets them commit; for nobody, their client is dead.
    async fn open(mut self, backends: &[i32]) {
        sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut self.0).await.unwrap();
        self.until_gone(backends).await;
    }

    async fn until_gone(&mut self, backends: &[i32]) {
        let left = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY ($1)";
        until("the dead process's backends are gone", async || {
            let left: i64 = sqlx::query_scalar(left).bind(backends).fetch_one(&mut self.0).await.unwrap();
            if left == 0 { Ok(()) } else { Err(format!("{left} are there")) }
        })
        .await
        .unwrap();
    }
}

/// Kills the process in the midst of this call, and starts it again.
async fn killed_at(moment: Moment, stack: &TestStack, api: &Api, call: &Call, access_token: Option<String>) {
    let mut gate = Gate::shut(stack).await;
    let (api, call) = (api.clone(), call.clone());
    let asking =
        tokio::spawn(async move { api.send_as(&call, access_token.as_deref()).await.map(|answer| answer.status) });
    let backends = gate.until_somebody_waits().await;
    stack.kill("command-api").await.unwrap();
    assert!(asking.await.unwrap().is_err(), "a killed process has answered");
    match moment {
        Moment::BeforeCommit => {
            gate.abort(&backends).await;
            gate.open(&[]).await;
        }
        Moment::BetweenCommitAndAnswer => gate.open(&backends).await,
    }
    stack.ensure_up(Parts::Everything).await.unwrap();
}

async fn events(stack: &TestStack) -> i64 {
    let mut store = stack.event_store().await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(&mut store).await.unwrap()
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

/// The call has its one effect whenever the process dies, and its answer stays the same.
async fn has_one_effect(
    moment: Moment,
    stack: &TestStack,
    api: &Api,
    call: &Call,
    athlete: Option<&Athlete>,
) -> Answer {
    let what = format!("{} {}, killed {moment:?}", call.method, call.path);
    let before = events(stack).await;
    killed_at(moment, stack, api, call, athlete.map(Athlete::access_token)).await;
    let stored_at_once = i64::from(moment == Moment::BetweenCommitAndAnswer);
    assert_eq!(events(stack).await - before, stored_at_once, "{what}");

    let again = || async {
        match athlete {
            Some(athlete) => athlete.send(call).await,
            None => api.send_when_not_busy(call).await,
        }
    };
    let second = again().await.unwrap().expecting(202).unwrap();
    assert_eq!(is_replayed(&second), moment == Moment::BetweenCommitAndAnswer, "{what}: {second}");
    assert_eq!(events(stack).await - before, 1, "{what}");
    let third = again().await.unwrap().expecting(202).unwrap();
    assert!(is_replayed(&third), "{what}: {third}");
    assert_eq!(third.json(), second.json(), "{what}");
    assert_eq!(events(stack).await - before, 1, "{what}");
    second
}

async fn every_kind_of_command(moment: Moment) {
    let stage = stage().await;
    let stack = &stage.stack;
    let api = stack.api().unwrap();
    let athlete = api.register("Undaunted").await.unwrap();
    let effect =
        async |call: Call, key: &str| has_one_effect(moment, stack, &api, &call.key(key), Some(&athlete)).await;

    let logged = effect(Call::post("/v1/workouts").json(&bodies::run("2025-01-05T06:00:00Z")), "log").await;
    let id = logged.id().unwrap();
    let mine = json!({"id": uuid::Uuid::now_v7()});
    let own_id = bodies::with(bodies::run("2025-01-06T06:00:00Z"), mine.clone());
    assert_eq!(effect(Call::post("/v1/workouts").json(&own_id), "own-id").await.json()["id"], mine["id"]);
    let patch = Call::patch(format!("/v1/workouts/{id}")).if_match(1).merge_patch(&json!({"title": "Twice?"}));
    assert_eq!(effect(patch, "edit").await.json()["version"], 2);
    effect(Call::delete(format!("/v1/workouts/{id}")), "delete").await;
    let file = &recordings::invented().unwrap()[1].files[0];
    let import = Call::post("/v1/workouts/imports").file(file.format.content_type(), file.bytes.clone());
    effect(import, "import").await;
    let mass = json!({"kind": "mass_kg", "value": 71.5, "measured_on": "2025-01-05"});
    effect(Call::post("/v1/me/measurements").json(&mass), "measurement").await;
    effect(Call::patch("/v1/me/profile").merge_patch(&json!({"bio": "Still here"})), "profile").await;

    let (email, password) = credentials();
    let newcomer = Api::registration(&email, &password, "Newcomer", "UTC").key(email.clone());
    let registered = has_one_effect(moment, stack, &api, &newcomer, None).await;
    let newcomer =
        Athlete::new(api.clone(), registered.id().unwrap(), "Newcomer", &email, &password, registered.token());
    newcomer.sign_in().await.unwrap();
    // The dead process still has the relay's leases, for ten seconds.
    let seen = until("the newcomer is read", async || {
        newcomer.get_seeing("/v1/me", &newcomer.registered).await.map_err(|error| error.to_string())
    });
    assert_eq!(seen.await.unwrap().json()["display_name"], "Newcomer");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_its_commit_a_command_has_no_effect_until_it_is_sent_again() {
    every_kind_of_command(Moment::BeforeCommit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_its_commit_a_command_has_its_effect_and_its_answer_comes_when_it_is_sent_again() {
    every_kind_of_command(Moment::BetweenCommitAndAnswer).await;
}
