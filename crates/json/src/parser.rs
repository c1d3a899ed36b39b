//! The parser: one pass over a document, nodes onto the tape.

use std::ops::Range;

use crate::error::{ParseError, ParseErrorKind};
use crate::key::{Key, Utf16Order, key_text, token, utf16_order};
use crate::limits::Limits;
use crate::number::{self, NumberRule};
use crate::scan;
use crate::shape_cache::{DOCUMENT, LOST, ShapeCache, StepId};
use crate::string;
use crate::tape::{ESCAPED, Extent, NONE, Node, REWRITTEN, Root, Tape};
use crate::value::Kind;

/// Parses documents onto tapes. Reusable; keep one per thread, since it learns the keys of the documents
/// that it meets and takes later ones of the same keys much faster.
pub struct Parser {
    limits: Limits,
    numbers: NumberRule,
    pub(crate) cache: ShapeCache,
}

impl Parser {
    /// A parser of records with these limits.
    pub fn new(limits: Limits) -> Self {
        Self::with_numbers(limits, NumberRule::Record)
    }

    pub(crate) fn with_numbers(limits: Limits, numbers: NumberRule) -> Self {
        Self { limits, numbers, cache: ShapeCache::new() }
    }

    /// Parses the document that fills `range` of `source`, whitespace around it allowed, and appends its
    /// nodes to the tape. All documents of a tape lie in one `source`. On an error the tape is left as it
    /// was.
    ///
    /// # Errors
    /// The rule that the document breaks, with the offset from `range.start`.
    /// [`TooLarge`](ParseErrorKind::TooLarge) also where `range` ends beyond 4 GiB of the source.
    ///
    /// # Panics
    /// If `range` does not lie within `source`.
    pub fn parse(&mut self, tape: &mut Tape, source: &[u8], range: Range<usize>) -> Result<Root, ParseError> {
        let doc = &source[range.clone()];
        let base = u32::try_from(range.start).ok().filter(|_| u32::try_from(range.end).is_ok());
        let base = match base {
            Some(base) if doc.len() <= self.limits.max_bytes as usize => base,
            _ => return Err(ParseError::new(ParseErrorKind::TooLarge, self.limits.max_bytes as usize)),
        };
        if simdutf8::basic::from_utf8(doc).is_err() {
            let valid = std::str::from_utf8(doc).err().map_or(0, |error| error.valid_up_to());
            return Err(ParseError::new(ParseErrorKind::InvalidUtf8, valid));
        }
        let (nodes, order, shapes) = (tape.nodes.len(), tape.order.len(), tape.shapes.len());
        let root = Root(tape.len());
        self.cache.begin_document();
        let mut run = Run {
            doc,
            source,
            base,
            ahead: &source[range.start..],
            tape,
            cache: &mut self.cache,
            depth_left: self.limits.depth(),
            numbers: self.numbers,
            rewritten: false,
            fault: (ParseErrorKind::Syntax, 0),
        };
        let Err(Refused) = run.document() else { return Ok(root) };
        let (kind, at) = run.fault;
        tape.nodes.truncate(nodes);
        tape.order.truncate(order);
        tape.shapes.truncate(shapes);
        Err(ParseError::new(kind, at))
    }
}

/// The reason is in [`Run::fault`]: results stay in registers.
struct Refused;

/// One document being parsed. Positions (`at`) are offsets into `doc`.
struct Run<'p> {
    doc: &'p [u8],
    source: &'p [u8],
    /// Offset of `doc` in `source`.
    base: u32,
    /// The source from `doc` on. Looking for something in here needs no care at the end of the document, as
    /// long as it counts only when it lies before.
    ahead: &'p [u8],
    tape: &'p mut Tape,
    cache: &'p mut ShapeCache,
    depth_left: u16,
    numbers: NumberRule,
    /// Something since the innermost open container began is not canonical.
    rewritten: bool,
    fault: (ParseErrorKind, usize),
}

