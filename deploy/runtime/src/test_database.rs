//! A database of its own for each test, on the Postgres the test command provides.
//! Only compiled for tests.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection};
use uuid::Uuid;

use crate::config::Secret;

pub(crate) struct TestDatabase {
    admin: String,
    name: String,
}

impl TestDatabase {
    pub(crate) async fn create() -> Self {
        let admin = std::env::var("FITTRACK_TEST_POSTGRES_URL")
            .expect("FITTRACK_TEST_POSTGRES_URL is not set: run through deploy/fittrack test");
        let name = format!("runtime_test_{}", Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(&admin).await.unwrap();
        connection.execute(format!("CREATE DATABASE {name}").as_str()).await.unwrap();
        Self { admin, name }
    }

    /// The URL of the database, for what takes one.
    pub(crate) fn url(&self) -> Secret {
        let (server, parameters) = self.admin.split_once('?').unwrap_or((&self.admin, ""));
        let (server, _) = server.rsplit_once('/').unwrap();
        Secret::new(format!("{server}/{}?{parameters}", self.name))
    }

    /// A plain pool, with none of what is being tested.
    pub(crate) fn plain_pool(&self) -> PgPool {
        let options: PgConnectOptions = self.url().expose().parse().unwrap();
        PgPoolOptions::new().max_connections(8).acquire_timeout(Duration::from_secs(120)).connect_lazy_with(options)
    }

    pub(crate) async fn drop(self) {
        let mut connection = PgConnection::connect(&self.admin).await.unwrap();
        connection.execute(format!("DROP DATABASE {} WITH (FORCE)", self.name).as_str()).await.unwrap();
    }
}
