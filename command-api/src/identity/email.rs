//! An e-mail address as far as it can be judged without writing to it: one `@`, something on both sides, no blanks.
use fittrack_domain::values::ValueError;

/// The longest address there can be (RFC 5321).
pub const MAX_BYTES: usize = 254;

/// An address, as its owner writes it. Compared without regard to case by the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Checks the shape of an address.
    pub fn parse(text: impl Into<String>) -> Result<Self, ValueError> {
        let text = text.into();
        if text.len() <= MAX_BYTES && has_the_shape(&text) {
            Ok(Self(text))
        } else {
            Err(ValueError("must be an e-mail address, such as ann@example.org".to_owned()))
        }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn has_the_shape(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let clean = text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>' | ',' | ';'));
    let labels = || domain.split('.');
    clean
        && (1..=64).contains(&local.len())
        && !local.contains('@')
        && labels().count() >= 2
        && labels().all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_judged_and_no_more() {
        for good in ["ann@example.org", "a.n+tag@sub.example.co", "jürgen@bücher.example", "o'neil@example.org"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        let long = format!("{}@example.org", "x".repeat(65));
        for bad in [
            "",
            "ann",
            "@example.org",
            "ann@",
            "ann@org",
            "a b@example.org",
            "a@b@example.org",
            "ann@-x.org",
            "ann@example..org",
            "ann\0@example.org",
            "Ann <ann@example.org>",
            &long,
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }
}
