//! Passwords that guessers try first: the bundled list of common ones, and what can be guessed from whose account it is.
use std::{collections::HashSet, sync::LazyLock};

/// Source and licence are in the file's first lines.
const LIST: &str = include_str!("common.txt");
/// What everybody here would think of.
const PRODUCT: [&str; 2] = ["fittrack", "fit track"];
/// Shorter words are in everything.
const MIN_WORD: usize = 3;
/// What must be left of a password besides such words.
const MIN_REST: usize = 6;

static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| LIST.lines().filter(|line| !line.starts_with('#')).collect());

/// Whether it is on the list, in letters of whichever case.
pub fn is_common(password: &str) -> bool {
    COMMON.contains(password.to_lowercase().as_str())
}

/// Whether hardly anything is left of it without the product's name and these texts (an address, a name) or their words.
pub fn follows_from(password: &str, texts: &[&str]) -> bool {
    let texts: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
    let parts = texts.iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
    let mut words: Vec<&str> = PRODUCT.into_iter().chain(texts.iter().map(String::as_str)).chain(parts).collect();
    words.retain(|word| word.chars().count() >= MIN_WORD);
    // The longest first: an address goes as a whole.
    words.sort_unstable_by_key(|word| std::cmp::Reverse(word.len()));
    let lower = password.to_lowercase();
    let rest = words.iter().fold(lower.clone(), |rest, word| rest.replace(word, ""));
    rest.len() < lower.len() && rest.chars().count() < MIN_REST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_the_three_thousand_most_common_passwords_and_more() {
        assert!(COMMON.len() > 3_000, "{}", COMMON.len());
        assert!(COMMON.iter().all(|password| password.len() >= 8));
        for common in ["password1", "Password1", "12345678", "QWERTYUIOP", "iloveyou1"] {
            assert!(is_common(common), "{common}");
        }
        for good in ["correct horse battery", " password1", "🏃🏃🏃🏃🏃🏃🏃🏃"] {
            assert!(!is_common(good), "{good}");
        }
    }

    #[test]
    fn a_password_must_not_follow_from_whose_it_is() {
        let ann = ["ann.miller@example.org", "Ann Miller"];
        for guessed in [
            "fittrack",
            "FitTrack2026",
            "ann.miller@example.org",
            "annmiller1",
            "MillerAnn!",
            "example1234",
            "millerfittrack",
        ] {
            assert!(follows_from(guessed, &ann), "{guessed}");
        }
        for good in ["correct horse battery", "my fittrack is 42 cool", "8 annoying crows", "short"] {
            assert!(!follows_from(good, &ann), "{good}");
        }
    }
}
