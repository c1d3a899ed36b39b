//! Field by field: the rules of a schema that look at one member each, so that a record need not be checked
//! anew where it did not change.
//!
//! A schema is taken apart when its root says nothing but `type`, `properties`, `required` and
//! `additionalProperties` (beside annotations and definitions), and when no reference leads out of a field to
//! anything but a definition. Then the verdict on a record is the conjunction of
//!
//! - it is an object, which every record is before it comes here,
//! - every required member is there,
//! - each member satisfies its own subschema, which sees that member's value and nothing else.
//!
//! Values enter a verdict only by what they denote, never by how they are written, so the verdict on a member is
//! a function of its canonical form. If a record satisfied the contract, the next one of the same entity satisfies
//! it exactly when no required member went away and each member that was set or changed satisfies its own
//! subschema. Everything else (`allOf`, `if`, `dependentRequired`, `patternProperties`, `unevaluatedProperties`,
//! counts of members, `$dynamicRef`, …) can couple members and takes the whole way.

use intelgraph_json::{Key, Value};
use serde_json::{Map, Value as Tree, json};

use crate::record_schema::Survey;
use crate::rules::{MemberRules, Rules};

/// Subschemas that may be compiled once more for the sake of single fields.
const MOST_COPIES: usize = 16_384;

/// Keywords at the root that leave members apart.
const APART: [&str; 17] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "deprecated",
    "readOnly",
    "writeOnly",
    "examples",
    "$anchor",
    "type",
    "properties",
    "required",
    "additionalProperties",
];

/// A schema taken apart by members.
pub(crate) struct Fields(MemberRules);

impl Fields {
    /// Takes the schema apart, where that is sound.
    pub(crate) fn of(schema: &Tree, survey: &Survey) -> Option<Self> {
        let root = schema.as_object()?;
        if survey.dynamic
            || !root.keys().all(|keyword| APART.contains(&keyword.as_str()) || keyword.starts_with("x-"))
        {
            return None;
        }
        let mut copies = 0;
        let compile = |subschema: &Tree| {
            let definitions = definitions_for(subschema, root)?;
            copies += size(subschema) + definitions.values().map(size).sum::<usize>();
            if copies > MOST_COPIES { None } else { compile_alone(subschema, definitions) }
        };
        MemberRules::take(&mut root.clone(), compile).map(Self)
    }

    /// The verdict on a whole object.
    pub(crate) fn accept(&self, record: Value<'_>) -> bool {
        self.0.accept(&record)
    }

    /// The members that do not satisfy their subschema.
    pub(crate) fn broken<'a>(&self, record: Value<'a>) -> impl Iterator<Item = (Key<'a>, Value<'a>)> {
        record.members().filter(|(key, value)| !self.accept_member(*key, *value))
    }

    /// The verdict on one member.
    pub(crate) fn accept_member(&self, key: Key<'_>, value: Value<'_>) -> bool {
        self.0.accept_member(key, &value)
    }

    /// Whether a member may go away.
    pub(crate) fn may_lack(&self, name: &str) -> bool {
        !self.0.require(name)
    }
}

/// The rules of a member's subschema, with the definitions that it refers to.
fn compile_alone(schema: &Tree, definitions: Map<String, Tree>) -> Option<Rules> {
    if definitions.is_empty() {
        return Rules::of(schema);
    }
    let mut alone = schema.as_object()?.clone();
    for (name, group) in definitions {
        if alone.insert(name, group).is_some() {
            return None;
        }
    }
    Rules::of_library(alone)
}

/// A name as the canonical form writes it: RFC 8785 escapes as `serde_json` does.
pub(crate) fn quoted(name: impl AsRef<str>) -> Box<[u8]> {
    Tree::from(name.as_ref()).to_string().into_bytes().into()
}

/// The definitions that a subschema refers to, grouped as at the root; `None` where a reference leads elsewhere.
fn definitions_for(subschema: &Tree, root: &Map<String, Tree>) -> Option<Map<String, Tree>> {
    let mut groups: Map<String, Tree> = Map::new();
    let mut todo = vec![subschema];
    while let Some(next) = todo.pop() {
        match next {
            Tree::Object(members) => {
                if let Some(target) = members.get("$ref").and_then(Tree::as_str) {
                    let (group, name) = ["$defs", "definitions"].into_iter().find_map(|group| {
                        Some((group, target.strip_prefix("#/")?.strip_prefix(group)?.strip_prefix('/')?))
                    })?;
                    // Names that a pointer or a URI would escape, and places within a definition: not worth it.
                    if name.contains(['/', '~', '%']) {
                        return None;
                    }
                    let definition = root.get(group)?.get(name)?;
                    let held = groups.entry(group).or_insert_with(|| json!({}));
                    if held.as_object_mut()?.insert(name.into(), definition.clone()).is_none() {
                        todo.push(definition);
                    }
                }
                todo.extend(members.values());
            }
            Tree::Array(elements) => todo.extend(elements),
            _ => {}
        }
    }
    Some(groups)
}

fn size(tree: &Tree) -> usize {
    match tree {
        Tree::Object(members) => 1 + members.values().map(size).sum::<usize>(),
        Tree::Array(elements) => elements.iter().map(size).sum(),
        _ => 0,
    }
}
