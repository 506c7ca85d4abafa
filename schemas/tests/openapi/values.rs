//! Whether values of one form may take the place of values of another: what clients send has still to be taken, and what they
//! are sent has still to be what they were told of. A word more in an answer is no break: clients have to be ready for words.
use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    breaks::Found,
    form::{Field, Form, Limits, Object},
};

/// Which way values go.
#[derive(Clone, Copy, PartialEq)]
pub enum Way {
    /// From clients to us: no narrower than it was.
    Sent,
    /// From us to clients: no wider than it was, and nothing less.
    Answered,
}

const AT_MOST: [&str; 4] = ["maximum", "exclusiveMaximum", "maxLength", "maxItems"];
const AT_LEAST: [&str; 4] = ["minimum", "exclusiveMinimum", "minLength", "minItems"];

impl Found {
    /// Compares two forms.
    pub fn form(&mut self, way: Way, place: &str, old: &Form, new: &Form) {
        match (old, new) {
            (old, new) if old == new => {}
            (Form::Object(old), Form::Object(new)) => self.object(way, place, old, new),
            (Form::List(old, old_limits), Form::List(new, new_limits)) => {
                self.limits(way, place, old_limits, new_limits);
                self.form(way, &format!("{place}/*"), old, new);
            }
            (Form::OneOf(old), Form::OneOf(new)) => self.texts(place, old, new),
            (Form::Scalar(old_kind, old), Form::Scalar(new_kind, new)) if takes_the_place(way, old_kind, new_kind) => {
                self.limits(way, place, old, new);
            }
            (Form::Nullable(old), Form::Nullable(new)) => self.form(way, place, old, new),
            (Form::Nullable(old), new) => {
                if way == Way::Sent {
                    self.add(place, "may no longer be null");
                }
                self.form(way, place, old, new);
            }
            (old, Form::Nullable(new)) => {
                if way == Way::Answered {
                    self.add(place, "may be null now");
                }
                self.form(way, place, old, new);
            }
            (Form::Unread(_), _) | (_, Form::Unread(_)) => {
                self.add(place, "changed in a way this comparison does not understand");
            }
            (old, new) if way == Way::Sent && is_wider(new, old) => {}
            (old, new) if way == Way::Answered && is_wider(old, new) => {}
            (old, new) => self.add(place, format!("was {}, is {}", kind(old), kind(new))),
        }
    }

    fn object(&mut self, way: Way, place: &str, old: &Object, new: &Object) {
        for (name, old) in &old.fields {
            let place = format!("{place}/{name}");
            match new.fields.get(name) {
                Some(new) => self.field(way, &place, old, new),
                None => self.add(&place, "is gone"),
            }
        }
        let is_new = |name: &String| !old.fields.contains_key(name);
        for (name, _) in new.fields.iter().filter(|(name, field)| field.is_required && is_new(name)) {
            if way == Way::Sent {
                self.add(&format!("{place}/{name}"), "is new and required");
            }
        }
        if way == Way::Sent && new.is_closed && !old.is_closed {
            self.add(place, "takes no other fields now");
        }
        match (&old.others, &new.others) {
            (Some(old), Some(new)) => self.form(way, &format!("{place}/*"), old, new),
            (None, None) => {}
            _ => self.add(place, "says something else of its other fields"),
        }
    }

    fn field(&mut self, way: Way, place: &str, old: &Field, new: &Field) {
        match (way, old.is_required, new.is_required) {
            (Way::Sent, false, true) => self.add(place, "is required now"),
            (Way::Answered, true, false) => self.add(place, "may be missing now"),
            _ => {}
        }
        self.form(way, place, &old.form, &new.form);
    }

    fn texts(&mut self, place: &str, old: &BTreeSet<String>, new: &BTreeSet<String>) {
        for gone in old.difference(new) {
            self.add(place, format!("can no longer be {gone:?}"));
        }
    }

    fn limits(&mut self, way: Way, place: &str, old: &Limits, new: &Limits) {
        // What is sent may be held to less, what is answered to more.
        let (loose, tight) = if way == Way::Sent { (new, old) } else { (old, new) };
        for keyword in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            if !is_within(keyword, tight.get(keyword), loose.get(keyword)) {
                let shown = |limits: &Limits| limits.get(keyword).map_or_else(|| "none".to_owned(), Value::to_string);
                self.add(place, format!("its {keyword} was {}, is {}", shown(old), shown(new)));
            }
        }
    }
}

/// Whether one kind of scalar is all the other is: every integer is a number.
fn takes_the_place(way: Way, old: &str, new: &str) -> bool {
    let (narrow, wide) = if way == Way::Sent { (old, new) } else { (new, old) };
    narrow == wide || (narrow, wide) == ("integer", "number")
}

/// Whether every value under the limit `tight` is under the limit `loose` too.
fn is_within(keyword: &str, tight: Option<&Value>, loose: Option<&Value>) -> bool {
    let Some(loose) = loose else { return true };
    let Some(tight) = tight else { return false };
    match (tight.as_f64(), loose.as_f64()) {
        (Some(tight), Some(loose)) if AT_MOST.contains(&keyword) => tight <= loose,
        (Some(tight), Some(loose)) if AT_LEAST.contains(&keyword) => tight >= loose,
        _ => tight == loose,
    }
}

/// Whether a form plainly takes all that another, of another kind, allows.
fn is_wider(wide: &Form, narrow: &Form) -> bool {
    match (wide, narrow) {
        (Form::Anything, _) => true,
        (Form::Scalar(kind, limits), Form::OneOf(_)) => kind == "string" && limits.is_empty(),
        _ => false,
    }
}

fn kind(form: &Form) -> String {
    match form {
        Form::Anything => "anything".to_owned(),
        Form::Object(_) => "an object".to_owned(),
        Form::List(..) => "a list".to_owned(),
        Form::OneOf(texts) => format!("one of {texts:?}"),
        Form::Scalar(kind, _) => format!("of type {kind}"),
        Form::Nullable(form) => format!("{} or null", kind(form)),
        Form::Unread(value) => value.to_string(),
    }
}
