//! A bounded walk over XML: elements by local name, their text, and where in the file they are.
//! The GPX and TCX parsers stand on it; it refuses DTDs and entities, so nothing expands and nothing is fetched.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::format::Format;
use super::refusal::FileRefusal;

/// Activity files nest about ten deep.
const MAX_DEPTH: usize = 64;
/// Longest text of one element that is kept, in bytes; the rest of it is passed over.
const MAX_TEXT: usize = 256;

/// What the walk meets.
pub(super) enum Step<'a> {
    /// An element begins; its name is the last of [`Walk::path`].
    Open(Attributes<'a>),
    /// An element ended; it is no longer on the path. The text is trimmed and is its own, not its children's.
    Close { name: String, text: String },
    /// The document ended as it should.
    End,
}

pub(super) struct Attributes<'a>(BytesStart<'a>);

pub(super) struct Walk<'a> {
    reader: Reader<&'a [u8]>,
    bytes: &'a [u8],
    path: Vec<String>,
    text: String,
    rooted: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(bytes: &'a [u8], format: Format) -> Result<Self, FileRefusal> {
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || bytes.iter().take(4).any(|b| *b == 0)
        {
            return Err(FileRefusal::WrongFormat { format, reason: "its text is not UTF-8".to_owned() });
        }
        let mut reader = Reader::from_reader(bytes);
        reader.config_mut().expand_empty_elements = true;
        Ok(Self { reader, bytes, path: Vec::new(), text: String::new(), rooted: false })
    }

    /// Local names of the open elements, outermost first.
    pub(super) fn path(&self) -> &[String] {
        &self.path
    }

    /// Whether the innermost open elements are these, outermost first.
    pub(super) fn inside(&self, names: &[&str]) -> bool {
        self.path.len() >= names.len()
            && self.path.iter().rev().zip(names.iter().rev()).all(|(open, name)| open == name)
    }

    /// Whether an element of this name is open at any depth.
    pub(super) fn within(&self, name: &str) -> bool {
        self.path.iter().any(|open| open == name)
    }

    pub(super) fn line(&self) -> usize {
        line_of(self.bytes, self.at())
    }

    /// The next element that begins or ends.
    ///
    /// # Errors
    /// Malformed or cut off XML, a DTD, an entity nobody declared, or too deep a nesting.
    pub(super) fn step(&mut self) -> Result<Step<'a>, FileRefusal> {
        loop {
            let event = match self.reader.read_event() {
                Ok(event) => event,
                Err(error) => {
                    let at = usize::try_from(self.reader.error_position()).unwrap_or(self.bytes.len());
                    return Err(self.malformed_at(at, error.to_string()));
                }
            };
            match event {
                Event::Start(start) => return self.open(start),
                Event::End(_) => return self.close(),
                Event::Text(text) => self.keep(&String::from_utf8_lossy(&text)),
                Event::CData(text) => self.keep(&String::from_utf8_lossy(&text)),
                Event::GeneralRef(reference) => self.resolve(&reference)?,
                Event::DocType(_) => {
                    return Err(FileRefusal::ForbiddenXml { line: self.line(), at: self.at(), what: "a DTD" });
                }
                Event::Eof => return self.end(),
                // Empty elements are expanded into a start and an end.
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
    }

    pub(super) fn malformed(&self, reason: impl Into<String>) -> FileRefusal {
        self.malformed_at(self.at(), reason)
    }

    pub(super) fn bad_value(&self, element: &'static str, text: &str, expected: &'static str) -> FileRefusal {
        FileRefusal::BadValue { line: self.line(), element, text: text.chars().take(40).collect(), expected }
    }

    fn open(&mut self, start: BytesStart<'a>) -> Result<Step<'a>, FileRefusal> {
        if self.path.is_empty() && self.rooted {
            return Err(self.malformed("a second root element begins"));
        }
        if self.path.len() >= MAX_DEPTH {
            return Err(self.malformed(format!("elements are nested deeper than {MAX_DEPTH}")));
        }
        self.rooted = true;
        self.text.clear();
        let name = String::from_utf8_lossy(start.local_name().into_inner()).into_owned();
        self.path.push(name);
        Ok(Step::Open(Attributes(start)))
    }

    fn close(&mut self) -> Result<Step<'a>, FileRefusal> {
        let Some(name) = self.path.pop() else {
            return Err(self.malformed("an element ends that never began"));
        };
        let text = self.text.trim().to_owned();
        self.text.clear();
        Ok(Step::Close { name, text })
    }

    fn end(&self) -> Result<Step<'a>, FileRefusal> {
        match self.path.last() {
            Some(open) => Err(self.malformed(format!("the file is cut off inside <{}>", cut(open)))),
            None => Ok(Step::End),
        }
    }

    fn keep(&mut self, text: &str) {
        for character in text.chars() {
            if self.text.len() + character.len_utf8() > MAX_TEXT {
                return;
            }
            self.text.push(character);
        }
    }

    fn resolve(&mut self, reference: &BytesRef<'_>) -> Result<(), FileRefusal> {
        let character = match &**reference {
            b"amp" => Some('&'),
            b"lt" => Some('<'),
            b"gt" => Some('>'),
            b"quot" => Some('"'),
            b"apos" => Some('\''),
            _ => reference.resolve_char_ref().ok().flatten(),
        };
        let Some(character) = character else {
            return Err(FileRefusal::ForbiddenXml { line: self.line(), at: self.at(), what: "an entity" });
        };
        self.keep(character.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn at(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(self.bytes.len())
    }

    fn malformed_at(&self, at: usize, reason: impl Into<String>) -> FileRefusal {
        let reason: String = reason.into();
        FileRefusal::MalformedXml { line: line_of(self.bytes, at), at, reason: cut(&reason) }
    }
}

impl Attributes<'_> {
    /// The attribute of this local name; none too where the attributes before it are malformed.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.0
            .attributes()
            // The check for duplicates takes quadratic time, and the first of two is as good as a refusal.
            .with_checks(false)
            .map_while(Result::ok)
            .find(|attribute| attribute.key.local_name().as_ref() == name.as_bytes())
            .filter(|attribute| attribute.value.len() <= MAX_TEXT)
            .and_then(|attribute| Some(attribute.unescape_value().ok()?.trim().to_owned()))
    }
}

/// The number in this text, if it is one and finite.
pub(super) fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// The instant in this text in milliseconds since 1970: RFC 3339, or the same without an offset, which is UTC.
pub(super) fn instant_ms(text: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(text).map(|at| at.timestamp_millis()).ok().or_else(|| {
        let naive = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
        Some(naive.and_utc().timestamp_millis())
    })
}

fn line_of(bytes: &[u8], at: usize) -> usize {
    1 + bytes.iter().take(at).filter(|byte| **byte == b'\n').count()
}

fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}
