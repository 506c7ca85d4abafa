//! The four databases of a stack and the roles that log into them, on the stack's own Postgres or on somebody else's.
//! Runs before and after the migrations, which create the tables and the roles without a password.

use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::error::{Error, Result, WhileDoing};
use crate::secrets::Secrets;

pub const EVENT_STORE: &str = "event_store";
pub const IDENTITY: &str = "identity";
pub const RECORDINGS: &str = "recordings";
pub const READ_MODELS: &str = "read_models";

/// The roles of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Command,
    Relay,
    Projector,
    Query,
    Eraser,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Command, Self::Relay, Self::Projector, Self::Query, Self::Eraser];

    /// Its name in Postgres.
    pub fn name(self) -> &'static str {
        match self {
            Self::Command => "fittrack_command",
            Self::Relay => "fittrack_relay",
            Self::Projector => "fittrack_projector",
            Self::Query => "fittrack_query",
            Self::Eraser => "fittrack_eraser",
        }
    }

    /// Its password in this stack.
    pub fn password(self, secrets: &Secrets) -> &str {
        match self {
            Self::Command => &secrets.command,
            Self::Relay => &secrets.relay,
            Self::Projector => &secrets.projector,
            Self::Query => &secrets.query,
            Self::Eraser => &secrets.eraser,
        }
    }
}

/// The administrator's URL of one database on the server of `administrator`.
///
/// # Errors
/// When the URL is none.
pub fn administrator_url(administrator: &str, database: &str) -> Result<String> {
    let mut url = parse(administrator)?;
    url.set_path(database);
    Ok(url.into())
}

/// The URL under which a role logs into one database on the server of `administrator`.
///
/// # Errors
/// When the URL is none.
pub fn role_url(administrator: &str, database: &str, role: Role, secrets: &Secrets) -> Result<String> {
    let mut url = parse(administrator)?;
    url.set_path(database);
    let named = url.set_username(role.name()).and_then(|()| url.set_password(Some(role.password(secrets))));
    match named {
        Ok(()) => Ok(url.into()),
        Err(()) => Err(not_a_url()),
    }
}

fn parse(administrator: &str) -> Result<Url> {
    let url = Url::parse(administrator).map_err(|_| not_a_url())?;
    let is_postgres = matches!(url.scheme(), "postgres" | "postgresql") && url.has_host();
    if is_postgres { Ok(url) } else { Err(not_a_url()) }
}

fn not_a_url() -> Error {
    Error::wrong_use("FITTRACK_POSTGRES_URL is no Postgres URL")
        .advise("write it as postgres://ADMINISTRATOR:PASSWORD@HOST:PORT/postgres")
}

/// Whether Postgres answers a query, within two seconds.
pub async fn is_ready(administrator: &str) -> bool {
    let answer = async {
        let mut connection = connect(administrator, "postgres").await.ok()?;
        sqlx::query("SELECT 1").execute(&mut connection).await.ok()?;
        connection.close().await.ok()
    };
    matches!(tokio::time::timeout(Duration::from_secs(2), answer).await, Ok(Some(())))
}

/// Creates the databases that are missing.
///
/// # Errors
/// When the server cannot be reached or refuses.
pub async fn create_missing(administrator: &str) -> Result<()> {
    let mut server = connect(administrator, "postgres").await?;
    for database in [EVENT_STORE, IDENTITY, RECORDINGS, READ_MODELS] {
        let found = sqlx::query("SELECT 1 FROM pg_database WHERE datname = $1").bind(database);
        let found = found.fetch_optional(&mut server).await.while_doing(|| "list the databases")?;
        if found.is_none() {
            let created = sqlx::query(&format!("CREATE DATABASE {database}")).execute(&mut server).await;
            created.while_doing(|| format!("create the database {database}"))?;
        }
    }
    server.close().await.while_doing(|| "leave Postgres")
}

/// Lets the roles that the migrations created log in with this stack's passwords.
///
/// # Errors
/// When a role is missing or the server refuses.
pub async fn let_roles_log_in(administrator: &str, secrets: &Secrets) -> Result<()> {
    let mut server = connect(administrator, "postgres").await?;
    for role in Role::ALL {
        // The password is 32 hexadecimal digits: nothing in it to quote.
        let statement = format!("ALTER ROLE {} LOGIN PASSWORD '{}'", role.name(), role.password(secrets));
        let altered = sqlx::query(&statement).execute(&mut server).await;
        altered.while_doing(|| format!("let the role {} log in", role.name()))?;
    }
    server.close().await.while_doing(|| "leave Postgres")
}

async fn connect(administrator: &str, database: &str) -> Result<PgConnection> {
    let url = administrator_url(administrator, database)?;
    let options = PgConnectOptions::from_str(&url).map_err(|_| not_a_url())?;
    options.disable_statement_logging().connect().await.map_err(|cause| {
        Error::failed(format!("cannot reach Postgres: {cause}"))
            .advise("see logs/postgres.log of the stack, or check FITTRACK_POSTGRES_URL if you set it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_logs_into_its_own_database_on_the_same_server() {
        let secrets = Secrets {
            administrator: "a".into(),
            command: "c0".into(),
            relay: "r0".into(),
            projector: "p0".into(),
            query: "q0".into(),
            eraser: "e0".into(),
            ..Secrets::default()
        };
        let administrator = "postgres://postgres:pw@db.example:5433/postgres?sslmode=require";
        assert_eq!(
            role_url(administrator, READ_MODELS, Role::Query, &secrets).unwrap(),
            "postgres://fittrack_query:q0@db.example:5433/read_models?sslmode=require"
        );
        assert_eq!(
            administrator_url(administrator, IDENTITY).unwrap(),
            "postgres://postgres:pw@db.example:5433/identity?sslmode=require"
        );
    }

    #[test]
    fn what_is_no_postgres_url_is_wrong_use() {
        for wrong in ["", "localhost:5432", "http://localhost/", "postgres:///x"] {
            assert_eq!(administrator_url(wrong, IDENTITY).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }
}
