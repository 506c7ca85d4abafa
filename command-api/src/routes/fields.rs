//! Collects the refused fields of a body, so that a client learns of all of them at once.
//! Every route's conversion from raw types to the domain's goes through one of these.
use std::fmt::Display;

use fittrack_domain::{patch::Patch, values::ValueError};
use fittrack_runtime::problem::Problem;
use uuid::{Uuid, fmt::Hyphenated};

/// More refused fields than this are not listed.
const MAX_LISTED: usize = 50;

/// The refused fields of one body; pointers are JSON pointers into it, such as `/sets/0/mass_kg`.
#[derive(Debug, Default)]
pub struct Fields {
    refused: Vec<(String, &'static str, String)>,
}

impl Fields {
    /// The value parsed; `None`, with the reason noted, where it is refused.
    pub fn take<T, U, E: Display>(
        &mut self,
        pointer: impl Display,
        value: T,
        parse: impl FnOnce(T) -> Result<U, E>,
    ) -> Option<U> {
        parse(value).map_err(|reason| self.refuse(pointer, "invalid_value", reason)).ok()
    }

    /// An optional value parsed; absent stays absent.
    pub fn optional<T, U, E: Display>(
        &mut self,
        pointer: impl Display,
        value: Option<T>,
        parse: impl FnOnce(T) -> Result<U, E>,
    ) -> Option<U> {
        value.and_then(|value| self.take(pointer, value, parse))
    }

    /// A field of a merge patch parsed; absent and `null` stay what they are.
    pub fn patch<T, U, E: Display>(
        &mut self,
        pointer: impl Display,
        value: Patch<T>,
        parse: impl FnOnce(T) -> Result<U, E>,
    ) -> Patch<U> {
        value.try_map(parse).unwrap_or_else(|reason| {
            self.refuse(pointer, "invalid_value", reason);
            Patch::Keep
        })
    }

    /// Notes a refused field.
    pub fn refuse(&mut self, pointer: impl Display, code: &'static str, reason: impl Display) {
        if self.refused.len() < MAX_LISTED {
            self.refused.push((pointer.to_string(), code, reason.to_string()));
        }
    }

    /// The converted body, or the problem that lists what was refused.
    pub fn finish<T>(self, converted: Option<T>) -> Result<T, Problem> {
        match converted {
            Some(converted) if self.refused.is_empty() => Ok(converted),
            _ => Err(self.into_problem()),
        }
    }

    fn into_problem(self) -> Problem {
        let detail = match self.refused.len() {
            1 => "a field of the body is refused".to_owned(),
            count => format!("{count} fields of the body are refused"),
        };
        self.refused.into_iter().fold(Problem::invalid_body(detail), |problem, (pointer, code, reason)| {
            problem.error(pointer, code, reason)
        })
    }
}

/// An id its client made, written as RFC 9562 writes it and the document says: with hyphens, and nothing around it.
pub fn uuid(text: &str) -> Result<Uuid, ValueError> {
    let id = text.parse::<Hyphenated>().map(Hyphenated::into_uuid);
    id.map_err(|_| ValueError("must be a UUID, such as 0198c0de-7a1b-7c3d-8e4f-5a6b7c8d9e0f".to_owned()))
}

/// A whole number between two bounds, which JSON may write as `5` or `5.0`.
pub fn whole_number(low: u32, high: u32) -> impl Fn(f64) -> Result<u32, ValueError> {
    move |value| {
        let whole = value.fract() == 0.0 && (f64::from(low)..=f64::from(high)).contains(&value);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked on the line above")]
        if whole { Ok(value as u32) } else { Err(ValueError(format!("must be a whole number from {low} to {high}"))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refused_field_is_named() {
        let mut fields = Fields::default();
        let good = fields.take("/a", 5.0, whole_number(1, 10));
        let bad = fields.take("/b", 5.5, whole_number(1, 10));
        let worse = fields.optional("/c", Some(11.0), whole_number(1, 10));
        assert_eq!((good, bad, worse), (Some(5), None, None));
        let problem = fields.finish(Some(())).unwrap_err();
        let pointers: Vec<&str> = problem.errors().iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!((problem.status().as_u16(), pointers), (422, vec!["#/b", "#/c"]));
    }

    #[test]
    fn a_patch_keeps_the_difference_between_absent_and_null() {
        let mut fields = Fields::default();
        assert_eq!(fields.patch("/a", Patch::<f64>::Keep, whole_number(0, 1)), Patch::Keep);
        assert_eq!(fields.patch("/a", Patch::<f64>::Clear, whole_number(0, 1)), Patch::Clear);
        assert_eq!(fields.patch("/a", Patch::Set(1.0), whole_number(0, 1)), Patch::Set(1));
        assert!(fields.finish(Some(())).is_ok());
    }

    #[test]
    fn an_id_has_hyphens_and_nothing_around_it() {
        let id = "0198c0de-7a1b-7c3d-8e4f-5a6b7c8d9e0f";
        for good in [id, &id.to_uppercase()] {
            assert_eq!(uuid(good), Ok(id.parse().unwrap()), "{good}");
        }
        let bare = id.replace('-', "");
        for bad in [&bare, &format!("{{{id}}}"), &format!("urn:uuid:{id}"), &format!(" {id}"), "", "me"] {
            assert!(uuid(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_number_is_no_whole_number() {
        for bad in [f64::NAN, f64::INFINITY, -1.0, 0.5, 4e9] {
            assert!(whole_number(0, 10)(bad).is_err(), "{bad}");
        }
    }
}
