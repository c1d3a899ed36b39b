//! Where the values of a canonical text begin and end.
//!
//! Canonical text has no whitespace, so one pass finds every value; the pass is also what stands between
//! foreign bytes and a [`Head`](crate::Head): it refuses text that is not JSON, escapes that the canonical
//! form does not write, and keys out of order or twice. (How a number is spelled it leaves to the hash of the
//! head, which a text that was spelled otherwise does not have.)

use std::cmp::Ordering;

use intelgraph_json::Limits;

use crate::error::DiffError;
use crate::key_order::key_order;

/// A value or a key (in its quotes) as a range of the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub start: u32,
    pub end: u32,
    /// Index of the first span behind this one and all it contains.
    pub next: u32,
}

/// The spans of one text in the order in which they begin: index 0 is the whole. The members of an object
/// are pairs of key and value.
#[derive(Default)]
pub(crate) struct Spans {
    nodes: Vec<Span>,
    open: Vec<Open>,
}

/// A container whose end has not been seen.
struct Open {
    node: usize,
    /// The last key, in its quotes, as a range of the text; empty before the first one and in an array.
    last_key: (usize, usize),
}

impl Spans {
    pub fn get(&self, index: u32) -> Span {
        self.nodes[index as usize]
    }

    /// The bytes of a span.
    pub fn text<'t>(&self, text: &'t [u8], index: u32) -> &'t [u8] {
        let span = self.get(index);
        &text[span.start as usize..span.end as usize]
    }

    /// Indexes of the elements of an array, of the keys of an object (the value is the next index).
    pub fn children(&self, text: &[u8], container: u32) -> impl Iterator<Item = u32> {
        let keyed = u32::from(text[self.get(container).start as usize] == b'{');
        let (mut child, behind) = (container + 1, self.get(container).next);
        std::iter::from_fn(move || {
            let at = child;
            (at < behind).then(|| {
                child = self.get(at + keyed).next;
                at
            })
        })
    }

    /// Finds the spans of a text that may be foreign, and so holds it to the canonical form.
    pub fn check(&mut self, text: &[u8]) -> Result<(), DiffError> {
        std::str::from_utf8(text).map_err(|error| DiffError::Malformed { at: error.valid_up_to() })?;
        self.scan_values::<true>(text)
    }

    /// Finds the spans of a text that is known to be one canonical value. Anything else is an error too, or
    /// gives some spans.
    pub fn scan(&mut self, text: &[u8]) -> Result<(), DiffError> {
        self.scan_values::<false>(text)
    }

    fn scan_values<const CHECK_ORDER: bool>(&mut self, text: &[u8]) -> Result<(), DiffError> {
        self.nodes.clear();
        self.open.clear();
        u32::try_from(text.len()).map_err(|_| DiffError::NotADocument)?;
        let mut at = 0;
        loop {
            let end = match text.get(at) {
                Some(b'{' | b'[') => match self.begin::<CHECK_ORDER>(text, at)? {
                    Some(first_value) => {
                        at = first_value;
                        continue;
                    }
                    None => at + 2,
                },
                _ => {
                    let end = scalar_end(text, at)?;
                    self.push(at, end);
                    end
                }
            };
            match self.after_value::<CHECK_ORDER>(text, end)? {
                Some(next_value) => at = next_value,
                None => return Ok(()),
            }
        }
    }

    fn push(&mut self, start: usize, end: usize) {
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(Span { start: start as u32, end: end as u32, next });
    }

    /// Opens the container at `at`; gives the position of its first value, or `None` if it is empty.
    fn begin<const CHECK_ORDER: bool>(&mut self, text: &[u8], at: usize) -> Result<Option<usize>, DiffError> {
        if self.open.len() >= usize::from(Limits::DEEPEST) {
            return Err(DiffError::Malformed { at });
        }
        let node = self.nodes.len();
        self.push(at, at + 2);
        if text.get(at + 1) == Some(&closing(text[at])) {
            return Ok(None);
        }
        self.open.push(Open { node, last_key: (0, 0) });
        if text[at] == b'{' { self.key::<CHECK_ORDER>(text, at + 1).map(Some) } else { Ok(Some(at + 1)) }
    }

    /// Takes the key and the colon at `at`; gives the position of the value.
    fn key<const CHECK_ORDER: bool>(&mut self, text: &[u8], at: usize) -> Result<usize, DiffError> {
        let malformed = DiffError::Malformed { at };
        if text.get(at) != Some(&b'"') {
            return Err(malformed);
        }
        let end = string_end(text, at)?;
        if text.get(end) != Some(&b':') {
            return Err(malformed);
        }
        if let (true, Some(open)) = (CHECK_ORDER, self.open.last_mut()) {
            let last = std::mem::replace(&mut open.last_key, (at, end));
            let body = |(start, end): (usize, usize)| &text[start + 1..end - 1];
            if last.1 > 0 && key_order(body(last), body((at, end))) != Ordering::Less {
                return Err(malformed);
            }
        }
        self.push(at, end);
        Ok(end + 1)
    }

    /// Closes what ends behind a value; gives the position of the next value, or `None` at the end of the text.
    fn after_value<const CHECK_ORDER: bool>(
        &mut self,
        text: &[u8],
        mut at: usize,
    ) -> Result<Option<usize>, DiffError> {
        loop {
            let Some(open) = self.open.last() else {
                return if at == text.len() { Ok(None) } else { Err(DiffError::Malformed { at }) };
            };
            let kind = text[self.nodes[open.node].start as usize];
            match text.get(at) {
                Some(b',') if kind == b'{' => return self.key::<CHECK_ORDER>(text, at + 1).map(Some),
                Some(b',') => return Ok(Some(at + 1)),
                Some(&byte) if byte == closing(kind) => {
                    let (node, next) = (open.node, self.nodes.len() as u32);
                    at += 1;
                    (self.nodes[node].end, self.nodes[node].next) = (at as u32, next);
                    self.open.pop();
                }
                _ => return Err(DiffError::Malformed { at }),
            }
        }
    }
}

