//! Heads: the current document of an entity, ready to be compared.

use std::borrow::Cow;
use std::fmt;

use intelgraph_json::Value;
use twox_hash::XxHash3_128;
use zeroize::Zeroize;

use crate::error::DiffError;
use crate::key_order::{escape, unescape};
use crate::member_table::{MemberTable, MemberTableBuf};
use crate::rewrite::HeadRewrite;
use crate::spans::Spans;
use crate::wipe::wipe;

/// An entity's current document: its canonical JSON together with where its top-level members are.
///
/// One buffer, so that a cache of a million heads is a million allocations and not ten times that, and no head
/// depends on a register of shapes that would have to be bounded and shared. The buffer is overwritten when
/// the head is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Head {
    /// `members(u32 LE) ‖ table ‖ canonical JSON`.
    buffer: Box<[u8]>,
}

/// The longest text of a head: old and new value of a diff together stay within 32-bit lengths.
const LARGEST: usize = 1 << 30;

impl Head {
    /// The head of a parsed document.
    ///
    /// # Errors
    /// [`DiffError::NotADocument`] for anything but an object.
    pub fn of_value(document: Value<'_>) -> Result<Self, DiffError> {
        let (mut rewrite, mut canonical) = (HeadRewrite::default(), Vec::new());
        rewrite.document(document, &mut canonical)?;
        wipe(&mut canonical);
        rewrite.finish()
    }

    /// The head of a document that is stored in its canonical form, a snapshot.
    ///
    /// # Errors
    /// [`DiffError::Malformed`] where the text is not canonical, [`DiffError::NotADocument`] where it is not an
    /// object. How numbers are spelled is not checked: compare the [`hash`](Self::hash) with the one stored.
    pub fn of_canonical(text: &[u8]) -> Result<Self, DiffError> {
        let mut spans = Spans::default();
        spans.check(text)?;
        if text[0] != b'{' {
            return Err(DiffError::NotADocument);
        }
        let mut table = MemberTableBuf::default();
        for key in spans.children(text, 0) {
            let (key, value) = (spans.get(key), spans.get(key + 1));
            table.push((value.start - key.start) as usize, (value.end - value.start) as usize);
        }
        Self::assemble(&mut table, text)
    }

    /// Puts a text and the table of its members together.
    pub(crate) fn assemble(table: &mut MemberTableBuf, text: &[u8]) -> Result<Self, DiffError> {
        if text.len() > LARGEST {
            return Err(DiffError::NotADocument);
        }
        let mut buffer = Vec::with_capacity(table.written_len(text.len()) + text.len());
        table.write(text.len(), &mut buffer);
        buffer.extend_from_slice(text);
        Ok(Self { buffer: buffer.into_boxed_slice() })
    }

    /// The table and the text.
    #[inline]
    pub(crate) fn parts(&self) -> (MemberTable<'_>, &[u8]) {
        let (&count, rest) = self.buffer.split_first_chunk().unwrap_or((&[0; 4], &[]));
        MemberTable::split(u32::from_le_bytes(count) as usize, rest)
    }

    /// The document in canonical form.
    pub fn json(&self) -> &[u8] {
        self.parts().1
    }

    /// The members in canonical key order.
    pub fn members(&self) -> Members<'_> {
        let (table, text) = self.parts();
        Members { table, text, behind: 0 }
    }

    /// The member at a position of the canonical key order.
    pub fn member(&self, position: usize) -> Option<Member<'_>> {
        self.members().nth(position)
    }

    /// The canonical JSON of the member with that (unescaped) name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let body = escape(name);
        self.members().find(|member| member.body() == body).map(|member| member.value())
    }

    /// Bytes that this head occupies, for a cache that is bounded by memory.
    pub fn weight(&self) -> usize {
        self.buffer.len() + size_of::<Self>()
    }

    /// XXH3-128 of the canonical JSON. It tells versions apart by accident, not by malice: what vouches for a
    /// stored diff is its seal, and for the log its tree.
    pub fn hash(&self, seed: u64) -> u128 {
        hash(self.json(), seed)
    }
}

