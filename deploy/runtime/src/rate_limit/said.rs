//! One line a minute in the log for each caller who asks too much of a class: a flood must not write a flood.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use super::buckets::Key;
use super::{Asker, Class};

/// When it is said again: after a minute.
const AGAIN_NANOS: u64 = 60_000_000_000;
/// Of so many callers it is known; of more at once nothing is said, and the counter alone has them.
const MOST: usize = 1024;

/// When each caller's refusal was last said, in nanoseconds since the limiter began.
#[derive(Default)]
pub(super) struct Said(Mutex<HashMap<Key, u64>>);

impl Said {
    /// Says a refusal, unless it was said less than a minute ago.
    pub(super) fn say(&self, key: Key, class: Class, asker: Asker, now: u64) {
        if !self.is_news(key, now) {
            return;
        }
        let (athlete_id, network): (Option<_>, Option<IpAddr>) = match asker {
            Asker::Athlete(id) => (Some(tracing::field::display(id)), None),
            Asker::Address(address) => (None, Some(address.network())),
        };
        let network = network.map(tracing::field::display);
        tracing::info!(target: "audit", event = "excess_rate_limit_exceeded", athlete_id, network, class = class.as_str(), "audit");
    }

    fn is_news(&self, key: Key, now: u64) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: u64| now.saturating_sub(at) < AGAIN_NANOS;
        if said.get(&key).is_some_and(|at| is_recent(*at)) {
            return false;
        }
        if said.len() >= MOST {
            said.retain(|_, at| is_recent(*at));
        }
        if said.len() >= MOST {
            return false;
        }
        said.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(who: u64) -> Key {
        Key { counter: 0, who: u128::from(who).to_be_bytes() }
    }

    #[test]
    fn a_caller_s_refusals_are_news_once_a_minute() {
        let said = Said::default();
        assert!(said.is_news(key(1), 0) && said.is_news(key(2), 1));
        assert!(!said.is_news(key(1), AGAIN_NANOS - 1));
        assert!(said.is_news(key(1), AGAIN_NANOS));
    }

    #[test]
    fn a_flood_of_callers_is_forgotten_again() {
        let said = Said::default();
        let news = (0..5_000).filter(|who| said.is_news(key(*who), 0)).count();
        assert_eq!(news, MOST);
        assert!(said.is_news(key(9_999), AGAIN_NANOS));
        assert_eq!(said.0.lock().unwrap().len(), 1);
    }
}
