//! Records on the tape, as `jsonschema` reads them: no tree is built for a verdict.
//!
//! Implements [`jsonschema::json::Json`] for [`intelgraph_json::Value`]. Trees are built only where the
//! library asks for one: for `const` and `enum` against containers, for `uniqueItems`, and for errors.

use std::borrow::Cow;

use intelgraph_json::{Elements, Kind, Limits, Members, Number, Parser, Tape, Value};
use jsonschema::JsonType;
use jsonschema::json::{Array, Json, JsonNumber, Node, NodeIdentity, Object, cmp};

/// The representation: nodes are values on a tape.
pub(crate) struct TapeJson;

/// A value on the tape.
#[derive(Clone, Copy)]
pub(crate) struct TapeNode<'a>(pub(crate) Value<'a>);

/// The members of an object.
pub(crate) struct TapeObject<'a>(Value<'a>);

/// The elements of an array.
pub(crate) struct TapeArray<'a>(Value<'a>);

/// A number, exactly as written.
pub(crate) struct TapeNumber<'a>(Number<'a>);

/// Holds a property name as a document of its own, for `propertyNames`.
pub(crate) struct NameDocument {
    parser: Parser,
    tape: Tape,
    source: Vec<u8>,
}

impl Default for NameDocument {
    fn default() -> Self {
        // The name comes from a document that already kept its limits.
        let limits = Limits { max_bytes: u32::MAX, ..Limits::default() };
        Self { parser: Parser::new(limits), tape: Tape::default(), source: Vec::new() }
    }
}

impl Json for TapeJson {
    type Node<'a> = TapeNode<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = NameDocument;

    // A lookup scans the members as well, so one pass wins as soon as a second name is looked for.
    const KEYS_PER_LOOKUP: usize = 8;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> Self::PreparedKey {
        key.into()
    }

    fn with_string_node<T>(buffer: &mut NameDocument, string: &str, f: impl FnOnce(TapeNode<'_>) -> T) -> T {
        let NameDocument { parser, tape, source } = buffer;
        source.clear();
        tape.clear();
        // Neither can fail: the writer is memory, and what it wrote is a document.
        serde_json::to_writer(&mut *source, string).expect("a text is quoted");
        let root = parser.parse(tape, source, 0..source.len()).expect("a quoted text is a document");
        f(TapeNode(tape.value(source, root)))
    }
}

impl<'a> Node<'a, TapeJson> for TapeNode<'a> {
    type Object = TapeObject<'a>;
    type Array = TapeArray<'a>;
    type Number = TapeNumber<'a>;

    #[inline]
    fn as_object(&self) -> Option<TapeObject<'a>> {
        (self.0.kind() == Kind::Object).then_some(TapeObject(self.0))
    }

    #[inline]
    fn as_array(&self) -> Option<TapeArray<'a>> {
        (self.0.kind() == Kind::Array).then_some(TapeArray(self.0))
    }

    #[inline]
    fn as_string(&self) -> Option<Cow<'a, str>> {
        self.0.as_str()
    }

    #[inline]
    fn as_number(&self) -> Option<TapeNumber<'a>> {
        self.0.number().map(TapeNumber)
    }

    #[inline]
    fn as_boolean(&self) -> Option<bool> {
        self.0.as_bool()
    }

    #[inline]
    fn is_null(&self) -> bool {
        self.0.kind() == Kind::Null
    }

    #[inline]
    fn is_number(&self) -> bool {
        self.0.kind() == Kind::Number
    }

    #[inline]
    fn is_string(&self) -> bool {
        self.0.kind() == Kind::String
    }

    #[inline]
    fn json_type(&self) -> JsonType {
        match self.0.kind() {
            Kind::Object => JsonType::Object,
            Kind::Array => JsonType::Array,
            Kind::String => JsonType::String,
            Kind::Number => JsonType::Number,
            Kind::True | Kind::False => JsonType::Boolean,
            Kind::Null => JsonType::Null,
        }
    }

    fn string_length_within(&self, min: u64, max: u64) -> Option<bool> {
        if !self.is_string() {
            return None;
        }
        // Between the quotes a code point takes one byte, or up to twelve where it is written as two escapes.
        // That mostly decides it without looking.
        let bytes = self.0.raw().len() as u64 - 2;
        if bytes < min {
            return Some(false);
        }
        if min <= bytes.div_ceil(12) && bytes <= max {
            return Some(true);
        }
        self.string_length().map(|length| (min..=max).contains(&length))
    }

    fn equals_value(&self, expected: &serde_json::Value) -> bool {
        use serde_json::Value as Tree;
        match (self.0.kind(), expected) {
            (Kind::String, Tree::String(text)) => is_text(self.0, text),
            (Kind::Number, Tree::Number(number)) => {
                self.as_number().is_some_and(|own| cmp::equal_numbers(&own, number))
            }
            (Kind::True, Tree::Bool(expected)) => *expected,
            (Kind::False, Tree::Bool(expected)) => !expected,
            (Kind::Null, Tree::Null) => true,
            (Kind::Object, Tree::Object(_)) | (Kind::Array, Tree::Array(_)) => {
                cmp::equal(&self.0.to_serde(), expected)
            }
            _ => false,
        }
    }

    fn to_value(&self) -> Cow<'a, serde_json::Value> {
        Cow::Owned(self.0.to_serde())
    }

    /// The address of the token: no two values begin at the same byte, and names looked at by
    /// `propertyNames` lie in a buffer of their own.
    #[inline]
    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(self.0.raw().as_ptr() as usize))
    }
}

