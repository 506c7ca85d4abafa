//! FitTrack on one machine: a private Postgres, a private Kafka and the three services, started and stopped as one stack.
//! `deploy/fittrack` is this crate's command line; the journey tests and benchmarks use the same code as a library.
//!
//! ```no_run
//! # async fn example() -> fittrack_local::Result<()> {
//! use fittrack_local::{KAFKA, Parts, Stack, StackOptions};
//!
//! let stack = Stack::temporary(Parts::Everything, StackOptions::built_beside_this_test()?).await?;
//! let api = stack.url("command-api")?;
//! stack.kill(KAFKA).await?; // commands go on
//! stack.start_process(KAFKA).await?; // the backlog drains
//! let second = stack.spawn_replica("projectors").await?;
//! stack.pause(&second)?;
//! # let _ = api;
//! # Ok(())
//! # }
//! ```
//!
//! Reading order: [`stack`] (what a stack is and does), [`postgres`] and [`kafka`] (the two servers), [`services`] (what
//! each service is told), [`state`] (what is remembered between commands), [`process`] (operating-system processes);
//! [`sbom`] (what the programs are made of).

pub mod account;
pub mod artifacts;
pub mod databases;
pub mod error;
pub mod kafka;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod sbom;
pub mod secrets;
pub mod services;
pub mod stack;
pub mod state;

pub use error::{Error, Result};
pub use stack::{KAFKA, POSTGRES, Parts, Stack, StackOptions, Status};
