//! Reads `export.json` part by part, without ever holding more than one: a measurement, a workout. What is inside a part is the
//! reader's to judge; a document that is no JSON, or of another version, is refused here.
use std::{
    cell::Cell,
    fmt,
    io::{self, BufReader, Read},
    rc::Rc,
};

use fittrack_schemas::export::FORMAT_VERSION;
use serde::{
    Deserializer as _,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::jobs::JobError;

/// The longest part, in bytes: a workout with 500 sets and long notes is a tenth of it.
const MAX_PART_BYTES: u64 = 1024 * 1024;

/// The longest member that is unknown here and passed over: no bytes of it are held, but one for each level it is deep.
const MAX_UNKNOWN_BYTES: u64 = 64 * 1024 * 1024;

/// A part of a document, still to be understood.
#[derive(Debug)]
pub enum Part {
    /// The athlete.
    Athlete(Box<RawValue>),
    /// A measurement.
    Measurement(Box<RawValue>),
    /// A workout.
    Workout(Box<RawValue>),
}

/// Reads a document and gives each part to `each`, whose error ends it.
///
/// # Errors
/// [`JobError::GivenUp`] where the document is to blame, whatever the reader or `each` fails with otherwise.
pub fn read(reader: impl Read, mut each: impl FnMut(Part) -> Result<(), JobError>) -> Result<(), JobError> {
    let left = Rc::new(Cell::new(MAX_PART_BYTES));
    let rationed = Rationed { reader: BufReader::new(reader), left: Rc::clone(&left), failure: Rc::default() };
    let failure = Rc::clone(&rationed.failure);
    let mut json = serde_json::Deserializer::from_reader(rationed);
    let document = Document { each: &mut each, left, failure: Rc::clone(&failure), has_version: false };
    let read = (&mut json).deserialize_map(document).and_then(|()| json.end());
    match (failure.take(), read) {
        (Some(failure), _) => Err(failure),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => Err(JobError::GivenUp(format!("export.json: {error}"))),
    }
}

/// Gives so many bytes and no more, until it is given more.
struct Rationed<R> {
    reader: BufReader<R>,
    left: Rc<Cell<u64>>,
    /// The reader's own failure, which serde would only quote.
    failure: Rc<Cell<Option<JobError>>>,
}

impl<R: Read> Read for Rationed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::other("a part is longer than anybody's"));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
        match self.reader.read(into.get_mut(..most).unwrap_or_default()) {
            Ok(read) => {
                self.left.set(left - read as u64);
                Ok(read)
            }
            Err(error) => match error.downcast::<JobError>() {
                Ok(failure) => {
                    self.failure.set(Some(failure));
                    Err(io::Error::other("the zip could not be read"))
                }
                Err(error) => Err(error),
            },
        }
    }
}

struct Document<'a, F> {
    each: &'a mut F,
    left: Rc<Cell<u64>>,
    failure: Rc<Cell<Option<JobError>>>,
    has_version: bool,
}

impl<F: FnMut(Part) -> Result<(), JobError>> Document<'_, F> {
    fn give<E: serde::de::Error>(&mut self, part: Part) -> Result<(), E> {
        self.left.set(MAX_PART_BYTES);
        (self.each)(part).map_err(|failure| {
            self.failure.set(Some(failure));
            E::custom("the part was not taken in")
        })
    }
}

impl<'de, F: FnMut(Part) -> Result<(), JobError>> Visitor<'de> for Document<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an export of everything")
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> Result<(), M::Error> {
        while let Some(member) = map.next_key::<String>()? {
            match member.as_str() {
                "format_version" => {
                    let version: u64 = map.next_value()?;
                    if version != u64::from(FORMAT_VERSION) {
                        let said = format!("format_version is {version}, and only {FORMAT_VERSION} is read here");
                        return Err(M::Error::custom(said));
                    }
                    self.has_version = true;
                }
                "athlete" => {
                    let athlete = map.next_value()?;
                    self.give(Part::Athlete(athlete))?;
                }
                "measurements" => map.next_value_seed(Parts { document: &mut self, part: Part::Measurement })?,
                "workouts" => map.next_value_seed(Parts { document: &mut self, part: Part::Workout })?,
                _ => {
                    self.left.set(MAX_UNKNOWN_BYTES);
                    map.next_value::<IgnoredAny>()?;
                    self.left.set(MAX_PART_BYTES);
                }
            }
        }
        if self.has_version { Ok(()) } else { Err(M::Error::missing_field("format_version")) }
    }
}

/// A list of parts of one kind.
struct Parts<'d, 'a, F> {
    document: &'d mut Document<'a, F>,
    part: fn(Box<RawValue>) -> Part,
}

impl<'de, F: FnMut(Part) -> Result<(), JobError>> DeserializeSeed<'de> for Parts<'_, '_, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Part) -> Result<(), JobError>> Visitor<'de> for Parts<'_, '_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<(), S::Error> {
        while let Some(part) = list.next_element()? {
            self.document.give((self.part)(part))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(json: &str) -> Result<Vec<String>, JobError> {
        let mut parts = Vec::new();
        read(json.as_bytes(), |part| {
            parts.push(format!("{part:?}"));
            Ok(())
        })?;
        Ok(parts)
    }

    fn refused(json: &str) -> String {
        match parts(json).unwrap_err() {
            JobError::GivenUp(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_document_comes_part_by_part_and_unknown_members_are_passed_over() {
        let json = r#"{"format_version": 1, "later": {"x": [1]}, "workouts": [{"a": 1}, 7], "athlete": {}, "measurements": []}"#;
        let parts = parts(json).unwrap();
        assert_eq!(parts.len(), 3);
        assert!(parts[0].contains("Workout") && parts[1].contains('7') && parts[2].contains("Athlete"), "{parts:?}");
    }

    #[test]
    fn what_is_no_such_document_is_refused_by_line_and_column() {
        for (json, why) in [
            ("", "EOF"),
            ("[]", "invalid type"),
            ("{}", "format_version"),
            (r#"{"format_version": 2}"#, "format_version is 2"),
            (r#"{"format_version": 1, "workouts": {}}"#, "line 1 column"),
            (r#"{"format_version": 1, "workouts": [{]}"#, "line 1 column"),
            (r#"{"format_version": 1} x"#, "trailing"),
        ] {
            assert!(refused(json).contains(why), "{json}: {}", refused(json));
        }
        let long = format!(r#"{{"format_version": 1, "workouts": ["{}"]}}"#, "x".repeat(2 << 20));
        assert!(refused(&long).contains("a part is longer"), "{}", refused(&long));
        let many = format!(r#"{{"format_version": 1, "workouts": [{}0]}}"#, "\"xxxxxxxx\",".repeat(200_000));
        assert_eq!(parts(&many).unwrap().len(), 200_001);
        let deep = format!(r#"{{"format_version": 1, "x": {}"#, "[".repeat(100_000));
        assert!(refused(&deep).contains("EOF"), "{}", refused(&deep));
    }

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(JobError::Stopped.into())
        }
    }

    #[test]
    fn what_fails_in_between_comes_back_as_it_was() {
        let lost = read(r#"{"format_version": 1, "athlete": {}}"#.as_bytes(), |_| Err(JobError::Lost));
        assert!(matches!(lost, Err(JobError::Lost)));
        assert!(matches!(read(Broken, |_| Ok(())), Err(JobError::Stopped)));
    }
}
