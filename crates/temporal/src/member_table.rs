//! The table of a head: how long the key and the value of each member are.
//!
//! Lengths, not offsets: what lies before a member does not matter to its entry, so that the entries of all
//! that is kept are copied as they are, and whoever walks the members adds them up on the way.

use std::ops::Range;

/// The longest text whose lengths take two bytes.
const NARROW: usize = u16::MAX as usize;

/// The lengths of a head's members in canonical key order: `prefix ‖ value` for each, little-endian, of two
/// bytes or, in a head that is longer than those reach, of four. The prefix is the quoted key and its colon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemberTable<'a> {
    bytes: &'a [u8],
    wide: bool,
}

impl<'a> MemberTable<'a> {
    /// Takes the table of that many members from the front of a buffer that ends with their text.
    ///
    /// Nothing says how wide the entries are: what a narrow table would leave for the text is longer than
    /// `NARROW` exactly where the table is wide.
    #[inline]
    pub fn split(count: usize, buffer: &'a [u8]) -> (Self, &'a [u8]) {
        let wide = buffer.len() - count * 4 > NARROW;
        let (bytes, text) = buffer.split_at(count * entry(wide));
        (Self { bytes, wide }, text)
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() / entry(self.wide)
    }

    /// Takes the first entry off: the lengths of prefix and value.
    #[inline]
    pub fn pop_front(&mut self) -> Option<(usize, usize)> {
        if self.wide {
            let (&[a, b, c, d, e, f, g, h], rest) = self.bytes.split_first_chunk()?;
            self.bytes = rest;
            return Some((
                u32::from_le_bytes([a, b, c, d]) as usize,
                u32::from_le_bytes([e, f, g, h]) as usize,
            ));
        }
        let (&[a, b, c, d], rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some((u16::from_le_bytes([a, b]).into(), u16::from_le_bytes([c, d]).into()))
    }

    fn slice(&self, positions: Range<usize>) -> Self {
        let entry = entry(self.wide);
        Self { bytes: &self.bytes[positions.start * entry..positions.end * entry], wide: self.wide }
    }
}

/// Bytes of one entry.
fn entry(wide: bool) -> usize {
    if wide { 8 } else { 4 }
}

/// A table that is being written.
#[derive(Default)]
pub(crate) struct MemberTableBuf {
    bytes: Vec<u8>,
    wide: bool,
}

impl MemberTableBuf {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.wide = false;
    }

    pub fn push(&mut self, prefix: usize, value: usize) {
        if prefix.max(value) > NARROW {
            self.set_wide(true);
        }
        if self.wide {
            self.bytes.extend_from_slice(&(prefix as u32).to_le_bytes());
            self.bytes.extend_from_slice(&(value as u32).to_le_bytes());
        } else {
            self.bytes.extend_from_slice(&(prefix as u16).to_le_bytes());
            self.bytes.extend_from_slice(&(value as u16).to_le_bytes());
        }
    }

    /// Appends some entries of another table.
    #[inline]
    pub fn copy(&mut self, table: &MemberTable<'_>, positions: Range<usize>) {
        let mut entries = table.slice(positions);
        if self.bytes.is_empty() {
            self.wide = table.wide;
        }
        if self.wide == table.wide {
            return self.bytes.extend_from_slice(entries.bytes);
        }
        while let Some((prefix, value)) = entries.pop_front() {
            self.push(prefix, value);
        }
    }

    /// Number of members and table, as they stand before a text of that length.
    pub fn write(&mut self, text: usize, out: &mut Vec<u8>) {
        self.set_wide(text > NARROW);
        let count = self.bytes.len() / entry(self.wide);
        out.extend_from_slice(&(count as u32).to_le_bytes());
        out.extend_from_slice(&self.bytes);
    }

    /// Bytes that [`write`](Self::write) will take.
    pub fn written_len(&self, text: usize) -> usize {
        4 + self.bytes.len() / entry(self.wide) * entry(text > NARROW)
    }

    /// Rewrites the entries; no length of a narrow table is lost in a text that is narrow.
    fn set_wide(&mut self, wide: bool) {
        if self.wide != wide {
            let bytes = std::mem::take(&mut self.bytes);
            let mut entries = MemberTable { bytes: &bytes, wide: self.wide };
            self.wide = wide;
            while let Some((prefix, value)) = entries.pop_front() {
                self.push(prefix, value);
            }
        }
    }
}
