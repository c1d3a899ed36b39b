//! What a parser remembers of the objects that it has met: their key sequences, as a tree.
//!
//! A [`Step`] stands for one key behind a certain sequence of keys. An object whose keys walk a path of the
//! tree has no duplicates, because a path is only made of keys that were checked, and where the path has an
//! [`Ending`] the canonical order of the keys is known as well. The next key is compared with the steps that
//! are known to follow: with one shape that is one comparison of 16 bytes. Interleaved shapes share their
//! beginning and part where they differ. An object within an object has a path of its own that begins at the
//! step of its member, so that `address` is found under `address`.
//!
//! Memory is bounded: [`MAX_STEPS`] and [`MAX_BYTES`] for the tree, [`MAX_CHOICES`] per step (keys that are
//! data rather than names would fill it), [`MAX_MEMBERS`] and [`MAX_KEY_BYTES`] per object. A full tree learns
//! nothing until it is [`FORGET_AFTER`] documents old; then it begins anew, so that a change of data is followed
//! and no stream of ever new keys can make every document pay for learning.

use std::collections::HashMap;
use std::sync::Arc;

use crate::key::Key;
use crate::shape::Shape;

const MAX_STEPS: usize = 4096;
/// Of keys and shapes; an object may exceed it by its own.
const MAX_BYTES: usize = 4 << 20;
const MAX_CHOICES: usize = 16;
/// Objects with more, or longer, keys are sorted each time.
const MAX_MEMBERS: usize = 1024;
const MAX_KEY_BYTES: usize = 32 << 10;
const FORGET_AFTER: u32 = 4096;

/// Index of a step.
pub(crate) type StepId = u32;
/// No step: the object's keys walk no path of the tree.
pub(crate) const LOST: StepId = 0;
/// The owner of the object that is the document, or an element of it.
pub(crate) const DOCUMENT: StepId = 1;

/// Bytes of a key that are compared at once.
const HEAD: usize = 16;

#[derive(Clone, Copy)]
struct Step {
    /// The first bytes of `"key":` as written, little-endian, and which of them count.
    head: u128,
    mask: u128,
    /// All of `"key":` is `text[start..start + len]` of the cache.
    start: u32,
    len: u32,
    /// Flags of the key's node.
    flags: u32,
    /// First of the steps that may follow, and the next of those that follow the same step.
    child: StepId,
    sibling: StepId,
    /// Where an object that is the value of this key begins.
    inside: StepId,
    /// Index of the ending, plus one.
    ending: u32,
}

impl Step {
    /// A step without key: `LOST`, `DOCUMENT` and the beginnings of objects. Never one of the choices.
    const KEYLESS: Self = Self {
        head: 0,
        mask: 0,
        start: 0,
        len: 0,
        flags: 0,
        child: LOST,
        sibling: LOST,
        inside: LOST,
        ending: 0,
    };
}

/// An object ended here before.
pub(crate) struct Ending {
    pub(crate) shape: Arc<Shape>,
    /// For each key in source order, its position in the canonical order.
    pub(crate) ranks: Box<[u16]>,
    /// The source order is the canonical order.
    pub(crate) in_order: bool,
    /// Where the shape was found on the tape last time.
    pub(crate) tape_slot: u32,
}

/// A key as it was found to come next.
pub(crate) struct Ahead {
    pub(crate) step: StepId,
    pub(crate) flags: u32,
    /// Length of `"key":`.
    pub(crate) len: usize,
}

pub(crate) struct ShapeCache {
    steps: Vec<Step>,
    text: Vec<u8>,
    endings: Vec<Ending>,
    shapes: HashMap<Box<[u8]>, Arc<Shape>>,
    /// Memory that the above take, apart from the steps; roughly.
    bytes: usize,
    /// Documents since the tree began.
    age: u32,
}

impl ShapeCache {
    pub(crate) fn new() -> Self {
        let steps = vec![Step::KEYLESS; 2];
        Self { steps, text: Vec::new(), endings: Vec::new(), shapes: HashMap::new(), bytes: 0, age: 0 }
    }

    /// Call before each document: the only time at which the tree may be forgotten.
    pub(crate) fn begin_document(&mut self) {
        self.age = self.age.saturating_add(1);
        if self.age > FORGET_AFTER && self.is_full() {
            *self = Self::new();
        }
    }

    fn is_full(&self) -> bool {
        self.steps.len() >= MAX_STEPS || self.bytes >= MAX_BYTES
    }

    /// Where the objects begin that are the value of a member, or `LOST`.
    pub(crate) fn inside(&self, owner: StepId) -> StepId {
        self.steps[owner as usize].inside
    }

    /// The step whose `"key":` stands at `at`. Fails near the end of the bytes, too.
    #[inline(always)]
    pub(crate) fn ahead(&mut self, step: StepId, bytes: &[u8], at: usize) -> Option<Ahead> {
        let first = self.steps[step as usize].child;
        if first == LOST {
            return None;
        }
        let head = u128::from_le_bytes(*bytes.get(at..)?.first_chunk::<HEAD>()?);
        self.matches(first, head, bytes, at).or_else(|| self.ahead_later(step, head, bytes, at))
    }

