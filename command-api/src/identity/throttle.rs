//! Slows down guessing: per account by growing delays, per client network and overall by failures a minute. The counters are in the
//! identity database, so every replica counts alike. Nothing here touches sessions: who is signed in stays so.
//!
//! Delays grow for an account from one network, and much later for the account from the site it is in (of IPv6) and from everywhere: a
//! stranger makes their own wait grow before the owner's. A network from which the account was signed in to lately answers for itself
//! alone, so nobody elsewhere holds its owner out. Whether there is an account makes no difference: what nobody signed in to is known
//! to no network.
//!
//! No try waits for the disk: everything written here commits asynchronously, which each statement asks for its own transaction as it
//! returns. All see it at once; should the database crash, the counts of its last half second are lost, and guessing that fast is what
//! is slowed down anyway. Waiting would cost every sign-in some five flushes, and every save beside it the turns in which they come.
use std::{net::IpAddr, time::Duration};

use fittrack_runtime::client_address::ClientAddress;
use sqlx::{PgConnection, PgPool};

use super::audit::Origin;

/// So many tries at one thing from one network cost nothing; each further one doubles the wait for the next, from one second to
/// fifteen minutes.
const FREE_TRIES: i32 = 5;
/// The same for an account from one site, and from everywhere.
const FREE_TRIES_FROM_A_SITE: i32 = 20;
const FREE_TRIES_FROM_EVERYWHERE: i32 = 100;
const LONGEST_WAIT_S: f64 = 900.0;
/// Tries are forgotten an hour after the last.
const FORGOTTEN_AFTER_S: f64 = 3600.0;
/// Failures a minute from one client network, from one site, and from everybody, before further tries wait for the next minute.
const FAILURES_OF_A_CLIENT: i32 = 60;
const FAILURES_OF_A_SITE: i32 = 240;
const FAILURES_OF_EVERYBODY: i32 = 6_000;
const MINUTE_S: f64 = 60.0;
/// The most rows that one statement of a sweep removes, and the most statements of a kind in one sweep.
const BATCH: i64 = 5_000;
const BATCHES_A_SWEEP: usize = 40;
/// An account is known to so many networks, those it was signed in from last.
const MAX_KNOWN: i64 = 20;

/// Counts tries. Cheap to clone.
#[derive(Clone)]
pub struct Throttle {
    pool: PgPool,
}

/// What is tried: names it for counting, with how many tries are free. Letters of both cases are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// From where it is tried.
    near: (String, i32),
    /// From further around: of no account to a network that knows it.
    wider: Vec<(String, i32)>,
    door: Option<Door>,
}

/// An account as a network may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Door {
    account: String,
    network: String,
}

impl Subject {
    /// Signing in to the account of an address, whether or not there is one.
    pub fn sign_in(email: &str, origin: &Origin) -> Self {
        let near = origin.address.map_or_else(|| "anywhere".to_owned(), |address| network(address).to_string());
        let site = origin.address.and_then(site);
        let from_the_site = site.map(|site| (format!("sign-in\n{email}\nsite {site}"), FREE_TRIES_FROM_A_SITE));
        let door = origin.address.map(|_| Door { account: format!("account\n{email}"), network: near.clone() });
        Self {
            near: (format!("sign-in\n{email}\n{near}"), FREE_TRIES),
            wider: from_the_site
                .into_iter()
                .chain([(format!("sign-in\n{email}"), FREE_TRIES_FROM_EVERYWHERE)])
                .collect(),
            door,
        }
    }

    /// Proving once more who one is, with the password of an account one is signed in to.
    pub fn password_of(athlete_id: uuid::Uuid) -> Self {
        Self::one(format!("password\n{athlete_id}"))
    }

    /// Registering an address, whether or not it has an account.
    pub fn registration(email: &str) -> Self {
        Self::one(format!("registration\n{email}"))
    }

