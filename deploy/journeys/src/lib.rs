//! FitTrack seen from outside: a client of both APIs, whole stacks to run it against, and what must be true afterwards.
//! The tests of this crate walk real stacks with it: journeys of athletes, bad input, faults, and the operators' commands.
//!
//! Reading order: [`stack`] (a stack of one's own), [`client`] (an athlete's app), [`writers`] (a steady load) and
//! [`ledger`] (what was answered to it), [`events`] (what the store says), [`model`] (what the read models must then
//! show, computed without a line of the projectors), [`invariants`] (I1 to I9, checked after every fault).
//! [`readers`] judge every answer about leaderboards while [`rebuild`] and the operators' other commands change what is shown.
//! [`secrets`] are noted by the client and the stacks themselves, and every stack that ends fails its test where [`leaks`] finds one.
//! [`recordings`] gives files to import, and [`device`] what their own session messages say.
//!
//! # How to add a journey
//! Write a test into the file of `tests/journey/` that has its subject, over [`TestStack::shared`]: register athletes of
//! your own with [`Api::register`] (the stack is other tests' too), send commands, and read with the token of the last
//! one ([`Athlete::get_seeing`]). Nothing waits by sleeping; what takes time goes through [`patience::until`].
//!
//! `tests/journey/documents.rs` walks every operation with the client that `deploy/client` writes from the `OpenAPI` documents: a
//! new operation is called there once.
//!
//! # How to add a fault
//! Write a test into `tests/faults/`: take a stage, start [`writers::Writers`], wait for acknowledged commands (not for
//! time), do the damage through the stack (kill, pause, stop), wait for more, stop the writers, and end with
//! [`invariants::hold`]. What the fault must not do is what the invariants say; `tests/checker.rs` shows that they find it.
//!
//! # What a run can be told
//! `FITTRACK_SAMPLES` names a folder of real recordings, `FITTRACK_SEED` repeats a run of garbage or of random faults,
//! `FITTRACK_LONG=1` runs the long campaign, `FITTRACK_KEEP=1` leaves a fault's stack running to look into,
//! `FITTRACK_PICTURES` names a folder for pictures of the documentation's pages. The services
//! under test are those in cargo's target folder: `deploy/fittrack test` builds them, after an edit under a bare
//! `cargo test` it is you who must.
#![allow(clippy::indexing_slicing, reason = "a checker stops at the first thing that is not as it should be")]

pub mod bodies;
pub mod client;
pub mod committed;
pub mod device;
pub mod events;
pub mod failure;
pub mod invariants;
pub mod leaks;
pub mod ledger;
pub mod model;
pub mod patience;
pub mod poison;
pub mod problem;
pub mod process;
pub mod readers;
pub mod rebuild;
pub mod recordings;
pub mod secrets;
pub mod stack;
pub mod writers;

pub use client::{Answer, Api, Athlete, Call};
pub use failure::{Failure, Result};
pub use stack::TestStack;
