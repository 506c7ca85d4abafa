//! How a workout's events of older versions become the newest; [`crate::upcast`] says when and for whom.
use serde_json::{Map, Value};

use crate::upcast::Upcaster;

/// The steps of `workout_deleted`.
pub(crate) const WORKOUT_DELETED: &[Upcaster] =
    &[Upcaster { event_type: "workout_deleted", from: "1", to: "2", change: say_who_deleted }];

/// Version 2 says who deleted it. Before, only the owner could.
fn say_who_deleted(deleted: &mut Map<String, Value>) {
    if let Some(owner) = deleted.get("athlete_id").cloned() {
        deleted.insert("deleted_by".to_owned(), owner);
    }
}
