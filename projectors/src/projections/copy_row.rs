//! Rows for `COPY ... (FORMAT binary)`, made with the same encoders that bind a statement's arguments: so what a rebuild loads
//! is byte for byte what a batch would have written.
use sqlx::{Encode, Postgres, encode::IsNull, postgres::PgArgumentBuffer};

/// What a binary COPY begins with: signature, flags and the length of no further header (PostgreSQL manual, "COPY").
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with: a row of -1 columns.
pub(crate) const TRAILER: &[u8] = &[0xff, 0xff];

/// Most rows are no longer: they grow once.
const USUAL_BYTES: usize = 192;

/// One row: its number of columns, then each column's length and bytes.
#[derive(Default)]
pub struct CopyRow {
    buffer: PgArgumentBuffer,
    columns: i16,
    failed: Option<sqlx::Error>,
}

impl CopyRow {
    /// The row with another column. A value that cannot be encoded fails the whole row when it is taken.
    #[must_use]
    pub fn column<'q, T: Encode<'q, Postgres>>(mut self, value: T) -> Self {
        let at = self.buffer.len();
        if at == 0 {
            self.buffer.reserve(USUAL_BYTES);
        }
        self.buffer.extend_from_slice(&[0; 4]);
        match value.encode(&mut self.buffer) {
            Ok(IsNull::Yes) => self.set_length(at, -1),
            Ok(IsNull::No) => match i32::try_from(self.buffer.len() - at - 4) {
                Ok(length) => self.set_length(at, length),
                Err(error) => self.failed = Some(sqlx::Error::Encode(error.into())),
            },
            Err(error) => self.failed = Some(sqlx::Error::Encode(error)),
        }
        self.columns += 1;
        self
    }

    /// Appends the row to what is sent.
    pub(crate) fn append_to(self, bytes: &mut Vec<u8>) -> Result<(), sqlx::Error> {
        self.failed.map_or(Ok(()), Err)?;
        bytes.extend_from_slice(&self.columns.to_be_bytes());
        bytes.extend_from_slice(&self.buffer);
        Ok(())
    }

    fn set_length(&mut self, at: usize, length: i32) {
        if let Some(place) = self.buffer.get_mut(at..at + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_its_columns_with_their_lengths_and_null_has_none() {
        let mut bytes = Vec::new();
        CopyRow::default().column("ab").column(None::<i64>).column(7_i32).append_to(&mut bytes).unwrap();
        assert_eq!(bytes, [&[0, 3][..], &[0, 0, 0, 2], b"ab", &[0xff; 4], &[0, 0, 0, 4], &[0, 0, 0, 7]].concat());
    }
}