    /// One of the other choices, which becomes the first.
    #[inline(never)]
    fn ahead_later(&mut self, step: StepId, head: u128, bytes: &[u8], at: usize) -> Option<Ahead> {
        let first = self.steps[step as usize].child;
        let mut before = first;
        loop {
            let candidate = self.steps[before as usize].sibling;
            if candidate == LOST {
                return None;
            }
            if let Some(found) = self.matches(candidate, head, bytes, at) {
                self.steps[before as usize].sibling = self.steps[candidate as usize].sibling;
                self.steps[candidate as usize].sibling = first;
                self.steps[step as usize].child = candidate;
                return Some(found);
            }
            before = candidate;
        }
    }

    #[inline(always)]
    fn matches(&self, candidate: StepId, head: u128, bytes: &[u8], at: usize) -> Option<Ahead> {
        let step = &self.steps[candidate as usize];
        let len = step.len as usize;
        let all = (head ^ step.head) & step.mask == 0 && (len <= HEAD || self.tail_matches(step, bytes, at));
        all.then_some(Ahead { step: candidate, flags: step.flags, len })
    }

    fn tail_matches(&self, step: &Step, bytes: &[u8], at: usize) -> bool {
        let tail = &self.text[step.start as usize..][HEAD..step.len as usize];
        bytes.get(at + HEAD..).is_some_and(|rest| rest.starts_with(tail))
    }

    /// The step of a key that was found otherwise; `quoted` is as written.
    pub(crate) fn named(&self, step: StepId, quoted: &[u8]) -> StepId {
        let mut candidate = self.steps[step as usize].child;
        while candidate != LOST {
            let next = &self.steps[candidate as usize];
            if self.text[next.start as usize..][..next.len as usize - 1] == *quoted {
                return candidate;
            }
            candidate = next.sibling;
        }
        LOST
    }

    /// What is known of an object whose last key is this step.
    #[inline]
    pub(crate) fn ending(&mut self, step: StepId) -> Option<&mut Ending> {
        self.endings.get_mut((self.steps[step as usize].ending as usize).checked_sub(1)?)
    }

