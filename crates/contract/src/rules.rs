//! The rules of one subschema, answered from the tape where that is plain.
//!
//! Keywords are assertions apart from each other (JSON Schema 2020-12 Core §7.7): a value satisfies a subschema when
//! it satisfies each of them, but for those few that look at what their siblings found. So the keywords that most
//! fields of most contracts consist of (`type`, lengths, ranges, lists of texts, patterns, members, elements) are
//! answered here, and what remains goes to the library as a subschema of its own. Asking the library about a member
//! costs several times what looking at its token costs.

mod elements;
mod members;
mod number;
mod text;
mod types;

use intelgraph_json::{Kind, Value};
use jsonschema::Validator;
use serde_json::{Map, Value as Tree};

use crate::compile::options;
use crate::tape_json::{TapeJson, TapeNode};
use elements::ElementRules;
pub(crate) use members::MemberRules;
use number::NumberRules;
use text::{Length, Pattern, Texts};
use types::Types;

/// Keywords that assert nothing (Core §8.3, Validation §9).
const ANNOTATIONS: [&str; 8] =
    ["$comment", "title", "description", "default", "deprecated", "readOnly", "writeOnly", "examples"];

/// Keywords that make `properties`, `additionalProperties` or `items` mean something else beside them, or that look
/// at what those have found (Core §10.3, §11).
const ENTANGLED: [&str; 4] =
    ["patternProperties", "prefixItems", "unevaluatedProperties", "unevaluatedItems"];

/// The rules of a subschema that refers to no other.
pub(crate) struct Rules {
    types: Types,
    details: Vec<Detail>,
}

/// What is asked beyond the type. Each looks at values of one kind, the library at all.
enum Detail {
    Length(Length),
    Texts(Texts),
    Pattern(Box<Pattern>),
    Number(NumberRules),
    Members(Box<MemberRules>),
    Elements(Box<ElementRules>),
    Library(Box<Validator<TapeJson>>),
}

impl Rules {
    /// Reads a subschema that is valid against the meta-schema and holds no reference. `None` where the library does
    /// not compile it.
    pub(crate) fn of(schema: &Tree) -> Option<Self> {
        match schema {
            Tree::Bool(true) => Some(Self { types: Types::ANY, details: Vec::new() }),
            Tree::Bool(false) => Some(Self { types: Types::NONE, details: Vec::new() }),
            Tree::Object(keywords) if ENTANGLED.iter().any(|keyword| keywords.contains_key(*keyword)) => {
                Self::of_library(keywords.clone())
            }
            Tree::Object(keywords) => Self::split(keywords.clone()),
            _ => None,
        }
    }

    /// Leaves a subschema to the library.
    pub(crate) fn of_library(keywords: Map<String, Tree>) -> Option<Self> {
        Some(Self { types: Types::ANY, details: vec![Detail::Library(compile(keywords)?)] })
    }

    /// Takes what is plain out of the keywords.
    fn split(mut keywords: Map<String, Tree>) -> Option<Self> {
        keywords.retain(|keyword, _| !ANNOTATIONS.contains(&&**keyword) && !keyword.starts_with("x-"));
        let names = keywords.remove("type");
        let mut types = names.as_ref().map_or(Types::ANY, Types::of);
        let mut details = Vec::new();
        details.extend(Length::take(&mut keywords).map(Detail::Length));
        if let Some(texts) = Texts::take(&mut keywords) {
            types = types.only(Kind::String);
            details.push(Detail::Texts(texts));
        }
        details.extend(Pattern::take(&mut keywords).map(|pattern| Detail::Pattern(pattern.into())));
        let only_integers = names.as_ref().is_some_and(types::admits_only_integers);
        details.extend(NumberRules::take(&mut keywords, only_integers).map(Detail::Number));
        if MemberRules::KEYWORDS.iter().any(|keyword| keywords.contains_key(*keyword)) {
            details.push(Detail::Members(MemberRules::take(&mut keywords, Self::of)?.into()));
        }
        if ElementRules::KEYWORDS.iter().any(|keyword| keywords.contains_key(*keyword)) {
            details.push(Detail::Elements(ElementRules::take(&mut keywords)?.into()));
        }
        if !keywords.is_empty() {
            details.push(Detail::Library(compile(keywords)?));
        }
        Some(Self { types, details })
    }

    /// The verdict on a value. By reference, as all below: copies of values would be most of the work.
    pub(crate) fn accept(&self, value: &Value<'_>) -> bool {
        let kind = value.kind();
        if !self.types.admit(kind) {
            return false;
        }
        for detail in &self.details {
            if !detail.accept(kind, value) {
                return false;
            }
        }
        true
    }
}

impl Detail {
    #[inline(always)]
    fn accept(&self, kind: Kind, value: &Value<'_>) -> bool {
        match self {
            Self::Length(length) => kind != Kind::String || length.accept(value),
            Self::Texts(texts) => kind != Kind::String || texts.accept(value),
            Self::Pattern(pattern) => kind != Kind::String || pattern.accept(value),
            Self::Number(rules) => kind != Kind::Number || rules.accept(value),
            Self::Members(rules) => kind != Kind::Object || rules.accept(value),
            Self::Elements(rules) => kind != Kind::Array || rules.accept(value),
            Self::Library(validator) => validator.is_valid(TapeNode(*value)),
        }
    }
}

/// Compiles keywords as a subschema of their own; `None` where the library does not.
fn compile(keywords: Map<String, Tree>) -> Option<Box<Validator<TapeJson>>> {
    options().build(&keywords.into()).ok().map(Box::new)
}

/// Takes a keyword whose value is a count, where that count is a `u64`.
fn take_count(keywords: &mut Map<String, Tree>, keyword: &str) -> Option<u64> {
    let count = keywords.get(keyword)?.as_u64()?;
    keywords.remove(keyword);
    Some(count)
}
