//! A typed client of both APIs, written by the build from the committed `OpenAPI` documents (`build.rs` and `generator/`): a
//! function an operation, a type a schema. The journeys use it, so a document that is wrong does not compile there, or is refused
//! at the first answer: an undocumented status, media type or field is an error here, as it would be for anybody's client.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use fittrack_client::query_api;
//!
//! let queries = query_api::Client::new("http://127.0.0.1:8402")?.with_token("eyJ...");
//! let page = queries.list_workouts(&query_api::ListWorkoutsOptions { limit: Some(3), ..Default::default() }).await?;
//! for workout in &page.value.items {
//!     println!("{} {}", workout.started_at, workout.sport);
//! }
//! # Ok(())
//! # }
//! ```

mod answer;
mod request;
mod service;

pub use answer::{Answer, Failure};

/// A service's module: its client, and what the build wrote of its document.
macro_rules! service {
    ($(#[$meta:meta])* $name:ident, $file:literal) => {
        $(#[$meta])*
        #[allow(clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, clippy::panic, unused_mut, reason = "written by the build")]
        pub mod $name {
            use crate::answer::{Answer, Failure, read};
            use crate::request::Request;
            use crate::service::Service;

            /// A client of this service. Clones share connections, and what was called.
            #[derive(Debug, Clone)]
            pub struct Client(Service);

            impl Client {
                /// A client of the service at this address (`http://host:port`), who is nobody in particular.
                ///
                /// # Errors
                /// When no HTTP client can be made.
                pub fn new(address: &str) -> Result<Self, reqwest::Error> {
                    Service::new(address).map(Self)
                }

                /// The same for whoever holds this access token.
                #[must_use]
                pub fn with_token(&self, access_token: &str) -> Self {
                    Self(self.0.with_token(access_token))
                }

                /// The same, which asks every query to show at least the write that answered this consistency token.
                #[must_use]
                pub fn seeing(&self, consistency_token: &str) -> Self {
                    Self(self.0.seeing(consistency_token))
                }

                /// The ids of the operations that were answered with success so far.
                pub fn succeeded(&self) -> std::collections::BTreeSet<&'static str> {
                    self.0.succeeded()
                }
            }

            include!(concat!(env!("OUT_DIR"), "/", $file));
        }
    };
}

service!(
    /// Everything that changes something, and accounts.
    command_api,
    "command_api.rs"
);
service!(
    /// Everything that is read.
    query_api,
    "query_api.rs"
);
