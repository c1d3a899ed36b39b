//! One broken rule in one record.

use std::borrow::Cow;

use intelgraph_json::{ParseError, Value};

use crate::shape::ValueShape;

/// Rules of the gateway itself, beside the keywords of JSON Schema and the reasons of
/// [`intelgraph_json::ParseErrorKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A record is one JSON object.
    RecordNotObject,
    /// A record satisfies the schema. Stands for all violations below the pointer, where listing them would take
    /// too much.
    SchemaViolated,
    /// Every part of the entity key is there and not null.
    EntityKeyMissing,
    /// A part of the entity key is a string, a number or a boolean.
    EntityKeyNotScalar,
    /// An event time that is there can be read in its declared format.
    EventTimeInvalid,
    /// An event time lies at most the contract's skew after the time of receipt.
    EventTimeFuture,
    /// Where the contract says `dedupe`, an entity has one content per event time.
    DedupeConflict,
}

impl Rule {
    /// Every rule, for tables and tests.
    pub const ALL: [Self; 7] = [
        Self::RecordNotObject,
        Self::SchemaViolated,
        Self::EntityKeyMissing,
        Self::EntityKeyNotScalar,
        Self::EventTimeInvalid,
        Self::EventTimeFuture,
        Self::DedupeConflict,
    ];

    /// The stable name, as it stands in reports.
    pub const fn id(self) -> &'static str {
        match self {
            Self::RecordNotObject => "RECORD_NOT_OBJECT",
            Self::SchemaViolated => "SCHEMA_VIOLATED",
            Self::EntityKeyMissing => "ENTITY_KEY_MISSING",
            Self::EntityKeyNotScalar => "ENTITY_KEY_NOT_SCALAR",
            Self::EventTimeInvalid => "EVENT_TIME_INVALID",
            Self::EventTimeFuture => "EVENT_TIME_FUTURE",
            Self::DedupeConflict => "DEDUPE_CONFLICT",
        }
    }

    /// What the producer can do about it.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::RecordNotObject => "send one JSON object per record",
            Self::SchemaViolated => {
                "check the value against the schema; it is too large or too deep to say more"
            }
            Self::EntityKeyMissing => "send every part of the entity key, not null",
            Self::EntityKeyNotScalar => {
                "send a string, a number or a boolean for each part of the entity key"
            }
            Self::EventTimeInvalid => "write the event time in the format that the contract declares",
            Self::EventTimeFuture => "correct the producer's clock or the offset of its event times",
            Self::DedupeConflict => {
                "send the correction with its own event time, or publish a contract without sla.dedupe"
            }
        }
    }
}

/// One broken rule in one record: where, what was found as a shape, and the fix. Holds no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// A [`Rule::id`], a parse reason, or a keyword of JSON Schema.
    pub rule: Cow<'static, str>,
    /// Pointer into the record. Array indexes and names that the contract does not declare are `*`.
    pub instance: String,
    /// Pointer into the contract document to what was broken; empty for rules of the gateway.
    pub schema: String,
    /// What was found.
    pub found: ValueShape,
    /// What the producer can do.
    pub fix: Cow<'static, str>,
}

impl Violation {
    /// A broken rule of the gateway at `instance`, declared at `schema` in the contract document.
    pub fn of_rule(rule: Rule, instance: impl Into<String>, schema: &str, found: Option<Value<'_>>) -> Self {
        Self {
            rule: rule.id().into(),
            instance: instance.into(),
            schema: schema.into(),
            found: found.map_or(ValueShape::MISSING, ValueShape::of),
            fix: rule.fix().into(),
        }
    }
}

impl From<ParseError> for Violation {
    fn from(error: ParseError) -> Self {
        Self {
            rule: error.kind.reason().into(),
            instance: String::new(),
            schema: String::new(),
            found: ValueShape::DOCUMENT,
            fix: error.kind.fix().into(),
        }
    }
}
