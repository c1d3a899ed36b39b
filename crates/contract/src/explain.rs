//! Every violation of the schema in a record that is known to be invalid.

use intelgraph_json::{Kind, Value};
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Fault;
use jsonschema::paths::{Location, LocationSegment};

use crate::contract::Contract;
use crate::fix::fix;
use crate::record_schema::escaped;
use crate::report::Report;
use crate::shape::ValueShape;
use crate::tape_json::TapeNode;
use crate::violation::{Rule, Violation};
use crate::visits::DEEPEST_RECORD;

/// Errors, and copies of values within errors, that explaining one record may take at worst. The library holds all
/// errors of a record at once, at some hundred bytes each.
const MOST_ERRORS: u64 = 250_000;

impl Contract {
    /// Adds to the report what is wrong with record number `index`. Adds nothing for a valid record. Cold:
    /// ask [`Contract::is_valid`] first.
    pub fn explain(&self, index: u64, record: Value<'_>, report: &mut Report) {
        if record.kind() != Kind::Object {
            return report.add(index, Violation::of_rule(Rule::RecordNotObject, "", "", Some(record)));
        }
        let Size { values, depth } = size(record);
        let visits = self.visits.by_errors[depth.min(DEEPEST_RECORD)];
        // Each error copies the value that it is about, so a value is held once for each level above it.
        if values.saturating_mul(depth as u64 + 1).saturating_mul(visits) <= MOST_ERRORS {
            for error in self.validator.iter_errors(TapeNode(record)) {
                self.add(index, &error, report);
            }
        } else if !self.is_valid(record) {
            report.note_partial();
            self.outline(record).into_iter().for_each(|violation| report.add(index, violation));
        }
    }

    /// Which members of a record are wrong, without looking into them.
    fn outline(&self, record: Value<'_>) -> Vec<Violation> {
        let violated = |instance: String, found| {
            Violation::of_rule(Rule::SchemaViolated, instance, "/schema", Some(found))
        };
        let broken = self.fields.iter().flat_map(|fields| fields.broken(record));
        let mut violations: Vec<Violation> = broken
            .map(|(key, value)| violated(format!("/{}", self.disclosed_token(&key.as_str())), value))
            .collect();
        if violations.is_empty() {
            violations.push(violated(String::new(), record));
        }
        violations
    }

    /// Adds what an error of the library says, without the values that it carries.
    fn add(&self, index: u64, error: &ValidationError<'_>, report: &mut Report) {
        let keyword = error.kind().keyword();
        let instance = self.disclosed(error.instance_path());
        let schema_path = error.schema_path().as_str();
        let mut add = |instance: String, found: ValueShape, unknown: Option<&str>| {
            // The fix of a row is that of its first violation.
            let fix = if report.has_row(&instance, keyword) {
                String::new()
            } else {
                let fix = fix("send", keyword, self.document.schema.pointer(schema_path), found.kind);
                match unknown.and_then(|name| self.meant(name)) {
                    Some(meant) => format!("{fix}; was {meant} meant?"),
                    None => fix,
                }
            };
            let (rule, schema) = (keyword.to_owned().into(), format!("/schema{schema_path}"));
            report.add(index, Violation { rule, instance, schema, found, fix: fix.into() });
        };
        match error.kind() {
            // The name is the contract's, and the row is about the member.
            Fault::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                add(format!("{instance}/{}", escaped(name)), ValueShape::MISSING, None);
            }
            // The names are the record's: a name that the contract does not know may be anything.
            Fault::AdditionalProperties { unexpected } | Fault::UnevaluatedProperties { unexpected } => {
                for name in unexpected {
                    add(format!("{instance}/*"), ValueShape::of_member(name), Some(name));
                }
            }
            Fault::PropertyNames { .. } => {
                add(format!("{instance}/*"), ValueShape::of_tree(error.instance()), None)
            }
            _ => add(instance, ValueShape::of_tree(error.instance()), None),
        }
    }

    /// A pointer into a record, with `*` for array indexes and for names that the contract does not declare.
    fn disclosed(&self, path: &Location) -> String {
        path.segments().fold(String::new(), |shown, segment| match segment {
            LocationSegment::Property(name) => shown + "/" + &self.disclosed_token(&name),
            LocationSegment::Index(_) => shown + "/*",
        })
    }

    fn disclosed_token(&self, name: &str) -> String {
        if self.declares(name) { escaped(name) } else { "*".into() }
    }
}

/// Values in a document, itself included, and containers inside each other.
#[derive(Clone, Copy)]
struct Size {
    values: u64,
    depth: usize,
}

fn size(value: Value<'_>) -> Size {
    let below = |size: Size, inner: Value<'_>| {
        let Size { values, depth } = self::size(inner);
        Size { values: size.values + values, depth: size.depth.max(depth) }
    };
    let leaf = Size { values: 1, depth: 0 };
    let size = match value.kind() {
        Kind::Object => value.members().map(|(_, member)| member).fold(leaf, below),
        Kind::Array => value.elements().fold(leaf, below),
        _ => return leaf,
    };
    Size { depth: size.depth + 1, ..size }
}
