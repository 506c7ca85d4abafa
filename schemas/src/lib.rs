//! What two FitTrack processes must agree on: the event envelope and its form in Kafka, topics, the consistency token and how such
//! things are signed, the notices of changed read models and their shapes, the proof that nothing was lost, the form of an export, and
//! the databases' migrations. The generated documents beside this crate (`events/`, `export/`, `openapi/`) are checked for drift by tests.
pub mod consistency;
pub mod envelope;
pub mod event_schemas;
pub mod export;
pub mod kafka_form;
pub mod mac;
pub mod migrations;
pub mod notice;
pub mod proof;
pub mod read_models;
pub mod topics;
