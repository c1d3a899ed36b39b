//! What the schema of a record may say, beyond being a schema.
//!
//! JSON Schema ignores what it does not know and fetches what it is pointed to. A contract does neither: a
//! keyword that would not be enforced, a format that would not be asserted, a pattern that could not be matched
//! in linear time and a reference that leaves the document are refused. So is a schema whose check of a single
//! value could take exponential time, or a stack without bound, by way of its references.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use jsonschema::Draft;
use serde_json::{Map, Value};

use crate::compile::options;
use crate::error::{ContractError, ContractErrors};
use crate::fix::meant;
use crate::visits::{self, Node, Visits};

/// Subschemas in one contract.
const MOST_SUBSCHEMAS: usize = 4096;
/// Subschemas that look at one and the same value for a verdict.
const MOST_VISITS: u64 = 4096;
/// Subschemas inside each other, or behind each other's references, that look at one and the same value: with
/// [`DEEPEST_RECORD`](crate::visits::DEEPEST_RECORD) levels, what fits the stack of any thread.
const DEEPEST_NESTING: u32 = 24;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// How a keyword holds subschemas.
#[derive(Clone, Copy, PartialEq)]
enum Holds {
    Nothing,
    /// One that looks at the same value.
    Same,
    /// A list of them.
    SameList,
    /// A map of them, by names of members.
    SameMap,
    /// A map of them, each looking at the member of its name.
    Members,
    /// One that looks at other members, elements or decoded content.
    Below,
    /// A list of them.
    BelowList,
    /// A map of them.
    BelowMap,
    /// Definitions, looked at only through references.
    Definitions,
}

/// JSON Schema 2020-12: Core §8–10, Validation §6–9.
#[rustfmt::skip]
const KEYWORDS: &[(&str, Holds)] = &[
    ("$schema", Holds::Nothing), ("$id", Holds::Nothing), ("$ref", Holds::Nothing), ("$anchor", Holds::Nothing),
    ("$dynamicRef", Holds::Nothing), ("$dynamicAnchor", Holds::Nothing), ("$comment", Holds::Nothing),
    ("$defs", Holds::Definitions), ("definitions", Holds::Definitions),
    ("allOf", Holds::SameList), ("anyOf", Holds::SameList), ("oneOf", Holds::SameList), ("not", Holds::Same),
    ("if", Holds::Same), ("then", Holds::Same), ("else", Holds::Same), ("dependentSchemas", Holds::SameMap),
    ("prefixItems", Holds::BelowList), ("items", Holds::Below), ("contains", Holds::Below),
    ("properties", Holds::Members), ("patternProperties", Holds::BelowMap),
    ("additionalProperties", Holds::Below), ("propertyNames", Holds::Below),
    ("unevaluatedItems", Holds::Below), ("unevaluatedProperties", Holds::Below), ("contentSchema", Holds::Below),
    ("type", Holds::Nothing), ("enum", Holds::Nothing), ("const", Holds::Nothing),
    ("multipleOf", Holds::Nothing), ("maximum", Holds::Nothing), ("exclusiveMaximum", Holds::Nothing),
    ("minimum", Holds::Nothing), ("exclusiveMinimum", Holds::Nothing),
    ("maxLength", Holds::Nothing), ("minLength", Holds::Nothing), ("pattern", Holds::Nothing),
    ("maxItems", Holds::Nothing), ("minItems", Holds::Nothing), ("uniqueItems", Holds::Nothing),
    ("maxContains", Holds::Nothing), ("minContains", Holds::Nothing),
    ("maxProperties", Holds::Nothing), ("minProperties", Holds::Nothing), ("required", Holds::Nothing),
    ("dependentRequired", Holds::Nothing), ("format", Holds::Nothing),
    ("contentEncoding", Holds::Nothing), ("contentMediaType", Holds::Nothing),
    ("title", Holds::Nothing), ("description", Holds::Nothing), ("default", Holds::Nothing),
    ("deprecated", Holds::Nothing), ("readOnly", Holds::Nothing), ("writeOnly", Holds::Nothing),
    ("examples", Holds::Nothing),
];

/// What a walk over a record schema found.
pub(crate) struct Survey {
    /// Names of members that the schema declares, anywhere.
    pub(crate) declared: HashSet<Box<str>>,
    /// Whether a `$dynamicRef` makes the meaning of a subschema depend on the way to it.
    pub(crate) dynamic: bool,
    /// What a check of one record may cost.
    pub(crate) visits: Visits,
}