/// Whether a string is `text`. Looks at the bytes as written, and unescapes only where there is an escape.
fn is_text(string: Value<'_>, text: &str) -> bool {
    match string.raw() {
        [b'"', body @ .., b'"'] if !body.contains(&b'\\') => body == text.as_bytes(),
        _ => string.as_str().is_some_and(|own| own == text),
    }
}

impl<'a> Object<'a, TapeJson> for TapeObject<'a> {
    type Node = TapeNode<'a>;
    type MemberName = Cow<'a, str>;
    type MembersIter = NamedMembers<'a>;

    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn get(&self, key: &Box<str>) -> Option<TapeNode<'a>> {
        self.0.get(key).map(TapeNode)
    }

    #[inline]
    fn members(&self) -> NamedMembers<'a> {
        NamedMembers(self.0.members())
    }
}

/// Members with their names unescaped.
pub(crate) struct NamedMembers<'a>(Members<'a>);

impl<'a> Iterator for NamedMembers<'a> {
    type Item = (Cow<'a, str>, TapeNode<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| (key.as_str(), TapeNode(value)))
    }
}

impl<'a> Array<'a, TapeJson> for TapeArray<'a> {
    type Node = TapeNode<'a>;
    type ElementsIter = std::iter::Map<Elements<'a>, fn(Value<'a>) -> TapeNode<'a>>;

    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn elements(&self) -> Self::ElementsIter {
        self.0.elements().map(TapeNode)
    }
}

impl JsonNumber for TapeNumber<'_> {
    #[inline]
    fn as_u64(&self) -> Option<u64> {
        self.0.as_u64()
    }

    #[inline]
    fn as_i64(&self) -> Option<i64> {
        self.0.as_i64()
    }

    #[inline]
    fn as_f64(&self) -> Option<f64> {
        Some(self.0.as_f64())
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0.text())
    }

    fn to_number(&self) -> Cow<'_, serde_json::Number> {
        let number = match (self.0.as_i64(), self.0.as_u64()) {
            (Some(integer), _) => integer.into(),
            (None, Some(integer)) => integer.into(),
            // The parser refuses what is not finite.
            (None, None) => serde_json::Number::from_f64(self.0.as_f64()).unwrap_or_else(|| 0.into()),
        };
        Cow::Owned(number)
    }

    #[inline]
    fn is_integer(&self) -> bool {
        self.0.is_integer()
    }

    #[inline]
    fn is_written_as_integer(&self) -> bool {
        self.0.is_written_as_integer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonschema::json::conformance;

    #[test]
    fn keeps_the_contract_of_the_validator() {
        let source = conformance::document().to_string().into_bytes();
        let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
        let root = parser.parse(&mut tape, &source, 0..source.len()).unwrap();
        conformance::assert_conformance::<TapeJson>(&TapeNode(tape.value(&source, root)));
    }

    #[test]
    fn lengths_are_counted_in_code_points() {
        for (source, length) in [
            (r#""""#, 0),
            (r#""ab""#, 2),
            (r#""東京""#, 2),
            (r#""😀é""#, 2),
            (r#""\ud83d\ude00\ud83d\ude00""#, 2),
            (r#""\n\u0041\"""#, 3),
        ] {
            let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
            let root = parser.parse(&mut tape, source.as_bytes(), 0..source.len()).unwrap();
            let node = TapeNode(tape.value(source.as_bytes(), root));
            assert_eq!(node.string_length(), Some(length), "{source}");
            for (min, max) in [(0, length), (length, length), (length, u64::MAX)] {
                assert_eq!(node.string_length_within(min, max), Some(true), "{source} {min} {max}");
            }
            assert_eq!(node.string_length_within(length + 1, u64::MAX), Some(false), "{source}");
            assert_eq!(node.string_length_within(0, length.wrapping_sub(1)), Some(length == 0), "{source}");
        }
    }

    #[test]
    fn names_need_no_escape_to_be_nodes() {
        let mut buffer = NameDocument::default();
        for name in ["", "a\"b\\c\n\u{0}", "東京", "😀"] {
            let same = TapeJson::with_string_node(&mut buffer, name, |node| {
                node.as_string().is_some_and(|text| text == name)
            });
            assert!(same, "{name:?}");
        }
    }
}
