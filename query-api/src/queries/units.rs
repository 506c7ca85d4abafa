//! From the read models' whole numbers of small units to the decimals of the API, and the words of enumerations for its description.
use fittrack_domain::measurement::MeasurementKind;
use fittrack_domain::recording::Field;
use fittrack_domain::sport::Sport;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};

/// Thousandths as units: millimetres as metres, milliseconds as seconds.
pub fn thousandths(value: i64) -> f64 {
    value as f64 / 1000.0
}

/// The schema of a sport.
pub fn sport_schema() -> RefOr<Schema> {
    words("A sport.", Sport::ALL.map(Sport::as_str))
}

/// The schema of a sport, or `all`.
pub fn board_sport_schema() -> RefOr<Schema> {
    words("A sport, or `all`.", Sport::ALL.map(Sport::as_str).into_iter().chain(["all"]))
}

/// The schema of who may see something.
pub fn visibility_schema() -> RefOr<Schema> {
    words("Who may see it.", ["private", "followers", "public"])
}

/// The schema of what can be measured of an athlete.
pub fn measurement_kind_schema() -> RefOr<Schema> {
    words("What was measured; its unit is in its name.", MeasurementKind::ALL.map(MeasurementKind::as_str))
}

/// The schema of the forms of uploaded files.
pub fn format_schema() -> RefOr<Schema> {
    words("The form of the file.", ["fit", "gpx", "tcx"])
}

/// The schema of a recording's columns.
pub fn samples_schema() -> RefOr<Schema> {
    let numbers = |nullable: bool| {
        let kind =
            if nullable { SchemaType::from_iter([Type::Number, Type::Null]) } else { SchemaType::new(Type::Number) };
        utoipa::openapi::ArrayBuilder::new().items(ObjectBuilder::new().schema_type(kind))
    };
    let mut columns = ObjectBuilder::new().property("elapsed_s", numbers(false)).required("elapsed_s");
    for field in Field::ALL {
        columns = columns.property(field.name(), numbers(true));
    }
    Schema::from(columns.build()).into()
}

/// The schema of the columns asked for.
pub fn fields_schema() -> RefOr<Schema> {
    let columns = Field::ALL.map(Field::name).into_iter().chain(["elapsed_s"]).collect::<Vec<_>>().join("|");
    let list = format!("^({columns})(,({columns}))*$");
    let meaning = "Columns, separated by commas; all there are where nothing is said. Those the recording does not have are left out.";
    let described = ObjectBuilder::new().schema_type(Type::String).description(Some(meaning));
    Schema::from(described.pattern(Some(list)).build()).into()
}

/// The schema of one of these words, and what it says.
pub(super) fn words<'a>(meaning: &str, words: impl IntoIterator<Item = &'a str>) -> RefOr<Schema> {
    let described = ObjectBuilder::new().schema_type(Type::String).description(Some(meaning));
    Schema::from(described.enum_values(Some(words)).build()).into()
}
