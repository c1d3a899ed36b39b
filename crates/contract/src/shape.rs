//! What may be said of a value that nobody may see: its type, its length, its class.

use intelgraph_json::{Kind, Value};
use serde_json::Value as Tree;

/// Type, length and class of a value, never the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueShape {
    /// `missing`, `null`, `boolean`, `integer`, `number`, `string`, `array`, `object`; `member` for the name
    /// of a member; `document` for bytes that are no JSON.
    pub kind: &'static str,
    /// Of texts: `empty`, `blank`, `digits`, `letters`, `alphanumeric`, `ascii`, `unicode`. Of numbers:
    /// `negative`, `zero`, `positive`. `-` where the type says it all.
    pub class: &'static str,
    /// Code points of a text, characters of a number in its shortest form, elements, or members.
    pub length: u64,
}

impl ValueShape {
    /// Nothing is there.
    pub const MISSING: Self = Self { kind: "missing", class: "-", length: 0 };
    /// Bytes that are no JSON.
    pub const DOCUMENT: Self = Self { kind: "document", class: "-", length: 0 };

    /// Describes a value.
    pub fn of(value: Value<'_>) -> Self {
        let length = value.len() as u64;
        match value.kind() {
            Kind::Object => Self { kind: "object", class: "-", length },
            Kind::Array => Self { kind: "array", class: "-", length },
            _ => Self::of_tree(&value.to_serde()),
        }
    }

    /// Describes a value that has been made a tree.
    pub(crate) fn of_tree(value: &Tree) -> Self {
        match value {
            Tree::Object(members) => Self { kind: "object", class: "-", length: members.len() as u64 },
            Tree::Array(elements) => Self { kind: "array", class: "-", length: elements.len() as u64 },
            Tree::String(text) => Self::text("string", text),
            Tree::Number(number) => {
                let class = match number.as_f64() {
                    Some(size) if size < 0.0 => "negative",
                    Some(size) if size > 0.0 => "positive",
                    _ => "zero",
                };
                let kind = if number.is_f64() { "number" } else { "integer" };
                Self { kind, class, length: number.to_string().len() as u64 }
            }
            Tree::Bool(_) => Self { kind: "boolean", class: "-", length: 0 },
            Tree::Null => Self { kind: "null", class: "-", length: 0 },
        }
    }

    /// Describes the name of a member.
    pub fn of_member(name: &str) -> Self {
        Self::text("member", name)
    }

    fn text(kind: &'static str, text: &str) -> Self {
        let all = |class: fn(char) -> bool| text.chars().all(class);
        let class = match () {
            () if text.is_empty() => "empty",
            () if all(char::is_whitespace) => "blank",
            () if all(|c| c.is_ascii_digit()) => "digits",
            () if all(|c| c.is_ascii_alphabetic()) => "letters",
            () if all(|c| c.is_ascii_alphanumeric()) => "alphanumeric",
            () if text.is_ascii() => "ascii",
            () => "unicode",
        };
        Self { kind, class, length: text.chars().count() as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use intelgraph_json::{Limits, Parser, Tape};

    fn shape(source: &str) -> ValueShape {
        let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
        let root = parser.parse(&mut tape, source.as_bytes(), 0..source.len()).unwrap();
        ValueShape::of(tape.value(source.as_bytes(), root))
    }

    #[test]
    fn describes_every_kind() {
        for (source, kind, class, length) in [
            ("null", "null", "-", 0),
            ("true", "boolean", "-", 0),
            ("-12", "integer", "negative", 3),
            ("1.0", "integer", "positive", 1),
            ("0.5", "number", "positive", 3),
            ("0", "integer", "zero", 1),
            (r#""""#, "string", "empty", 0),
            (r#"" \t""#, "string", "blank", 2),
            (r#""0123""#, "string", "digits", 4),
            (r#""NA""#, "string", "letters", 2),
            (r#""N14228""#, "string", "alphanumeric", 6),
            (r#""a b""#, "string", "ascii", 3),
            (r#""東京""#, "string", "unicode", 2),
            ("[1,2]", "array", "-", 2),
            (r#"{"a":1}"#, "object", "-", 1),
        ] {
            assert_eq!(shape(source), ValueShape { kind, class, length }, "{source}");
        }
        assert_eq!(ValueShape::of_member("tail").kind, "member");
    }
}
