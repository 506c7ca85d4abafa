//! JSON Schema (2020-12) of what is in an export, made from the types that write it. Committed as
//! `schemas/export/<name>.v1.json`, for whoever reads an export without FitTrack.
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{DOCUMENT_SCHEMA, ExportDocument, ExportedRecording, RECORDING_SCHEMA};

/// One committed schema.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportSchema {
    /// The name of its file.
    pub file_name: &'static str,
    /// The JSON Schema itself.
    pub schema: Value,
}

/// The schemas of everything in an export that is JSON.
pub fn export_schemas() -> [ExportSchema; 2] {
    [
        ExportSchema { file_name: "export.v1.json", schema: schema_of::<ExportDocument>(DOCUMENT_SCHEMA) },
        ExportSchema {
            file_name: "recording.v1.json",
            schema: schema_of::<ExportedRecording<Vec<Option<f64>>>>(RECORDING_SCHEMA),
        },
    ]
}

fn schema_of<T: JsonSchema>(id: &str) -> Value {
    // What is read: a member with a default may be absent.
    let mut schema = SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<T>();
    schema.insert("$id".to_owned(), json!(id));
    schema.to_value()
}