fn closing(opening: u8) -> u8 {
    if opening == b'{' { b'}' } else { b']' }
}

fn scalar_end(text: &[u8], at: usize) -> Result<usize, DiffError> {
    match text.get(at) {
        Some(b'"') => string_end(text, at),
        Some(b'-' | b'0'..=b'9') => number_end(text, at),
        Some(b't') => literal_end(text, at, b"true"),
        Some(b'f') => literal_end(text, at, b"false"),
        Some(b'n') => literal_end(text, at, b"null"),
        _ => Err(DiffError::Malformed { at }),
    }
}

fn literal_end(text: &[u8], at: usize, literal: &[u8]) -> Result<usize, DiffError> {
    if text[at..].starts_with(literal) { Ok(at + literal.len()) } else { Err(DiffError::Malformed { at }) }
}

fn string_end(text: &[u8], start: usize) -> Result<usize, DiffError> {
    let end = body_end(text, start + 1)?;
    if text.get(end) == Some(&b'"') { Ok(end + 1) } else { Err(DiffError::Malformed { at: end }) }
}

/// Where a string's content ends: at its closing quote or at the end of the text.
fn body_end(text: &[u8], mut at: usize) -> Result<usize, DiffError> {
    loop {
        at += plain(&text[at..]);
        match text.get(at) {
            None | Some(b'"') => return Ok(at),
            Some(b'\\') => match text.get(at + 1) {
                Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') => at += 2,
                Some(b'u') if is_control_escape(text.get(at + 2..at + 6)) => at += 6,
                _ => return Err(DiffError::Malformed { at }),
            },
            Some(_) => return Err(DiffError::Malformed { at }),
        }
    }
}

/// How many bytes stand before the first quote, backslash or control character; eight at a time.
#[inline]
fn plain(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    // The high bit of each byte that is zero; above a zero byte also of one that is 1, so that only the
    // lowest counts.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (mut rest, mut count) = (text, 0);
    while let Some((&word, behind)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(word);
        let control = zeros(word & (ONES * 0xE0));
        let found =
            control | zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return count + found.trailing_zeros() as usize / 8;
        }
        (rest, count) = (behind, count + 8);
    }
    count + rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count()
}

