//! Keys of objects and their canonical order.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use crate::string;
use crate::tape::{ESCAPED, Node, REWRITTEN};

/// The bytes of a node's token.
pub(crate) fn token(source: &[u8], node: Node) -> &[u8] {
    &source[node.start as usize..][..node.len as usize]
}

/// The key of a member.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    /// The quoted key, with the colon where that follows at once.
    written: &'a [u8],
    colon: bool,
    escaped: bool,
    canonical: bool,
}

impl<'a> Key<'a> {
    #[inline(always)]
    pub(crate) fn of_node(source: &'a [u8], node: Node) -> Self {
        let (start, end) = (node.start as usize, (node.start + node.len) as usize);
        let colon = source.get(end) == Some(&b':');
        Self {
            written: &source[start..end + usize::from(colon)],
            colon,
            escaped: node.has(ESCAPED),
            canonical: !node.has(REWRITTEN),
        }
    }

    /// A key in canonical form, with its colon.
    #[inline(always)]
    pub(crate) fn canonical(prefix: &'a [u8], escaped: bool) -> Self {
        Self { written: prefix, colon: true, escaped, canonical: true }
    }

    #[inline(always)]
    pub(crate) fn quoted_as_written(self) -> &'a [u8] {
        &self.written[..self.written.len() - usize::from(self.colon)]
    }

    /// The unescaped key; borrowed unless it holds an escape.
    pub fn as_str(self) -> Cow<'a, str> {
        string::text(string::body(self.quoted_as_written()), self.escaped)
    }

    /// Whether the unescaped key is `name`.
    pub fn is(self, name: &str) -> bool {
        if self.escaped {
            self.as_str() == name
        } else {
            string::body(self.quoted_as_written()) == name.as_bytes()
        }
    }

    /// The key as the canonical form writes it, in quotes: `"key"`.
    pub fn quoted(self) -> Cow<'a, [u8]> {
        if self.canonical { Cow::Borrowed(self.quoted_as_written()) } else { Cow::Owned(self.rewritten()) }
    }

    /// The key as the canonical form writes it before the value, in quotes and with the colon: `"key":`.
    /// One borrowed slice unless the producer wrote it otherwise.
    #[inline(always)]
    pub fn prefix(self) -> Cow<'a, [u8]> {
        if self.canonical && self.colon {
            return Cow::Borrowed(self.written);
        }
        let mut prefix = self.quoted().into_owned();
        prefix.push(b':');
        Cow::Owned(prefix)
    }

    /// The flags of the key's node.
    pub(crate) fn flags(self) -> u32 {
        (if self.escaped { ESCAPED } else { 0 }) | (if self.canonical { 0 } else { REWRITTEN })
    }

    fn rewritten(self) -> Vec<u8> {
        let mut quoted = Vec::with_capacity(self.written.len());
        string::write(&self.as_str(), &mut quoted);
        quoted
    }
}

/// Keys are field names, still they come from foreign bytes: shows the length only.
impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("bytes", &self.quoted_as_written().len()).finish_non_exhaustive()
    }
}

/// Compares two UTF-8 texts by their UTF-16 code units, the key order of RFC 8785 §3.2.3.
///
/// It differs from the order of the bytes only above U+FFFF: surrogates (D800–DFFF) sort before U+E000–U+FFFF,
/// while their UTF-8 lead bytes (F0–F4) sort after those (EE, EF). The first differing byte decides, since it
/// is a lead byte wherever the two orders disagree.
pub(crate) fn utf16_order(a: &[u8], b: &[u8]) -> Ordering {
    match a.iter().zip(b).find(|(x, y)| x != y) {
        Some((&x, &y)) if x >= 0xEE && y >= 0xEE && (x >= 0xF0) != (y >= 0xF0) => y.cmp(&x),
        Some((x, y)) => x.cmp(y),
        None => a.len().cmp(&b.len()),
    }
}

/// A text that sorts by [`utf16_order`].
#[derive(PartialEq, Eq)]
pub(crate) struct Utf16Order<'a>(pub(crate) Cow<'a, [u8]>);

impl Ord for Utf16Order<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        utf16_order(&self.0, &other.0)
    }
}

impl PartialOrd for Utf16Order<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The unescaped bytes of a key on the tape.
pub(crate) fn key_text(source: &[u8], node: Node) -> Cow<'_, [u8]> {
    let body = string::body(token(source, node));
    if node.has(ESCAPED) { Cow::Owned(string::unescape(body).into_bytes()) } else { Cow::Borrowed(body) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn order_is_that_of_utf16_code_units(a in any::<String>(), b in any::<String>()) {
            prop_assert_eq!(utf16_order(a.as_bytes(), b.as_bytes()), a.encode_utf16().cmp(b.encode_utf16()));
        }
    }

    #[test]
    fn astral_sorts_before_the_last_of_the_basic_plane() {
        assert_eq!(utf16_order("😀".as_bytes(), "\u{FB33}".as_bytes()), Ordering::Less);
        assert_eq!(utf16_order("a😀".as_bytes(), "a€".as_bytes()), Ordering::Greater);
        assert_eq!(utf16_order(b"a", b"ab"), Ordering::Less);
    }
}
