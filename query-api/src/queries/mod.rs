//! The SQL, one file a read model: whole statements beside their row types and what the rows become in JSON.
//! Who may see a row is said in its `WHERE`, never afterwards.
pub mod checkpoints;
pub mod cursor_key;
pub mod imports;
pub mod leaderboards;
pub mod measurements;
pub mod privacy_zones;
pub mod profiles;
pub mod recordings;
pub mod totals;
pub mod units;
pub mod workouts;
