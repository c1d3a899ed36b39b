//! Random documents, and the many ways to spell one.

use intelgraph_json::{Limits, Parser, Tape, Value};
use intelgraph_temporal::Head;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

/// A JSON value before it is spelled.
#[derive(Clone, Debug, PartialEq)]
pub enum Doc {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    Array(Vec<Doc>),
    Object(Vec<(String, Doc)>),
}

/// Keys that meet often, sort oddly (RFC 8785 orders by UTF-16), or need an escape in JSON or in a pointer.
const ODD_KEYS: &[&str] =
    &["a", "b", "c", "id", "", "0", "1", "-", "~", "/", "a/b", "~1", "é", "😀", "\u{FB33}", "\n", "\"", "\\"];

fn key() -> impl Strategy<Value = String> {
    prop_oneof![8 => prop::sample::select(ODD_KEYS).prop_map(str::to_owned), 1 => any::<String>()]
}

fn scalar() -> impl Strategy<Value = Doc> {
    prop_oneof![
        1 => Just(Doc::Null),
        1 => any::<bool>().prop_map(Doc::Bool),
        5 => (-3i64..4).prop_map(Doc::Signed),
        1 => any::<i64>().prop_map(Doc::Signed),
        1 => any::<u64>().prop_map(Doc::Unsigned),
        1 => any::<f64>().prop_filter("JSON has no infinities", |f| f.is_finite()).prop_map(Doc::Float),
        2 => key().prop_map(Doc::Text),
        1 => any::<String>().prop_map(Doc::Text),
    ]
}

pub fn value() -> impl Strategy<Value = Doc> {
    scalar().prop_recursive(4, 60, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Doc::Array),
            btree_map(key(), inner, 0..8).prop_map(|members| Doc::Object(members.into_iter().collect())),
        ]
    })
}

pub fn document() -> impl Strategy<Value = Doc> {
    btree_map(key(), value(), 0..8).prop_map(|members| Doc::Object(members.into_iter().collect()))
}

/// A document and another that may be anything from nearly the same to quite another.
pub fn versions() -> impl Strategy<Value = (Doc, Doc)> {
    let edited = (document(), vec((any::<u64>(), value()), 0..5)).prop_map(|(old, edits)| {
        let mut new = old.clone();
        edits.into_iter().for_each(|(choices, value)| new.edit(&mut Choices(choices), value));
        (old, new)
    });
    prop_oneof![3 => edited, 1 => (document(), document())]
}

/// Small decisions drawn from one random number.
pub struct Choices(pub u64);

impl Choices {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

impl Doc {
    /// Changes something somewhere, so that the root stays an object.
    fn edit(&mut self, choices: &mut Choices, value: Doc) {
        match self {
            Self::Object(members) if !members.is_empty() => {
                let at = choices.below(members.len());
                match choices.below(6) {
                    0 => drop(members.remove(at)),
                    1 => members[at].1 = value,
                    2 if members.iter().all(|(key, _)| key != "new") => members.push(("new".into(), value)),
                    _ => members[at].1.edit(choices, value),
                }
            }
            Self::Object(members) => members.push(("first".into(), value)),
            Self::Array(elements) if !elements.is_empty() => {
                let at = choices.below(elements.len());
                match choices.below(6) {
                    0 => drop(elements.remove(at)),
                    1 => elements.insert(at, value),
                    2 => elements.rotate_left(at),
                    3 => elements[at] = value,
                    _ => elements[at].edit(choices, value),
                }
            }
            other => *other = value,
        }
    }

    /// The plain spelling.
    pub fn text(&self) -> String {
        self.spelled(&mut Choices(0), false)
    }

    /// Some other spelling: white space, order of keys, escapes and numbers chosen at random.
    pub fn odd_text(&self, seed: u64) -> String {
        self.spelled(&mut Choices(seed), true)
    }

    fn spelled(&self, choices: &mut Choices, odd: bool) -> String {
        let space = |choices: &mut Choices| if odd { ["", " ", "\n\t"][choices.below(3)] } else { "" };
        match self {
            Self::Null => "null".into(),
            Self::Bool(value) => value.to_string(),
            Self::Signed(value) if odd && choices.below(2) == 0 && value.unsigned_abs() < 1 << 53 => {
                format!("{value}.0")
            }
            Self::Signed(value) if odd && *value == 100 => "1E+2".into(),
            Self::Signed(value) => value.to_string(),
            Self::Unsigned(value) => value.to_string(),
            // Rust's own formatting takes the odd one of two shortest decimals (2023347301156851.25), which
            // is then another number than ECMAScript's.
            Self::Float(value) => match serde_json::to_string(value).unwrap() {
                text if odd && text.contains('e') => text.to_uppercase(),
                text if odd => text + "E0",
                text => text,
            },
            Self::Text(text) => spelled_text(text, choices, odd),
            Self::Array(elements) => {
                let elements = elements.iter().map(|element| {
                    format!("{}{}{}", space(choices), element.spelled(choices, odd), space(choices))
                });
                format!("[{}]", elements.collect::<Vec<_>>().join(","))
            }
            Self::Object(members) => {
                let mut members = members.iter().collect::<Vec<_>>();
                if odd {
                    let at = choices.below(members.len());
                    members.rotate_left(at);
                }
                let members = members.into_iter().map(|(key, value)| {
                    let (key, before) = (spelled_text(key, choices, odd), space(choices));
                    format!(
                        "{before}{key}{}:{}{}",
                        space(choices),
                        space(choices),
                        value.spelled(choices, odd)
                    )
                });
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }
        }
    }
}

fn spelled_text(text: &str, choices: &mut Choices, odd: bool) -> String {
    if !odd || choices.below(2) == 0 {
        return serde_json::to_string(text).unwrap();
    }
    let units = text.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
    format!("\"{}\"", units.collect::<String>())
}

/// A parsed document together with all that it borrows.
pub struct Parsed {
    text: Vec<u8>,
    tape: Tape,
    root: intelgraph_json::Root,
}

impl Parsed {
    pub fn new(text: impl Into<Vec<u8>>) -> Self {
        let (text, mut tape) = (text.into(), Tape::default());
        let root = Parser::new(Limits::default()).parse(&mut tape, &text, 0..text.len());
        Self { root: root.expect("a JSON document"), text, tape }
    }

    pub fn value(&self) -> Value<'_> {
        self.tape.value(&self.text, self.root)
    }

    pub fn head(&self) -> Head {
        Head::of_value(self.value()).expect("an object")
    }
}