/// RFC 8785 §3.2.2.2 writes `\u` only for control characters without a short escape, in lower case.
fn is_control_escape(digits: Option<&[u8]>) -> bool {
    let Some(&[b'0', b'0', high @ (b'0' | b'1'), low]) = digits else { return false };
    let has_short_form = high == b'0' && matches!(low, b'8' | b'9' | b'a' | b'c' | b'd');
    matches!(low, b'0'..=b'9' | b'a'..=b'f') && !has_short_form
}

/// Whether the bytes are a key or string as canonical text writes it between its quotes.
pub(crate) fn is_string_body(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok() && body_end(body, 0) == Ok(body.len())
}

fn number_end(text: &[u8], start: usize) -> Result<usize, DiffError> {
    let digits = |from: usize| {
        let count =
            text.get(from..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 { Err(DiffError::Malformed { at: from }) } else { Ok(from + count) }
    };
    let integer = start + usize::from(text[start] == b'-');
    let mut at = digits(integer)?;
    if text[integer] == b'0' && at > integer + 1 {
        return Err(DiffError::Malformed { at: integer });
    }
    if text.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at = digits(at + 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-'))))?;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn scan(text: &str) -> Result<Vec<String>, DiffError> {
        let mut spans = Spans::default();
        spans.check(text.as_bytes())?;
        let all = 0..spans.nodes.len() as u32;
        Ok(all.map(|index| String::from_utf8(spans.text(text.as_bytes(), index).to_vec()).unwrap()).collect())
    }

    #[test]
    fn finds_values_in_the_order_in_which_they_begin() {
        let text = r#"{"a":[1,[],{"b":null}],"c":"x\ny"}"#;
        let spans = [text, r#""a""#, r#"[1,[],{"b":null}]"#, "1", "[]", r#"{"b":null}"#, r#""b""#, "null"];
        assert_eq!(scan(text).unwrap(), [&spans[..], &[r#""c""#, r#""x\ny""#]].concat());
        let (mut found, text) = (Spans::default(), text.as_bytes());
        found.scan(text).unwrap();
        assert_eq!(found.children(text, 0).collect::<Vec<_>>(), [1, 8]);
        assert_eq!(found.children(text, 2).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(found.children(text, 4).count(), 0);
    }

    proptest! {
        #[test]
        fn plain_bytes_end_where_they_end(bytes in vec(prop_oneof![4 => any::<u8>(), 1 => Just(b'"'), 1 => 0u8..0x24], 0..40)) {
            let end = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            prop_assert_eq!(plain(&bytes), end.unwrap_or(bytes.len()));
        }
    }

    #[test]
    fn takes_every_scalar() {
        for text in
            ["0", "-1.5e-7", "1e+21", "18446744073709551615", "true", "false", "null", r#""\u001f\"é""#, "{}"]
        {
            assert_eq!(scan(text).unwrap()[0], text);
        }
    }

    #[test]
    fn refuses_what_the_canonical_form_does_not_write() {
        for text in [
            "",
            " 1",
            "1 ",
            "[1,]",
            "[,1]",
            "[1",
            "]",
            "{",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"b":1,"a":2}"#,
            r#"{"a":1,"a":2}"#,
            "{1:2}",
            "[1}",
            r#"{"a":1]"#,
            "01",
            "1.",
            "-",
            ".5",
            "tru",
            "nul",
            r#""a"#,
            "\"\u{1}\"",
            r#""\/""#,
            r#""\u0041""#,
            r#""\u001F""#,
            r#""\u000a""#,
            r#""\u00"#,
            "1e",
            "[1 ]",
            "[[]",
            "1,2",
            "[]]",
        ] {
            assert!(scan(text).is_err(), "{text}");
        }
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(scan(&deep(512)).is_ok() && scan(&deep(513)).is_err());
    }
}
