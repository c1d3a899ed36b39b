//! The tape: 16-byte nodes of many documents over one buffer.
//!
//! A scalar is one node. A container is a node and its [`Extent`], followed by its content: elements one
//! after the other, or key and value in turn. `next` of a node is the index behind all of that, so a
//! container is stepped over without looking inside.

use std::sync::Arc;

use crate::shape::Shape;
use crate::value::{Kind, Value};

/// Where nothing is stored in an [`Extent`].
pub(crate) const NONE: u32 = u32::MAX;

/// The string holds at least one escape.
pub(crate) const ESCAPED: u32 = 1 << 8;
/// The bytes as written are not the canonical form.
pub(crate) const REWRITTEN: u32 = 1 << 9;
/// The number is written without fraction and exponent.
pub(crate) const INTEGER: u32 = 1 << 10;

#[derive(Clone, Copy)]
pub(crate) struct Node {
    /// Kind in the low byte, flags above.
    tag: u32,
    /// First byte of the token in the source; for strings the opening quote.
    pub(crate) start: u32,
    /// Bytes of the token, quotes and brackets included.
    pub(crate) len: u32,
    /// Index of the node behind this value.
    pub(crate) next: u32,
}

/// What a container needs besides its token: stored in the node slot behind it.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// Members or elements.
    pub(crate) count: u32,
    /// Offset into [`Tape::order`] of `count` key nodes in canonical order; `NONE` where the source order is
    /// the canonical order and the object has no shape.
    pub(crate) order: u32,
    /// Index into [`Tape::shapes`], or `NONE`.
    pub(crate) shape: u32,
}

impl Node {
    pub(crate) fn new(kind: Kind, flags: u32, start: u32, len: u32, next: u32) -> Self {
        Self { tag: kind as u32 | flags, start, len, next }
    }

    pub(crate) fn kind(self) -> Kind {
        Kind::BY_TAG[(self.tag & 7) as usize]
    }

    pub(crate) fn has(self, flag: u32) -> bool {
        self.tag & flag != 0
    }
}

impl From<Extent> for Node {
    fn from(extent: Extent) -> Self {
        Self { tag: 0, start: extent.count, len: extent.order, next: extent.shape }
    }
}

impl From<Node> for Extent {
    fn from(node: Node) -> Self {
        Self { count: node.start, order: node.len, shape: node.next }
    }
}

/// Nodes of many documents over one source buffer. Reused from batch to batch by [`Tape::clear`].
#[derive(Default)]
pub struct Tape {
    pub(crate) nodes: Vec<Node>,
    pub(crate) order: Vec<u32>,
    pub(crate) shapes: Vec<Arc<Shape>>,
}

/// Handle of a parsed document. Valid for the tape that it was parsed onto, until that is cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root(pub(crate) u32);

impl Tape {
    /// Room for documents of so many bytes in all, as most are: a node takes 16 bytes and stands for a dozen.
    #[must_use]
    pub fn for_source(bytes: usize) -> Self {
        Self { nodes: Vec::with_capacity(bytes / 8), ..Self::default() }
    }

    /// Forgets all documents and keeps the memory.
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.order.clear();
        self.shapes.clear();
    }

    /// The document behind a handle. `source` must be the buffer that the document was parsed from: with
    /// another one the content is meaningless, and out-of-range tokens panic.
    pub fn value<'a>(&'a self, source: &'a [u8], root: Root) -> Value<'a> {
        Value::new(self, source, root.0)
    }

    pub(crate) fn len(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// Where a shape is, put there if it is new. `hint` is where it was on the tape that the parser used last.
    pub(crate) fn shape_slot(&mut self, shape: &Arc<Shape>, hint: u32) -> u32 {
        if self.shapes.get(hint as usize).is_some_and(|there| Arc::ptr_eq(there, shape)) {
            return hint;
        }
        let slot = self.shapes.iter().position(|there| Arc::ptr_eq(there, shape)).unwrap_or_else(|| {
            self.shapes.push(Arc::clone(shape));
            self.shapes.len() - 1
        });
        slot as u32
    }

    /// The key nodes of an object in canonical order; none where [`Extent::order`] is `NONE`.
    pub(crate) fn order_of(&self, object: u32) -> &[u32] {
        match self.extent(object) {
            Extent { order: NONE, .. } => &[],
            Extent { order, count, .. } => &self.order[order as usize..][..count as usize],
        }
    }

    pub(crate) fn shape_of(&self, object: u32) -> Option<&Arc<Shape>> {
        self.shapes.get(self.extent(object).shape as usize)
    }

    pub(crate) fn extent(&self, container: u32) -> Extent {
        self.nodes[container as usize + 1].into()
    }
}
