//! Slows down guessing: per account by growing delays, per client network and overall by failures a minute. The counters are in the
//! identity database, so every replica counts alike. Nothing here touches sessions: who is signed in stays so.
//!
//! Delays grow for an account from one network, and much later for the account from everywhere: a stranger makes their own wait grow
//! before the owner's.
use std::{net::IpAddr, time::Duration};

use fittrack_runtime::client_address::ClientAddress;
use sqlx::PgPool;

use super::audit::Origin;

/// So many tries at one thing from one network cost nothing; each further one doubles the wait for the next, from one second to
/// fifteen minutes.
const FREE_TRIES: i32 = 5;
/// The same for an account from everywhere.
const FREE_TRIES_FROM_EVERYWHERE: i32 = 100;
const LONGEST_WAIT_S: f64 = 900.0;
/// Tries are forgotten an hour after the last.
const FORGOTTEN_AFTER_S: f64 = 3600.0;
/// Failures a minute from one client network, and from everybody, before further tries wait for the next minute.
const FAILURES_OF_A_CLIENT: i32 = 60;
const FAILURES_OF_EVERYBODY: i32 = 6_000;
const MINUTE_S: f64 = 60.0;
/// The most rows that one sweep removes.
const BATCH: i64 = 5_000;

/// Counts tries. Cheap to clone.
#[derive(Clone)]
pub struct Throttle {
    pool: PgPool,
}

/// What is tried: names it for counting, with how many tries are free. Letters of both cases are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(Vec<(String, i32)>);

impl Subject {
    /// Signing in to the account of an address, whether or not there is one.
    pub fn sign_in(email: &str, origin: &Origin) -> Self {
        let from = origin.address.map_or_else(|| "anywhere".to_owned(), |address| network(address).to_string());
        Self(vec![
            (format!("sign-in\n{email}\n{from}"), FREE_TRIES),
            (format!("sign-in\n{email}"), FREE_TRIES_FROM_EVERYWHERE),
        ])
    }

    /// Proving once more who one is, with the password of an account one is signed in to.
    pub fn password_of(athlete_id: uuid::Uuid) -> Self {
        Self(vec![(format!("password\n{athlete_id}"), FREE_TRIES)])
    }

    /// Registering an address, whether or not it has an account.
    pub fn registration(email: &str) -> Self {
        Self(vec![(format!("registration\n{email}"), FREE_TRIES)])
    }
}

/// Too many tries: how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there were too many tries; the next may be made in {} s", .0.as_secs())]
pub struct TooManyTries(pub Duration);

/// A try that was let through and counted. What becomes of it is to be said.
#[derive(Debug)]
#[must_use]
pub struct Try {
    names: Vec<String>,
    locks: bool,
    count: i32,
}

impl Try {
    /// Whether the next one has to wait.
    pub fn locks(&self) -> bool {
        self.locks
    }

    /// The how manieth it is.
    pub fn count(&self) -> i32 {
        self.count
    }
}

/// Counts before anything is judged: of many tries at once each is seen by the next. `lower` is the one accounts are found by.
const BEGIN: &str = "
    INSERT INTO throttles AS known (subject, tries, blocked_until, last_try_at)
    VALUES (sha256(convert_to(lower($1), 'UTF8')), 1, clock_timestamp(), clock_timestamp())
    ON CONFLICT (subject) DO UPDATE SET
        tries = CASE WHEN known.last_try_at < clock_timestamp() - make_interval(secs => $4) THEN 1 ELSE known.tries + 1 END,
        blocked_until = clock_timestamp() + make_interval(secs => CASE
            WHEN known.last_try_at < clock_timestamp() - make_interval(secs => $4) OR known.tries < $2 THEN 0
            ELSE least($3, power(2, least(known.tries - $2, 20)))
        END),
        last_try_at = clock_timestamp()
    WHERE known.blocked_until <= clock_timestamp()
    RETURNING tries";

const WAIT_OF: &str = "
    SELECT greatest(extract(epoch FROM blocked_until - clock_timestamp()), 0)::float8
    FROM throttles WHERE subject = sha256(convert_to(lower($1), 'UTF8'))";

const FORGET: &str = "
    DELETE FROM throttles WHERE subject = ANY(SELECT sha256(convert_to(lower(name), 'UTF8')) FROM unnest($1::text[]) AS name)";

/// Nothing was judged, so it was no try.
const GIVE_BACK: &str = "
    UPDATE throttles SET tries = greatest(tries - 1, 0), blocked_until = clock_timestamp()
    WHERE subject = ANY(SELECT sha256(convert_to(lower(name), 'UTF8')) FROM unnest($1::text[]) AS name)";

/// Which minute it is follows from the database's clock, as everything here does.
const COUNT_FAILURE: &str = "
    INSERT INTO throttles AS known (subject, tries, blocked_until, last_try_at)
    SELECT sha256(convert_to(name || floor(extract(epoch FROM clock_timestamp()) / $2)::bigint::text, 'UTF8')), 1, clock_timestamp(),
           clock_timestamp()
    FROM unnest($1::text[]) AS name ORDER BY name
    ON CONFLICT (subject) DO UPDATE SET tries = known.tries + 1, last_try_at = clock_timestamp()";

