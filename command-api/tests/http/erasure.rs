//! An account that is erased: closed at once, then gone place by place, whatever crashes in between; the receipt says so.
use command_api::{
    erasure::{Removed, eraser::Eraser, places},
    identity::{audit::Origin, throttle::Subject},
};
use fittrack_schemas::{migrations, read_models};
use serde_json::{Value, json};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use fittrack_domain::{
    ids::AthleteId,
    partition::{DEFAULT_PARTITIONS, partition_of},
    recording::{self, Format, synthesize},
    sport::Sport,
};

use crate::support::{Answer, Client, PASSWORD, World, count, eventually, registration, run};

const GPX: &str = "application/gpx+xml";

/// A world with read models, and who erases in it.
struct Leaving {
    world: World,
    read_models: PgPool,
    eraser: Eraser,
}

/// A file of a ride that says something about itself; another text has other samples.
fn ride(comment: &str) -> String {
    let seed = comment.bytes().map(u64::from).sum();
    let activity = synthesize(seed, Sport::Ride, "2026-10-02T06:00:00Z".parse().unwrap(), 600.0);
    let file = String::from_utf8(recording::write(&activity, Format::Gpx).unwrap()).unwrap();
    file.replace("</gpx>", &format!("<!-- {comment} --></gpx>"))
}

fn as_role(pool: &PgPool, role: &str) -> PgPool {
    let options: PgConnectOptions = (*pool.connect_options()).clone().options([("role", role)]);
    PgPoolOptions::new().max_connections(2).connect_lazy_with(options)
}

impl Leaving {
    async fn new() -> Self {
        let mut world = World::new().await;
        let read_models = world.one_more_database("models", &migrations::READ_MODELS).await;
        read_models::migrate(&read_models).await.unwrap();
        let eraser = Eraser {
            identity: as_role(&world.identity, "fittrack_command"),
            event_store: as_role(&world.store, "fittrack_command"),
            recordings: as_role(&world.recordings, "fittrack_command"),
            log: as_role(&world.store, "fittrack_eraser"),
            read_models: as_role(&read_models, "fittrack_eraser"),
            partitions: DEFAULT_PARTITIONS,
        };
        Self { world, read_models, eraser }
    }

    /// Every projection has passed everything.
    async fn projections_catch_up(&self) {
        let sql = "INSERT INTO checkpoints (worker, partition, position)
                   SELECT worker, p, 1000000 FROM builds CROSS JOIN generate_series(0, $1 - 1) AS p";
        sqlx::query(sql).bind(DEFAULT_PARTITIONS).execute(&self.read_models).await.unwrap();
    }

    /// How many rows of any table of any database hold this text, in any column.
    async fn rows_that_hold(&self, text: &str) -> Vec<(String, i64)> {
        const TABLES: &str = "SELECT schemaname || '.' || tablename FROM pg_tables
                              WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
        let mut found = vec![];
        for pool in [&self.world.store, &self.world.identity, &self.world.recordings, &self.read_models] {
            let tables: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(pool).await.unwrap();
            for table in tables {
                // bytea shows in hexadecimal.
                let sql = format!(
                    "SELECT count(*) FROM {table} t
                     WHERE position(lower($1) IN lower(t::text)) > 0
                        OR position(encode(convert_to($1, 'UTF8'), 'hex') IN t::text) > 0"
                );
                let rows: i64 = sqlx::query_scalar(&sql).bind(text).fetch_one(pool).await.unwrap();
                if rows > 0 {
                    found.push((table, rows));
                }
            }
        }
        found
    }

