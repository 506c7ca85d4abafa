//! Whatever strangers send is read by one of these parsers: tokens, cursors, keys, headers and files. Each is a [`Target`] here, fed
//! with its corpus (`corpus/<target>/`) and with what [`mutation`] makes of it, in a [`campaign`] that is bounded by a number of
//! inputs in every run of the tests and by time in the long one (`FITTRACK_LONG=1`).
//!
//! No input may make a parser panic, take longer or need more memory than its target allows; and what a
//! parser accepts, printed again, it reads as the same.
//!
//! # How to add a parser
//! Write a function over bytes into a file of `targets/`: it asserts what must hold of any input, and answers whether the parser
//! accepted it. Give it a line in [`targets::ALL`], and a folder of the same name with a few small inputs of every kind under
//! `corpus/`, at least one of which is accepted. Nothing of a person's goes in there: make the files, or cut them from made ones.
//!
//! # When an input is found
//! The failure names its file. Put that into the target's folder of the corpus, where every run tries it first, and mend the parser.
//! `FITTRACK_SEED=n` repeats a run.
#![allow(clippy::indexing_slicing, reason = "a campaign stops at the first thing that is not as it should be")]

pub mod campaign;
pub mod corpus;
pub mod memory;
pub mod mutation;
pub mod targets;

pub use targets::Target;
