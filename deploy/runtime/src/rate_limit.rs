//! How much one caller may ask: an allowance for each class of route, counted for the athlete of a known token, else (and always
//! where the route asks for no token, or for secrets) for the client's address, and told in the `RateLimit` fields of every answer (draft-ietf-httpapi-ratelimit-headers).
//!
//! It is counted in this process alone: with n replicas behind a balancer a caller may have up to n times as much. What must
//! hold over all of them (wrong passwords, say) is counted in a database, by whoever checks it.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use metrics::{Counter, counter};
use uuid::Uuid;

use crate::client_address::ClientAddress;
use crate::problem::{Problem, kinds};

mod buckets;
mod classes;
mod said;
mod settings;

use buckets::{Buckets, Key, Pace, Taken};
pub(crate) use classes::RouteClasses;
pub use classes::{CLASS_EXTENSION, limited};
use said::Said;
pub use settings::{Policy, RateLimits, UnusableRateLimits};

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What a route costs; each has an allowance of its own. A route's class is said where it is put into its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Signing in and everything about accounts and their secrets.
    Auth,
    /// Changes something.
    Write,
    /// Reads.
    Read,
    /// Long work: everything of somebody, or of many.
    Export,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Auth, Self::Write, Self::Read, Self::Export];

    /// Its name, in settings, headers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Write => "write",
            Self::Read => "read",
            Self::Export => "export",
        }
    }

    /// The class of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// An address stands for a household, an office or a whole mobile network, so it has more than an athlete; only not where
    /// nobody is known yet by design.
    fn address_factor(self) -> u32 {
        match self {
            Self::Auth => 1,
            Self::Write | Self::Read | Self::Export => 10,
        }
    }
}

/// Who asks, as far as is known before a request is routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// The athlete of a token that was checked a moment ago.
    Athlete(Uuid),
    /// Nobody known, from there.
    Address(ClientAddress),
}

/// Counts what everybody asks.
pub(crate) struct Limiter {
    policies: Vec<[Counted; 2]>,
    buckets: Buckets,
    said: Said,
    started: Instant,
}

/// One class for one kind of caller, with what is said of it.
struct Counted {
    name: String,
    quota: u64,
    pace: Pace,
    told: HeaderValue,
    refused: Counter,
}

/// What a caller has left, for the header fields of the answer; and whether this request is allowed.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    asker: Asker,
    policy: HeaderValue,
    state: HeaderValue,
    /// The policy's name and the pause, where the request is refused.
    refused: Option<(String, Duration)>,
}

impl Limiter {
    /// A limiter with these allowances; none where they are off.
    pub(crate) fn new(limits: &RateLimits) -> Option<Self> {
        let policies = limits.policies()?;
        let counted = |class: Class| {
            let policy = policies.of(class);
            [
                Counted::new(class, "athlete", class.as_str().to_owned(), policy),
                Counted::new(
                    class,
                    "address",
                    format!("{}-by-address", class.as_str()),
                    policy.times(class.address_factor()),
                ),
            ]
        };
        Some(Self {
            policies: Class::ALL.into_iter().map(counted).collect(),
            buckets: Buckets::default(),
            said: Said::default(),
            started: Instant::now(),
        })
    }

    /// Takes one request from the caller's allowance.
    pub(crate) fn take(&self, class: Class, asker: Asker, now: Instant) -> Option<Allowance> {
        let (kind, who) = match asker {
            Asker::Athlete(id) => (0, id.into_bytes()),
            Asker::Address(address) => (1, bytes_of(address.network())),
        };
        let policy = self.policies.get(class as usize)?.get(kind)?;
        let counter = u8::try_from(class as usize * 2 + kind).unwrap_or(u8::MAX);
        let now = u64::try_from(now.saturating_duration_since(self.started).as_nanos()).unwrap_or(u64::MAX);
        let key = Key { counter, who };
        let taken = self.buckets.take(key, policy.pace, now);
        if matches!(taken, Taken::Refused { .. }) {
            self.said.say(key, class, asker, now);
        }
        Some(policy.allowance(taken, asker))
    }
}

impl Counted {
    fn new(class: Class, by: &'static str, name: String, policy: Policy) -> Self {
        let window = policy.window.as_secs();
        // Letters, digits and dashes need no escape in a structured field's string.
        let told = format!("\"{name}\";q={};w={window}", policy.quota);
        Self {
            quota: u64::from(policy.quota),
            pace: Pace {
                interval: (policy.window.as_nanos() / u128::from(policy.quota.max(1))).try_into().unwrap_or(u64::MAX),
                burst: u64::from(policy.burst),
            },
            told: HeaderValue::try_from(told).unwrap_or(HeaderValue::from_static("")),
            refused: counter!("fittrack_rate_limited_total", "class" => class.as_str(), "by" => by),
            name,
        }
    }

