//! Content codings of long answers: gzip, Brotli and Zstandard, whichever the client likes best.
//!
//! A coded body is another representation, so it has an entity tag of its own: the plain one with the coding behind it. What
//! holds a secret beside something the client chose is never compressed (BREACH): whoever calls this knows what it sends.

use std::io::{self, Write};

use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;

use crate::negotiation::best_coding;

/// Shorter bodies are sent as they are: coding them saves no packet.
pub const SHORTEST: usize = 1024;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Zstandard (RFC 8878), the quickest.
    Zstd,
    /// Brotli (RFC 7932).
    Brotli,
    /// gzip (RFC 1952), which everybody understands.
    Gzip,
}

impl Coding {
    /// All of them, ours first.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// The one the client of this request likes best; nothing where it would rather have none.
    pub fn liked(headers: &HeaderMap) -> Option<Self> {
        let best = best_coding(headers, &Self::ALL.map(Self::as_str))?;
        Self::ALL.into_iter().find(|coding| coding.as_str() == best)
    }

    /// Its name in headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The tag of the coded body: `"v3"` becomes `"v3-gzip"`.
    pub fn tag(self, plain: &HeaderValue) -> HeaderValue {
        let coded =
            plain.as_bytes().strip_suffix(b"\"").map(|open| [open, b"-", self.as_str().as_bytes(), b"\""].concat());
        coded.and_then(|coded| HeaderValue::try_from(coded).ok()).unwrap_or_else(|| plain.clone())
    }

    /// Says so in an answer's headers.
    pub fn tell(self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(self.as_str()));
    }

    /// The coded body. Takes some milliseconds a megabyte: long ones are no work for an async thread.
    pub fn encode(self, body: &[u8]) -> io::Result<Bytes> {
        match self {
            Self::Zstd => zstd::bulk::compress(body, zstd::DEFAULT_COMPRESSION_LEVEL).map(Bytes::from),
            Self::Brotli => {
                let parameters = brotli::enc::BrotliEncoderParams { quality: 4, ..Default::default() };
                let mut coded = Vec::with_capacity(body.len() / 4);
                brotli::BrotliCompress(&mut &*body, &mut coded, &parameters)?;
                Ok(coded.into())
            }
            Self::Gzip => {
                let coded = Vec::with_capacity(body.len() / 4);
                let mut encoder = flate2::write::GzEncoder::new(coded, flate2::Compression::default());
                encoder.write_all(body)?;
                encoder.finish().map(Bytes::from)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use axum::http::header::ACCEPT_ENCODING;

    use super::*;

    fn decoded(coding: Coding, body: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match coding {
            Coding::Zstd => plain = zstd::stream::decode_all(body).unwrap(),
            Coding::Brotli => brotli::BrotliDecompress(&mut &*body, &mut plain).unwrap(),
            Coding::Gzip => {
                flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap();
            }
        }
        plain
    }

    #[test]
    fn every_coding_reads_back_and_is_shorter() {
        let body: Vec<u8> = (0..10_000).flat_map(|n: u32| format!("{{\"n\":{n}}},").into_bytes()).collect();
        for coding in Coding::ALL {
            let coded = coding.encode(&body).unwrap();
            assert!(coded.len() < body.len() / 2, "{coding:?} {} of {}", coded.len(), body.len());
            assert_eq!(decoded(coding, &coded), body, "{coding:?}");
            assert_eq!(decoded(coding, &coding.encode(b"").unwrap()), b"", "{coding:?}");
        }
    }

    #[test]
    fn a_coded_body_has_a_tag_of_its_own() {
        let tag = |plain: &'static str| Coding::Gzip.tag(&HeaderValue::from_static(plain));
        assert_eq!(tag("\"v3\""), "\"v3-gzip\"");
        assert_eq!(tag("W/\"v3\""), "W/\"v3-gzip\"");
    }

    #[test]
    fn a_client_gets_the_coding_it_likes() {
        let liked = |accepted: &'static str| {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
            Coding::liked(&headers)
        };
        assert_eq!(liked("gzip, deflate, br, zstd"), Some(Coding::Zstd));
        assert_eq!(liked("br, gzip"), Some(Coding::Brotli));
        assert_eq!((liked("gzip"), liked("deflate")), (Some(Coding::Gzip), None));
        assert_eq!(Coding::liked(&HeaderMap::new()), None);
    }
}
