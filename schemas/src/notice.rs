//! The notice a projector gives after a commit to a build that is shown: which owners' rows have changed, and how far it has
//! come. The query API drops what it cached of them and wakes those who wait with a consistency token.
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One commit of one projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeNotice {
    /// The read model: `workouts`, `profiles`, `totals`, `leaderboards`, `measurements`, `privacy_zones`.
    pub read_model: String,
    /// Its version and generation, of the build that readers saw at this commit: whoever knows of another looks again.
    pub version: i32,
    /// The generation; those who do not say it know of one alone.
    #[serde(default = "first_generation")]
    pub generation: i32,
    /// Partition and position this commit has come to.
    pub checkpoints: Vec<(i32, i64)>,
    /// Whose rows changed; `None` where they are too many to name: everybody's in these partitions.
    pub owners: Option<Vec<Uuid>>,
}

fn first_generation() -> i32 {
    1
}

impl ChangeNotice {
    /// More owners than this are not named one by one.
    pub const MAX_OWNERS: usize = 1_000;
}