    /// Remembers an object without duplicates that is the value of `owner`. `keys` are its keys in source
    /// order and `sorted` in canonical order, `key` gives what they stand for.
    pub(crate) fn learn<'k>(
        &mut self,
        owner: StepId,
        keys: &[u32],
        sorted: &[u32],
        key: impl Fn(u32) -> Key<'k>,
    ) -> Option<&mut Ending> {
        let key_bytes: usize = keys.iter().map(|&at| key(at).quoted_as_written().len()).sum();
        if owner == LOST || keys.len() > MAX_MEMBERS || key_bytes > MAX_KEY_BYTES || self.is_full() {
            return None;
        }
        let mut step = self.inside(owner);
        if step == LOST {
            step = self.add(Step::KEYLESS);
            self.steps[owner as usize].inside = step;
        }
        for &at in keys {
            step = match self.named(step, key(at).quoted_as_written()) {
                LOST => self.follow(step, key(at))?,
                known => known,
            };
        }
        let shape = Shape::new(sorted.iter().map(|&at| key(at)));
        let shape = match self.shapes.get(shape.prefixes()) {
            Some(known) => Arc::clone(known),
            None => {
                let shape = Arc::new(shape);
                self.bytes += shape.bytes() + shape.prefixes().len();
                self.shapes.insert(shape.prefixes().into(), Arc::clone(&shape));
                shape
            }
        };
        // Key nodes ascend in the source order: sorting the positions by them puts each where its key stands.
        let mut ranks: Vec<u16> = (0..).take(sorted.len()).collect();
        ranks.sort_by_key(|&rank| sorted[usize::from(rank)]);
        self.bytes += size_of::<Ending>() + size_of_val(&*ranks);
        self.endings.push(Ending { shape, ranks: ranks.into(), in_order: sorted == keys, tape_slot: 0 });
        self.steps[step as usize].ending = self.endings.len() as u32;
        self.endings.last_mut()
    }

    /// Adds a key behind a step, unless too many are known there.
    fn follow(&mut self, step: StepId, key: Key<'_>) -> Option<StepId> {
        let quoted = key.quoted_as_written();
        let (mut choices, mut candidate) = (0, self.steps[step as usize].child);
        while candidate != LOST {
            choices += 1;
            candidate = self.steps[candidate as usize].sibling;
        }
        if choices >= MAX_CHOICES {
            return None;
        }
        let start = self.text.len() as u32;
        self.text.extend_from_slice(quoted);
        self.text.push(b':');
        self.bytes += quoted.len() + 1;
        let text = &self.text[start as usize..];
        let (mut head, mut mask) = ([0; HEAD], [0; HEAD]);
        let len = text.len().min(HEAD);
        head[..len].copy_from_slice(&text[..len]);
        mask[..len].fill(0xFF);
        let id = self.add(Step {
            head: u128::from_le_bytes(head),
            mask: u128::from_le_bytes(mask),
            start,
            len: quoted.len() as u32 + 1,
            flags: key.flags(),
            sibling: self.steps[step as usize].child,
            ..Step::KEYLESS
        });
        self.steps[step as usize].child = id;
        Some(id)
    }

    fn add(&mut self, step: Step) -> StepId {
        self.steps.push(step);
        (self.steps.len() - 1) as StepId
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Limits, Parser, Tape};

    /// The shape of a document, if it has one, when it is parsed once more.
    fn shape(parser: &mut Parser, document: &str) -> Option<Arc<Shape>> {
        let mut tape = Tape::default();
        let root = parser.parse(&mut tape, document.as_bytes(), 0..document.len()).unwrap();
        tape.value(document.as_bytes(), root).shape().cloned()
    }

    #[test]
    fn equal_keys_in_any_order_and_spelling_share_a_shape() {
        let mut parser = Parser::new(Limits::default());
        let first = shape(&mut parser, r#"{"a":1,"b":2}"#).unwrap();
        for document in [r#"{"b":1,"a":2}"#, r#"{ "a" : 1, "b" : {} }"#, r#"{"\u0061":1,"b":2}"#] {
            assert_eq!(shape(&mut parser, document).unwrap().id(), first.id(), "{document}");
        }
        let other = shape(&mut parser, r#"{"a":1,"c":2}"#).unwrap();
        assert!(other != first && other.id() != first.id());
        let elsewhere = shape(&mut Parser::new(Limits::default()), r#"{"a":1,"b":2}"#).unwrap();
        assert!(elsewhere == first && elsewhere.id() != first.id());
    }

    #[test]
    fn an_object_has_the_shape_of_its_place_and_of_its_keys() {
        let mut parser = Parser::new(Limits::default());
        let document = r#"{"home":{"y":1,"x":2},"work":[{"x":1,"y":2},{"z":1}]}"#;
        shape(&mut parser, document).unwrap();
        let mut tape = Tape::default();
        let root = parser.parse(&mut tape, document.as_bytes(), 0..document.len()).unwrap();
        let root = tape.value(document.as_bytes(), root);
        let work: Vec<_> =
            root.get("work").unwrap().elements().map(|object| object.shape().unwrap().id()).collect();
        assert_eq!(root.get("home").unwrap().shape().unwrap().id(), work[0]);
        assert_ne!(work[0], work[1]);
    }

    #[test]
    fn keys_that_are_data_do_not_fill_the_tree() {
        let mut parser = Parser::new(Limits::default());
        for id in 0..10_000 {
            shape(&mut parser, &format!(r#"{{"tail":"x","seen":{{"id{id}":1,"id{}":2}}}}"#, id + 1));
        }
        assert!(parser.cache.steps.len() < 2 * MAX_CHOICES + 8, "{} steps", parser.cache.steps.len());
        assert!(shape(&mut parser, r#"{"tail":"x","seen":{}}"#).is_some());
    }

    #[test]
    fn a_full_tree_begins_anew_and_stays_bounded() {
        let mut parser = Parser::new(Limits::default());
        let (mut forgotten, mut before) = (0, 0);
        for round in 0..3 * FORGET_AFTER {
            // Ever new sequences of few keys: each step has few choices.
            let keys: Vec<_> = (0..12)
                .map(|bit| format!(r#""{}{bit}":0"#, ["a", "b"][(round as usize >> bit) & 1]))
                .collect();
            shape(&mut parser, &format!("{{{}}}", keys.join(",")));
            let steps = parser.cache.steps.len();
            assert!(steps <= MAX_STEPS + MAX_MEMBERS && parser.cache.bytes <= MAX_BYTES + MAX_KEY_BYTES);
            forgotten += usize::from(steps < before);
            before = steps;
        }
        assert_eq!(forgotten, 2);
        while shape(&mut parser, r#"{"steady":0}"#).is_none() {
            assert!(parser.cache.age <= FORGET_AFTER, "a full tree is forgotten at that age");
        }
    }

    #[test]
    fn long_keys_are_not_kept() {
        let mut parser = Parser::new(Limits::default());
        let long = "k".repeat(MAX_KEY_BYTES);
        assert!(shape(&mut parser, &format!(r#"{{"{long}":0}}"#)).is_none());
        let half = "k".repeat(MAX_KEY_BYTES / 2);
        for end in 0..1000 {
            shape(&mut parser, &format!(r#"{{"{half}":0,"{}":0}}"#, end % 15));
            shape(&mut parser, &format!(r#"{{"{end}":0}}"#));
        }
        assert!(parser.cache.bytes <= MAX_BYTES + 4 * MAX_KEY_BYTES, "{} bytes", parser.cache.bytes);
    }
}
