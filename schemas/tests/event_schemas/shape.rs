//! A JSON Schema read into the few forms that events take, with titles, references and the several spellings of one
//! thing gone. What it has no form for is refused: a comparison that passed over a keyword would be none.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// The values a schema allows.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A closed object: these fields and no others.
    Object(BTreeMap<String, Field>),
    /// A list of such values.
    List(Box<Shape>, Limits),
    /// One of these texts.
    OneOf(BTreeSet<String>),
    /// A `string`, `integer`, `number` or `boolean`.
    Scalar(String, Limits),
    /// Such a value, or null.
    Nullable(Box<Shape>),
}

/// `format`, `minimum` and the like: keyword and value.
pub type Limits = BTreeMap<String, Value>;

/// A field of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Whether it must be there.
    pub required: bool,
    /// What it is taken for where it is absent.
    pub default: Option<Value>,
    /// What it may be.
    pub shape: Shape,
}

/// There is no form for what stands here.
#[derive(Debug, PartialEq)]
pub struct NotUnderstood {
    /// Where: `/details/sets/*`.
    pub path: String,
    /// What stands there.
    pub what: String,
}

/// Says nothing about which values are allowed.
const ANNOTATIONS: [&str; 8] = ["$schema", "$id", "$defs", "title", "description", "default", "examples", "deprecated"];

impl Shape {
    /// Reads a whole schema with its `$defs`.
    pub fn of(schema: &Value) -> Result<Self, NotUnderstood> {
        let definitions = schema["$defs"].as_object().cloned().unwrap_or_default();
        Reader { definitions: &definitions, inside: &[], path: String::new() }.shape(schema)
    }
}

struct Reader<'s> {
    definitions: &'s Map<String, Value>,
    /// The references that were followed to get here.
    inside: &'s [&'s str],
    path: String,
}

