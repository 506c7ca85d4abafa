//! The rules of FitTrack: what may happen, and what follows from what happened. Pure: no I/O, no clock, no randomness.
//!
//! A command reaches an aggregate ([`athlete`], [`workout`], [`measurement`], [`privacy`]) as typed [`values`]; `decide` answers with events or a
//! named refusal; `apply` folds events into the state the next decision needs. What a watch recorded is read by
//! [`recording`]. [`event::Event`] is the same set of events as everybody downstream reads it; [`upcast`] makes the newest
//! version of what was stored in an older one, and shows how to change an event. [`partition`] says in which log partition
//! an owner's events live.
//!
//! # Add a command
//!
//! 1. Name it in the imperative in `<aggregate>/commands.rs`, its fields typed by [`values`].
//! 2. Write its guards and its event in `<aggregate>/decide.rs`, a line per guard, a refusal in `error.rs` for each.
//!    Say there, in `begins_stream`, whether it begins a stream.
//! 3. If it needs a new event: add the struct in `events.rs`, its type in [`event_type::EventType`] (the compiler then asks
//!    for the rest), and `apply`.
//! 4. Prove each rule in `domain/tests/<aggregate>.rs` as given / when / then, and the event's stored form in
//!    `domain/tests/stored_form.rs`; regenerate the schemas with `FITTRACK_BLESS=1 cargo test -p fittrack-schemas`.
//! 5. Give it a route in `command-api/src/routes/`.
//!
//! ```
//! use fittrack_domain::{aggregate::{Context, Decider}, workout::{Workout, WorkoutCommand, WorkoutRefusal}};
//! # let context = Context::example();
//! let nothing_yet = Workout::default();
//! let refused = nothing_yet.decide(&WorkoutCommand::DeleteWorkout(Default::default()), &context);
//! assert_eq!(refused, Err(WorkoutRefusal::NotFound));
//! ```
pub mod aggregate;
pub mod athlete;
pub mod event;
pub mod event_type;
pub mod ids;
pub mod measurement;
pub mod partition;
pub mod patch;
pub mod privacy;
pub mod recording;
pub mod sport;
pub mod upcast;
pub mod values;
pub mod workout;
