//! A command API with databases of its own for each test, and clients who speak to it: anonymous, or signed in.
use std::{
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use bytes::Bytes;
use command_api::{
    app::{App, Foundations, Gate},
    dispatch::Dispatcher,
    identity::tokens::Tokens,
    routes,
    store::{EventStore, hints::Hints},
};
use fittrack_domain::partition::DEFAULT_PARTITIONS;
use fittrack_runtime::{
    edge::EdgeSettings,
    keys::{SigningKey, SigningKeys},
    private::Readiness,
    shutdown::Tasks,
};
use fittrack_schemas::{
    consistency::{ConsistencyToken, TokenKey},
    migrations,
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use sqlx::{
    Connection as _, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

use crate::secrets;

/// How long a condition may take on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(180);
pub const PASSWORD: &str = "correct horse battery";

/// A command API and what is underneath it, as its owner sees it.
pub struct World {
    pub app: App,
    pub store: PgPool,
    pub identity: PgPool,
    pub recordings: PgPool,
    databases: [PgConnectOptions; 3],
    more_databases: Vec<PgConnectOptions>,
    /// What the key that signs access tokens was loaded from.
    pub key_pem: String,
    life: CancellationToken,
    router: Router,
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

/// Somebody who sends requests.
#[derive(Clone)]
pub struct Client {
    router: Router,
    token: Option<String>,
    pub athlete_id: Uuid,
    /// What the session can be refreshed with.
    pub refresh_token: String,
}

/// A request being put together.
pub struct Sending<'a> {
    client: &'a Client,
    request: axum::http::request::Builder,
    body: Bytes,
}

impl World {
    pub async fn new() -> Self {
        Self::with_gate(true, EdgeSettings::default()).await
    }

    /// The same behind another edge.
    pub async fn behind(settings: EdgeSettings) -> Self {
        Self::with_gate(true, settings).await
    }

    /// The same, before the event store has been checked.
    pub async fn not_ready() -> Self {
        Self::with_gate(false, EdgeSettings::default()).await
    }

    async fn with_gate(is_open: bool, settings: EdgeSettings) -> Self {
        let ((store, store_options), (identity, identity_options), (recordings, recordings_options)) = tokio::join!(
            database("store", &migrations::EVENT_STORE),
            database("identity", &migrations::IDENTITY),
            database("recordings", &migrations::RECORDINGS),
        );
        let databases = [store_options, identity_options, recordings_options];
        let key_pem = SigningKey::generate_pem().unwrap();
        let life = CancellationToken::new();
        let app = started(&databases, &key_pem, is_open, &life).await;
        let edge = routes::edge(&app, settings);
        Self {
            router: routes::router(app.clone(), &edge),
            app,
            store,
            identity,
            recordings,
            databases,
            more_databases: vec![],
            key_pem,
            life,
        }
    }

    /// A database beside those of the command API, as its owner; it goes with the world.
    pub async fn one_more_database(&mut self, kind: &str, migrator: &Migrator) -> PgPool {
        let (pool, options) = database(kind, migrator).await;
        self.more_databases.push(options);
        pool
    }

    /// What requests are sent to.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Another command API over the same databases, with the same key; it lives until the token is cancelled.
    pub async fn replica(&self) -> (App, CancellationToken) {
        let life = self.life.child_token();
        (started(&self.databases, &self.key_pem, true, &life).await, life)
    }

    pub fn anonymous(&self) -> Client {
        Client { router: self.router(), ..stranger(&self.app) }
    }

    /// Registers an athlete and signs them in.
    pub async fn athlete(&self, name: &str) -> Client {
        let answer = self.anonymous().post("/v1/account").json(&registration(name)).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        let credentials = json!({"email": format!("{name}@example.org"), "password": PASSWORD});
        let session = self.anonymous().post("/v1/account/sessions").json(&credentials).await;
        assert_eq!(session.status, 201, "{}", session.body);
        self.anonymous().of(answer.id(), &session)
    }

    /// The same athlete, signed in once more.
    pub async fn signed_in_again(&self, name: &str, athlete: &Client) -> Client {
        let credentials = json!({"email": format!("{name}@example.org"), "password": PASSWORD});
        let session = self.anonymous().post("/v1/account/sessions").json(&credentials).await;
        assert_eq!(session.status, 201, "{}", session.body);
        self.anonymous().of(athlete.athlete_id, &session)
    }

    /// Where an answer's consistency token says that it wrote.
    pub async fn token_of(&self, answer: &Answer) -> ConsistencyToken {
        let key = TokenKey::read(&self.recordings).await.unwrap();
        ConsistencyToken::read(answer.header("consistency-token").unwrap(), &key).unwrap()
    }

    /// How often something is in the audit log.
    pub async fn audited(&self, event: &str) -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM audit_log WHERE event = $1").bind(event);
        count.fetch_one(&self.identity).await.unwrap()
    }

    /// Types of all events of a stream, in order.
    pub async fn events_of(&self, stream: Uuid) -> Vec<String> {
        sqlx::query_scalar("SELECT event_type FROM events WHERE aggregate_id = $1 ORDER BY sequence")
            .bind(stream.to_string())
            .fetch_all(&self.store)
            .await
            .unwrap()
    }

    /// Payload of the last event of a stream.
    pub async fn last_payload(&self, stream: Uuid) -> Value {
        sqlx::query_scalar("SELECT payload FROM events WHERE aggregate_id = $1 ORDER BY sequence DESC LIMIT 1")
            .bind(stream.to_string())
            .fetch_one(&self.store)
            .await
            .unwrap()
    }

    /// How many workouts were ever logged or imported.
    pub async fn workouts(&self) -> i64 {
        count(&self.store, "SELECT count(*) FROM events WHERE aggregate_type = 'workout' AND sequence = 1").await
    }

    /// I4 of reliability.md.
    pub async fn assert_log_is_whole(&self) {
        let report = command_api::check::Check { store: &self.store, kafka: None, topic: "" }.run().await.unwrap();
        assert_eq!(report.violations, Vec::<String>::new());
    }
}

/// Databases of tests that have ended.
static ENDED: Mutex<Vec<PgConnectOptions>> = Mutex::new(Vec::new());
/// Held by the thread that drops them.
static DROPPING: Mutex<()> = Mutex::new(());
/// How many are dropped at once.
const DROPPED_AT_ONCE: usize = 30;

/// A test's databases go after it, whether it passed or not, while the next one runs: with each `DROP DATABASE` Postgres syncs the
/// thousands of files of all that are there, once for as many as are dropped together. The last ones go with the server.
impl Drop for World {
    fn drop(&mut self) {
        self.life.cancel();
        lock(&ENDED).extend(self.databases.iter().chain(&self.more_databases).cloned());
        std::thread::spawn(|| {
            let _turn = lock(&DROPPING);
            let ended = std::mem::take(&mut *lock(&ENDED));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(stream::iter(&ended).for_each_concurrent(DROPPED_AT_ONCE, drop_database));
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn drop_database(database: &PgConnectOptions) {
    let name = database.get_database().unwrap();
    let mut connection = PgConnection::connect_with(&database.clone().database("postgres")).await.unwrap();
    sqlx::query(&format!("DROP DATABASE {name} WITH (FORCE)")).execute(&mut connection).await.unwrap();
}

/// An app whose databases cannot be reached.
pub fn unreachable() -> App {
    let nowhere = PgConnectOptions::new().host("127.0.0.1").port(1).username("nobody");
    let key_pem = SigningKey::generate_pem().unwrap();
    let nowhere = [nowhere.clone(), nowhere.clone(), nowhere];
    let foundations = foundations(&nowhere, &key_pem, Duration::from_millis(200));
    foundations.gate.found_store();
    foundations.gate.found_token_key(TokenKey::new([7; 32]));
    App::new(foundations).unwrap()
}

/// The routes of an app behind the usual edge.
pub fn served(app: &App) -> Router {
    routes::router(app.clone(), &routes::edge(app, EdgeSettings::default()))
}

/// A client of an app that has not registered anybody.
pub fn stranger(app: &App) -> Client {
    let refresh_token = String::new();
    Client { router: served(app), token: None, athlete_id: Uuid::nil(), refresh_token }
}

/// An app that knows which sessions have ended, and goes on learning of it.
async fn started(databases: &[PgConnectOptions; 3], key_pem: &str, is_open: bool, life: &CancellationToken) -> App {
    let foundations = foundations(databases, key_pem, PATIENCE);
    if is_open {
        foundations.gate.found_store();
        foundations.gate.found_token_key(TokenKey::read(&foundations.recordings).await.unwrap());
    }
    let app = App::new(foundations).unwrap();
    app.ended.read().await.unwrap();
    tokio::spawn(app.ended.clone().follow(Readiness::new().check("ended sessions"), life.clone()));
    app
}

fn foundations(
    [store, identity, recordings]: &[PgConnectOptions; 3],
    key_pem: &str,
    acquire_timeout: Duration,
) -> Foundations {
    let pool = |options: &PgConnectOptions| {
        let options = options.clone().options([("role", "fittrack_command")]);
        PgPoolOptions::new().max_connections(6).acquire_timeout(acquire_timeout).connect_lazy_with(options)
    };
    let (event_store, lanes) = EventStore::open(pool(store), DEFAULT_PARTITIONS);
    tokio::spawn(lanes.run(CancellationToken::new()));
    Foundations {
        dispatcher: Dispatcher::new(event_store, Arc::new(Hints::default())),
        event_store: pool(store),
        identity: pool(identity),
        recordings: pool(recordings),
        tokens: Tokens::new(SigningKeys::from_pem(key_pem).unwrap(), "https://fittrack.local", "fittrack"),
        issuer_and_audience: ("https://fittrack.local".into(), "fittrack".into()),
        tasks: Tasks::detached(),
        gate: Gate::default(),
    }
}

async fn database(kind: &str, migrator: &Migrator) -> (PgPool, PgConnectOptions) {
    let url = std::env::var("FITTRACK_TEST_POSTGRES_URL")
        .expect("FITTRACK_TEST_POSTGRES_URL is not set: run through deploy/fittrack test");
    let server = PgConnectOptions::from_str(&url).unwrap();
    let name = format!("http_{kind}_{}", Uuid::now_v7().simple());
    let root = PgPoolOptions::new().max_connections(1).connect_with(server.clone()).await.unwrap();
    sqlx::query(&format!("CREATE DATABASE {name}")).execute(&root).await.unwrap();
    root.close().await;
    let options = server.database(&name);
    let owner = PgPoolOptions::new().max_connections(2).connect_with(options.clone()).await.unwrap();
    migrations::apply(migrator, &owner).await.unwrap();
    (owner, options)
}

pub fn registration(name: &str) -> Value {
    json!({"email": format!("{name}@example.org"), "password": PASSWORD, "display_name": name})
}

pub fn run() -> Value {
    json!({"sport": "run", "started_at": "2026-10-01T06:30:00Z", "duration_s": 1800, "distance_m": 5000.5})
}

pub async fn count(pool: &PgPool, sql: &str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

/// Waits until the condition holds, or fails with what it waited for.
pub async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "waited {PATIENCE:?} for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Client {
    pub fn get(&self, path: &str) -> Sending<'_> {
        self.send("GET", path)
    }

    pub fn post(&self, path: &str) -> Sending<'_> {
        self.send("POST", path)
    }

    pub fn patch(&self, path: &str) -> Sending<'_> {
        self.send("PATCH", path)
    }

    pub fn delete(&self, path: &str) -> Sending<'_> {
        self.send("DELETE", path)
    }

    pub fn send(&self, method: &str, path: &str) -> Sending<'_> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        Sending { client: self, request, body: Bytes::new() }
    }

    pub fn put(&self, path: &str) -> Sending<'_> {
        self.send("PUT", path)
    }

    /// The same athlete with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// An athlete with the tokens of an answer.
    pub fn of(&self, athlete_id: Uuid, session: &Answer) -> Self {
        let text = |field: &str| session.body[field].as_str().unwrap().to_owned();
        let (token, refresh_token) = (Some(text("access_token")), text("refresh_token"));
        Self { token, athlete_id, refresh_token, ..self.clone() }
    }

    /// The access token.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    /// The same athlete at another replica.
    pub fn at(&self, app: &App) -> Self {
        Self { router: served(app), ..self.clone() }
    }

    /// Asks for the next pair of tokens.
    pub async fn refreshes(&self) -> Answer {
        self.post("/v1/account/sessions/refresh").json(&json!({"refresh_token": self.refresh_token})).await
    }

    /// Logs a run and answers with its id.
    pub async fn logs_a_run(&self) -> Uuid {
        let answer = self.post("/v1/workouts").json(&run()).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.id()
    }

    /// Edits a workout at a version.
    pub async fn edits(&self, workout: Uuid, version: &str, patch: &Value) -> Answer {
        self.patch(&format!("/v1/workouts/{workout}")).header("if-match", version).merge_patch(patch).await
    }

    /// Imports a file.
    pub async fn imports(&self, media_type: &str, file: impl Into<Bytes>) -> Answer {
        self.post("/v1/workouts/imports").header("content-type", media_type).body(file).await
    }
}

