//! A schema of an `OpenAPI` document read into the few forms that our bodies take, with references, `allOf` and the several
//! spellings of one thing gone. What there is no form for stays as it is written: only its equal takes its place.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::document::Document;

/// The values a schema allows.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// Whatever there is.
    Anything,
    Object(Object),
    /// A list of such values.
    List(Box<Form>, Limits),
    /// One of these texts.
    OneOf(BTreeSet<String>),
    /// A `string`, `integer`, `number` or `boolean`.
    Scalar(String, Limits),
    /// Such a value, or null.
    Nullable(Box<Form>),
    /// Something this reading has no form for.
    Unread(Value),
}

/// The fields of an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Object {
    pub fields: BTreeMap<String, Field>,
    /// Whether it has no others.
    pub is_closed: bool,
    /// What others may be, where that is said.
    pub others: Option<Box<Form>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub is_required: bool,
    pub form: Form,
}

/// `format`, `minimum` and the like: keyword and value.
pub type Limits = BTreeMap<String, Value>;

/// Says nothing about which values are allowed.
const ANNOTATIONS: [&str; 8] =
    ["title", "description", "default", "example", "examples", "deprecated", "externalDocs", "xml"];
const LIMITS: [&str; 14] = [
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "contentMediaType",
    "contentEncoding",
];

impl Form {
    /// Reads a schema of this document.
    pub fn of(document: &Document, schema: &Value) -> Self {
        Reader { document, inside: &[] }.form(schema)
    }
}

struct Reader<'d> {
    document: &'d Document,
    /// The references that were followed to get here.
    inside: &'d [&'d str],
}

impl Reader<'_> {
    fn form(&self, schema: &Value) -> Form {
        let Value::Object(keywords) = schema else {
            return if *schema == json!(true) { Form::Anything } else { Form::Unread(schema.clone()) };
        };
        let mut rules = keywords.clone();
        rules.retain(|keyword, _| !ANNOTATIONS.contains(&keyword.as_str()));
        let mut names: Vec<&str> = rules.keys().map(String::as_str).collect();
        names.sort_unstable();
        let read = match (names.as_slice(), rules.get("type").unwrap_or(&Value::Null)) {
            ([], _) => Some(Form::Anything),
            (["$ref"], _) => self.referenced(&rules["$ref"]),
            (["allOf"], _) => self.all_of(&rules["allOf"]),
            (["anyOf" | "oneOf"], _) => self.alternatives(rules.values().next().unwrap_or(&Value::Null)),
            (["const", "type"], _) => texts(&json!([rules["const"]])),
            (["enum", "type"], Value::String(kind)) if kind == "string" => texts(&rules["enum"]),
            (_, Value::Array(kinds)) => self.kind_or_null(&rules, kinds),
            (_, Value::String(kind)) => self.of_kind(&kind.clone(), rules.clone()),
            _ => None,
        };
        read.unwrap_or(Form::Unread(Value::Object(rules)))
    }

    fn referenced(&self, reference: &Value) -> Option<Form> {
        let path = reference.as_str()?;
        let target = self.document.root().pointer(path.strip_prefix('#')?)?;
        if self.inside.contains(&path) {
            return None;
        }
        Some(Reader { document: self.document, inside: &[self.inside, &[path]].concat() }.form(target))
    }

    /// Objects that are one object.
    fn all_of(&self, parts: &Value) -> Option<Form> {
        let mut whole = Object::default();
        for part in parts.as_array()? {
            let Form::Object(part) = self.form(part) else { return None };
            whole.fields.extend(part.fields);
            whole.is_closed |= part.is_closed;
            whole.others = part.others.or(whole.others);
        }
        Some(Form::Object(whole))
    }

    /// Something or null; or texts, each with a description of its own.
    fn alternatives(&self, alternatives: &Value) -> Option<Form> {
        let null = json!({ "type": "null" });
        match alternatives.as_array()?.as_slice() {
            [something, other] | [other, something] if *other == null => {
                Some(Form::Nullable(Box::new(self.form(something))))
            }
            several => {
                let mut all = BTreeSet::new();
                for alternative in several {
                    let Form::OneOf(some) = self.form(alternative) else { return None };
                    all.extend(some);
                }
                Some(Form::OneOf(all))
            }
        }
    }

    /// `"type": ["string", "null"]`
    fn kind_or_null(&self, rules: &Map<String, Value>, kinds: &[Value]) -> Option<Form> {
        let [kind, Value::String(null)] = kinds else { return None };
        let mut something = rules.clone();
        something.insert("type".to_owned(), kind.clone());
        if let Some(Value::Array(values)) = something.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
        (null == "null").then(|| Form::Nullable(Box::new(self.form(&Value::Object(something)))))
    }

    fn of_kind(&self, kind: &str, mut rules: Map<String, Value>) -> Option<Form> {
        rules.remove("type");
        match kind {
            "object" => self.object(rules),
            "array" => {
                let items = self.form(&rules.remove("items").unwrap_or(Value::Bool(true)));
                Some(Form::List(Box::new(items), limits(rules)?))
            }
            "string" | "integer" | "number" | "boolean" => Some(Form::Scalar(kind.to_owned(), limits(rules)?)),
            _ => None,
        }
    }

    fn object(&self, mut rules: Map<String, Value>) -> Option<Form> {
        let required = rules.remove("required").unwrap_or_default();
        let required: Vec<&str> = required.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = rules.remove("properties").unwrap_or_default();
        let field = |(name, schema): (&String, &Value)| {
            let is_required = required.contains(&name.as_str());
            (name.clone(), Field { is_required, form: self.form(schema) })
        };
        let fields = properties.as_object().into_iter().flatten().map(field).collect();
        let others = rules.remove("additionalProperties");
        let is_closed = others == Some(Value::Bool(false));
        let others = others.filter(Value::is_object).map(|schema| Box::new(self.form(&schema)));
        rules.is_empty().then_some(Form::Object(Object { fields, is_closed, others }))
    }
}

fn texts(values: &Value) -> Option<Form> {
    let texts: Option<_> = values.as_array()?.iter().map(|value| value.as_str().map(str::to_owned)).collect();
    texts.map(Form::OneOf)
}

fn limits(rules: Map<String, Value>) -> Option<Limits> {
    rules.keys().all(|keyword| LIMITS.contains(&keyword.as_str())).then(|| rules.into_iter().collect())
}
