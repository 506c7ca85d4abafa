//! Any payload that a schema allows, for properties that hold of all of them.
use std::collections::BTreeMap;

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value};

use super::shape::{Field, Limits, Shape};

/// Any value of this shape.
pub fn any_of(shape: &Shape) -> BoxedStrategy<Value> {
    match shape {
        Shape::Object(fields) => object(fields),
        Shape::List(of, _) => vec(any_of(of), 0..3).prop_map(Value::from).boxed(),
        Shape::OneOf(texts) => select(texts.iter().cloned().collect::<Vec<_>>()).prop_map(Value::from).boxed(),
        Shape::Scalar(kind, limits) => scalar(kind, limits),
        Shape::Nullable(shape) => prop_oneof![1 => Just(Value::Null), 3 => any_of(shape)].boxed(),
    }
}

fn object(fields: &BTreeMap<String, Field>) -> BoxedStrategy<Value> {
    let none: BoxedStrategy<Map<String, Value>> = Just(Map::new()).boxed();
    let with_field = |object: BoxedStrategy<Map<String, Value>>, (name, field): (&String, &Field)| {
        let (name, value) = (name.clone(), any_of(&field.shape));
        let value = if field.required { value.prop_map(Some).boxed() } else { option::of(value).boxed() };
        let insert = move |(mut object, value): (Map<String, Value>, Option<Value>)| {
            object.extend(value.map(|value| (name.clone(), value)));
            object
        };
        (object, value).prop_map(insert).boxed()
    };
    fields.iter().fold(none, with_field).prop_map(Value::Object).boxed()
}

fn scalar(kind: &str, limits: &Limits) -> BoxedStrategy<Value> {
    let format = limits.get("format").and_then(Value::as_str);
    let least = limits.get("minimum").and_then(Value::as_u64).unwrap_or(0);
    match (kind, format) {
        ("boolean", _) => any::<bool>().prop_map(Value::from).boxed(),
        ("integer", _) => (least..=u64::from(u32::MAX)).prop_map(Value::from).boxed(),
        ("number", _) => (0.0..1e7).prop_map(|number: f64| Value::from(number)).boxed(),
        (_, Some("uuid")) => any::<u128>().prop_map(|n| uuid::Uuid::from_u128(n).to_string().into()).boxed(),
        (_, Some("date")) => (1..=28_u32, 1..=12_u32).prop_map(|(d, m)| format!("2026-{m:02}-{d:02}").into()).boxed(),
        (_, Some("date-time")) => {
            (1..=28_u32, 0..=23_u32).prop_map(|(d, h)| format!("2026-10-{d:02}T{h:02}:30:00.250Z").into()).boxed()
        }
        _ => any::<String>().prop_map(Value::from).boxed(),
    }
}
