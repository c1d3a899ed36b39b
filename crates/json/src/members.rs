//! Iteration over the content of containers.

use crate::key::Key;
use crate::shape::Keys;
use crate::tape::{NONE, Tape};
use crate::value::{Value, member};

/// Members of an object in source order.
#[derive(Clone)]
pub struct Members<'a> {
    tape: &'a Tape,
    source: &'a [u8],
    key: u32,
    left: u32,
}

impl<'a> Members<'a> {
    pub(crate) fn new(tape: &'a Tape, source: &'a [u8], container: u32, left: u32) -> Self {
        Self { tape, source, key: container + 2, left }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Key<'a>, Value<'a>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let key = self.key;
        self.key = self.tape.nodes[key as usize + 1].next;
        Some(member(self.tape, self.source, key))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Members<'_> {}

/// Members of an object in canonical key order. The order was found while parsing, and of an object with a
/// [`Shape`](crate::Shape) the keys are those of the shape: iterating sorts nothing, allocates nothing, and every
/// [`Key::prefix`] is borrowed.
#[derive(Clone)]
pub struct SortedMembers<'a>(Order<'a>);

#[derive(Clone)]
enum Order<'a> {
    /// The source order is the canonical order.
    Source(Members<'a>),
    /// Key nodes in canonical order.
    Listed { tape: &'a Tape, source: &'a [u8], keys: std::slice::Iter<'a, u32>, shape: Option<Keys<'a>> },
}

impl<'a> SortedMembers<'a> {
    pub(crate) fn new(tape: &'a Tape, source: &'a [u8], container: u32, left: u32) -> Self {
        if left == 0 || tape.extent(container).order == NONE {
            return Self(Order::Source(Members::new(tape, source, container, left)));
        }
        let (keys, shape) = (tape.order_of(container), tape.shape_of(container));
        Self(Order::Listed { tape, source, keys: keys.iter(), shape: shape.map(|shape| shape.keys()) })
    }
}

impl<'a> Iterator for SortedMembers<'a> {
    type Item = (Key<'a>, Value<'a>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Order::Source(members) => members.next(),
            Order::Listed { tape, source, keys, shape } => {
                let node = *keys.next()?;
                match shape.as_mut().and_then(Iterator::next) {
                    Some(key) => Some((key, Value::new(tape, source, node + 1))),
                    None => Some(member(tape, source, node)),
                }
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Order::Source(members) => members.size_hint(),
            Order::Listed { keys, .. } => keys.size_hint(),
        }
    }
}

impl ExactSizeIterator for SortedMembers<'_> {}

/// Elements of an array.
#[derive(Clone)]
pub struct Elements<'a> {
    tape: &'a Tape,
    source: &'a [u8],
    element: u32,
    left: u32,
}

impl<'a> Elements<'a> {
    pub(crate) fn new(tape: &'a Tape, source: &'a [u8], container: u32, left: u32) -> Self {
        Self { tape, source, element: container + 2, left }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let element = self.element;
        self.element = self.tape.nodes[element as usize].next;
        Some(Value::new(self.tape, self.source, element))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Elements<'_> {}
