//! The keys of an object, sorted: what objects of the same fields have in common.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::key::Key;

/// The keys of an object in canonical order, shared by all objects that a parser has met with these keys,
/// in whatever order they were written.
///
/// A position is an index into that order. [`Value::shape`](crate::Value::shape) and
/// [`Value::member`](crate::Value::member) take a reader from a name that was looked up once to the member
/// of every later object of that shape without comparing keys:
///
/// ```
/// # use intelgraph_json::{Limits, Parser, Tape};
/// # let source = br#"{"tail":"N14228","seats":149}"#;
/// # let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
/// let root = parser.parse(&mut tape, source, 0..source.len())?;
/// let plane = tape.value(source, root);
/// let shape = plane.shape().expect("a small object has a shape");
/// let tail = shape.position("tail").expect("a field of planes");
/// let (key, value) = plane.member(tail).expect("a position of the shape");
/// assert_eq!((key.prefix().as_ref(), value.raw()), (br#""tail":"#.as_slice(), br#""N14228""#.as_slice()));
/// # Ok::<(), intelgraph_json::ParseError>(())
/// ```
pub struct Shape {
    id: u64,
    /// `"key":` of every key, one after the other.
    prefixes: Box<[u8]>,
    entries: Box<[Entry]>,
    /// Of the unescaped keys: tells most names apart without comparing them.
    signatures: Box<[u64]>,
}

struct Entry {
    /// End of the prefix.
    end: u32,
    escaped: bool,
}

impl Shape {
    /// The shape of an object with these keys, which are in canonical order.
    pub(crate) fn new<'a>(keys: impl Iterator<Item = Key<'a>>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (mut prefixes, mut entries, mut signatures) = (Vec::new(), Vec::new(), Vec::new());
        for key in keys {
            let prefix = key.prefix();
            prefixes.extend_from_slice(&prefix);
            entries.push(Entry { end: prefixes.len() as u32, escaped: prefix.contains(&b'\\') });
            signatures.push(signature(key.as_str().as_bytes()));
        }
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            prefixes: prefixes.into(),
            entries: entries.into(),
            signatures: signatures.into(),
        }
    }

    /// Memory that the shape takes; roughly.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.prefixes.len() + size_of_val(&*self.entries) + size_of_val(&*self.signatures)
    }

    /// A number that no other shape of this process has or will have. Another parser, or the same one after
    /// it has forgotten, gives equal keys another number; shapes compare equal by their keys.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How many keys there are.
    #[allow(clippy::len_without_is_empty, reason = "an empty object has no shape")]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The key at a position of the canonical order.
    pub fn key(&self, position: usize) -> Option<Key<'_>> {
        let entry = self.entries.get(position)?;
        let start = position.checked_sub(1).map_or(0, |before| self.entries[before].end as usize);
        Some(Key::canonical(&self.prefixes[start..entry.end as usize], entry.escaped))
    }

    /// The keys in canonical order.
    pub fn keys(&self) -> Keys<'_> {
        Keys { prefixes: &self.prefixes, start: 0, entries: self.entries.iter() }
    }

    /// The position of the (unescaped) key.
    pub fn position(&self, key: &str) -> Option<usize> {
        let signature = signature(key.as_bytes());
        let alike = self.signatures.iter().enumerate().filter(|&(_, &candidate)| candidate == signature);
        alike
            .map(|(position, _)| position)
            .find(|&position| self.key(position).is_some_and(|name| name.is(key)))
    }

    /// The canonical `"key":` of every key, in order and without anything between: equal for equal shapes.
    pub fn prefixes(&self) -> &[u8] {
        &self.prefixes
    }
}

/// Length, first three and last four bytes.
fn signature(key: &[u8]) -> u64 {
    let mut parts = [0; 8];
    let (first, last) = (key.len().min(3), key.len().min(4));
    parts[0] = key.len() as u8;
    parts[1..=first].copy_from_slice(&key[..first]);
    parts[4..4 + last].copy_from_slice(&key[key.len() - last..]);
    u64::from_le_bytes(parts)
}

/// The keys of a shape in canonical order.
#[derive(Clone)]
pub struct Keys<'a> {
    prefixes: &'a [u8],
    start: u32,
    entries: std::slice::Iter<'a, Entry>,
}

impl<'a> Iterator for Keys<'a> {
    type Item = Key<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Key<'a>> {
        let entry = self.entries.next()?;
        let start = std::mem::replace(&mut self.start, entry.end);
        Some(Key::canonical(&self.prefixes[start as usize..entry.end as usize], entry.escaped))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for Keys<'_> {}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id || self.prefixes == other.prefixes
    }
}

impl Eq for Shape {}

/// Keys come from foreign bytes: shows their number only.
impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shape").field("id", &self.id).field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Parser, Tape};

    #[test]
    fn names_that_look_alike_are_told_apart() {
        let source = br#"{"departure_a_minutes":0,"departure_b_minutes":1,"":2,"d":3,"\n":4}"#;
        let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
        let root = parser.parse(&mut tape, source, 0..source.len()).unwrap();
        let root = tape.value(source, root);
        for (name, raw) in
            [("departure_a_minutes", "0"), ("departure_b_minutes", "1"), ("", "2"), ("d", "3"), ("\n", "4")]
        {
            assert_eq!(root.get(name).unwrap().raw(), raw.as_bytes(), "{name}");
        }
        for name in ["departure_c_minutes", "departure_a_minute", "dd", "\\n", "\0"] {
            assert!(root.get(name).is_none(), "{name}");
        }
        assert!(root.member(5).is_none() && root.shape().unwrap().key(5).is_none());
    }

    #[test]
    fn values_stand_at_the_positions_of_their_keys() {
        let source = br#"[{"b":"x\"","a":["y"],"c":"z"},{},0]"#;
        let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
        let root = parser.parse(&mut tape, source, 0..source.len()).unwrap();
        let values: Vec<_> = tape.value(source, root).elements().collect();
        let (shape, members) = values[0].shaped_values().unwrap();
        assert_eq!((shape.prefixes(), members.len()), (br#""a":"b":"c":"#.as_slice(), 3));
        let texts: Vec<_> = members.map(|value| (value.raw(), value.plain_text())).collect();
        let expected: [(&[u8], Option<&[u8]>); 3] =
            [(br#"["y"]"#, None), (br#""x\"""#, None), (br#""z""#, Some(b"z"))];
        assert_eq!(texts, expected);
        assert!(values[1].shaped_values().is_none() && values[2].shaped_values().is_none());
    }
}