const IS_OVER: &str = "
    SELECT $3::float8 - mod(extract(epoch FROM clock_timestamp()), $3::numeric)::float8
    FROM unnest($1::text[], $2::integer[]) AS window_of (name, most)
    JOIN throttles
      ON subject = sha256(convert_to(name || floor(extract(epoch FROM clock_timestamp()) / $3)::bigint::text, 'UTF8'))
    WHERE tries >= most LIMIT 1";

const SWEEP: &str = "
    DELETE FROM throttles WHERE subject IN (
        SELECT subject FROM throttles WHERE last_try_at < clock_timestamp() - make_interval(secs => $1)
        ORDER BY last_try_at LIMIT $2)";

const SWEEP_DECOYS: &str = "
    DELETE FROM decoy_registrations WHERE command_id IN (
        SELECT command_id FROM decoy_registrations WHERE created_at < clock_timestamp() - interval '1 day'
        ORDER BY created_at LIMIT $1)";

impl Throttle {
    /// Over the identity database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Lets a try through and counts it, or says how long to wait.
    pub async fn begin(&self, subject: Subject, origin: &Origin) -> Result<Result<Try, TooManyTries>, sqlx::Error> {
        if let Some(wait) = self.wait_of_windows(origin).await? {
            return Ok(Err(TooManyTries(wait)));
        }
        let mut tried = Try { names: Vec::new(), locks: false, count: 0 };
        for (name, free) in subject.0 {
            let count: Option<i32> = sqlx::query_scalar(BEGIN)
                .bind(&name)
                .bind(free)
                .bind(LONGEST_WAIT_S)
                .bind(FORGOTTEN_AFTER_S)
                .fetch_optional(&self.pool)
                .await?;
            let Some(count) = count else {
                let wait: Option<f64> = sqlx::query_scalar(WAIT_OF).bind(&name).fetch_optional(&self.pool).await?;
                self.give_back(tried).await?;
                return Ok(Err(TooManyTries(seconds(wait.unwrap_or_default()))));
            };
            tried.names.push(name);
            tried.locks |= count > free;
            tried.count = tried.count.max(count);
        }
        Ok(Ok(tried))
    }

    /// It was the right one: earlier tries are forgotten.
    pub async fn succeeded(&self, tried: Try) -> Result<(), sqlx::Error> {
        sqlx::query(FORGET).bind(tried.names).execute(&self.pool).await.map(|_| ())
    }

    /// It was not; the client and everybody have one failure more this minute.
    pub async fn failed(&self, _: Try, origin: &Origin) -> Result<(), sqlx::Error> {
        let names: Vec<String> = windows(origin).into_iter().map(|(name, _)| name).collect();
        sqlx::query(COUNT_FAILURE).bind(names).bind(MINUTE_S).execute(&self.pool).await.map(|_| ())
    }

    /// Nothing was judged, for want of capacity or a database.
    pub async fn give_back(&self, tried: Try) -> Result<(), sqlx::Error> {
        sqlx::query(GIVE_BACK).bind(tried.names).execute(&self.pool).await.map(|_| ())
    }

    /// Removes what is forgotten; says how many rows.
    pub async fn sweep(&self) -> Result<u64, sqlx::Error> {
        let swept = sqlx::query(SWEEP).bind(FORGOTTEN_AFTER_S).bind(BATCH).execute(&self.pool).await?;
        let decoys = sqlx::query(SWEEP_DECOYS).bind(BATCH).execute(&self.pool).await?;
        Ok(swept.rows_affected() + decoys.rows_affected())
    }

    async fn wait_of_windows(&self, origin: &Origin) -> Result<Option<Duration>, sqlx::Error> {
        let (names, most): (Vec<String>, Vec<i32>) = windows(origin).into_iter().unzip();
        let wait: Option<f64> =
            sqlx::query_scalar(IS_OVER).bind(names).bind(most).bind(MINUTE_S).fetch_optional(&self.pool).await?;
        Ok(wait.map(seconds))
    }
}

fn windows(origin: &Origin) -> Vec<(String, i32)> {
    let client = origin.address.map(|address| (format!("client\n{}\n", network(address)), FAILURES_OF_A_CLIENT));
    client.into_iter().chain([("everybody\n".to_owned(), FAILURES_OF_EVERYBODY)]).collect()
}

fn network(address: IpAddr) -> IpAddr {
    ClientAddress::new(address).network()
}

fn seconds(wait: f64) -> Duration {
    Duration::try_from_secs_f64(wait).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_of_ipv6_is_its_network() {
        let network_of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network_of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network_of("192.0.2.7"), "192.0.2.7");
        assert_eq!(network_of("::ffff:192.0.2.7"), "192.0.2.7");
    }
}
