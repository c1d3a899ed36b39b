//! What a parser remembers of the objects that it has met: their key sequences, as a tree.
//!
//! A [`Step`] stands for one key behind a certain sequence of keys. An object whose keys walk a path of the
//! tree has no duplicates, because a path is only made of keys that were checked, and where the path has an
//! [`Ending`] the canonical order of the keys is known as well. The next key is compared with the steps that
//! are known to follow: with one shape that is one comparison of 16 bytes. Interleaved shapes share their
//! beginning and part where they differ. An object within an object has a path of its own that begins at the
//! step of its member, so that `address` is found under `address`.
//!
//! Memory is bounded: [`MAX_STEPS`] and [`MAX_TEXT`] for all, [`MAX_CHOICES`] per step (keys that are data
//! rather than names would fill the tree). A full tree learns nothing until it is [`FORGET_AFTER`] documents
//! old; then it begins anew, so that a change of data is followed and no stream of ever new keys can make
//! every document pay for learning.

use std::collections::HashMap;
use std::sync::Arc;

use crate::key::Key;
use crate::shape::Shape;

const MAX_STEPS: usize = 4096;
const MAX_TEXT: usize = 128 << 10;
const MAX_CHOICES: usize = 16;
/// Objects with more members are sorted each time. Positions are stored as `u16`.
const MAX_MEMBERS: usize = 1024;
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
    /// A step without key: those that no object takes, and the beginnings of objects.
    const KEYLESS: Self = Self {
        // No text has these bytes.
        head: u128::MAX,
        mask: u128::MAX,
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
    /// Documents since the tree began.
    age: u32,
}

impl ShapeCache {
    pub(crate) fn new() -> Self {
        let steps = vec![Step::KEYLESS; 2];
        Self { steps, text: Vec::new(), endings: Vec::new(), shapes: HashMap::new(), age: 0 }
    }

    /// Call before each document: the only time at which the tree may be forgotten.
    pub(crate) fn begin_document(&mut self) {
        self.age = self.age.saturating_add(1);
        if self.age > FORGET_AFTER && self.is_full() {
            *self = Self::new();
        }
    }

    fn is_full(&self) -> bool {
        self.steps.len() >= MAX_STEPS || self.text.len() >= MAX_TEXT
    }

    /// Where the objects begin that are the value of a member, or `LOST`.
    pub(crate) fn inside(&self, owner: StepId) -> StepId {
        self.steps[owner as usize].inside
    }

    /// The step whose `"key":` stands at `at`. Fails near the end of the bytes, too.
    #[inline(always)]
    pub(crate) fn ahead(&mut self, step: StepId, bytes: &[u8], at: usize) -> Option<Ahead> {
        let head = u128::from_le_bytes(*bytes.get(at..)?.first_chunk::<HEAD>()?);
        let first = self.steps[step as usize].child;
        match self.matches(first, head, bytes, at) {
            None if first != LOST => self.ahead_later(step, head, bytes, at),
            found => found,
        }
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
        if owner == LOST || keys.len() > MAX_MEMBERS || self.is_full() {
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
                self.shapes.insert(shape.prefixes().into(), Arc::clone(&shape));
                shape
            }
        };
        // Key nodes ascend in the source order: sorting the positions by them puts each where its key stands.
        let mut ranks: Vec<u16> = (0..).take(sorted.len()).collect();
        ranks.sort_by_key(|&rank| sorted[usize::from(rank)]);
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
        if choices >= MAX_CHOICES || quoted.len() > MAX_TEXT - self.text.len().min(MAX_TEXT) {
            return None;
        }
        let start = self.text.len() as u32;
        self.text.extend_from_slice(quoted);
        self.text.push(b':');
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