    /// An athlete who has left traces everywhere.
    async fn athlete_with_a_life(&self, name: &str) -> Client {
        let athlete = self.world.athlete(name).await;
        let patch = json!({"bio": format!("bio of {name}"), "birth_year": 1990});
        assert_eq!(athlete.patch("/v1/me/profile").merge_patch(&patch).await.status, 202);
        let again = athlete.patch("/v1/me/profile").header("idempotency-key", "again");
        assert_eq!(again.merge_patch(&patch).await.status, 202);
        let run = json!({"sport": "run", "started_at": "2026-10-01T06:30:00Z", "duration_s": 1800,
                         "title": format!("title of {name}"), "notes": format!("notes of {name}")});
        assert_eq!(athlete.post("/v1/workouts").json(&run).await.status, 202);
        let measured = json!({"kind": "mass_kg", "value": 71.25, "measured_on": "2026-10-01"});
        assert_eq!(athlete.post("/v1/me/measurements").json(&measured).await.status, 202);
        let imported = athlete.imports(GPX, ride(&format!("file of {name}"))).await;
        assert_eq!(imported.status, 202, "{}", imported.body);
        let zone = json!({"zones": [{"name": format!("home of {name}"), "latitude_deg": 52.1, "longitude_deg": 6.6, "radius_m": 500}]});
        assert_eq!(athlete.put("/v1/me/privacy-zones").json(&zone).await.status, 202);
        let key = json!({"name": format!("key of {name}"), "scopes": ["read"]});
        assert_eq!(athlete.post("/v1/account/api-keys").json(&key).await.status, 201);
        athlete
    }
}

async fn leaves(athlete: &Client, password: &str) -> Answer {
    athlete.delete("/v1/account").json(&json!({"password": password})).await
}

fn removed(receipt: &Value, place: &str, what: &str) -> i64 {
    let things = receipt["removed"].as_array().unwrap();
    let thing = things.iter().find(|thing| thing["place"] == place && thing["what"] == what);
    thing.map_or(0, |thing| thing["count"].as_i64().unwrap())
}

#[tokio::test]
async fn nothing_of_an_erased_account_is_found_in_any_database_and_the_receipt_says_what_there_was() {
    let leaving = Leaving::new().await;
    let ada = leaving.athlete_with_a_life("adalovelace").await;
    leaving.athlete_with_a_life("gracehopper").await;
    for email in ["AdaLovelace@example.org", "gracehopper@example.org"] {
        let origin = Origin { address: Some("192.0.2.7".parse().unwrap()), user_agent: None };
        let throttle = &leaving.world.app.throttle;
        let tried = throttle.begin(Subject::sign_in(email, &origin), &origin).await.unwrap();
        throttle.succeeded(tried.unwrap()).await.unwrap();
    }
    assert!(leaving.rows_that_hold("adalovelace").await.len() >= 4, "the search finds what is there");
    let answer = leaves(&ada, PASSWORD).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let receipt = answer.header("location").unwrap().to_owned();
    assert_eq!((answer.body["state"].as_str(), answer.header("retry-after")), (Some("pending"), Some("2")));
    leaving.eraser.work().await.unwrap();
    // The read models have not passed the last event yet.
    let waiting = leaving.world.anonymous().get(&receipt).answer().await;
    assert_eq!((waiting.status.as_u16(), waiting.body["state"].as_str()), (200, Some("pending")));
    let reason: String =
        sqlx::query_scalar("SELECT waits_for FROM erasures").fetch_one(&leaving.world.identity).await.unwrap();
    assert!(reason.ends_with("at position 0 of 7"), "{reason}");
    leaving.projections_catch_up().await;
    sqlx::query("UPDATE erasures SET lease_expires_at = NULL").execute(&leaving.world.identity).await.unwrap();
    leaving.eraser.work().await.unwrap();
    let done = leaving.world.anonymous().get(&receipt).answer().await;
    assert_eq!((done.body["state"].as_str(), done.header("retry-after")), (Some("succeeded"), None), "{}", done.body);
    for (place, what, expected) in [
        ("event_store", "events", 6),
        ("event_store", "import_claims", 1),
        ("event_store", "answers", 1),
        ("recordings", "originals", 1),
        ("recordings", "recordings", 1),
        ("identity", "accounts", 1),
        ("identity", "api_keys", 1),
        ("identity", "known_networks", 1),
        ("identity", "refresh_tokens", 1),
        ("read_models", "builds", 6),
    ] {
        assert_eq!(removed(&done.body, place, what), expected, "{place} {what}: {}", done.body);
    }
    assert_eq!(done.body["expires"].as_array().unwrap().len(), 4);
    assert_eq!(leaving.rows_that_hold("adalovelace").await, []);
    assert!(!leaving.rows_that_hold("gracehopper").await.is_empty(), "others have everything they had");
    assert_eq!(leaving.world.audited("user_deleted").await, 1);
    leaving.world.assert_log_is_whole().await;
}

