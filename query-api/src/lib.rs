//! FitTrack's query API: what the read models say, served from memory where nothing has changed since it was last read.
//!
//! A query comes in at [`routes`]; [`ask`] waits for its consistency token ([`freshness`]) and looks in the [`cache`] of ready
//! answers; on a miss the route's SQL in [`queries`] is run, once however many ask. [`changes`] hears from the projectors what
//! they have committed: it makes cached answers stale, moves the [`progress`] of each read model and wakes those who wait.
//! This service writes nothing; its database role could not.
//!
//! # Add a query
//!
//! 1. Write the SQL in `queries/<read model>.rs`, whole, beside its row type and what the row becomes in JSON. Who may see a row
//!    is part of its `WHERE`.
//! 2. Write the route in `routes/<name>.rs`: a parameter struct with `#[serde(deny_unknown_fields)]`, and a `load` that first reads
//!    the parameters, then takes a stamp, then asks the database. `routes/me.rs` is the shortest to copy.
//!
//!    ```text
//!    let load = || async {
//!        let asked: Parameters = ask.parameters()?;                  // 400 names what is wrong
//!        let stamp = app.stamp_of(ReadModel::Totals, me);            // before the database is read
//!        let rows = totals::streaks(&app.read_models, me).await.map_err(of_database)?;
//!        json_answer(stamp, &Streaks::from(rows))
//!    };
//!    ask.answer(&app, Whose::Callers(me), &[ReadModel::Totals], load).await
//!    ```
//!
//!    Name every read model the SQL touches: the token waits for them and `Freshness` is theirs. An answer that is less to others than to the
//!    owner, as a track is by the owner's zones ([`privacy`]), is stamped with both. An answer over many owners' rows
//!    is stamped with [`cache::stamps::Stamps::of_whole`]. `ETag`, 304, `HEAD`, caching and single flight come with `answer`.
//! 3. Add its line to the table in `routes/mod.rs`, with the class its requests are counted in, and renew the description with
//!    `FITTRACK_BLESS=1 cargo test -p query-api openapi`.
//! 4. Say in `tests/` who may see it (anonymous, another athlete, the owner) and that a change shows.
//!
//! A new read model is one more variant of [`read_model::ReadModel`], named as its projection is.
pub mod app;
pub mod ask;
pub mod cache;
pub mod changes;
pub mod cli;
pub mod coded;
pub mod conditional;
pub mod cursor;
pub mod freshness;
pub mod openapi;
pub mod params;
pub mod period;
pub mod privacy;
pub mod problems;
pub mod progress;
pub mod queries;
pub mod read_model;
pub mod ready;
pub mod routes;
pub mod serve;
pub mod settings;
pub mod transfers;
