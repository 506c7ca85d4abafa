//! Accounts: registering, signing in, and the keys by which others check who signed in.
pub mod jwks;
pub mod register;
pub mod sessions;