    fn one(name: String) -> Self {
        Self { near: (name, FREE_TRIES), wider: vec![], door: None }
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
    door: Option<Door>,
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
/// A try that has to wait returns nothing, and yet its row was locked, which is written: it says so where it is looked at.
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
    WHERE set_config('synchronous_commit', 'off', true) = 'off' AND known.blocked_until <= clock_timestamp()
    RETURNING tries, set_config('synchronous_commit', 'off', true)";

const WAIT_OF: &str = "
    SELECT greatest(extract(epoch FROM blocked_until - clock_timestamp()), 0)::float8
    FROM throttles WHERE subject = sha256(convert_to(lower($1), 'UTF8'))";

/// Locked in one order, so that two who share some of them wait for each other at most.
const FORGET: &str = "
    DELETE FROM throttles WHERE subject IN (
        SELECT subject FROM throttles
        WHERE subject = ANY(SELECT sha256(convert_to(lower(name), 'UTF8')) FROM unnest($1::text[]) AS name)
        ORDER BY subject FOR UPDATE)
    RETURNING set_config('synchronous_commit', 'off', true)";

/// Nothing was judged, so it was no try; a first one leaves nothing.
const GIVE_BACK: &str = "
    WITH named AS (
        SELECT subject, tries FROM throttles
        WHERE subject = ANY(SELECT sha256(convert_to(lower(name), 'UTF8')) FROM unnest($1::text[]) AS name)
        ORDER BY subject FOR UPDATE
    ), first AS (
        DELETE FROM throttles USING named WHERE throttles.subject = named.subject AND named.tries <= 1
        RETURNING set_config('synchronous_commit', 'off', true)
    )
    UPDATE throttles SET tries = throttles.tries - 1, blocked_until = clock_timestamp()
    FROM named WHERE throttles.subject = named.subject AND named.tries > 1
    RETURNING set_config('synchronous_commit', 'off', true)";

const KNOWS: &str = "
    SELECT EXISTS (
        SELECT FROM known_networks
        WHERE account = sha256(convert_to(lower($1), 'UTF8'))
          AND network = sha256(convert_to(lower($1 || E'\\n' || $2), 'UTF8'))
          AND signed_in_at > clock_timestamp() - interval '30 days')";

const LEARN: &str = "
    INSERT INTO known_networks (account, network)
    VALUES (sha256(convert_to(lower($1), 'UTF8')), sha256(convert_to(lower($1 || E'\\n' || $2), 'UTF8')))
    ON CONFLICT (account, network) DO UPDATE SET signed_in_at = clock_timestamp()
    RETURNING set_config('synchronous_commit', 'off', true)";

const FORGET_OLDEST: &str = "
    DELETE FROM known_networks
    WHERE account = sha256(convert_to(lower($1), 'UTF8')) AND network IN (
        SELECT network FROM known_networks WHERE account = sha256(convert_to(lower($1), 'UTF8'))
        ORDER BY signed_in_at DESC, network OFFSET $2)
    RETURNING set_config('synchronous_commit', 'off', true)";

/// By the address of the account itself, as long as it is there.
const FORGET_NETWORKS_OF: &str = "
    DELETE FROM known_networks WHERE account = (
        SELECT sha256(convert_to(lower(E'account\\n' || email), 'UTF8')) FROM accounts WHERE athlete_id = $1)";

/// Forgets from where an account was signed in to, in the caller's transaction; how many networks there were.
pub async fn forget_networks(identity: &mut PgConnection, athlete_id: uuid::Uuid) -> Result<u64, sqlx::Error> {
    let forgotten = sqlx::query(FORGET_NETWORKS_OF).bind(athlete_id).execute(identity).await?;
    Ok(forgotten.rows_affected())
}

/// Which minute it is follows from the database's clock, as everything here does.
const COUNT_FAILURE: &str = "
    INSERT INTO throttles AS known (subject, tries, blocked_until, last_try_at)
    SELECT sha256(convert_to(name || floor(extract(epoch FROM clock_timestamp()) / $2)::bigint::text, 'UTF8')), 1, clock_timestamp(),
           clock_timestamp()
    FROM unnest($1::text[]) AS name ORDER BY name
    ON CONFLICT (subject) DO UPDATE SET tries = known.tries + 1, last_try_at = clock_timestamp()
    RETURNING set_config('synchronous_commit', 'off', true)";

const IS_OVER: &str = "
    SELECT $3::float8 - mod(extract(epoch FROM clock_timestamp()), $3::numeric)::float8
    FROM unnest($1::text[], $2::integer[]) AS window_of (name, most)
    JOIN throttles
      ON subject = sha256(convert_to(name || floor(extract(epoch FROM clock_timestamp()) / $3)::bigint::text, 'UTF8'))
    WHERE tries >= most LIMIT 1";

const SWEEPS: [&str; 3] = [
    "DELETE FROM throttles WHERE subject IN (
        SELECT subject FROM throttles WHERE last_try_at < clock_timestamp() - interval '1 hour'
        ORDER BY last_try_at LIMIT $1)",
    "DELETE FROM decoy_registrations WHERE command_id IN (
        SELECT command_id FROM decoy_registrations WHERE created_at < clock_timestamp() - interval '1 day'
        ORDER BY created_at LIMIT $1)",
    "DELETE FROM known_networks WHERE (account, network) IN (
        SELECT account, network FROM known_networks WHERE signed_in_at < clock_timestamp() - interval '30 days'
        ORDER BY signed_in_at LIMIT $1)",
];

