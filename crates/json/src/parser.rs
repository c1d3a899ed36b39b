//! The parser: one pass over a document, nodes onto the tape.

use std::ops::Range;

use crate::error::{ParseError, ParseErrorKind};
use crate::key::{key_text, utf16_order};
use crate::limits::Limits;
use crate::number::{self, NumberRule};
use crate::string;
use crate::tape::{ESCAPED, Extent, NONE, Node, REWRITTEN, Root, Tape};
use crate::value::Kind;

/// Parses documents onto tapes. Reusable; keep one per thread.
pub struct Parser {
    limits: Limits,
    numbers: NumberRule,
}

impl Parser {
    /// A parser of records with these limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, numbers: NumberRule::Record }
    }

    pub(crate) fn i_json(limits: Limits) -> Self {
        Self { limits, numbers: NumberRule::IJson }
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
        let (nodes, order) = (tape.nodes.len(), tape.order.len());
        let root = Root(tape.len());
        let mut run = Run {
            doc,
            base,
            source,
            tape,
            depth_left: self.limits.depth(),
            numbers: self.numbers,
            whitespace: false,
        };
        run.document().map_err(|(kind, at)| {
            tape.nodes.truncate(nodes);
            tape.order.truncate(order);
            ParseError::new(kind, at)
        })?;
        Ok(root)
    }
}

type Fault = (ParseErrorKind, usize);

/// One document being parsed. Positions (`at`) are offsets into `doc`.
struct Run<'p> {
    doc: &'p [u8],
    /// Offset of `doc` in `source`.
    base: u32,
    source: &'p [u8],
    tape: &'p mut Tape,
    depth_left: u16,
    numbers: NumberRule,
    /// Whitespace was skipped since the innermost open container began.
    whitespace: bool,
}

