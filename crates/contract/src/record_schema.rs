//! What the schema of a record may say, beyond being a schema.
//!
//! JSON Schema ignores what it does not know and fetches what it is pointed to. A contract does neither: a
//! keyword that would not be enforced, a format that would not be asserted, a pattern that could not be matched
//! in linear time and a reference that leaves the document are refused. So is a schema whose check of a single
//! value could take exponential time, or a stack without bound, by way of its references.

use std::collections::{HashMap, HashSet};

use jsonschema::Draft;
use serde_json::{Map, Value};

use crate::compile::options;
use crate::error::{ContractError, ContractErrors};
use crate::fix::meant;

/// Subschemas in one contract.
const MOST_SUBSCHEMAS: usize = 4096;
/// Subschemas that look at one and the same value, each counted as often as it is reached.
const MOST_CHECKS_PER_VALUE: u64 = 4096;
/// Subschemas inside each other, or behind each other's references, that look at one and the same value.
const DEEPEST_CHECKS_PER_VALUE: u32 = 24;

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
    /// One that looks at members, elements or decoded content.
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
    ("properties", Holds::BelowMap), ("patternProperties", Holds::BelowMap),
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
pub(crate) struct Survey<'s> {
    root: &'s Value,
    /// Names of members that the schema declares, anywhere.
    pub(crate) declared: HashSet<Box<str>>,
    /// Whether a `$dynamicRef` makes the meaning of a subschema depend on the way to it.
    pub(crate) dynamic: bool,
    anchors: HashMap<&'s str, &'s Value>,
    subschemas: usize,
    errors: Vec<ContractError>,
}

/// Walks `schema`, which stands at `/schema` of the contract document. It must be valid against the
/// meta-schema already.
pub(crate) fn survey(schema: &Value) -> Result<Survey<'_>, ContractErrors> {
    let mut survey = Survey {
        root: schema,
        declared: HashSet::new(),
        dynamic: false,
        anchors: HashMap::new(),
        subschemas: 0,
        errors: Vec::new(),
    };
    survey.walk(schema, "/schema");
    if survey.errors.is_empty() {
        survey.bound_checks_per_value();
    }
    ContractErrors::unless_empty(std::mem::take(&mut survey.errors))?;
    Ok(survey)
}

impl<'s> Survey<'s> {
    fn refuse(&mut self, pointer: &str, keyword: &str, rule: &str, fix: impl Into<String>) {
        let pointer = format!("{pointer}/{}", escaped(keyword));
        self.errors.push(ContractError::new(pointer, rule, fix));
    }

    fn walk(&mut self, schema: &'s Value, at: &str) {
        self.subschemas += 1;
        if self.subschemas == MOST_SUBSCHEMAS + 1 {
            let fix = format!("use at most {MOST_SUBSCHEMAS} subschemas; share definitions by $ref");
            self.errors.push(ContractError::new(at, "SCHEMA_TOO_LARGE", fix));
        }
        let Value::Object(members) = schema else { return };
        if self.subschemas > MOST_SUBSCHEMAS {
            return;
        }
        for (keyword, value) in members {
            match KEYWORDS.iter().find(|(known, _)| known == keyword) {
                Some((_, holds)) => {
                    self.check(keyword, value, at);
                    for (place, subschema) in subschemas(keyword, *holds, value) {
                        self.walk(subschema, &format!("{at}{place}"));
                    }
                }
                None if keyword.starts_with("x-") => {}
                None => {
                    let known = KEYWORDS.iter().map(|(known, _)| *known);
                    let fix = match meant(keyword, known) {
                        Some(meant) => format!("write {meant}, or prefix an annotation of your own with x-"),
                        None => "remove it, or prefix an annotation of your own with x-".into(),
                    };
                    self.refuse(at, keyword, "SCHEMA_KEYWORD_UNKNOWN", fix);
                }
            }
        }
    }