/// Walks `schema`, which stands at `/schema` of the contract document. It must be valid against the
/// meta-schema already.
pub(crate) fn survey(schema: &Value) -> Result<Survey, ContractErrors> {
    let mut walk = Walk::default();
    walk.enter(schema, "/schema".into());
    walk.connect(schema);
    ContractErrors::unless_empty(walk.errors)?;
    let visits = visits::count(&walk.nodes)
        .filter(|visits| visits.by_verdict <= MOST_VISITS && visits.nesting <= DEEPEST_NESTING)
        .ok_or_else(|| {
            let fix = format!(
                "let at most {MOST_VISITS} subschemas, {DEEPEST_NESTING} inside each other, look at one value by way \
                 of allOf, anyOf, oneOf, not, if and $ref"
            );
            ContractError::new("/schema", "SCHEMA_TOO_COMPLEX", fix)
        })?;
    Ok(Survey { declared: walk.declared, dynamic: walk.dynamic, visits })
}

#[derive(Default)]
struct Walk<'s> {
    declared: HashSet<Box<str>>,
    dynamic: bool,
    nodes: Vec<Node<'s>>,
    numbers: HashMap<*const Value, usize>,
    anchors: HashMap<&'s str, usize>,
    /// The subschema that refers, where it stands, and where it refers to.
    references: Vec<(usize, String, &'s str)>,
    errors: Vec<ContractError>,
}

impl<'s> Walk<'s> {
    fn refuse(&mut self, pointer: &str, keyword: &str, rule: &str, fix: impl Into<String>) {
        let pointer = format!("{pointer}/{}", escaped(keyword));
        self.errors.push(ContractError::new(pointer, rule, fix));
    }

    /// Gives the number of the subschema; `None` beyond [`MOST_SUBSCHEMAS`].
    fn enter(&mut self, schema: &'s Value, at: String) -> Option<usize> {
        let number = self.nodes.len();
        if number == MOST_SUBSCHEMAS {
            if self.errors.last().is_none_or(|error| error.rule != "SCHEMA_TOO_LARGE") {
                let fix = format!("use at most {MOST_SUBSCHEMAS} subschemas; share definitions by $ref");
                self.errors.push(ContractError::new(at, "SCHEMA_TOO_LARGE", fix));
            }
            return None;
        }
        self.nodes.push(Node::default());
        self.numbers.insert(schema, number);
        for (keyword, value) in schema.as_object().into_iter().flatten() {
            match KEYWORDS.iter().find(|(known, _)| known == keyword) {
                Some((_, holds)) => {
                    self.check(keyword, value, &at, number);
                    for (name, subschema) in subschemas(*holds, value) {
                        let at = match holds {
                            Holds::Same | Holds::Below => format!("{at}/{}", escaped(keyword)),
                            _ => format!("{at}/{}/{}", escaped(keyword), escaped(&name)),
                        };
                        let Some(inner) = self.enter(subschema, at) else { continue };
                        let node = &mut self.nodes[number];
                        match holds {
                            Holds::Same | Holds::SameList | Holds::SameMap => node.same.push(inner),
                            Holds::Members => {
                                if let Cow::Borrowed(name) = name {
                                    node.named.push((name, inner));
                                }
                            }
                            Holds::Below | Holds::BelowList | Holds::BelowMap => node.other.push(inner),
                            Holds::Nothing | Holds::Definitions => {}
                        }
                    }
                }
                None if keyword.starts_with("x-") => {}
                None => {
                    let known = KEYWORDS.iter().map(|(known, _)| *known);
                    let fix = match meant(keyword, known) {
                        Some(meant) => format!("write {meant}, or prefix an annotation of your own with x-"),
                        None => "remove it, or prefix an annotation of your own with x-".into(),
                    };
                    self.refuse(&at, keyword, "SCHEMA_KEYWORD_UNKNOWN", fix);
                }
            }
        }
        Some(number)
    }

