//! Accounts: registering, signing in and out, passwords, and by what others check who is signed in.
pub mod api_keys;
pub mod end_session;
pub mod erase;
pub mod erasure;
pub mod export;
pub mod first_password;
pub mod jwks;
mod origin;
pub mod password;
pub mod refresh;
pub mod register;
pub mod revoked;
pub mod sessions;
