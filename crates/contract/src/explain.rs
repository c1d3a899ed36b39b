//! Every violation of the schema in a record that is known to be invalid.

use intelgraph_json::{Kind, Pointer, Value};
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Fault;

use crate::contract::Contract;
use crate::fix::fix;
use crate::record_schema::escaped;
use crate::report::Report;
use crate::shape::ValueShape;
use crate::tape_json::TapeNode;
use crate::violation::{Rule, Violation};

/// Records above this many bytes are explained by their first violation only: the library keeps all errors of a
/// record at once, and a megabyte of wrong elements would take hundreds.
const LARGEST_EXPLAINED: usize = 64 * 1024;

impl Contract {
    /// Adds to the report what is wrong with record number `index`. Adds nothing for a valid record. Cold:
    /// ask [`Contract::is_valid`] first.
    pub fn explain(&self, index: u64, record: Value<'_>, report: &mut Report) {
        if record.kind() != Kind::Object {
            return report.add(index, Violation::of_rule(Rule::RecordNotObject, "", "", Some(record)));
        }
        if record.raw().len() <= LARGEST_EXPLAINED {
            for error in self.validator.iter_errors(TapeNode(record)) {
                self.violations(&error, record)
                    .into_iter()
                    .for_each(|violation| report.add(index, violation));
            }
        } else if let Err(error) = self.validator.validate(TapeNode(record)) {
            report.note_partial();
            self.violations(&error, record).into_iter().for_each(|violation| report.add(index, violation));
        }
    }

    /// An error of the library, without the values that it carries.
    fn violations(&self, error: &ValidationError<'_>, record: Value<'_>) -> Vec<Violation> {
        let keyword = error.kind().keyword();
        let path = error.instance_path().as_str();
        let instance = self.disclosed(path, record);
        let value = Pointer::parse(path).ok().and_then(|pointer| record.pointer(&pointer));
        let found = value.map_or(ValueShape::MISSING, ValueShape::of);
        let schema_path = error.schema_path().as_str();
        let limit = self.document.schema.pointer(schema_path);
        let violation = |instance: String, found: ValueShape, fix: String| Violation {
            rule: keyword.to_owned().into(),
            instance,
            schema: format!("/schema{schema_path}"),
            found,
            fix: fix.into(),
        };
        let hint = fix("send", keyword, limit, found.kind);
        match error.kind() {
            // The name is the contract's, and the row is about the member.
            Fault::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                vec![violation(format!("{instance}/{}", escaped(name)), ValueShape::MISSING, hint)]
            }
            // The names are the record's: a name that the contract does not know may be anything.
            Fault::AdditionalProperties { unexpected } | Fault::UnevaluatedProperties { unexpected } => {
                unexpected
                    .iter()
                    .map(|name| {
                        let fix = match self.meant(name) {
                            Some(meant) => format!("{hint}; was {meant} meant?"),
                            None => hint.clone(),
                        };
                        violation(format!("{instance}/*"), ValueShape::of_member(name), fix)
                    })
                    .collect()
            }
            Fault::PropertyNames { .. } => vec![violation(format!("{instance}/*"), found, hint)],
            _ => vec![violation(instance, found, hint)],
        }
    }

    /// A pointer into a record, with `*` for array indexes and for names that the contract does not declare.
    fn disclosed(&self, path: &str, record: Value<'_>) -> String {
        let Ok(pointer) = Pointer::parse(path) else { return String::new() };
        let mut at = Some(record);
        pointer.tokens().fold(String::new(), |shown, token| {
            let is_member = at.is_some_and(|value| value.kind() == Kind::Object);
            at = at.and_then(|value| value.pointer(&[token].into_iter().collect()));
            let token = if is_member && self.declares(token) { escaped(token) } else { "*".into() };
            shown + "/" + &token
        })
    }
}
