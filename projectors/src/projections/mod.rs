//! The read models, one folder each: the fold in `mod.rs`, its statements in `sql.rs`.
//! [`crate::registry`] lists them for the command line.
mod columns;
mod copy_row;
pub mod leaderboards;
pub mod measurements;
pub mod privacy_zones;
pub mod profiles;
pub mod totals;
pub mod workouts;

pub use copy_row::CopyRow;
pub(crate) use copy_row::{HEADER, TRAILER};

#[cfg(test)]
mod any_split;
#[cfg(test)]
pub(crate) mod given;
