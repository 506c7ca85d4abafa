//! What becomes of an input: a few changes of bytes, words or numbers, or a piece of another input in its middle.
//! Everything follows from the seed, so an input that was found is found again.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Longer inputs are cut: a parser's limits are for its own tests.
const LONGEST: usize = 64 * 1024;
/// One change leaves an input nearly right, eight leave little.
const CHANGES: [u32; 4] = [1, 2, 4, 8];
/// Where arithmetic and encodings have their edges.
const EDGES: [u8; 8] = [0x00, 0x01, 0x7f, 0x80, 0xbf, 0xc0, 0xfe, 0xff];
const WORDS: [&[u8]; 16] = [
    b"0",
    b"-1",
    b"1e309",
    b"NaN",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"18446744073709551616",
    b"\0",
    b"\"",
    b"\\",
    b"..",
    b"%2e",
    b"\xef\xbb\xbf",
    b"\xff\xff\xff\xff",
    b"\xe2\x80\xae",
    b"9999-12-31T23:59:59Z",
];

/// The input of this number in the run of this seed, made of these.
pub fn made(seeds: &[Vec<u8>], words: &[&[u8]], seed: u64, number: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
    let mut bytes = seeds.choose(&mut random).cloned().unwrap_or_default();
    for _ in 0..CHANGES.choose(&mut random).copied().unwrap_or(1) {
        change(&mut bytes, seeds, words, &mut random);
        bytes.truncate(LONGEST);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&[u8]], random: &mut StdRng) {
    let at = random.random_range(0..=bytes.len());
    let rest = bytes.len() - at;
    match random.random_range(0..24) {
        0..=3 if rest > 0 => bytes[at] ^= 1 << random.random_range(0..8),
        4..=5 if rest > 0 => bytes[at] = random.random(),
        6..=8 if rest > 0 => bytes[at] = EDGES.choose(random).copied().unwrap_or_default(),
        9 => {
            let extra: Vec<u8> = (0..random.random_range(1..16)).map(|_| random.random()).collect();
            bytes.splice(at..at, extra);
        }
        10..=11 => drop(bytes.drain(at..at + random.random_range(0..=rest.min(64)))),
        12 => {
            let repeated = bytes[at..at + random.random_range(0..=rest.min(512))].to_vec();
            bytes.splice(at..at, repeated);
        }
        13 => bytes.truncate(at),
        14..=15 => {
            let other = seeds.choose(random).map(Vec::as_slice).unwrap_or_default();
            let from = random.random_range(0..=other.len());
            let piece = &other[from..from + random.random_range(0..=(other.len() - from).min(1024))];
            bytes.splice(at..at, piece.iter().copied());
        }
        16..=19 => number(bytes, at, random),
        _ => {
            let word = words.iter().chain(&WORDS).copied().collect::<Vec<_>>();
            let word = word.choose(random).copied().unwrap_or_default();
            let replaced = if random.random() { rest.min(word.len()) } else { 0 };
            bytes.splice(at..at + replaced, word.iter().copied());
        }
    }
}

/// Puts a number from the edge in the place of the digits that stand next.
fn number(bytes: &mut Vec<u8>, at: usize, random: &mut StdRng) {
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|start| at + start) else { return };
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let word = WORDS[..7].choose(random).copied().unwrap_or_default();
    bytes.splice(start..start + length, word.iter().copied());
}
