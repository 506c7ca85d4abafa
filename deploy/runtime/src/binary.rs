//! The bytes of a file as a body, for `OpenAPI` documents: the media type says what they are, and a form for them offers to
//! choose a file. A `Vec<u8>` would be described as a JSON list of numbers, which no client of ours sends.

use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// A file. Name it `inline(FileBytes)`.
#[derive(Debug)]
pub struct FileBytes;

impl PartialSchema for FileBytes {
    fn schema() -> RefOr<Schema> {
        let bytes = SchemaFormat::KnownFormat(KnownFormat::Binary);
        Schema::from(ObjectBuilder::new().schema_type(Type::String).format(Some(bytes)).build()).into()
    }
}

impl ToSchema for FileBytes {}
