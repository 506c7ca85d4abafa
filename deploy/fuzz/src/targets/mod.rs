//! The parsers of what strangers send, a file each (the three of recordings share one).

mod access_tokens;
mod consistency_tokens;
mod cursors;
mod entity_tags;
mod idempotency_keys;
mod opaque_secrets;
mod recordings;
mod zips;

use std::time::Duration;

/// A parser, and what must hold of it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder of the corpus.
    pub name: &'static str,
    /// Asserts what must hold for any input; says whether the parser accepted this one.
    pub accepts: fn(&[u8]) -> bool,
    /// Words its inputs are made of, to be mixed into them.
    pub words: &'static [&'static [u8]],
    /// How many mutated inputs a short campaign tries.
    pub inputs: u64,
    /// The most memory one input may need.
    pub memory_bytes: usize,
    /// Far longer than any input may take, in a build for tests on a busy machine.
    pub slowest: Duration,
    /// Inputs that cannot be committed, such as tokens that are good now.
    pub made: fn() -> Vec<Vec<u8>>,
    /// Makes right what every input must have right to get far, such as a checksum; every second input goes through it.
    pub mended: fn(Vec<u8>) -> Vec<u8>,
}

/// Short texts.
const TEXT: Target = Target {
    name: "",
    accepts: |_| false,
    words: &[],
    inputs: 20_000,
    memory_bytes: 1024 * 1024,
    slowest: Duration::from_secs(20),
    made: Vec::new,
    mended: |bytes| bytes,
};

/// Files.
const FILE: Target = Target { inputs: 4_000, memory_bytes: 64 * 1024 * 1024, ..TEXT };

/// All of them.
pub static ALL: &[Target] = &[
    Target { made: access_tokens::good, ..named("access_tokens", access_tokens::accepts, access_tokens::WORDS, TEXT) },
    Target {
        mended: consistency_tokens::mended,
        ..named("consistency_tokens", consistency_tokens::accepts, &[b"2.", b"-", b".", b"7fffffff"], TEXT)
    },
    named("cursors", cursors::accepts, &[b"A", b"_", b"="], TEXT),
    named("entity_tags", entity_tags::accepts, &[b"W/", b"*", b"\"v1\"", b", "], TEXT),
    named("idempotency_keys", idempotency_keys::accepts, &[b"\\\"", b"\\\\", b" "], TEXT),
    named("opaque_secrets", opaque_secrets::accepts, &[b"=", b"_", b"-"], TEXT),
    Target { mended: recordings::fit_mended, ..named("fit", recordings::fit, recordings::FIT_WORDS, FILE) },
    named("gpx", recordings::gpx, recordings::XML_WORDS, FILE),
    named("tcx", recordings::tcx, recordings::XML_WORDS, FILE),
    named("stored_recordings", recordings::stored, &[], FILE),
    named("zips", zips::zip, zips::ZIP_WORDS, FILE),
    named("export_documents", zips::document, zips::DOCUMENT_WORDS, TEXT),
];

const fn named(name: &'static str, accepts: fn(&[u8]) -> bool, words: &'static [&'static [u8]], of: Target) -> Target {
    Target { name, accepts, words, ..of }
}