impl Sending<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub async fn json(self, body: &Value) -> Answer {
        self.header("content-type", "application/json").body(body.to_string()).await
    }

    pub async fn merge_patch(self, body: &Value) -> Answer {
        self.header("content-type", "application/merge-patch+json").body(body.to_string()).await
    }

    pub async fn body(mut self, body: impl Into<Bytes>) -> Answer {
        self.body = body.into();
        self.answer().await
    }

    pub async fn answer(self) -> Answer {
        let request = self.request.body(Body::from(self.body.clone())).unwrap();
        let what = format!("{} {}", request.method(), request.uri());
        let secrets = secrets::of_request(request.headers(), &self.body);
        let response = self.client.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1024 * 1024).await.unwrap();
        secrets::assert_kept(&secrets, &what, &parts.headers, &bytes);
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn id(&self) -> Uuid {
        self.body["id"].as_str().unwrap_or_else(|| panic!("{}: {}", self.status, self.body)).parse().unwrap()
    }

    pub fn is_replayed(&self) -> bool {
        self.header("idempotency-replayed") == Some("true")
    }

    /// Pointers of the refused fields.
    pub fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect()
    }

    /// Checks that this is a problem of the kind, whole and without internals; returns it for more.
    pub fn assert_problem(&self, status: u16, slug: &str) -> &Self {
        assert_eq!((self.status.as_u16(), self.slug()), (status, slug), "{}", self.body);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.body["status"], status);
        for member in ["title", "detail", "instance", "trace_id"] {
            assert!(self.body[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {}", self.body);
        }
        self
    }

    fn slug(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default()
    }
}
