//! The notice a projector gives after a commit: which owners' rows of which read model have changed, and how far it has
//! come. The query API drops what it cached of them and wakes those who wait with a consistency token.
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One commit of one projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeNotice {
    /// The read model: `workouts`, `profiles`, `totals`, `leaderboards`.
    pub read_model: String,
    /// Its version; a notice of a version that is not shown concerns no reader.
    pub version: i32,
    /// Partition and position this commit has come to.
    pub checkpoints: Vec<(i32, i64)>,
    /// Whose rows changed; `None` where they are too many to name: everybody's in these partitions.
    pub owners: Option<Vec<Uuid>>,
}

impl ChangeNotice {
    /// More owners than this are not named one by one.
    pub const MAX_OWNERS: usize = 1_000;
}