    fn allowance(&self, taken: Taken, asker: Asker) -> Allowance {
        let (remaining, resets_in, refused) = match taken {
            // The burst above the quota is a courtesy, not a promise.
            Taken::Allowed { remaining, full_in } => (remaining.min(self.quota), full_in, None),
            Taken::Refused { wait } => {
                self.refused.increment(1);
                (0, wait, Some((self.name.clone(), wait)))
            }
        };
        Allowance { asker, policy: self.told.clone(), state: state(&self.name, remaining, resets_in), refused }
    }
}

impl Allowance {
    /// Why the request is not served, where it is not.
    pub(crate) fn refusal(&self) -> Option<Problem> {
        let (policy, wait) = self.refused.as_ref()?;
        let problem = Problem::new(&kinds::QUOTA_EXCEEDED, "too many requests of this kind; slow down");
        Some(problem.violated_policy(policy.clone()).retry_after(*wait))
    }

    /// Whose request it is.
    pub(crate) fn asker(&self) -> Asker {
        self.asker
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Adds what the answer tells of it.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        headers.insert(RATELIMIT_POLICY, self.policy);
        headers.insert(RATELIMIT, self.state);
    }
}

/// `"write";r=3;t=1`: what remains, and the seconds until all of it is there again (after a refusal: until one is).
fn state(name: &str, remaining: u64, resets_in: Duration) -> HeaderValue {
    let mut text = String::with_capacity(name.len() + 24);
    let seconds = resets_in.as_secs() + u64::from(resets_in.subsec_nanos() > 0);
    // Writing to a String cannot fail.
    let _ = write!(text, "\"{name}\";r={remaining};t={seconds}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

fn bytes_of(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(limits: &str) -> Limiter {
        Limiter::new(&limits.parse().unwrap()).unwrap()
    }

    fn told(limiter: &Limiter, class: Class, asker: Asker, now: Instant) -> (String, String, Option<String>) {
        let allowance = limiter.take(class, asker, now).unwrap();
        let refusal = allowance.refusal();
        let mut headers = HeaderMap::new();
        allowance.tell(&mut headers);
        let text = |headers: &HeaderMap, name: HeaderName| headers[name].to_str().unwrap().to_owned();
        let pause = refusal.map(|problem| {
            assert_eq!(problem.status(), 429);
            assert_eq!(problem.document().kind, "https://fittrack.dev/problems/quota-exceeded");
            serde_json::to_value(problem.document()).unwrap()["violated-policies"].to_string()
        });
        (text(&headers, RATELIMIT_POLICY), text(&headers, RATELIMIT), pause)
    }

    #[test]
    fn what_is_left_is_told_with_every_answer() {
        let limiter = limiter("write=2/1s,read=50/1s:250");
        let (athlete, now) = (Asker::Athlete(Uuid::from_u128(1)), limiter.started);
        let policy = "\"write\";q=2;w=1".to_owned();
        assert_eq!(told(&limiter, Class::Write, athlete, now), (policy.clone(), "\"write\";r=1;t=1".into(), None));
        assert_eq!(told(&limiter, Class::Write, athlete, now), (policy.clone(), "\"write\";r=0;t=1".into(), None));
        let violated = Some("[\"write\"]".to_owned());
        assert_eq!(told(&limiter, Class::Write, athlete, now), (policy, "\"write\";r=0;t=1".into(), violated));
        let (policy, state, refusal) = told(&limiter, Class::Read, athlete, now);
        assert_eq!((policy.as_str(), state.as_str(), refusal), ("\"read\";q=50;w=1", "\"read\";r=50;t=1", None));
    }

    #[test]
    fn the_pause_is_never_shorter_than_what_the_field_says() {
        let limiter = limiter("export=5/1h");
        let athlete = Asker::Athlete(Uuid::from_u128(1));
        for _ in 0..5 {
            assert!(limiter.take(Class::Export, athlete, limiter.started).unwrap().refusal().is_none());
        }
        let refused = limiter.take(Class::Export, athlete, limiter.started + Duration::from_millis(1)).unwrap();
        let problem = refused.refusal().unwrap();
        assert_eq!(refused.state, "\"export\";r=0;t=720");
        assert_eq!(axum::response::IntoResponse::into_response(problem).headers()["retry-after"], "720");
    }

    #[test]
    fn an_address_has_more_than_an_athlete_but_not_for_signing_in() {
        let limiter = limiter("auth=2/1m,write=2/1s");
        let address = |last: u8| Asker::Address(ClientAddress::new(IpAddr::from([198, 51, 100, last])));
        let count = |class, asker| {
            (0..100).filter(|_| limiter.take(class, asker, limiter.started).unwrap().refused.is_none()).count()
        };
        assert_eq!(count(Class::Auth, address(1)), 2);
        assert_eq!(count(Class::Write, address(1)), 20);
        assert_eq!(count(Class::Write, address(2)), 20, "another address has its own");
        assert_eq!(count(Class::Write, Asker::Athlete(Uuid::from_u128(1))), 2);
        let (policy, ..) = told(&limiter, Class::Write, address(3), limiter.started);
        assert_eq!(policy, "\"write-by-address\";q=20;w=1");
    }
}
