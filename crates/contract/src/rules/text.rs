//! Rules on strings: their length, lists of texts, and patterns.

use foldhash::fast::FixedState;
use hashbrown::HashSet;
use intelgraph_json::{Value, write_canonical};
use jsonschema::Validator;
use jsonschema_regex::{Sequence, to_rust_regex};
use serde_json::{Map, Value as Tree};

use super::{compile, take_count};
use crate::fields::quoted;
use crate::tape_json::{TapeJson, TapeNode};

/// Least and greatest number of code points (Validation §6.3).
pub(super) struct Length {
    least: u64,
    most: u64,
}

/// The texts that are allowed, as the canonical form writes them.
pub(super) struct Texts(HashSet<Box<[u8]>, FixedState>);

/// A pattern that the library matches without a regex engine as long as the text is ASCII: with this very matcher,
/// here on the bytes as they lie on the tape.
pub(super) struct Pattern {
    sequence: Sequence,
    /// For texts that the sequence does not decide, and for those with escapes.
    validator: Box<Validator<TapeJson>>,
}

impl Length {
    /// Takes `minLength` and `maxLength`.
    pub(super) fn take(keywords: &mut Map<String, Tree>) -> Option<Self> {
        let (least, most) = (take_count(keywords, "minLength"), take_count(keywords, "maxLength"));
        (least.is_some() || most.is_some())
            .then(|| Self { least: least.unwrap_or(0), most: most.unwrap_or(u64::MAX) })
    }

    /// Between the quotes a code point takes one byte, or up to twelve where it is written as two escapes. That
    /// mostly decides it without looking.
    #[inline(always)]
    pub(super) fn accept(&self, string: &Value<'_>) -> bool {
        let bytes = string.raw().len() as u64 - 2;
        let is_clear = self.least <= bytes.div_ceil(12) && bytes <= self.most;
        is_clear || (self.least <= bytes && self.accept_counted(string))
    }

    #[cold]
    fn accept_counted(&self, string: &Value<'_>) -> bool {
        string.as_str().is_some_and(|text| (self.least..=self.most).contains(&(text.chars().count() as u64)))
    }
}

impl Texts {
    /// Takes an `enum` of nothing but texts.
    pub(super) fn take(keywords: &mut Map<String, Tree>) -> Option<Self> {
        let listed = keywords.get("enum")?.as_array()?;
        let texts = listed.iter().map(|text| text.as_str().map(quoted)).collect::<Option<_>>()?;
        keywords.remove("enum");
        Some(Self(texts))
    }

    #[inline(always)]
    pub(super) fn accept(&self, string: &Value<'_>) -> bool {
        if string.is_canonical() { self.0.contains(string.raw()) } else { self.accept_rewritten(string) }
    }

    #[cold]
    fn accept_rewritten(&self, string: &Value<'_>) -> bool {
        let mut canonical = Vec::with_capacity(string.raw().len());
        write_canonical(*string, &mut canonical);
        self.0.contains(&*canonical)
    }
}

impl Pattern {
    /// Takes a `pattern` that is plain.
    pub(super) fn take(keywords: &mut Map<String, Tree>) -> Option<Self> {
        let translated = to_rust_regex(keywords.get("pattern")?.as_str()?).ok()?;
        let sequence = Sequence::compile(&translated)?;
        let alone = Map::from_iter(keywords.remove_entry("pattern"));
        Some(Self { sequence, validator: compile(alone)? })
    }

    #[inline(always)]
    pub(super) fn accept(&self, string: &Value<'_>) -> bool {
        let verdict = string.plain_text().and_then(|text| self.sequence.is_match(text));
        verdict.unwrap_or_else(|| self.accept_by_library(string))
    }

    #[cold]
    fn accept_by_library(&self, string: &Value<'_>) -> bool {
        self.validator.is_valid(TapeNode(*string))
    }
}