    fn check(&mut self, keyword: &str, value: &'s Value, at: &str) {
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
                if !target.starts_with('#') {
                    let fix =
                        "nothing is fetched: copy the definition to $defs and refer to it by #/$defs/name";
                    self.refuse(at, keyword, "SCHEMA_REF_REMOTE", fix);
                }
            }
            ("$anchor" | "$dynamicAnchor", Value::String(name)) => {
                let holder = at.strip_prefix("/schema").and_then(|place| self.root.pointer(place));
                self.anchors.extend(holder.map(|holder| (name.as_str(), holder)));
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

    fn bound_checks_per_value(&mut self) {
        let mut costs = Costs { survey: self, known: HashMap::new() };
        let worst = self.every_subschema().into_iter().map(|schema| costs.of(schema, 0)).fold(
            Cost::default(),
            |worst, cost| Cost { checks: worst.checks.max(cost.checks), depth: worst.depth.max(cost.depth) },
        );
        if worst.checks > MOST_CHECKS_PER_VALUE || worst.depth > DEEPEST_CHECKS_PER_VALUE {
            let fix = format!(
                "let at most {MOST_CHECKS_PER_VALUE} subschemas, {DEEPEST_CHECKS_PER_VALUE} deep, look at one value \
                 through allOf, anyOf, oneOf, not, if and $ref"
            );
            self.errors.push(ContractError::new("/schema", "SCHEMA_TOO_COMPLEX", fix));
        }
    }

    fn every_subschema(&self) -> Vec<&'s Value> {
        let mut all = vec![self.root];
        let mut next = 0;
        while let Some(&schema) = all.get(next) {
            next += 1;
            for (keyword, value) in schema.as_object().into_iter().flatten() {
                let holds = KEYWORDS.iter().find(|(known, _)| known == keyword).map(|(_, holds)| *holds);
                let holds = holds.unwrap_or(Holds::Nothing);
                all.extend(subschemas(keyword, holds, value).into_iter().map(|(_, subschema)| subschema));
            }
        }
        all
    }

    /// The subschema that a local reference leads to.
    fn resolve(&self, target: &str) -> Option<&'s Value> {
        let fragment = percent_decoded(target.strip_prefix('#')?)?;
        if fragment.is_empty() || fragment.starts_with('/') {
            return self.root.pointer(&fragment);
        }
        self.anchors.get(fragment.as_str()).copied()
    }
}

/// How much a subschema makes of one value.
#[derive(Clone, Copy, Default)]
struct Cost {
    checks: u64,
    depth: u32,
}

struct Costs<'c, 's> {
    survey: &'c Survey<'s>,
    /// `None` while a subschema is being counted: a cycle on one value ends there, as it does when it is checked.
    known: HashMap<*const Value, Option<Cost>>,
}

impl<'s> Costs<'_, 's> {
    fn of(&mut self, schema: &'s Value, depth: u32) -> Cost {
        if depth > DEEPEST_CHECKS_PER_VALUE {
            return Cost { checks: 0, depth: 1 };
        }
        match self.known.get(&std::ptr::from_ref(schema)) {
            Some(Some(cost)) => return *cost,
            Some(None) => return Cost::default(),
            None => self.known.insert(schema, None),
        };
        let mut cost = Cost { checks: 1, depth: 0 };
        for (keyword, value) in schema.as_object().into_iter().flatten() {
            let mut add = |inner: Cost| {
                cost.checks = cost.checks.saturating_add(inner.checks);
                cost.depth = cost.depth.max(inner.depth);
            };
            if let ("$ref" | "$dynamicRef", Some(target)) = (keyword.as_str(), value.as_str()) {
                self.survey.resolve(target).into_iter().for_each(|target| add(self.of(target, depth + 1)));
            }
            let holds = KEYWORDS.iter().find(|(known, _)| known == keyword).map(|(_, holds)| *holds);
            if let Some(holds @ (Holds::Same | Holds::SameList | Holds::SameMap)) = holds {
                for (_, inner) in subschemas(keyword, holds, value) {
                    add(self.of(inner, depth + 1));
                }
            }
        }
        cost.depth += 1;
        self.known.insert(schema, Some(cost));
        cost
    }
}

/// The subschemas behind a keyword, with their pointers from the schema that holds it.
fn subschemas<'s>(keyword: &str, holds: Holds, value: &'s Value) -> Vec<(String, &'s Value)> {
    let below = |token: &str| format!("/{}/{}", escaped(keyword), escaped(token));
    match (holds, value) {
        (Holds::Same | Holds::Below, value) => vec![(format!("/{}", escaped(keyword)), value)],
        (Holds::SameList | Holds::BelowList, Value::Array(list)) => {
            list.iter().enumerate().map(|(at, schema)| (below(&at.to_string()), schema)).collect()
        }
        (Holds::SameMap | Holds::BelowMap | Holds::Definitions, Value::Object(map)) => {
            map.iter().map(|(name, schema)| (below(name), schema)).collect()
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