impl Throttle {
    /// Over the identity database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Lets a try through and counts it, or says how long to wait.
    pub async fn begin(&self, subject: Subject, origin: &Origin) -> Result<Result<Try, TooManyTries>, sqlx::Error> {
        let Subject { near, wider, door } = subject;
        let is_known = match &door {
            Some(Door { account, network }) => {
                sqlx::query_scalar(KNOWS).bind(account).bind(network).fetch_one(&self.pool).await?
            }
            None => false,
        };
        let reach = if is_known { Reach::Near } else { Reach::Everywhere };
        if let Some(wait) = self.wait_of_windows(windows(origin, reach)).await? {
            return Ok(Err(TooManyTries(wait)));
        }
        let mut tried = Try { names: Vec::new(), door, locks: false, count: 0 };
        let wider = wider.into_iter().filter(|_| reach == Reach::Everywhere);
        for (name, free) in [near].into_iter().chain(wider) {
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

    /// It was the right one: earlier tries are forgotten, and the network knows the account.
    pub async fn succeeded(&self, tried: Try) -> Result<(), sqlx::Error> {
        sqlx::query(FORGET).bind(tried.names).execute(&self.pool).await?;
        if let Some(Door { account, network }) = tried.door {
            sqlx::query(LEARN).bind(&account).bind(network).execute(&self.pool).await?;
            sqlx::query(FORGET_OLDEST).bind(&account).bind(MAX_KNOWN).execute(&self.pool).await?;
        }
        Ok(())
    }

    /// It was not; the client, its site and everybody have one failure more this minute.
    pub async fn failed(&self, _: Try, origin: &Origin) -> Result<(), sqlx::Error> {
        let names: Vec<String> = windows(origin, Reach::Everywhere).into_iter().map(|(name, _)| name).collect();
        sqlx::query(COUNT_FAILURE).bind(names).bind(MINUTE_S).execute(&self.pool).await.map(|_| ())
    }

    /// Nothing was judged, for want of capacity or a database.
    pub async fn give_back(&self, tried: Try) -> Result<(), sqlx::Error> {
        sqlx::query(GIVE_BACK).bind(tried.names).execute(&self.pool).await.map(|_| ())
    }

    /// Removes what is forgotten; says how many rows.
    pub async fn sweep(&self) -> Result<u64, sqlx::Error> {
        let mut removed = 0;
        for statement in SWEEPS {
            for _ in 0..BATCHES_A_SWEEP {
                let batch = sqlx::query(statement).bind(BATCH).execute(&self.pool).await?.rows_affected();
                removed += batch;
                if batch < BATCH.cast_unsigned() {
                    break;
                }
            }
        }
        Ok(removed)
    }

    async fn wait_of_windows(&self, windows: Vec<(String, i32)>) -> Result<Option<Duration>, sqlx::Error> {
        let (names, most): (Vec<String>, Vec<i32>) = windows.into_iter().unzip();
        let wait: Option<f64> =
            sqlx::query_scalar(IS_OVER).bind(names).bind(most).bind(MINUTE_S).fetch_optional(&self.pool).await?;
        Ok(wait.map(seconds))
    }
}

/// Whose tries count for somebody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Those of their own network.
    Near,
    /// Everybody's.
    Everywhere,
}

fn windows(origin: &Origin, reach: Reach) -> Vec<(String, i32)> {
    let client = origin.address.map(|address| (format!("client\n{}\n", network(address)), FAILURES_OF_A_CLIENT));
    let site = origin.address.and_then(site).map(|site| (format!("site\n{site}\n"), FAILURES_OF_A_SITE));
    let wider = site.into_iter().chain([("everybody\n".to_owned(), FAILURES_OF_EVERYBODY)]);
    client.into_iter().chain(wider.filter(|_| reach == Reach::Everywhere)).collect()
}

/// The /48 an IPv6 address is in: 65,536 networks that somebody may have to themselves.
fn site(address: IpAddr) -> Option<IpAddr> {
    match network(address) {
        IpAddr::V4(_) => None,
        IpAddr::V6(network) => Some(IpAddr::V6((u128::from(network) & (u128::MAX << 80)).into())),
    }
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
        let site_of = |text: &str| site(text.parse().unwrap()).map(|site| site.to_string());
        assert_eq!(site_of("2001:db8:1:2:3:4:5:6").as_deref(), Some("2001:db8:1::"));
        assert_eq!(site_of("192.0.2.7"), None);
    }
}
