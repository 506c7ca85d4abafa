//! Small pieces of XML text that the GPX and TCX writers share.
//! Everything that is not a number goes through [`escaped`].

use std::fmt::{Arguments, Display, Write};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// Appends formatted text.
pub(super) fn push(out: &mut String, text: Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = out.write_fmt(text);
}

/// `<name>value</name>`, or nothing without a value.
pub(super) fn element(out: &mut String, name: &str, value: Option<impl Display>) {
    if let Some(value) = value {
        push(out, format_args!("<{name}>{value}</{name}>"));
    }
}

/// Text with its markup escaped and without characters XML cannot hold.
pub(super) fn escaped(text: &str) -> String {
    let allowed: String = text.chars().filter(|character| !character.is_control()).collect();
    quick_xml::escape::escape(allowed).into_owned()
}

/// The instant so many seconds after another, as RFC 3339 with milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "a recording spans at most fourteen days")]
pub(super) fn instant(start: DateTime<Utc>, elapsed_s: f64) -> String {
    let at = start.checked_add_signed(TimeDelta::milliseconds((elapsed_s * 1e3).round() as i64)).unwrap_or(start);
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
