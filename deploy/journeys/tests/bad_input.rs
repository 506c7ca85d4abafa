//! What is wrong with a request is said in a problem document, by both services, and never answered with a 500.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail loudly as the test itself does"
)]

mod bad_input {
    mod commands;
    mod edge;
    mod garbage;
    mod overload;
    mod queries;
    mod tokens;
}
