//! The types that a value may have.

use intelgraph_json::Kind;
use serde_json::Value as Tree;

/// A set of kinds of values.
#[derive(Clone, Copy)]
pub(super) struct Types(u8);

/// The types of JSON Schema (Core §4.2.1) and the kinds of the tape.
const KINDS: [(&str, &[Kind]); 7] = [
    ("object", &[Kind::Object]),
    ("array", &[Kind::Array]),
    ("string", &[Kind::String]),
    ("number", &[Kind::Number]),
    ("integer", &[Kind::Number]),
    ("boolean", &[Kind::True, Kind::False]),
    ("null", &[Kind::Null]),
];

impl Types {
    pub(super) const ANY: Self = Self(u8::MAX);
    pub(super) const NONE: Self = Self(0);

    /// By the value of `type`: a name, or a list of names. An `integer` is a number, of which more is asked; see
    /// [`admits_only_integers`].
    pub(super) fn of(names: &Tree) -> Self {
        let named = KINDS.iter().filter(|(name, _)| has(names, name)).flat_map(|(_, kinds)| *kinds);
        Self(named.fold(0, |set, kind| set | bit(*kind)))
    }

    /// What of these is of that kind.
    pub(super) fn only(self, kind: Kind) -> Self {
        Self(self.0 & bit(kind))
    }

    #[inline(always)]
    pub(super) fn admit(self, kind: Kind) -> bool {
        self.0 & bit(kind) != 0
    }
}

/// Whether `type` admits integers and no other numbers.
pub(super) fn admits_only_integers(names: &Tree) -> bool {
    has(names, "integer") && !has(names, "number")
}

fn has(names: &Tree, name: &str) -> bool {
    names == name || names.as_array().is_some_and(|names| names.iter().any(|own| own == name))
}

#[inline(always)]
fn bit(kind: Kind) -> u8 {
    1 << kind as u8
}
