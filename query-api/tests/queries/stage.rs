//! What a test stands on: databases, the app over them, athletes with tokens, and rows as projectors leave them.
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use fittrack_runtime::auth::{AccessClaims, JwksSource, Verifier};
use fittrack_runtime::clock;
use fittrack_runtime::config::Secret;
use fittrack_runtime::edge::EdgeSettings;
use fittrack_runtime::keys::SigningKey;
use fittrack_runtime::pg::{self, PoolSettings};
use fittrack_schemas::consistency::ConsistencyToken;
use fittrack_schemas::migrations;
use fittrack_schemas::notice::ChangeNotice;
use fittrack_schemas::read_models;
use query_api::app::App;
use query_api::ready::ReadyFirst;
use query_api::routes;
use serde_json::Value;
use sqlx::migrate::Migrator;
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tower::ServiceExt;
use uuid::Uuid;

use crate::secrets;

const ISSUER: &str = "https://fittrack.local";
const AUDIENCE: &str = "fittrack";

/// Everything one test needs. Its databases are left behind: the test command throws its Postgres away, and a DROP waits for
/// a checkpoint of everybody's.
pub struct Stage {
    pub app: App,
    pub router: ReadyFirst,
    /// The read models, as their owner.
    pub read_models: PgPool,
    /// The recordings, as their owner.
    pub recordings: PgPool,
    key: SigningKey,
    urls: (Secret, Secret),
}

/// Somebody with a token.
#[derive(Debug, Clone)]
pub struct Athlete {
    pub id: Uuid,
    pub token: String,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The items' values of one field.
    pub fn items(&self, field: &str) -> Vec<Value> {
        self.json()["items"].as_array().unwrap().iter().map(|item| item[field].clone()).collect()
    }
}

/// A workout as the read model has it.
#[derive(Debug, Clone)]
pub struct Workout {
    pub id: Uuid,
    pub version: i64,
    pub sport: &'static str,
    pub started_at: DateTime<Utc>,
    pub local_date: NaiveDate,
    pub title: Option<&'static str>,
    pub notes: Option<&'static str>,
    pub visibility: &'static str,
    pub sets: Option<Value>,
    pub recording: Option<Value>,
}

impl Workout {
    pub fn at(started_at: &str) -> Self {
        let started_at: DateTime<Utc> = started_at.parse().unwrap();
        Self {
            id: Uuid::now_v7(),
            version: 1,
            sport: "run",
            started_at,
            local_date: started_at.date_naive(),
            title: Some("Morning run"),
            notes: None,
            visibility: "private",
            sets: None,
            recording: None,
        }
    }
}

impl Stage {
    /// A stage without recordings; only the key of tokens is where they would be.
    pub async fn new() -> Self {
        let models = models().await;
        let token_key = include_str!("../../../schemas/recordings/0005_token_key.sql");
        owner(&models).execute(token_key).await.unwrap();
        Self::over(&models, &models).await
    }

    /// A stage with a database of recordings.
    pub async fn with_recordings() -> Self {
        let models = models().await;
        Self::over(&models, &database("recordings", &migrations::RECORDINGS).await).await
    }

    async fn over(read_models: &Secret, recordings: &Secret) -> Self {
        let key = SigningKey::from_pem(&SigningKey::generate_pem().unwrap()).unwrap();
        let stage = Self::served(key, read_models, recordings);
        let seeded = "INSERT INTO checkpoints (worker, partition, position, as_of)
                      SELECT worker, partition, 0, now() FROM read_models, generate_series(0, 31) AS partition";
        stage.read_models.execute(seeded).await.unwrap();
        stage.app.changes.read_checkpoints(Duration::ZERO).await.unwrap();
        stage
    }

    fn served(key: SigningKey, read_models: &Secret, recordings: &Secret) -> Self {
        let reader = |url| pg::pool(url, PoolSettings::new("query-test").option("role", "fittrack_query")).unwrap();
        let verifier = Verifier::new(JwksSource::Keys(key.jwk_set()), ISSUER, AUDIENCE).unwrap();
        let app = App::new(verifier, reader(read_models), reader(recordings), 8 << 20);
        let edge = routes::edge(&app, EdgeSettings::default());
        let router = ReadyFirst::new(app.clone(), edge.clone(), routes::router(app.clone(), &edge));
        let urls = (read_models.clone(), recordings.clone());
        Self { app, router, read_models: owner(read_models), recordings: owner(recordings), key, urls }
    }

    /// Another process over the same databases, which takes the same tokens.
    pub fn replica(&self) -> Self {
        Self::served(self.key.clone(), &self.urls.0, &self.urls.1)
    }

    /// What a command answers that wrote there.
    pub async fn token(&self, partition: i32, position: i64) -> String {
        ConsistencyToken::of(partition, position).signed(self.app.token_key().await.unwrap())
    }

