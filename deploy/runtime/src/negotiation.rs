//! What a client takes: media types (`Accept`) and content codings (`Accept-Encoding`), read as RFC 9110, 12.5 says.

use axum::http::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};
use axum::http::{HeaderMap, HeaderValue};

/// More members than this in one header are no honest question; the rest is not read.
const MOST_MEMBERS: usize = 64;

/// The media types a client takes.
#[derive(Debug, Clone)]
pub(crate) struct Accept(Vec<HeaderValue>);

impl Accept {
    /// What the request says; nothing where it takes anything.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(ACCEPT).iter();
        let (first, second) = (lines.next()?, lines.next());
        let takes_anything = second.is_none() && first.as_bytes() == b"*/*";
        (!takes_anything).then(|| Self(headers.get_all(ACCEPT).iter().cloned().collect()))
    }

    /// Whether it takes a media type. The most specific range that names it decides; a header that names nothing readable
    /// refuses nothing.
    pub(crate) fn allows(&self, media_type: &str) -> bool {
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let kind = media_type.split('/').next().unwrap_or_default();
        let mut best: Option<(u8, u16)> = None;
        let mut any = false;
        for (range, quality) in members(&self.0) {
            any = true;
            let specific = match range.split_once('/') {
                Some(("*", "*")) => 0,
                Some((of, "*")) if of.eq_ignore_ascii_case(kind) => 1,
                Some(_) if range.eq_ignore_ascii_case(media_type) => 2,
                _ => continue,
            };
            if best.is_none_or(|(found, _)| specific >= found) {
                best = Some((specific, quality));
            }
        }
        !any || best.is_some_and(|(_, quality)| quality > 0)
    }
}

/// The first of `ours` among the content codings the client likes best; nothing where it would rather have none.
pub(crate) fn best_coding<'a>(headers: &HeaderMap, ours: &[&'a str]) -> Option<&'a str> {
    if !headers.contains_key(ACCEPT_ENCODING) {
        return None;
    }
    let lines = lines(headers, &ACCEPT_ENCODING);
    let quality_of = |coding: &str| {
        let named = members(&lines).filter(|(name, _)| name.eq_ignore_ascii_case(coding)).map(|(_, quality)| quality);
        named.last()
    };
    let any = quality_of("*");
    let plain = quality_of("identity").unwrap_or(0);
    let liked = ours.iter().filter_map(|coding| Some((quality_of(coding).or(any)?, *coding)));
    // The first of the best; `max_by_key` would give the last.
    let best = liked.filter(|(quality, _)| *quality > 0 && *quality >= plain).fold(None, |best, next| match best {
        Some((quality, _)) if quality >= next.0 => best,
        _ => Some(next),
    });
    best.map(|(_, coding)| coding)
}

fn lines(headers: &HeaderMap, name: &HeaderName) -> Vec<HeaderValue> {
    headers.get_all(name).iter().cloned().collect()
}

/// The members of a list with their weights in thousandths.
fn members(lines: &[HeaderValue]) -> impl Iterator<Item = (&str, u16)> {
    let members = lines.iter().flat_map(|line| line.to_str().unwrap_or_default().split(','));
    members.map(str::trim).filter(|member| !member.is_empty()).take(MOST_MEMBERS).map(|member| {
        let mut parts = member.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight =
            parts.filter_map(|part| part.split_once('=')).find(|(key, _)| key.trim().eq_ignore_ascii_case("q"));
        (name, weight.and_then(|(_, text)| thousandths(text.trim())).unwrap_or(1000))
    })
}

/// `0.75` is 750; nothing where it is no weight.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_weight = matches!(whole, "0" | "1") && fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    let value: u16 = if is_weight { format!("{whole}{fraction:0<3}").parse().ok()? } else { return None };
    (value <= 1000).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_most_specific_range_decides() {
        for (accept, takes_json) in [
            (&[][..], true),
            (&["*/*"], true),
            (&["application/json"], true),
            (&["Application/JSON"], true),
            (&["application/*"], true),
            (&["text/html, */*;q=0.1"], true),
            (&["text/html", "application/json;q=0.5"], true),
            (&["text/html"], false),
            (&["text/*, image/png"], false),
            (&["application/json;q=0"], false),
            (&["application/json;q=0.000, */*"], false),
            (&["*/*;q=0"], false),
            (&["*/*;q=0, application/json;q=0.001"], true),
            (&["application/xml"], false),
            (&["application/json;charset=utf-8;q=0.9"], true),
            (&["application/json;q=much"], true),
            (&[","], true),
        ] {
            let accept_json =
                Accept::of(&headers(&ACCEPT, accept)).is_none_or(|accept| accept.allows("application/json"));
            assert_eq!(accept_json, takes_json, "{accept:?}");
        }
        let accept = Accept::of(&headers(&ACCEPT, &["application/gpx+xml"])).unwrap();
        assert!(accept.allows("application/gpx+xml; charset=utf-8"));
    }

    #[test]
    fn the_coding_a_client_likes_best_is_taken_and_ours_among_equals() {
        const OURS: &[&str] = &["zstd", "br", "gzip"];
        for (accept, coding) in [
            (&[][..], None),
            (&[""], None),
            (&["gzip"], Some("gzip")),
            (&["gzip, deflate, br, zstd"], Some("zstd")),
            (&["gzip", "br"], Some("br")),
            (&["gzip;q=1.0, br;q=0.9"], Some("gzip")),
            (&["GZIP"], Some("gzip")),
            (&["*"], Some("zstd")),
            (&["*;q=0.5, zstd;q=0, br;q=0"], Some("gzip")),
            (&["deflate"], None),
            (&["identity"], None),
            (&["identity, gzip;q=0.5"], None),
            (&["identity;q=0.5, gzip"], Some("gzip")),
            (&["gzip;q=0"], None),
        ] {
            assert_eq!(best_coding(&headers(&ACCEPT_ENCODING, accept), OURS), coding, "{accept:?}");
        }
    }
}
