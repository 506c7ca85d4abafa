//! Aggregates as they were last seen, so that a hot one is not loaded for every command. Bounded; a stale entry is
//! harmless, because the store checks the version of every append.
use std::{any::Any, sync::Arc, time::Duration};

use fittrack_domain::aggregate::Decider;
use moka::sync::Cache;
use uuid::Uuid;

/// How many aggregates are kept, about 1 kB each.
const CAPACITY: u64 = 50_000;
/// How long an aggregate is believed that only gives context to another's decision (an athlete's zone and defaults): no
/// version check tells that another replica has changed it.
const LIFE: Duration = Duration::from_secs(10);

/// An aggregate and the version of the stream it was folded from.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    /// The state.
    pub state: A,
    /// The stream's version; 0 where there is no stream.
    pub version: i64,
}

/// The cache, one for all types of aggregate.
#[derive(Clone)]
pub struct StateCache {
    entries: Cache<(&'static str, Uuid), Arc<dyn Any + Send + Sync>>,
}

impl Default for StateCache {
    fn default() -> Self {
        Self { entries: Cache::builder().max_capacity(CAPACITY).time_to_live(LIFE).build() }
    }
}

impl StateCache {
    /// The aggregate as it was last seen.
    pub fn get<A: Decider + 'static>(&self, id: Uuid) -> Option<Arc<Loaded<A>>> {
        self.entries.get(&(A::TYPE, id))?.downcast::<Loaded<A>>().ok()
    }

    /// Remembers an aggregate, unless a newer version of it is known.
    pub fn put<A: Decider + 'static>(&self, id: Uuid, loaded: Loaded<A>) {
        if self.get::<A>(id).is_none_or(|known| known.version < loaded.version) {
            self.entries.insert((A::TYPE, id), Arc::new(loaded));
        }
    }

    /// Forgets an aggregate that turned out to be stale.
    pub fn forget<A: Decider>(&self, id: Uuid) {
        self.entries.invalidate(&(A::TYPE, id));
    }
}