    /// Somebody who has signed up.
    pub async fn athlete(&self, name: &str) -> Athlete {
        let athlete = self.stranger();
        sqlx::query(
            "INSERT INTO profiles_v1.profiles (athlete_id, version, display_name, bio, birth_year, sex, height_cm, time_zone,
                                               units, default_visibility, registered_at, changed_at)
             VALUES ($1, 2, $2, 'Likes hills.', 1990, 'female', 172, 'Europe/Berlin', 'metric', 'private', now(), now())",
        )
        .bind(athlete.id)
        .bind(name)
        .execute(&self.read_models)
        .await
        .unwrap();
        athlete
    }

    /// Somebody with a token whose profile is not projected yet.
    pub fn stranger(&self) -> Athlete {
        let id = Uuid::now_v7();
        let now = clock::now().timestamp();
        let claims = AccessClaims {
            iss: ISSUER.into(),
            sub: id.to_string(),
            aud: AUDIENCE.into(),
            exp: now + 600,
            nbf: now - 1,
            iat: now - 1,
            jti: Uuid::now_v7().to_string(),
            sid: Uuid::now_v7().to_string(),
            scope: None,
        };
        Athlete { id, token: self.key.sign(&claims).unwrap() }
    }

    pub async fn workout(&self, athlete: &Athlete, workout: Workout) -> Uuid {
        sqlx::query(
            "INSERT INTO workouts_v1.workouts (workout_id, athlete_id, version, sport, started_at, time_zone, local_date,
                 duration_ms, moving_ms, distance_mm, elevation_gain_mm, energy_kcal, average_heart_rate_bpm,
                 perceived_exertion, title, notes, visibility, gear_id, sets, recording, logged_at, changed_at)
             VALUES ($1, $2, $3, $4, $5, 'Europe/Berlin', $6, 2730500, 2700000, 10012345, 84000, 640, 148, 7, $7, $8, $9, $1,
                     $10, $11, now(), now())
             ON CONFLICT (workout_id) DO UPDATE SET version = excluded.version, title = excluded.title,
                 visibility = excluded.visibility",
        )
        .bind(workout.id)
        .bind(athlete.id)
        .bind(workout.version)
        .bind(workout.sport)
        .bind(workout.started_at)
        .bind(workout.local_date)
        .bind(workout.title)
        .bind(workout.notes)
        .bind(workout.visibility)
        .bind(workout.sets)
        .bind(workout.recording)
        .execute(&self.read_models)
        .await
        .unwrap();
        workout.id
    }

    /// What a projector writes with its rows.
    pub async fn checkpoint(&self, model: &str, partition: i32, position: i64) {
        sqlx::query(
            "INSERT INTO checkpoints (worker, partition, position, as_of) SELECT worker, $2, $3, now() FROM read_models WHERE name = $1
             ON CONFLICT (worker, partition) DO UPDATE SET position = excluded.position, as_of = excluded.as_of",
        )
        .bind(model)
        .bind(partition)
        .bind(position)
        .execute(&self.read_models)
        .await
        .unwrap();
    }

    /// What a projector says after a commit.
    pub fn notify(&self, notice: &ChangeNotice) {
        self.app.changes.apply(notice);
    }

    pub async fn get(&self, path: &str, caller: &Athlete) -> Reply {
        self.get_with(path, caller, &[]).await
    }

    pub async fn get_with(&self, path: &str, caller: &Athlete, headers: &[(&str, &str)]) -> Reply {
        self.send(Method::GET, path, Some(caller), headers).await
    }

    pub async fn send(&self, method: Method, path: &str, caller: Option<&Athlete>, headers: &[(&str, &str)]) -> Reply {
        let what = format!("{method} {path}");
        let reply = read(self.open(method, path, caller, headers).await).await;
        if let Some(caller) = caller {
            secrets::assert_kept(std::slice::from_ref(&caller.token), &what, &reply.headers, &reply.body);
        }
        reply
    }

    /// An answer of which nothing was read yet.
    pub async fn open(
        &self,
        method: Method,
        path: &str,
        caller: Option<&Athlete>,
        headers: &[(&str, &str)],
    ) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(caller) = caller {
            request = request.header("authorization", format!("Bearer {}", caller.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }
}

/// The whole of an answer.
pub async fn read(response: Response) -> Reply {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Reply { status, headers, body }
}

/// The notice of a commit that changed one owner's rows.
pub fn notice(model: &str, partition: i32, position: i64, owners: &[Uuid]) -> ChangeNotice {
    let (read_model, checkpoints) = (model.to_owned(), vec![(partition, position)]);
    let version = if model == "leaderboards" { 2 } else { 1 };
    ChangeNotice { read_model, version, generation: 1, checkpoints, owners: Some(owners.to_vec()) }
}

/// Asks again and again until it is so; fails after three minutes.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let mut pauses = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..9_000 {
        if is_so().await {
            return;
        }
        pauses.tick().await;
    }
    panic!("{what}: not within three minutes");
}

/// A new database of read models, as its owner.
async fn models() -> Secret {
    let url = database("models", &migrations::READ_MODELS).await;
    read_models::migrate(&owner(&url)).await.unwrap();
    url
}

/// A new database with these migrations, as its owner.
async fn database(kind: &str, migrator: &Migrator) -> Secret {
    let admin = std::env::var("FITTRACK_TEST_POSTGRES_URL")
        .expect("FITTRACK_TEST_POSTGRES_URL is not set: run through deploy/fittrack test");
    let name = format!("query_{kind}_{}", Uuid::now_v7().simple());
    let mut connection = PgConnection::connect(&admin).await.unwrap();
    connection.execute(format!("CREATE DATABASE {name}").as_str()).await.unwrap();
    let (server, parameters) = admin.split_once('?').unwrap_or((&admin, ""));
    let (server, _) = server.rsplit_once('/').unwrap();
    let url = Secret::new(format!("{server}/{name}?{parameters}"));
    migrations::apply(migrator, &owner(&url)).await.unwrap();
    url
}

fn owner(url: &Secret) -> PgPool {
    pg::pool(url, PoolSettings::new("query-test-owner")).unwrap()
}
