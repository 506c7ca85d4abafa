//! What two FitTrack processes must agree on: the event envelope and its form in Kafka, topics, the consistency token,
//! the notices of changed read models, the shapes of the read models, and the databases' migrations. The generated documents
//! beside this crate (`events/`, `openapi/`) are checked for drift by tests.
pub mod consistency;
pub mod envelope;
pub mod event_schemas;
pub mod kafka_form;
pub mod migrations;
pub mod notice;
<<<<<<< HEAD
pub mod read_models;
=======
pub mod proof;
>>>>>>> 17f5d29 (Keep a count and a rolling hash over a partition's events)
pub mod topics;
