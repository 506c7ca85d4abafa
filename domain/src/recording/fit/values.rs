//! Numbers out of FIT messages: each base type marks "no value" in its own way.
//! The collector reads every field of a message through these.

use rustyfit::profile::typedef::DateTime;
use rustyfit::proto::{Field, Message, Value};

/// The raw number of a field (scale and offset not applied), if it has one.
pub(super) fn raw(field: &Field) -> Option<f64> {
    match field.value {
        Value::Uint8(value) => (value != u8::MAX).then_some(f64::from(value)),
        Value::Int8(value) => (value != i8::MAX).then_some(f64::from(value)),
        Value::Uint16(value) => (value != u16::MAX).then_some(f64::from(value)),
        Value::Int16(value) => (value != i16::MAX).then_some(f64::from(value)),
        Value::Uint32(value) => (value != u32::MAX).then_some(f64::from(value)),
        Value::Int32(value) => (value != i32::MAX).then_some(f64::from(value)),
        Value::Float32(value) => value.is_finite().then_some(f64::from(value)),
        Value::Float64(value) => value.is_finite().then_some(value),
        _ => None,
    }
}

/// The raw number of the message's field of this number.
pub(super) fn raw_of(message: &Message, number: u8) -> Option<f64> {
    message.fields.iter().find(|field| field.num == number).and_then(raw)
}

/// The small number (an enumeration) of the message's field of this number.
pub(super) fn enumeration_of(message: &Message, number: u8) -> Option<u8> {
    message.fields.iter().find(|field| field.num == number).and_then(|field| match field.value {
        Value::Uint8(value) if value != u8::MAX => Some(value),
        _ => None,
    })
}

/// The instant of the message's field of this number, in milliseconds since 1970.
///
/// None also for "seconds since the device was switched on", which FIT writes before a device knows the time.
pub(super) fn instant_ms_of(message: &Message, number: u8) -> Option<i64> {
    message.fields.iter().find(|field| field.num == number).and_then(|field| match field.value {
        Value::Uint32(value) if value >= DateTime::MIN.0 => {
            DateTime(value).unix_timestamp().map(|seconds| seconds * 1_000)
        }
        _ => None,
    })
}

/// The text of the message's field of this number, cut to 100 characters; none where empty.
pub(super) fn text_of(message: &Message, number: u8) -> Option<String> {
    message.fields.iter().find(|field| field.num == number).and_then(|field| match &field.value {
        Value::String(text) => {
            Some(text.trim().chars().take(100).collect::<String>()).filter(|text: &String| !text.is_empty())
        }
        _ => None,
    })
}
