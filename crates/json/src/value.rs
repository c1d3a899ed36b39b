//! A value on the tape, seen together with its bytes.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::key::{Key, token};
use crate::members::{Elements, Members, SortedMembers};
use crate::number::Number;
use crate::pointer::Pointer;
use crate::shape::Shape;
use crate::string;
use crate::tape::{ESCAPED, INTEGER, Node, REWRITTEN, Tape};

/// The seven kinds of JSON values, the two booleans apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are those of RFC 8259")]
pub enum Kind {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

impl Kind {
    /// By the low three bits of a node's tag; the eighth never occurs.
    pub(crate) const BY_TAG: [Self; 8] = [
        Self::Object,
        Self::Array,
        Self::String,
        Self::Number,
        Self::True,
        Self::False,
        Self::Null,
        Self::Null,
    ];
}

/// A value of a parsed document. Cheap to copy; borrows the tape and the source buffer.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    tape: &'a Tape,
    source: &'a [u8],
    index: u32,
}

impl<'a> Value<'a> {
    #[inline(always)]
    pub(crate) fn new(tape: &'a Tape, source: &'a [u8], index: u32) -> Self {
        Self { tape, source, index }
    }

    #[inline(always)]
    fn node(self) -> Node {
        self.tape.nodes[self.index as usize]
    }

    /// What kind of value this is.
    #[inline(always)]
    pub fn kind(self) -> Kind {
        self.node().kind()
    }

    /// The token's bytes as written; strings with their quotes, containers with their brackets.
    #[inline(always)]
    pub fn raw(self) -> &'a [u8] {
        token(self.source, self.node())
    }

    /// Whether [`raw`](Self::raw) is already what [`write_canonical`](crate::write_canonical) would write.
    #[inline(always)]
    pub fn is_canonical(self) -> bool {
        !self.node().has(REWRITTEN)
    }

    /// The unescaped text of a string; borrowed unless it holds an escape.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        let node = self.node();
        (node.kind() == Kind::String)
            .then(|| string::text(string::body(token(self.source, node)), node.has(ESCAPED)))
    }

    /// The bytes of a string's text where they stand as written, that is without an escape.
    #[inline(always)]
    pub fn plain_text(self) -> Option<&'a [u8]> {
        let node = self.node();
        (node.kind() == Kind::String && !node.has(ESCAPED)).then(|| string::body(token(self.source, node)))
    }

    /// The number with its exact text.
    pub fn number(self) -> Option<Number<'a>> {
        let node = self.node();
        (node.kind() == Kind::Number).then(|| Number::new(token(self.source, node), node.has(INTEGER)))
    }

    /// `true` or `false`.
    pub fn as_bool(self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    /// Members of an object, elements of an array, 0 otherwise.
    #[allow(clippy::len_without_is_empty, reason = "a number is not empty; ask kind() first")]
    pub fn len(self) -> usize {
        match self.kind() {
            Kind::Object | Kind::Array => self.tape.extent(self.index).count as usize,
            _ => 0,
        }
    }

    /// Members in source order; none for anything but an object.
    pub fn members(self) -> Members<'a> {
        Members::new(self.tape, self.source, self.index, self.count(Kind::Object))
    }

    /// Members in canonical key order (RFC 8785 §3.2.3: UTF-16 code units). Nothing is sorted here. Of an
    /// object with a [`shape`](Self::shape) every key's canonical `"key":` is one borrowed slice,
    /// [`Key::prefix`]: the canonical form of the object is `{`, prefix and canonical value in turn with `,`
    /// between them, `}`.
    pub fn sorted_members(self) -> SortedMembers<'a> {
        SortedMembers::new(self.tape, self.source, self.index, self.count(Kind::Object))
    }

    /// Elements of an array; none for anything else.
    pub fn elements(self) -> Elements<'a> {
        Elements::new(self.tape, self.source, self.index, self.count(Kind::Array))
    }

    fn count(self, kind: Kind) -> u32 {
        if self.kind() == kind { self.tape.extent(self.index).count } else { 0 }
    }

    /// The keys that this object shares with others. A non-empty object has one unless it is too large, or
    /// too much else has been met lately.
    pub fn shape(self) -> Option<&'a Arc<Shape>> {
        if self.count(Kind::Object) == 0 { None } else { self.tape.shape_of(self.index) }
    }

    /// The member at a position of the canonical order, for an object with a [`shape`](Self::shape), where
    /// it takes constant time; none for anything else.
    pub fn member(self, position: usize) -> Option<(Key<'a>, Value<'a>)> {
        let key = self.shape()?.key(position)?;
        let node = *self.tape.order_of(self.index).get(position)?;
        Some((key, Value::new(self.tape, self.source, node + 1)))
    }

    /// The [`shape`](Self::shape) and, for each of its positions, the value there.
    #[inline]
    pub fn shaped_values(self) -> Option<(&'a Shape, impl ExactSizeIterator<Item = Value<'a>>)> {
        let shape = self.shape()?;
        let keys = self.tape.order_of(self.index).iter();
        Some((shape, keys.map(move |key| Value::new(self.tape, self.source, key + 1))))
    }

    /// The member of that (unescaped) name.
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        match self.shape() {
            Some(shape) => {
                let node = *self.tape.order_of(self.index).get(shape.position(key)?)?;
                Some(Value::new(self.tape, self.source, node + 1))
            }
            None => self.members().find_map(|(name, value)| name.is(key).then_some(value)),
        }
    }

    /// Follows a pointer (RFC 6901). Array indexes are `0` or digits without a leading zero; `-` finds
    /// nothing.
    pub fn pointer(self, pointer: &Pointer) -> Option<Value<'a>> {
        pointer.tokens().try_fold(self, |value, step| match value.kind() {
            Kind::Object => value.get(step),
            Kind::Array => value.elements().nth(Pointer::index(step)?),
            _ => None,
        })
    }

    /// Index of the node: unique within the tape.
    pub fn identity(self) -> usize {
        self.index as usize
    }

    /// The same value as a tree. Numbers that are mathematically integers of 64 bits become integers. For
    /// cold paths: this allocates.
    pub fn to_serde(self) -> serde_json::Value {
        match self.kind() {
            Kind::Object => serde_json::Value::Object(
                self.members().map(|(key, value)| (key.as_str().into_owned(), value.to_serde())).collect(),
            ),
            Kind::Array => self.elements().map(Value::to_serde).collect(),
            Kind::String => self.as_str().unwrap_or_default().into_owned().into(),
            Kind::Number => self.number().map_or(serde_json::Value::Null, Number::to_serde),
            Kind::True => true.into(),
            Kind::False => false.into(),
            Kind::Null => serde_json::Value::Null,
        }
    }
}

/// Shows the kind and the place, never the content.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value")
            .field("kind", &self.kind())
            .field("identity", &self.index)
            .finish_non_exhaustive()
    }
}

/// A member as the iterators yield it.
#[inline(always)]
pub(crate) fn member<'a>(tape: &'a Tape, source: &'a [u8], key: u32) -> (Key<'a>, Value<'a>) {
    (Key::of_node(source, tape.nodes[key as usize]), Value::new(tape, source, key + 1))
}
