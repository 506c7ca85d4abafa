//! What the athlete holds in hand afterwards: what was removed where, and what goes by itself until when. It names nobody, so
//! whoever has its id may read it.
use chrono::{DateTime, TimeDelta, Utc};
use fittrack_schemas::topics;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Erasure;

/// How long the audit log says where a request came from (`forget_origins`), in days.
const ORIGINS_DAYS: i64 = 90;
/// When what came after us is gone: an export in seven days and an hour, blobs by the next round of their sweeper.
const STRAYS_DAYS: i64 = 8;
/// How long the ids of ended sessions are kept, in days.
const SESSIONS_DAYS: i64 = 15;

/// An erasure, and what became of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "8b6f3c1e-5a0d-4a53-9d3e-0f4f0f3c2b11", "state": "succeeded",
    "requested_at": "2026-11-29T10:00:00Z", "finished_at": "2026-11-29T10:00:03Z",
    "removed": [
        {"place": "event_store", "what": "events", "count": 412},
        {"place": "recordings", "what": "originals", "count": 37},
        {"place": "identity", "what": "accounts", "count": 1}
    ],
    "expires": [{"place": "kafka", "what": "events as they were published", "by": "2026-12-06T10:00:03Z"}]
}))]
pub struct Receipt {
    /// The erasure's id.
    id: Uuid,
    /// How far it is: `pending` until nothing is left, then `succeeded`.
    state: ErasureState,
    /// When it was asked for; the account was closed then.
    requested_at: DateTime<Utc>,
    /// When nothing was left in any database.
    finished_at: Option<DateTime<Utc>>,
    /// What was removed so far.
    removed: Vec<Thing>,
    /// What goes by itself, and by when.
    expires: Vec<Expiring>,
}

/// Whether it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErasureState {
    /// Under way.
    Pending,
    /// Done.
    Succeeded,
}

/// Something that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Thing {
    /// A database: `event_store`, `recordings`, `identity` or `read_models`.
    place: String,
    /// What of it; of events, the content.
    what: String,
    /// How many; of the read models, how many builds were found to have nothing.
    count: i64,
}

/// Something that is kept for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Expiring {
    /// Where.
    place: &'static str,
    /// What of the account is there.
    what: &'static str,
    /// It is gone by then.
    by: DateTime<Utc>,
}

impl Receipt {
    /// Whether nothing is left to do.
    pub fn is_finished(&self) -> bool {
        self.state == ErasureState::Succeeded
    }
}

impl From<Erasure> for Receipt {
    fn from(erasure: Erasure) -> Self {
        let Erasure { erasure_id: id, requested_at, finished_at, removed, .. } = erasure;
        let things = removed.0.into_iter().filter_map(|(name, count)| {
            let (place, what) = name.split_once('.')?;
            Some(Thing { place: place.to_owned(), what: what.to_owned(), count })
        });
        let kept_in_kafka = TimeDelta::milliseconds(topics::events(1).retention_ms);
        let expires = vec![
            // Segments are deleted a while after their last message is too old; the newest message is at most as old as this.
            Expiring {
                place: "kafka",
                what: "events as they were published",
                by: finished_at.unwrap_or(requested_at) + kept_in_kafka * 2,
            },
            Expiring {
                place: "audit_log",
                what: "network addresses and user agents of requests",
                by: requested_at + TimeDelta::days(ORIGINS_DAYS + 1),
            },
            Expiring {
                place: "identity",
                what: "ids of ended sessions",
                by: requested_at + TimeDelta::days(SESSIONS_DAYS + 1),
            },
            // Each removes its own when it finds the account erased; one whose process dies before cannot.
            Expiring {
                place: "recordings",
                what: "files of an upload or export that was under way and broke off",
                by: finished_at.unwrap_or(requested_at) + TimeDelta::days(STRAYS_DAYS),
            },
        ];
        Self {
            id,
            state: if finished_at.is_some() { ErasureState::Succeeded } else { ErasureState::Pending },
            requested_at,
            finished_at,
            removed: things.collect(),
            expires,
        }
    }
}
