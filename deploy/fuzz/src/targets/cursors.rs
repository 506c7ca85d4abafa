//! Cursors of lists: any text is refused or taken apart without harm, and any place is read back as it was given out, by its own
//! list and by no other.

use query_api::cursor::{CursorKey, Place};
use uuid::Uuid;

const LIST: &str = "workouts of somebody";

#[expect(clippy::expect_used, reason = "a rule that does not hold fails loudly")]
pub fn accepts(input: &[u8]) -> bool {
    let (text, key) = (String::from_utf8_lossy(input), CursorKey::new([7; 32]));
    let read = Place::from_cursor(&key, LIST, &text);
    if let Ok(mut reader) = Place::from_cursor(&key, LIST, &text) {
        while reader.number().is_ok() {}
    }
    if let Ok(mut reader) = Place::from_cursor(&key, LIST, &text) {
        while reader.instant().is_ok() && reader.id().is_ok() {}
    }
    if let Ok(mut reader) = Place::from_cursor(&key, LIST, &text) {
        while reader.day().is_ok() {}
    }
    let given_out = place(input).to_cursor(&key, LIST);
    assert!(Place::from_cursor(&key, "another list", &given_out).is_err(), "{given_out}");
    let mut reader = Place::from_cursor(&key, LIST, &given_out).expect("what was given out is taken");
    for (number, id) in parts(input) {
        assert_eq!((reader.number().ok(), reader.id().ok()), (Some(number), Some(id)));
    }
    assert!(reader.number().is_err(), "there is no more in it");
    read.is_ok()
}

/// Numbers and ids, as these bytes spell them; as many as fit a cursor.
fn parts(input: &[u8]) -> impl Iterator<Item = (i64, Uuid)> {
    let (words, _) = input.as_chunks::<24>();
    words.iter().take(6).map(|word| {
        let number = word[..8].iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte));
        (number, word[8..].try_into().map(Uuid::from_bytes).unwrap_or_default())
    })
}

fn place(input: &[u8]) -> Place {
    parts(input).fold(Place::default(), |place, (number, id)| place.number(number).id(id))
}
