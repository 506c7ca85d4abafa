//! The headers of commands, for the `OpenAPI` document: which values of `Idempotency-Key` and `If-Match` are taken.
//! What reads them stands in `idempotency` and `if_match`; the contract test sends what these allow, and what they do not.
use utoipa::{
    IntoParams,
    openapi::{
        ObjectBuilder, Required, Type,
        path::{Parameter, ParameterBuilder, ParameterIn},
    },
};

/// In quotes as a structured-field string, or bare.
const KEY: &str = r#"^("([ !#-\[\]-~]|\\["\\]){1,255}"|[!#-~]{1,255})$"#;
/// `*`, or entity tags in a list, which may have empty places.
pub(super) const TAGS: &str =
    r#"^(\*|[, \t]*(W/)?"[\t !#-~]*"([ \t]*,[, \t]*(W/)?"[\t !#-~]*"){0,31}([ \t]*,[, \t]*)?)$"#;

/// The client's name for a request.
pub struct KeyHeader;

/// The version a change is meant for.
pub struct IfMatchHeader;

/// The same where it must be named.
pub struct IfMatchRequired;

impl IntoParams for KeyHeader {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header("Idempotency-Key", KEY, Required::False, "Your name for this request, 1 to 255 characters")]
    }
}

impl IntoParams for IfMatchHeader {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![if_match(Required::False)]
    }
}

impl IntoParams for IfMatchRequired {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![if_match(Required::True)]
    }
}

fn if_match(required: Required) -> Parameter {
    let description = "The version the change is meant for, such as `\"v3\"`, or a list of at most 32; `*` is any";
    header("If-Match", TAGS, required, description)
}

fn header(name: &str, pattern: &str, required: Required, description: &str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build();
    let described = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).description(Some(description));
    described.required(required).schema(Some(schema)).build()
}