impl Reader<'_> {
    fn shape(&self, schema: &Value) -> Result<Shape, NotUnderstood> {
        let Value::Object(keywords) = schema else { return self.refuse(schema) };
        let mut rules = keywords.clone();
        rules.retain(|keyword, _| !ANNOTATIONS.contains(&keyword.as_str()));
        let mut names: Vec<&str> = rules.keys().map(String::as_str).collect();
        names.sort_unstable();
        match (names.as_slice(), rules.get("type")) {
            (["$ref"], _) => self.referenced(&rules["$ref"]),
            (["anyOf"], _) => self.nullable(&rules["anyOf"]),
            (["oneOf"], _) => self.one_of_several(&rules["oneOf"]),
            (["const", "type"], Some(Value::String(kind))) if kind == "string" => self.texts([&rules["const"]]),
            (["enum", "type"], Some(Value::String(kind))) if kind == "string" => {
                self.texts(rules["enum"].as_array().into_iter().flatten())
            }
            (_, Some(Value::Array(kinds))) => self.scalar_or_null(&rules, kinds),
            (_, Some(Value::String(kind))) => self.of_kind(kind.clone().as_str(), rules),
            _ => self.refuse(schema),
        }
    }

    fn referenced(&self, reference: &Value) -> Result<Shape, NotUnderstood> {
        let name = reference.as_str().and_then(|text| text.strip_prefix("#/$defs/"));
        let Some((name, definition)) = name.and_then(|name| Some((name, self.definitions.get(name)?))) else {
            return self.refuse(reference);
        };
        if self.inside.contains(&name) {
            return self.refuse(reference);
        }
        let inside = [self.inside, &[name]].concat();
        Reader { definitions: self.definitions, inside: &inside, path: self.path.clone() }.shape(definition)
    }

    /// `anyOf` of something and null.
    fn nullable(&self, alternatives: &Value) -> Result<Shape, NotUnderstood> {
        match alternatives.as_array().map(Vec::as_slice) {
            Some([something, null]) if *null == serde_json::json!({ "type": "null" }) => {
                Ok(Shape::Nullable(Box::new(self.shape(something)?)))
            }
            _ => self.refuse(alternatives),
        }
    }

    /// `"type": ["string", "null"]`
    fn scalar_or_null(&self, rules: &Map<String, Value>, kinds: &[Value]) -> Result<Shape, NotUnderstood> {
        match kinds {
            [kind @ Value::String(_), Value::String(null)] if null == "null" => {
                let mut something = rules.clone();
                something.insert("type".to_owned(), kind.clone());
                Ok(Shape::Nullable(Box::new(self.shape(&Value::Object(something))?)))
            }
            _ => self.refuse(&rules["type"]),
        }
    }

    /// `oneOf` of texts, each with a description of its own.
    fn one_of_several(&self, alternatives: &Value) -> Result<Shape, NotUnderstood> {
        let mut texts = BTreeSet::new();
        for alternative in alternatives.as_array().into_iter().flatten() {
            match self.shape(alternative)? {
                Shape::OneOf(some) => texts.extend(some),
                _ => return self.refuse(alternatives),
            }
        }
        Ok(Shape::OneOf(texts))
    }

    fn texts<'v>(&self, values: impl IntoIterator<Item = &'v Value>) -> Result<Shape, NotUnderstood> {
        let text = |value: &Value| value.as_str().map(str::to_owned).map_or_else(|| self.refuse(value), Ok);
        Ok(Shape::OneOf(values.into_iter().map(text).collect::<Result<_, _>>()?))
    }

    fn of_kind(&self, kind: &str, mut rules: Map<String, Value>) -> Result<Shape, NotUnderstood> {
        rules.remove("type");
        match kind {
            "object" => self.object(rules),
            "array" => {
                let Some(items) = rules.remove("items") else { return self.refuse(&Value::Object(rules)) };
                let items = self.at("*").shape(&items)?;
                Ok(Shape::List(Box::new(items), self.limits(rules, &["minItems", "maxItems", "uniqueItems"])?))
            }
            "string" => self.scalar(kind, rules, &["format", "minLength", "maxLength", "pattern"]),
            "integer" | "number" => {
                let known = ["format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
                self.scalar(kind, rules, &known)
            }
            "boolean" => self.scalar(kind, rules, &[]),
            _ => self.refuse(&Value::from(kind)),
        }
    }

    fn scalar(&self, kind: &str, rules: Map<String, Value>, known: &[&str]) -> Result<Shape, NotUnderstood> {
        Ok(Shape::Scalar(kind.to_owned(), self.limits(rules, known)?))
    }

    fn object(&self, mut rules: Map<String, Value>) -> Result<Shape, NotUnderstood> {
        let (properties, required) = (rules.remove("properties"), rules.remove("required"));
        let closed = rules.remove("additionalProperties") == Some(Value::Bool(false));
        let (Some(Value::Object(properties)), true, true) = (properties, closed, rules.is_empty()) else {
            return self.refuse(&Value::from("an object that is not just closed properties"));
        };
        let required: Vec<Value> = required.and_then(|names| names.as_array().cloned()).unwrap_or_default();
        let field = |(name, schema): (String, Value)| {
            let shape = self.at(&name).shape(&schema)?;
            let field = Field {
                required: required.contains(&name.clone().into()),
                default: schema.get("default").cloned(),
                shape,
            };
            Ok((name, field))
        };
        Ok(Shape::Object(properties.into_iter().map(field).collect::<Result<_, _>>()?))
    }

    fn limits(&self, rules: Map<String, Value>, known: &[&str]) -> Result<Limits, NotUnderstood> {
        match rules.keys().find(|keyword| !known.contains(&keyword.as_str())) {
            Some(unknown) => self.refuse(&Value::from(unknown.as_str())),
            None => Ok(rules.into_iter().collect()),
        }
    }

    fn at(&self, name: &str) -> Self {
        Self { definitions: self.definitions, inside: self.inside, path: format!("{}/{name}", self.path) }
    }

    fn refuse<T>(&self, what: &Value) -> Result<T, NotUnderstood> {
        Err(NotUnderstood { path: self.path.clone(), what: what.to_string() })
    }
}
