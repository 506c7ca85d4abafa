//! What a newer document takes away from clients of an older one: operations, what they may send, and what they are answered.
//! Whatever is only added is no break.
use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use super::{
    document::{Document, Operation},
    form::Form,
    values::Way,
};

/// One difference that a client of the older document trips over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Break {
    /// Where: `POST /v1/workouts, body /sets/*/kind`.
    pub place: String,
    /// What changed there.
    pub why: String,
}

impl fmt::Display for Break {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.why)
    }
}

/// Everything by which the newer document breaks the older one; empty where it only adds.
pub fn breaks(old: &Document, new: &Document) -> Vec<Break> {
    let mut found = Found::default();
    found.schemes(old, new);
    let operations = new.operations();
    let same = |wanted: &Operation| operations.iter().find(|one| one.name() == wanted.name()).copied();
    for operation in old.operations() {
        match same(&operation) {
            Some(new) => found.operation(operation, new),
            None => found.add(&operation.name(), "is gone"),
        }
    }
    found.0
}

/// What was found so far.
#[derive(Default)]
pub struct Found(Vec<Break>);

impl Found {
    pub fn add(&mut self, place: &str, why: impl Into<String>) {
        self.0.push(Break { place: place.to_owned(), why: why.into() });
    }

    fn schemes(&mut self, old: &Document, new: &Document) {
        for (name, scheme) in old.schemes().as_object().into_iter().flatten() {
            let essence = |scheme: &Value| ["type", "scheme", "in", "name"].map(|part| scheme[part].clone());
            if essence(scheme) != essence(&new.schemes()[name]) {
                self.add(&format!("security scheme {name}"), "is another or gone");
            }
        }
    }

    fn operation(&mut self, old: Operation, new: Operation) {
        let place = old.name();
        if old.value["operationId"] != new.value["operationId"] {
            let (was, is) = (&old.value["operationId"], &new.value["operationId"]);
            self.add(&place, format!("its operationId was {was}, is {is}, and generated clients call it by that"));
        }
        self.security(&place, old, new);
        self.parameters(&place, old, new);
        self.body(&place, old, new);
        self.answers(&place, old, new);
    }

    /// Each way in that there was is still enough.
    fn security(&mut self, place: &str, old: Operation, new: Operation) {
        let (ways, still) = (old.security(), new.security());
        let is_open = |ways: &[&Value]| ways.is_empty() || ways.iter().any(|way| **way == serde_json::json!({}));
        if is_open(&still) {
            return;
        }
        if is_open(&ways) {
            self.add(place, "needs a signed-in caller now");
        }
        for way in ways.into_iter().filter(|way| **way != serde_json::json!({})) {
            if !still.iter().any(|other| is_enough(way, other)) {
                self.add(place, format!("{way} alone no longer lets a caller in"));
            }
        }
    }

    fn parameters(&mut self, place: &str, old: Operation, new: Operation) {
        let (olds, news) = (by_name(old.parameters()), by_name(new.parameters()));
        for (name, before) in &olds {
            let place = format!("{place}, {name}");
            let Some(now) = news.get(name) else {
                self.add(&place, "is gone");
                continue;
            };
            if is_required(now) && !is_required(before) {
                self.add(&place, "is required now");
            }
            for way in ["style", "explode"].into_iter().filter(|way| before[*way] != now[*way]) {
                self.add(&place, format!("its {way} was {}, is {}", before[way], now[way]));
            }
            let form = |operation: Operation, parameter: &Value| Form::of(operation.document, &parameter["schema"]);
            self.form(Way::Sent, &place, &form(old, before), &form(new, now));
        }
        for (name, _) in news.iter().filter(|(name, now)| is_required(now) && !olds.contains_key(*name)) {
            self.add(&format!("{place}, {name}"), "is new and required");
        }
    }

    fn body(&mut self, place: &str, old: Operation, new: Operation) {
        let place = format!("{place}, body");
        match (old.body(), new.body()) {
            (None, Some(now)) if is_required(now) => self.add(&place, "is new and required"),
            (Some(_), None) => self.add(&place, "is gone"),
            (Some(before), Some(now)) => {
                if is_required(now) && !is_required(before) {
                    self.add(&place, "is required now");
                }
                self.content(Way::Sent, &place, (old, before), (new, now));
            }
            _ => {}
        }
    }

    /// Answers of success; which problems there may be is no promise.
    fn answers(&mut self, place: &str, old: Operation, new: Operation) {
        let news: BTreeMap<&str, &Value> = new.responses().into_iter().collect();
        for (status, before) in old.responses().into_iter().filter(|(status, _)| status.starts_with(['2', '3'])) {
            let place = format!("{place}, answer {status}");
            let Some(now) = news.get(status).copied() else {
                self.add(&place, "is gone");
                continue;
            };
            for (name, header) in before["headers"].as_object().into_iter().flatten() {
                let place = format!("{place}, header {name}");
                let form = |operation: Operation, header: &Value| {
                    Form::of(operation.document, &operation.document.resolve(header)["schema"])
                };
                match now["headers"].get(name) {
                    Some(now) => self.form(Way::Answered, &place, &form(old, header), &form(new, now)),
                    None => self.add(&place, "is gone"),
                }
            }
            self.content(Way::Answered, &place, (old, before), (new, now));
        }
    }

    /// Bodies by media type.
    fn content(&mut self, way: Way, place: &str, old: (Operation, &Value), new: (Operation, &Value)) {
        for (media_type, before) in old.1["content"].as_object().into_iter().flatten() {
            match new.1["content"].get(media_type) {
                None => self.add(&format!("{place}, {media_type}"), "is gone"),
                Some(now) => {
                    let form = |operation: Operation, content: &Value| match content.get("schema") {
                        Some(schema) => Form::of(operation.document, schema),
                        None => Form::Anything,
                    };
                    self.form(way, &format!("{place} "), &form(old.0, before), &form(new.0, now));
                }
            }
        }
    }
}

/// Whether whoever meets the one way in meets the other too: the same schemes with as many scopes, or fewer.
fn is_enough(old: &Value, new: &Value) -> bool {
    let scopes = |way: &Value| way.as_array().cloned().unwrap_or_default();
    let has = |(scheme, needed): (&String, &Value)| {
        old.get(scheme).is_some_and(|had| scopes(needed).iter().all(|scope| scopes(had).contains(scope)))
    };
    new.as_object().into_iter().flatten().all(has)
}

fn by_name(parameters: Vec<&Value>) -> BTreeMap<String, &Value> {
    let name = |parameter: &Value| {
        let text = |part: &str| parameter[part].as_str().unwrap_or_default().to_owned();
        // Header names are the same in any case.
        let name = if text("in") == "header" { text("name").to_lowercase() } else { text("name") };
        format!("{} parameter {name}", text("in"))
    };
    parameters.into_iter().map(|parameter| (name(parameter), parameter)).collect()
}

fn is_required(value: &Value) -> bool {
    value["required"] == true
}
