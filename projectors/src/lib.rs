//! The projectors: events in, read models out.
pub mod checkpoint;
pub mod cli;
pub mod event_log;
pub mod notices;
mod parked;
pub mod parking;
pub mod projection;
pub mod projections;
pub mod registry;
pub mod runner;
pub mod serve;
pub mod settings;
pub mod source;
pub mod status;