    /// Lets each reference lead where it points to.
    fn connect(&mut self, root: &'s Value) {
        for (from, at, target) in std::mem::take(&mut self.references) {
            let to = target.strip_prefix('#').and_then(percent_decoded).and_then(|fragment| {
                if fragment.is_empty() || fragment.starts_with('/') {
                    return self.numbers.get(&std::ptr::from_ref(root.pointer(&fragment)?)).copied();
                }
                self.anchors.get(fragment.as_str()).copied()
            });
            match to {
                Some(to) => self.nodes[from].same.push(to),
                None => {
                    let fix = "let it lead to a subschema, as #/$defs/name does";
                    self.errors.push(ContractError::new(at, "SCHEMA_REF_UNRESOLVED", fix));
                }
            }
        }
    }

    fn check(&mut self, keyword: &str, value: &'s Value, at: &str, number: usize) {
        let root = at == "/schema";
        match (keyword, value) {
            ("$schema", Value::String(dialect)) if !root || dialect.trim_end_matches('#') != DIALECT => {
                self.refuse(at, keyword, "SCHEMA_DIALECT", format!("use {DIALECT}, once, at the root"));
            }
            ("$id", _) if !root => {
                let fix = "remove $id and refer to the definition by #/$defs/name";
                self.refuse(at, keyword, "SCHEMA_ID_NESTED", fix);
            }
            ("$ref" | "$dynamicRef", Value::String(target)) => {
                self.dynamic |= keyword == "$dynamicRef";
                if target.starts_with('#') {
                    self.references.push((number, format!("{at}/{keyword}"), target));
                } else {
                    let fix =
                        "nothing is fetched: copy the definition to $defs and refer to it by #/$defs/name";
                    self.refuse(at, keyword, "SCHEMA_REF_REMOTE", fix);
                }
            }
            ("$anchor" | "$dynamicAnchor", Value::String(name)) => {
                self.anchors.insert(name, number);
            }
            ("format", Value::String(name)) if !options().is_known_format(Draft::Draft202012, name) => {
                let fix = "use a format that is asserted (JSON Schema 2020-12 Validation §7.3), or a pattern";
                self.refuse(at, keyword, "SCHEMA_FORMAT_UNKNOWN", fix);
            }
            ("pattern", Value::String(pattern)) => self.check_pattern(pattern, at, keyword),
            ("patternProperties", Value::Object(patterns)) => {
                let at = format!("{at}/patternProperties");
                patterns.keys().for_each(|pattern| self.check_pattern(pattern, &at, pattern));
            }
            ("properties" | "dependentRequired" | "dependentSchemas", Value::Object(names)) => {
                self.declared.extend(names.keys().map(|name| name.as_str().into()));
                let lists = names.values().filter_map(Value::as_array).flatten();
                self.declared.extend(lists.filter_map(Value::as_str).map(Into::into));
            }
            ("required", Value::Array(names)) => {
                self.declared.extend(names.iter().filter_map(Value::as_str).map(Into::into));
            }
            _ => {}
        }
    }

    fn check_pattern(&mut self, pattern: &str, at: &str, keyword: &str) {
        let alone = Map::from_iter([("pattern".to_owned(), pattern.into())]);
        if options().build(&alone.into()).is_err() {
            let fix = "use a pattern without look-around and back-references, of moderate size: patterns are \
                       matched in linear time";
            self.refuse(at, keyword, "SCHEMA_PATTERN_UNSUPPORTED", fix);
        }
    }
}

/// The subschemas behind a keyword, with the name or the number of each.
fn subschemas(holds: Holds, value: &Value) -> Vec<(Cow<'_, str>, &Value)> {
    match (holds, value) {
        (Holds::Same | Holds::Below, value) => vec![("".into(), value)],
        (Holds::SameList | Holds::BelowList, Value::Array(list)) => {
            list.iter().enumerate().map(|(at, schema)| (at.to_string().into(), schema)).collect()
        }
        (Holds::SameMap | Holds::Members | Holds::BelowMap | Holds::Definitions, Value::Object(map)) => {
            map.iter().map(|(name, schema)| (name.into(), schema)).collect()
        }
        _ => Vec::new(),
    }
}

/// A reference token as it stands in a pointer (RFC 6901 §4).
pub(crate) fn escaped(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// RFC 3986 §2.1; `None` where a `%` is not followed by two hexadecimal digits, or no text remains.
fn percent_decoded(fragment: &str) -> Option<String> {
    let mut bytes = fragment.bytes();
    let mut decoded = Vec::with_capacity(fragment.len());
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        decoded.push(match byte {
            b'%' => (digit(bytes.next())? * 16 + digit(bytes.next())?) as u8,
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}
