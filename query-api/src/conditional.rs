//! `If-None-Match` against an answer's `ETag`, as RFC 9110 compares them: weakly, with lists and `*`.
//! Asked of every answer just before it is sent.

/// Whether the header names the tag (or anything, `*`). What cannot be read names nothing.
pub fn none_match_names(header: &[u8], etag: &[u8]) -> bool {
    let mut rest = header.trim_ascii();
    if rest == b"*" {
        return true;
    }
    let wanted = etag.strip_prefix(b"W/").unwrap_or(etag);
    loop {
        // Places of a list may be empty.
        while let [b',' | b' ' | b'\t', next @ ..] = rest {
            rest = next;
        }
        rest = rest.strip_prefix(b"W/").unwrap_or(rest);
        // A comma may be inside the quotes.
        let Some(end) = rest.strip_prefix(b"\"").and_then(|inner| inner.iter().position(|byte| *byte == b'"')) else {
            return false;
        };
        let (tag, after) = rest.split_at(end + 2);
        if tag == wanted {
            return true;
        }
        let Some(next) = after.trim_ascii_start().strip_prefix(b",") else { return false };
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_weak_tags_and_the_star_are_understood() {
        for names in [
            "\"v3\"",
            "W/\"v3\"",
            "*",
            " * ",
            "\"v1\", \"v3\"",
            "\"a,b\" ,W/\"v3\", \"x\"",
            "\"\",\"v3\"",
            ", ,\"v1\",,\t\"v3\"",
        ] {
            assert!(none_match_names(names.as_bytes(), b"\"v3\""), "{names}");
        }
        assert!(none_match_names(b"\"v3\"", b"W/\"v3\""));
    }

    #[test]
    fn other_tags_and_nonsense_name_nothing() {
        for other in ["", "v3", "\"v33\"", "\"v3", "\"v1\" \"v3\"", "\"v1\", *", "W/", ",", "\"v1\","] {
            assert!(!none_match_names(other.as_bytes(), b"\"v3\""), "{other}");
        }
    }
}
