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

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use intelgraph_json::{Key, Value};
use jsonschema::Validator;
use serde_json::{Map, Value as Tree, json};

use crate::compile::options;
use crate::record_schema::Survey;
use crate::tape_json::{TapeJson, TapeNode};

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
pub(crate) struct Fields {
    /// By the name in quotes, as the canonical form writes it: what a key on the tape shows without being read.
    by_name: HashMap<Box<[u8]>, Field, FixedState>,
    /// For members that `properties` does not name.
    others: Check,
    required: usize,
}

struct Field {
    check: Check,
    required: bool,
}

enum Check {
    Always(bool),
    By(Box<Validator<TapeJson>>),
}

impl Check {
    fn compile(schema: &Tree, definitions: &Map<String, Tree>) -> Option<Self> {
        if let Tree::Bool(verdict) = schema {
            return Some(Self::Always(*verdict));
        }
        let mut alone = schema.as_object()?.clone();
        for (name, group) in definitions {
            if alone.insert(name.clone(), group.clone()).is_some() {
                return None;
            }
        }
        options().build(&alone.into()).ok().map(|validator| Self::By(Box::new(validator)))
    }

    fn accepts(&self, value: Value<'_>) -> bool {
        match self {
            Self::Always(verdict) => *verdict,
            Self::By(validator) => validator.is_valid(TapeNode(value)),
        }
    }
}

impl Fields {
    /// Takes the schema apart, where that is sound.
    pub(crate) fn of(schema: &Tree, survey: &Survey) -> Option<Self> {
        let root = schema.as_object()?;
        if survey.dynamic
            || !root.keys().all(|keyword| APART.contains(&keyword.as_str()) || keyword.starts_with("x-"))
        {
            return None;
        }
        let none = Map::new();
        let properties = root.get("properties").map_or(Some(&none), Tree::as_object)?;
        let others = root.get("additionalProperties").unwrap_or(&Tree::Bool(true));
        let mut copies = 0;
        let mut compile = |subschema: &Tree| {
            let definitions = definitions_for(subschema, root)?;
            copies += size(subschema) + definitions.values().map(size).sum::<usize>();
            if copies > MOST_COPIES { None } else { Check::compile(subschema, &definitions) }
        };
        let mut by_name = HashMap::with_hasher(FixedState::default());
        for (name, subschema) in properties {
            by_name.insert(quoted(name), Field { check: compile(subschema)?, required: false });
        }
        let names =
            root.get("required").and_then(Tree::as_array).into_iter().flatten().filter_map(Tree::as_str);
        for name in names.map(quoted) {
            if !by_name.contains_key(&name) {
                by_name.insert(name.clone(), Field { check: compile(others)?, required: false });
            }
            by_name.get_mut(&name)?.required = true;
        }
        let required = by_name.values().filter(|field| field.required).count();
        Some(Self { by_name, others: compile(others)?, required })
    }

    /// The verdict on a whole object.
    pub(crate) fn accept(&self, record: Value<'_>) -> bool {
        let mut required = 0;
        for (key, value) in record.members() {
            let accepted = match self.by_name.get(&*key.quoted()) {
                Some(field) => {
                    required += usize::from(field.required);
                    field.check.accepts(value)
                }
                None => self.others.accepts(value),
            };
            if !accepted {
                return false;
            }
        }
        // Keys do not repeat within an object, so each required one was counted once.
        required == self.required
    }

    /// The members that do not satisfy their subschema.
    pub(crate) fn broken<'a>(&self, record: Value<'a>) -> impl Iterator<Item = (Key<'a>, Value<'a>)> {
        record.members().filter(|(key, value)| !self.accept_member(*key, *value))
    }

    /// The verdict on one member.
    pub(crate) fn accept_member(&self, key: Key<'_>, value: Value<'_>) -> bool {
        self.by_name.get(&*key.quoted()).map_or(&self.others, |field| &field.check).accepts(value)
    }

    /// Whether a member may go away.
    pub(crate) fn may_lack(&self, name: &str) -> bool {
        !self.by_name.get(&quoted(name)).is_some_and(|field| field.required)
    }
}

/// A name as the canonical form writes it: RFC 8785 escapes as `serde_json` does.
fn quoted(name: impl AsRef<str>) -> Box<[u8]> {
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