#[tokio::test]
async fn an_account_is_closed_at_once_and_its_address_is_free_when_it_is_gone() {
    let leaving = Leaving::new().await;
    let world = &leaving.world;
    let ada = world.athlete("ada").await;
    let elsewhere = world.signed_in_again("ada", &ada).await;
    leaves(&ada, "not my password").await.assert_problem(422, "invalid-body");
    assert_eq!(world.audited("user_delete_fail").await, 1);
    assert_eq!(leaves(&ada, PASSWORD).await.status, 202);
    for client in [&ada, &elsewhere] {
        client.post("/v1/workouts").json(&run()).await.assert_problem(401, "unauthenticated");
        client.refreshes().await.assert_problem(401, "unauthenticated");
    }
    let credentials = json!({"email": "ada@example.org", "password": PASSWORD});
    world.anonymous().post("/v1/account/sessions").json(&credentials).await.assert_problem(401, "unauthenticated");
    leaving.projections_catch_up().await;
    leaving.eraser.work().await.unwrap();
    let again = world.anonymous().post("/v1/account").json(&registration("ada")).await;
    assert_eq!(again.status, 202);
    assert_ne!(again.id(), ada.athlete_id);
    assert_eq!(world.anonymous().post("/v1/account/sessions").json(&credentials).await.status, 201);
    let unknown = format!("/v1/account/erasures/{}", Uuid::new_v4());
    world.anonymous().get(&unknown).answer().await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn a_crash_at_any_step_leaves_something_that_is_finished_later() {
    let leaving = Leaving::new().await;
    let ada = leaving.athlete_with_a_life("adalovelace").await;
    let location = leaves(&ada, PASSWORD).await.header("location").unwrap().to_owned();
    leaving.projections_catch_up().await;
    leaving.eraser.work().await.unwrap();
    // As if nothing after a step had been written down: the same steps once more change nothing.
    for step in ["close_log", "redact_events", "remove_recordings", "remove_account", "await_read_models"] {
        let crash =
            "UPDATE erasures SET next_step = $1, redacted_upto = 0, finished_at = NULL, lease_expires_at = NULL,
                     removed = removed - 'event_store.events'";
        sqlx::query(crash).bind(step).execute(&leaving.world.identity).await.unwrap();
        leaving.eraser.work().await.unwrap();
        let receipt = leaving.world.anonymous().get(&location).answer().await;
        assert_eq!(receipt.body["state"], "succeeded", "{step}: {}", receipt.body);
        let redacted_again = ["close_log", "redact_events"].contains(&step);
        assert_eq!(removed(&receipt.body, "event_store", "events"), if redacted_again { 6 } else { 0 }, "{step}");
        assert_eq!(leaving.rows_that_hold("adalovelace").await, [], "{step}");
    }
    let farewells = "SELECT count(*) FROM events WHERE event_type = 'account_erased'";
    assert_eq!(count(&leaving.world.store, farewells).await, 1);
    leaving.world.assert_log_is_whole().await;
}

#[tokio::test]
async fn a_file_that_somebody_else_has_imported_as_well_stays_theirs() {
    let leaving = Leaving::new().await;
    let (ada, grace) = (leaving.world.athlete("ada").await, leaving.world.athlete("grace").await);
    for athlete in [&ada, &grace] {
        assert_eq!(athlete.imports(GPX, ride("of two")).await.status, 202);
    }
    let blobs = async || count(&leaving.world.recordings, "SELECT count(*) FROM blobs").await;
    assert_eq!(blobs().await, 2);
    leaving.projections_catch_up().await;
    leaves(&ada, PASSWORD).await;
    leaving.eraser.work().await.unwrap();
    assert_eq!(blobs().await, 2);
    leaves(&grace, PASSWORD).await;
    leaving.eraser.work().await.unwrap();
    assert_eq!(blobs().await, 0);
}

#[tokio::test]
async fn of_two_who_are_erased_at_once_neither_keeps_the_other_s_file() {
    let leaving = Leaving::new().await;
    let (ada, grace) = (leaving.world.athlete("ada").await, leaving.world.athlete("grace").await);
    for athlete in [&ada, &grace] {
        assert_eq!(athlete.imports(GPX, ride("of two")).await.status, 202);
        leaves(athlete, PASSWORD).await;
    }
    let erasure_of = "SELECT erasure_id FROM erasures WHERE athlete_id = $1";
    for athlete in [&ada, &grace] {
        let owner = athlete.athlete_id;
        let erasure: Uuid =
            sqlx::query_scalar(erasure_of).bind(owner).fetch_one(&leaving.world.identity).await.unwrap();
        let partition = partition_of(owner, DEFAULT_PARTITIONS);
        places::close_log(&leaving.eraser.log, owner, partition, erasure).await.unwrap();
    }
    // Both have their claims still, as when both look before either removes its own.
    let claims = "SELECT count(*) FROM import_claims";
    assert_eq!(count(&leaving.world.store, claims).await, 2);
    let (owner, mut removed) = (AthleteId(ada.athlete_id), Removed::new());
    let (store, recordings) = (&leaving.eraser.event_store, &leaving.eraser.recordings);
    let one_claim = async || count(&leaving.world.store, claims).await == 1;
    assert!(places::remove_claims(store, recordings, owner, &mut removed).await.unwrap() && one_claim().await);
    assert_eq!(count(&leaving.world.recordings, "SELECT count(*) FROM blobs").await, 0);
}

#[tokio::test]
async fn files_of_a_workout_that_was_deleted_before_go_with_the_account() {
    let leaving = Leaving::new().await;
    let world = &leaving.world;
    let ada = world.athlete("ada").await;
    let imported = ada.imports(GPX, ride("deleted")).await;
    let workout = imported.body["workouts"][0]["id"].as_str().unwrap();
    let deleted = ada.delete(&format!("/v1/workouts/{workout}")).header("if-match", "*").answer().await;
    assert_eq!(deleted.status, 202, "{}", deleted.body);
    assert_eq!(count(&world.store, "SELECT count(*) FROM import_claims").await, 0);
    leaving.projections_catch_up().await;
    let location = leaves(&ada, PASSWORD).await.header("location").unwrap().to_owned();
    leaving.eraser.work().await.unwrap();
    let receipt = world.anonymous().get(&location).answer().await;
    assert_eq!(receipt.body["state"], "succeeded");
    assert_eq!(count(&world.recordings, "SELECT count(*) FROM blobs").await, 0);
    assert_eq!(removed(&receipt.body, "recordings", "originals"), 1);
    assert_eq!(removed(&receipt.body, "recordings", "recordings"), 1);
}

#[tokio::test]
async fn an_upload_whose_files_come_after_the_eraser_takes_them_away_itself() {
    let leaving = Leaving::new().await;
    let world = &leaving.world;
    let ada = world.athlete("ada").await;
    leaving.projections_catch_up().await;
    let file = ride("late");
    // Somebody is storing the same file and has not committed: the upload waits for them, with its claim made.
    let mut other = world.recordings.begin().await.unwrap();
    let storing = "INSERT INTO blobs (sha256, kind, content) VALUES (sha256($1), 'original', $1)";
    sqlx::query(storing).bind(file.as_bytes()).execute(&mut *other).await.unwrap();
    let upload = tokio::spawn({
        let (ada, file) = (ada.clone(), file.clone());
        async move { ada.imports(GPX, file).await }
    });
    let claimed = async || count(&world.store, "SELECT count(*) FROM import_claims").await == 1;
    eventually("the upload has its claim", claimed).await;
    let location = leaves(&ada, PASSWORD).await.header("location").unwrap().to_owned();
    leaving.eraser.work().await.unwrap();
    assert_eq!(world.anonymous().get(&location).answer().await.body["state"], "succeeded");
    other.rollback().await.unwrap();
    upload.await.unwrap().assert_problem(401, "unauthenticated");
    assert_eq!(count(&world.recordings, "SELECT count(*) FROM blobs").await, 0);
}

#[tokio::test]
async fn an_address_whose_account_was_erased_is_registered_again_under_another_key() {
    let leaving = Leaving::new().await;
    let world = &leaving.world;
    let registers = async |key: &str| {
        world.anonymous().post("/v1/account").header("idempotency-key", key).json(&registration("ada")).await
    };
    let first = registers("one").await;
    let credentials = json!({"email": "ada@example.org", "password": PASSWORD});
    let session = world.anonymous().post("/v1/account/sessions").json(&credentials).await;
    let ada = world.anonymous().of(first.id(), &session);
    leaves(&ada, PASSWORD).await;
    leaving.projections_catch_up().await;
    leaving.eraser.work().await.unwrap();
    registers("one").await.assert_problem(422, "idempotency-key-reused");
    assert_eq!(count(&world.identity, "SELECT count(*) FROM accounts").await, 0);
    let again = registers("two").await;
    assert_eq!(again.status, 202, "{}", again.body);
    assert_ne!(again.id(), first.id());
    let session = world.anonymous().post("/v1/account/sessions").json(&credentials).await;
    world.anonymous().of(again.id(), &session).logs_a_run().await;
}

#[tokio::test]
async fn rows_that_a_projection_still_has_keep_the_receipt_back() {
    let leaving = Leaving::new().await;
    let ada = leaving.world.athlete("ada").await;
    leaving.projections_catch_up().await;
    let parked = "INSERT INTO parked_events (worker, owner_id, partition, position, event)
                  VALUES ('totals.v1', $1, $2, 1, '{}')";
    let partition = partition_of(ada.athlete_id, DEFAULT_PARTITIONS);
    sqlx::query(parked).bind(ada.athlete_id).bind(partition).execute(&leaving.read_models).await.unwrap();
    let location = leaves(&ada, PASSWORD).await.header("location").unwrap().to_owned();
    leaving.eraser.work().await.unwrap();
    let state = async || leaving.world.anonymous().get(&location).answer().await.body["state"].clone();
    assert_eq!(state().await, "pending");
    sqlx::query("DELETE FROM parked_events").execute(&leaving.read_models).await.unwrap();
    sqlx::query("UPDATE erasures SET lease_expires_at = NULL").execute(&leaving.world.identity).await.unwrap();
    leaving.eraser.work().await.unwrap();
    assert_eq!(state().await, "succeeded");
}

#[tokio::test]
async fn where_a_request_came_from_is_forgotten_after_ninety_days_and_what_was_done_is_not() {
    let world = World::new().await;
    world.athlete("ada").await;
    let command = as_role(&world.identity, "fittrack_command");
    let entry = "INSERT INTO audit_log (recorded_at, event, actor, address, user_agent)
                 VALUES (clock_timestamp() - make_interval(days => $1), 'user_created', 'anonymous', '192.0.2.7', 'curl')";
    for age_days in [89, 91] {
        sqlx::query(entry).bind(age_days).execute(&world.identity).await.unwrap();
    }
    let entries = "SELECT count(*) FROM audit_log";
    let with_origin = "SELECT count(*) FROM audit_log WHERE address = '192.0.2.7' AND user_agent = 'curl'";
    let before = count(&world.identity, entries).await;
    let forgotten = command_api::identity::audit::forget_origins(&command).await.unwrap();
    assert_eq!((forgotten, count(&world.identity, with_origin).await), (1, 1));
    assert_eq!(count(&world.identity, entries).await, before);
    for sql in ["UPDATE audit_log SET address = NULL", "DELETE FROM audit_log"] {
        assert!(sqlx::query(sql).execute(&command).await.is_err(), "{sql}");
        assert!(sqlx::query(sql).execute(&world.identity).await.is_err(), "{sql}");
    }
}