impl Run<'_> {
    fn document(&mut self) -> Result<(), Refused> {
        let at = self.skip(0);
        if at == self.doc.len() {
            return self.refuse(ParseErrorKind::Empty, 0);
        }
        let at = self.value(at, DOCUMENT)?;
        let at = self.skip(at);
        if at < self.doc.len() { self.refuse(ParseErrorKind::Syntax, at) } else { Ok(()) }
    }

    #[cold]
    fn refuse<T>(&mut self, kind: ParseErrorKind, at: usize) -> Result<T, Refused> {
        self.fault = (kind, at.min(self.doc.len()));
        Err(Refused)
    }

    /// Steps over whitespace.
    #[inline(always)]
    fn skip(&mut self, at: usize) -> usize {
        match self.doc.get(at) {
            Some(0..=b' ') => self.skip_some(at),
            _ => at,
        }
    }

    #[inline(never)]
    fn skip_some(&mut self, mut at: usize) -> usize {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.doc.get(at) {
            at += 1;
            self.rewritten = true;
        }
        at
    }

    #[inline(always)]
    fn push(&mut self, kind: Kind, flags: u32, from: usize, to: usize) {
        let next = self.tape.len() + 1;
        self.tape.nodes.push(Node::new(kind, flags, self.base + from as u32, (to - from) as u32, next));
        self.rewritten |= flags & REWRITTEN != 0;
    }

    /// The value at `at`, which belongs to the member `owner`.
    #[inline(always)]
    fn value(&mut self, at: usize, owner: StepId) -> Result<usize, Refused> {
        match self.doc.get(at) {
            Some(b'"') => self.string(at),
            Some(b'-' | b'0'..=b'9') => {
                let (end, flags) = match number::scan_plain(self.ahead, at) {
                    Some(plain) if plain.0 <= self.doc.len() => plain,
                    _ => self.unusual_number(at)?,
                };
                self.push(Kind::Number, flags, at, end);
                Ok(end)
            }
            Some(b'{') => self.object(at, owner),
            Some(b'[') => self.array(at, owner),
            Some(b't') => self.literal(at, Kind::True, b"true"),
            Some(b'f') => self.literal(at, Kind::False, b"false"),
            Some(b'n') => self.literal(at, Kind::Null, b"null"),
            _ => self.refuse(ParseErrorKind::Syntax, at),
        }
    }

    #[inline(never)]
    fn unusual_number(&mut self, at: usize) -> Result<(usize, u32), Refused> {
        number::scan(self.doc, at, self.numbers).or_else(|(kind, at)| self.refuse(kind, at))
    }

    fn literal(&mut self, at: usize, kind: Kind, text: &[u8]) -> Result<usize, Refused> {
        if !self.doc[at..].starts_with(text) {
            return self.refuse(ParseErrorKind::Syntax, at);
        }
        self.push(kind, 0, at, at + text.len());
        Ok(at + text.len())
    }

    #[inline(always)]
    fn string(&mut self, start: usize) -> Result<usize, Refused> {
        let end = scan::plain_end(self.ahead, start + 1);
        if self.doc.get(end) != Some(&b'"') {
            return self.string_with_escapes(start, end);
        }
        self.push(Kind::String, 0, start, end + 1);
        Ok(end + 1)
    }

    #[inline(never)]
    fn string_with_escapes(&mut self, start: usize, mut at: usize) -> Result<usize, Refused> {
        let mut flags = 0;
        loop {
            match self.doc.get(at) {
                Some(b'"') => break,
                Some(b'\\') => match string::check_escape(self.doc, at) {
                    Ok((behind, more)) => {
                        flags |= more;
                        at = scan::plain_end(self.ahead, behind);
                    }
                    Err(kind) => return self.refuse(kind, at),
                },
                _ => return self.refuse(ParseErrorKind::Syntax, at),
            }
        }
        self.push(Kind::String, flags, start, at + 1);
        Ok(at + 1)
    }

    /// Reserves the two nodes of a container, and gives their index and what [`Self::close`] needs.
    fn open(&mut self, start: usize, kind: Kind) -> Result<(usize, bool), Refused> {
        let Some(left) = self.depth_left.checked_sub(1) else {
            return self.refuse(ParseErrorKind::TooDeep, start);
        };
        self.depth_left = left;
        let me = self.tape.nodes.len();
        self.push(kind, 0, start, start);
        self.push(kind, 0, start, start);
        Ok((me, std::mem::replace(&mut self.rewritten, false)))
    }

    fn close(&mut self, me: usize, outer: bool, kind: Kind, span: Range<usize>, extent: Extent) {
        let flags = if self.rewritten { REWRITTEN } else { 0 };
        let next = self.tape.len();
        self.tape.nodes[me] = Node::new(kind, flags, self.base + span.start as u32, span.len() as u32, next);
        self.tape.nodes[me + 1] = extent.into();
        self.rewritten |= outer;
        self.depth_left += 1;
    }

    fn array(&mut self, start: usize, owner: StepId) -> Result<usize, Refused> {
        let (me, outer) = self.open(start, Kind::Array)?;
        let (mut at, mut count) = (self.skip(start + 1), 0);
        if self.doc.get(at) == Some(&b']') {
            at += 1;
        } else {
            loop {
                at = self.value(at, owner)?;
                count += 1;
                at = self.skip(at);
                match self.doc.get(at) {
                    Some(b',') => at = self.skip(at + 1),
                    Some(b']') => break at += 1,
                    _ => return self.refuse(ParseErrorKind::Syntax, at),
                }
            }
        }
        self.close(me, outer, Kind::Array, start..at, Extent { count, order: NONE, shape: NONE });
        Ok(at)
    }

    fn object(&mut self, start: usize, owner: StepId) -> Result<usize, Refused> {
        let (me, outer) = self.open(start, Kind::Object)?;
        let mut at = self.skip(start + 1);
        if self.doc.get(at) == Some(&b'}') {
            self.close(me, outer, Kind::Object, start..at + 1, Extent { count: 0, order: NONE, shape: NONE });
            return Ok(at + 1);
        }
        let mut count = 0;
        let mut step = self.cache.inside(owner);
        loop {
            match self.cache.ahead(step, self.ahead, at) {
                Some(key) => {
                    self.push(Kind::String, key.flags, at, at + key.len - 1);
                    (step, at) = (key.step, at + key.len);
                }
                None => (step, at) = self.key(step, at)?,
            }
            at = self.skip(at);
            at = self.value(at, step)?;
            count += 1;
            at = self.skip(at);
            match self.doc.get(at) {
                Some(b',') => at = self.skip(at + 1),
                Some(b'}') => break at += 1,
                _ => return self.refuse(ParseErrorKind::Syntax, at),
            }
        }
        let extent = match self.arrange(me, step) {
            Some(extent) => extent,
            None => self.arrange_unknown(me, count, owner, step, at)?,
        };
        self.close(me, outer, Kind::Object, start..at, extent);
        Ok(at)
    }

    /// A key that is not the expected one, or not written as expected. Gives its step and the position
    /// behind the colon.
    fn key(&mut self, step: StepId, start: usize) -> Result<(StepId, usize), Refused> {
        if self.doc.get(start) != Some(&b'"') {
            return self.refuse(ParseErrorKind::Syntax, start);
        }
        let end = self.string(start)?;
        let at = self.skip(end);
        if self.doc.get(at) != Some(&b':') {
            return self.refuse(ParseErrorKind::Syntax, at);
        }
        Ok((self.cache.named(step, &self.doc[start..end]), at + 1))
    }

    /// Lists the keys of an object in canonical order, where the cache knows that order.
    #[inline(always)]
    fn arrange(&mut self, object: usize, step: StepId) -> Option<Extent> {
        let ending = self.cache.ending(step)?;
        self.rewritten |= !ending.in_order;
        let shape = self.tape.shape_slot(&ending.shape, ending.tape_slot);
        ending.tape_slot = shape;
        let Tape { nodes, order, .. } = &mut *self.tape;
        let (offset, count) = (order.len(), ending.ranks.len());
        order.resize(offset + count, NONE);
        let ordered = &mut order[offset..];
        let mut key = object + 2;
        for &rank in &ending.ranks {
            ordered[usize::from(rank)] = key as u32;
            key = nodes[key + 1].next as usize;
        }
        Some(Extent { count: count as u32, order: offset as u32, shape })
    }

    /// Sorts the keys, refuses duplicates, and remembers the order where that is worth it.
    #[inline(never)]
    fn arrange_unknown(
        &mut self,
        object: usize,
        count: u32,
        owner: StepId,
        step: StepId,
        end: usize,
    ) -> Result<Extent, Refused> {
        let (nodes, source) = (&self.tape.nodes, self.source);
        let first = object as u32 + 2;
        let following = |&key: &u32| Some(nodes[key as usize + 1].next);
        let keys: Vec<u32> = std::iter::successors(Some(first), following).take(count as usize).collect();
        let node = |key: u32| nodes[key as usize];
        let mut sorted = keys.clone();
        if keys.iter().any(|&key| node(key).has(ESCAPED)) {
            sorted.sort_by_cached_key(|&key| Utf16Order(key_text(source, node(key))));
        } else {
            let body = |key: u32| string::body(token(source, node(key)));
            sorted.sort_by(|&a, &b| utf16_order(body(a), body(b)));
        }
        let same = |pair: &[u32]| key_text(source, node(pair[0])) == key_text(source, node(pair[1]));
        if step == LOST && sorted.windows(2).any(same) {
            return self.refuse(ParseErrorKind::DuplicateKey, end);
        }
        self.rewritten |= sorted != keys;
        let ending = self.cache.learn(owner, &keys, &sorted, |key| Key::of_node(source, node(key)));
        let shape = ending.map_or(NONE, |ending| {
            ending.tape_slot = self.tape.shape_slot(&ending.shape, ending.tape_slot);
            ending.tape_slot
        });
        if shape == NONE && sorted == keys {
            return Ok(Extent { count, order: NONE, shape });
        }
        let order = self.tape.order.len() as u32;
        self.tape.order.extend_from_slice(&sorted);
        Ok(Extent { count, order, shape })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_takes_back_all_that_was_put_on_the_tape() {
        let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
        let source = br#"{"a":[{"y":1,"x":2}]} {"b":[{"y":1,"x":2},{"x":1,"z":2}],"b":0}"#;
        parser.parse(&mut tape, source, 0..22).unwrap();
        let sizes = |tape: &Tape| (tape.nodes.len(), tape.order.len(), tape.shapes.len());
        let before = sizes(&tape);
        for _ in 0..3 {
            parser.parse(&mut tape, source, 22..source.len()).unwrap_err();
            assert_eq!(sizes(&tape), before);
        }
        parser.parse(&mut tape, source, 0..22).unwrap();
        assert_eq!(tape.nodes.len(), 2 * before.0);
    }
}
