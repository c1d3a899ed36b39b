//! What lies inside the sealed values of the change log.
//!
//! ```text
//! change   = salt(16) ‖ encoded diff
//! snapshot = 1 ‖ canonical JSON
//!          | 2, where there is no document
//! ```

use std::fmt;

use crate::error::DiffError;
use crate::head::Head;

/// Length of the salt of a change, in bytes.
pub const SALT_LEN: usize = 16;

/// The random bytes under which a change is committed to in the tree over the log: they lie inside the sealed
/// value, so that the tree tells nothing about the diff and outlives its erasure.
pub type Salt = [u8; SALT_LEN];

/// The format of a snapshot that carries a document.
pub const SNAPSHOT_FORMAT: u8 = 1;

/// The format of a snapshot that says there is none: that of a delete which begins what is left of a chain.
pub const ABSENCE_FORMAT: u8 = 2;

/// The plaintext of a sealed change. It is written as the salt followed by what [`Differ`](crate::Differ)
/// appends.
#[derive(Clone, Copy)]
pub struct ChangePlaintext<'a> {
    /// The salt of the change's commitment.
    pub salt: &'a Salt,
    /// The encoded diff.
    pub diff: &'a [u8],
}

impl<'a> ChangePlaintext<'a> {
    /// Takes a plaintext apart.
    ///
    /// # Errors
    /// [`DiffError::Malformed`] where it is shorter than a salt.
    pub fn parse(plaintext: &'a [u8]) -> Result<Self, DiffError> {
        let parts = plaintext.split_first_chunk().ok_or(DiffError::Malformed { at: plaintext.len() })?;
        Ok(Self { salt: parts.0, diff: parts.1 })
    }
}

/// Shows the length, never the content.
impl fmt::Debug for ChangePlaintext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangePlaintext").field("diff_bytes", &self.diff.len()).finish_non_exhaustive()
    }
}

/// Appends the plaintext of a snapshot; `None` is the absence of a document.
pub fn write_snapshot(head: Option<&Head>, out: &mut Vec<u8>) {
    match head {
        Some(head) => {
            out.push(SNAPSHOT_FORMAT);
            out.extend_from_slice(head.json());
        }
        None => out.push(ABSENCE_FORMAT),
    }
}

/// Reads the plaintext of a snapshot.
///
/// # Errors
/// [`DiffError::Format`], [`DiffError::Malformed`], and those of [`Head::of_canonical`].
pub fn read_snapshot(plaintext: &[u8]) -> Result<Option<Head>, DiffError> {
    match plaintext.split_first() {
        Some((&SNAPSHOT_FORMAT, text)) => Head::of_canonical(text).map(Some),
        Some((&ABSENCE_FORMAT, [])) => Ok(None),
        Some((&ABSENCE_FORMAT, _)) => Err(DiffError::Malformed { at: 1 }),
        Some((&format, _)) => Err(DiffError::Format(format)),
        None => Err(DiffError::Malformed { at: 0 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_round_trips() {
        let head = Head::of_canonical(br#"{"a":1}"#).unwrap();
        let mut plaintext = Vec::new();
        write_snapshot(Some(&head), &mut plaintext);
        assert_eq!(plaintext, b"\x01{\"a\":1}");
        assert_eq!(read_snapshot(&plaintext), Ok(Some(head)));
        plaintext.clear();
        write_snapshot(None, &mut plaintext);
        assert_eq!(plaintext, b"\x02");
        assert_eq!(read_snapshot(&plaintext), Ok(None));
        assert_eq!(read_snapshot(b"\x02{}"), Err(DiffError::Malformed { at: 1 }));
        assert_eq!(read_snapshot(b"\x03{}"), Err(DiffError::Format(3)));
        assert_eq!(read_snapshot(b""), Err(DiffError::Malformed { at: 0 }));
    }

    #[test]
    fn a_change_is_a_salt_and_a_diff() {
        let plaintext = [&[7; 16][..], b"diff"].concat();
        let change = ChangePlaintext::parse(&plaintext).unwrap();
        assert_eq!((change.salt, change.diff), (&[7; 16], &b"diff"[..]));
        assert_eq!(ChangePlaintext::parse(&[0; 15]).unwrap_err(), DiffError::Malformed { at: 15 });
        assert_eq!(format!("{change:?}"), "ChangePlaintext { diff_bytes: 4, .. }");
    }
}