impl Run<'_> {
    fn document(&mut self) -> Result<(), Fault> {
        let at = self.skip(0);
        if at == self.doc.len() {
            return Err((ParseErrorKind::Empty, 0));
        }
        let at = self.value(at)?;
        let at = self.skip(at);
        if at < self.doc.len() { Err((ParseErrorKind::Syntax, at)) } else { Ok(()) }
    }

    fn skip(&mut self, mut at: usize) -> usize {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.doc.get(at) {
            at += 1;
            self.whitespace = true;
        }
        at
    }

    fn push(&mut self, kind: Kind, flags: u32, from: usize, to: usize) {
        let next = self.tape.len() + 1;
        self.tape.nodes.push(Node::new(kind, flags, self.base + from as u32, (to - from) as u32, next));
    }

    fn value(&mut self, at: usize) -> Result<usize, Fault> {
        match self.doc.get(at) {
            Some(b'"') => self.string(at),
            Some(b'-' | b'0'..=b'9') => {
                let (end, flags) = number::scan(self.doc, at, self.numbers)?;
                self.push(Kind::Number, flags, at, end);
                Ok(end)
            }
            Some(b'{') => self.container(at, Kind::Object),
            Some(b'[') => self.container(at, Kind::Array),
            Some(b't') => self.literal(at, Kind::True, b"true"),
            Some(b'f') => self.literal(at, Kind::False, b"false"),
            Some(b'n') => self.literal(at, Kind::Null, b"null"),
            _ => Err((ParseErrorKind::Syntax, at)),
        }
    }

    fn literal(&mut self, at: usize, kind: Kind, text: &[u8]) -> Result<usize, Fault> {
        if !self.doc[at..].starts_with(text) {
            return Err((ParseErrorKind::Syntax, at));
        }
        self.push(kind, 0, at, at + text.len());
        Ok(at + text.len())
    }

    fn string(&mut self, start: usize) -> Result<usize, Fault> {
        let (mut at, mut flags) = (start + 1, 0);
        loop {
            match self.doc.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    let (behind, more) = string::check_escape(self.doc, at).map_err(|kind| (kind, at))?;
                    flags |= more;
                    at = behind;
                }
                Some(0x20..) => at += 1,
                _ => return Err((ParseErrorKind::Syntax, at)),
            }
        }
        self.push(Kind::String, flags, start, at + 1);
        Ok(at + 1)
    }

    fn container(&mut self, start: usize, kind: Kind) -> Result<usize, Fault> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or((ParseErrorKind::TooDeep, start))?;
        let outer_whitespace = std::mem::replace(&mut self.whitespace, false);
        let me = self.tape.nodes.len();
        self.push(kind, 0, start, start);
        self.push(kind, 0, start, start);
        let (end, count, flags) = match kind {
            Kind::Object => self.members(start + 1)?,
            _ => self.elements(start + 1)?,
        };
        let mut extent = Extent { count, order: NONE };
        let mut flags = flags | if self.whitespace { REWRITTEN } else { 0 };
        if kind == Kind::Object {
            extent.order = self.order(me, count, end)?;
            flags |= if extent.order == NONE { 0 } else { REWRITTEN };
        }
        let next = self.tape.len();
        self.tape.nodes[me] = Node::new(kind, flags, self.base + start as u32, (end - start) as u32, next);
        self.tape.nodes[me + 1] = extent.into();
        self.whitespace |= outer_whitespace;
        self.depth_left += 1;
        Ok(end)
    }

    fn elements(&mut self, at: usize) -> Result<(usize, u32, u32), Fault> {
        let (mut at, mut count, mut flags) = (self.skip(at), 0, 0);
        if self.doc.get(at) == Some(&b']') {
            return Ok((at + 1, 0, 0));
        }
        loop {
            let element = self.tape.nodes.len();
            at = self.value(at)?;
            flags |= self.rewritten(element);
            count += 1;
            at = self.skip(at);
            match self.doc.get(at) {
                Some(b',') => at = self.skip(at + 1),
                Some(b']') => return Ok((at + 1, count, flags)),
                _ => return Err((ParseErrorKind::Syntax, at)),
            }
        }
    }

    fn members(&mut self, at: usize) -> Result<(usize, u32, u32), Fault> {
        let (mut at, mut count, mut flags) = (self.skip(at), 0, 0);
        if self.doc.get(at) == Some(&b'}') {
            return Ok((at + 1, 0, 0));
        }
        loop {
            if self.doc.get(at) != Some(&b'"') {
                return Err((ParseErrorKind::Syntax, at));
            }
            let key = self.tape.nodes.len();
            at = self.string(at)?;
            at = self.skip(at);
            if self.doc.get(at) != Some(&b':') {
                return Err((ParseErrorKind::Syntax, at));
            }
            at = self.skip(at + 1);
            at = self.value(at)?;
            flags |= self.rewritten(key) | self.rewritten(key + 1);
            count += 1;
            at = self.skip(at);
            match self.doc.get(at) {
                Some(b',') => at = self.skip(at + 1),
                Some(b'}') => return Ok((at + 1, count, flags)),
                _ => return Err((ParseErrorKind::Syntax, at)),
            }
        }
    }

    /// Finds the canonical order of an object's keys, and a key that occurs twice. Gives the offset of the
    /// order, or `NONE` when the source order is the canonical one.
    fn order(&mut self, object: usize, count: u32, end: usize) -> Result<u32, Fault> {
        let Tape { nodes, order } = &mut *self.tape;
        let offset = order.len();
        let mut key = object + 2;
        for _ in 0..count {
            order.push(key as u32);
            key = nodes[key + 1].next as usize;
        }
        let keys = &mut order[offset..];
        let escaped = keys.iter().any(|&key| nodes[key as usize].has(ESCAPED));
        let text = |key: u32| key_text(self.source, nodes[key as usize]);
        if escaped {
            keys.sort_by_cached_key(|&key| {
                String::from_utf8_lossy(&text(key)).encode_utf16().collect::<Vec<_>>()
            });
        } else {
            keys.sort_by(|&a, &b| utf16_order(&text(a), &text(b)));
        }
        if keys.windows(2).any(|pair| text(pair[0]) == text(pair[1])) {
            return Err((ParseErrorKind::DuplicateKey, end));
        }
        if keys.is_sorted() {
            order.truncate(offset);
            return Ok(NONE);
        }
        Ok(offset as u32)
    }

    fn rewritten(&self, node: usize) -> u32 {
        if self.tape.nodes[node].has(REWRITTEN) { REWRITTEN } else { 0 }
    }
}
