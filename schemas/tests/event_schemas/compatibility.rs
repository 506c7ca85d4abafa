//! Whether a schema may take the place of the committed one of the same version: the new program reads all that is stored,
//! and running consumers, who ignore fields they do not know, read all that the new program writes.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use fittrack_schemas::event_schemas::EventSchema;
use serde_json::Value;

use super::shape::{Field, Limits, NotUnderstood, Shape};

/// What is to be done about the schema that the code has now.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// Nothing: it is the committed one.
    Same,
    /// Write it over the committed one, or where there is none yet.
    Regenerate,
    /// Make it another version; the text says of which event, why and how.
    Refused(String),
}

/// One difference that somebody could not read.
#[derive(Debug, PartialEq)]
pub struct Break {
    /// Where in the payload: `/details/sets/*/kind`; empty for the payload itself.
    pub path: String,
    /// What changed, and who could not read what.
    pub why: String,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.path.is_empty() { "the payload" } else { &self.path }, self.why)
    }
}

/// Compares the schema that the code has with the committed one of its version.
pub fn verdict(schema: &EventSchema, committed: Option<&Value>) -> Verdict {
    let Some(committed) = committed else { return Verdict::Regenerate };
    if *committed == schema.schema {
        return Verdict::Same;
    }
    let breaks = breaks(committed, &schema.schema);
    if breaks.is_empty() { Verdict::Regenerate } else { Verdict::Refused(refusal(schema, &breaks)) }
}

fn refusal(schema: &EventSchema, breaks: &[Break]) -> String {
    let (event, version) = (schema.event_type, schema.event_version);
    let breaks: Vec<String> = breaks.iter().map(ToString::to_string).collect();
    let breaks = breaks.join("\n  ");
    format!(
        "{event} version {version} is stored and read as it was, and is changed:\n  {breaks}\n\
         Undo that, or make it a new version with an upcaster from {version}: domain/src/upcast.rs shows how."
    )
}

/// Everything that forbids the generated schema in place of the committed one; empty where it may take it.
///
/// Optional fields may be added; all else has to stay. What is read and what is written have one type, so whatever
/// narrows it refuses something that is stored, and whatever widens it lets out something that running consumers refuse.
pub fn breaks(committed: &Value, generated: &Value) -> Vec<Break> {
    match (Shape::of(committed), Shape::of(generated)) {
        (Ok(old), Ok(new)) => {
            let mut found = Found::default();
            found.shape("", &old, &new);
            found.0
        }
        (Err(NotUnderstood { path, what }), _) | (_, Err(NotUnderstood { path, what })) => {
            vec![Break { path, why: format!("this comparison does not understand {what}") }]
        }
    }
}

#[derive(Default)]
struct Found(Vec<Break>);

impl Found {
    fn add(&mut self, path: &str, why: impl Into<String>) {
        self.0.push(Break { path: path.to_owned(), why: why.into() });
    }

    fn shape(&mut self, path: &str, old: &Shape, new: &Shape) {
        match (old, new) {
            (Shape::Object(old), Shape::Object(new)) => self.fields(path, old, new),
            (Shape::List(old, old_limits), Shape::List(new, new_limits)) => {
                self.limits(path, old_limits, new_limits);
                self.shape(&format!("{path}/*"), old, new);
            }
            (Shape::OneOf(old), Shape::OneOf(new)) => self.texts(path, old, new),
            (Shape::Scalar(old, old_limits), Shape::Scalar(new, new_limits)) if old == new => {
                self.limits(path, old_limits, new_limits);
            }
            (Shape::Nullable(old), Shape::Nullable(new)) => self.shape(path, old, new),
            (Shape::Nullable(old), new) => {
                self.add(path, "may no longer be null, and stored events may say null");
                self.shape(path, old, new);
            }
            (old, Shape::Nullable(new)) => {
                self.add(path, "may be null now, which running consumers cannot read");
                self.shape(path, old, new);
            }
            (old, new) => self.add(path, format!("was {}, is {}", kind(old), kind(new))),
        }
    }

    fn fields(&mut self, path: &str, old: &BTreeMap<String, Field>, new: &BTreeMap<String, Field>) {
        for (name, old) in old {
            let path = format!("{path}/{name}");
            match new.get(name) {
                Some(new) => self.field(&path, old, new),
                None => self.add(&path, "is gone, and both stored events and running consumers have it"),
            }
        }
        for (name, _) in new.iter().filter(|(name, new)| new.required && !old.contains_key(*name)) {
            self.add(&format!("{path}/{name}"), "is new and required, and stored events lack it");
        }
    }

    fn field(&mut self, path: &str, old: &Field, new: &Field) {
        match (old.required, new.required) {
            (false, true) => self.add(path, "is required now, and stored events may lack it"),
            (true, false) => self.add(path, "is optional now, and running consumers require it"),
            _ if old.default != new.default => {
                self.add(path, "has another default, so stored events that leave it out would say something else");
            }
            _ => {}
        }
        self.shape(path, &old.shape, &new.shape);
    }

    fn texts(&mut self, path: &str, old: &BTreeSet<String>, new: &BTreeSet<String>) {
        for gone in old.difference(new) {
            self.add(path, format!("may no longer be {gone:?}, as stored events may be"));
        }
        for added in new.difference(old) {
            self.add(path, format!("may be {added:?} now, which running consumers cannot read"));
        }
    }

    fn limits(&mut self, path: &str, old: &Limits, new: &Limits) {
        let keywords: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for keyword in keywords.into_iter().filter(|keyword| old.get(*keyword) != new.get(*keyword)) {
            let shown = |limits: &Limits| limits.get(keyword).map_or_else(|| "none".to_owned(), Value::to_string);
            let (was, is) = (shown(old), shown(new));
            self.add(
                path,
                format!("its {keyword} was {was}, is {is}: stored events or running consumers have the old one"),
            );
        }
    }
}

fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Object(_) => "an object".to_owned(),
        Shape::List(..) => "a list".to_owned(),
        Shape::OneOf(texts) => format!("one of {texts:?}"),
        Shape::Scalar(kind, _) => format!("of type {kind}"),
        Shape::Nullable(shape) => format!("{} or null", kind(shape)),
    }
}