/// XXH3-128 of a canonical text.
pub(crate) fn hash(text: &[u8], seed: u64) -> u128 {
    XxHash3_128::oneshot_with_seed(seed, text)
}

impl Drop for Head {
    fn drop(&mut self) {
        // As a slice, which is cleared at once and not byte by byte.
        self.buffer[..].zeroize();
    }
}

/// Shows the sizes, never the content.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("members", &self.parts().0.len())
            .field("bytes", &self.buffer.len())
            .finish()
    }
}

/// A top-level member of a head.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    pub(crate) text: &'a [u8],
    /// Where the `{` or `,` before the key stands.
    pub(crate) separator: usize,
    /// Where the value begins.
    pub(crate) start: usize,
    /// Where the value ends.
    pub(crate) end: usize,
}

impl<'a> Member<'a> {
    /// The unescaped key; borrowed unless it holds an escape.
    pub fn key(&self) -> Cow<'a, str> {
        unescape(self.body())
    }

    /// The value in canonical form.
    pub fn value(&self) -> &'a [u8] {
        &self.text[self.start..self.end]
    }

    /// The key in quotes and its colon.
    #[inline]
    pub(crate) fn prefix(&self) -> &'a [u8] {
        &self.text[self.separator + 1..self.start]
    }

    /// The key as the text writes it between its quotes.
    pub(crate) fn body(&self) -> &'a [u8] {
        body(self.prefix())
    }
}

/// Shows the place, never the content.
impl fmt::Debug for Member<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("start", &self.start).field("end", &self.end).finish_non_exhaustive()
    }
}

/// What stands between the quotes of `"key":`.
pub(crate) fn body(prefix: &[u8]) -> &[u8] {
    &prefix[1..prefix.len() - 2]
}

/// The members of a head in canonical key order.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    table: MemberTable<'a>,
    text: &'a [u8],
    /// Where the last member ended.
    behind: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    #[inline]
    fn next(&mut self) -> Option<Member<'a>> {
        let (prefix, value) = self.table.pop_front()?;
        let separator = self.behind;
        let start = separator + 1 + prefix;
        self.behind = start + value;
        Some(Member { text: self.text, separator, start, end: self.behind })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.table.len(), Some(self.table.len()))
    }
}

impl ExactSizeIterator for Members<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        Head::of_canonical(text.as_bytes()).unwrap()
    }

    #[test]
    fn members_are_where_the_table_says() {
        let head = head(r#"{"a":1,"b\n":[2,{"c":3}],"é":"x"}"#);
        let members =
            head.members().map(|member| (member.key().into_owned(), member.value())).collect::<Vec<_>>();
        let expected: [(String, &[u8]); 3] =
            [("a".into(), b"1"), ("b\n".into(), br#"[2,{"c":3}]"#), ("é".into(), br#""x""#)];
        assert_eq!(members, expected);
        assert_eq!(head.get("b\n"), Some(&br#"[2,{"c":3}]"#[..]));
        assert_eq!((head.get("c"), head.member(3).is_none()), (None, true));
        assert_eq!(head.weight(), 4 + 3 * 4 + head.json().len() + 16);
    }

    #[test]
    fn an_empty_document_has_no_members() {
        assert_eq!((head("{}").members().len(), head("{}").json()), (0, &b"{}"[..]));
    }

    #[test]
    fn the_table_widens_with_the_text() {
        // Around 64 KiB the width of the table changes, and the buffer alone has to tell.
        for length in (65_450..65_600).chain([200_000]) {
            let text = format!(r#"{{"a":1,"b":"{}","c":true}}"#, "x".repeat(length));
            let head = head(&text);
            assert_eq!(head.json(), text.as_bytes());
            assert_eq!((head.members().len(), head.get("c")), (3, Some(&b"true"[..])));
        }
    }

    #[test]
    fn refuses_a_root_that_is_no_object() {
        for text in ["[1]", "1", "null", "\"a\""] {
            assert_eq!(Head::of_canonical(text.as_bytes()), Err(DiffError::NotADocument));
        }
    }

    #[test]
    fn debug_shows_no_content() {
        assert_eq!(format!("{:?}", head(r#"{"secret":"x"}"#)), r#"Head { members: 1, bytes: 22 }"#);
    }
}
