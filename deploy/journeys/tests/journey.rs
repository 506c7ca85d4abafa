//! The journey of a workout over a real stack, as an athlete's app makes it: register, sign in, log, import, edit, delete,
//! and read back what was written, with sums and ranks that the tests work out for themselves.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test's helpers fail loudly as the test itself does"
)]

mod journey {
    mod boards;
    mod documents;
    mod idempotency;
    mod imports;
    mod measurements;
    mod own_writes;
    mod privacy;
    mod privacy_zones;
    mod takeout;
    mod totals;
    mod workouts;
}
