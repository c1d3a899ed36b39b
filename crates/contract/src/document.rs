//! The contract document, typed.
//!
//! The published form is `schema/ig.contract.v1.schema.json`: it is checked first, so that every fault is
//! named by pointer, and only then read into these types, which know no other members either.

use intelgraph_json::Pointer;
use semver::Version;
use serde::{Deserialize, Deserializer, de};

/// A data contract, `ig.contract.v1`: governance header, schema of one record, mapping, placement.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    /// Name of the dataset within the tenant.
    pub dataset_id: String,
    /// Semantic version without build metadata.
    pub version: Version,
    /// Name of the owning tenant. Whoever stores the contract compares it with the caller's.
    pub tenant_id: String,
    /// Under which licence the data may be used.
    pub license: License,
    /// What the data may be used for.
    pub purpose: Vec<String>,
    /// How long the data is kept.
    pub retention: Retention,
    /// What the producer promises.
    pub sla: Sla,
    /// JSON Schema 2020-12 of one record.
    pub schema: serde_json::Value,
    /// From records to entities, times and relations.
    pub mapping: Mapping,
    /// Where the data may lie.
    pub placement: Placement,
}

/// Licence classes of the governance header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the names are those of ig.contract.v1")]
pub enum License {
    #[serde(rename = "MIT-OK")]
    MitOk,
    #[serde(rename = "Open-Data-OK")]
    OpenDataOk,
    #[serde(rename = "Restricted-TOS")]
    RestrictedTos,
    #[serde(rename = "Proprietary-Client")]
    ProprietaryClient,
    #[serde(rename = "Embargoed")]
    Embargoed,
}

/// Retention classes of the governance header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Retention {
    /// 7 days.
    #[serde(rename = "ephemeral-7d")]
    Ephemeral,
    /// 30 days.
    #[serde(rename = "short-30d")]
    Short,
    /// 365 days.
    #[serde(rename = "standard-365d")]
    Standard,
    /// 1825 days.
    #[serde(rename = "long-1825d")]
    Long,
    /// Until the hold is lifted; nothing may be deleted.
    #[serde(rename = "legal-hold")]
    LegalHold,
}

impl Retention {
    /// Days until data expires; `None` while it is held.
    pub fn days(self) -> Option<u32> {
        match self {
            Self::Ephemeral => Some(7),
            Self::Short => Some(30),
            Self::Standard => Some(365),
            Self::Long => Some(1825),
            Self::LegalHold => None,
        }
    }
}

/// Service levels that the producer promises.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sla {
    /// Bound in milliseconds on receive time minus event time, at `quantile`.
    pub ingest_latency_ms: Option<f64>,
    /// Quantile at which the latency holds.
    #[serde(default = "Sla::default_quantile")]
    pub quantile: f64,
    /// Least share of non-null values, in percent of the records received.
    pub completeness_pct: Option<f64>,
    /// Whether another content for the same entity and event time is a conflict; a correction otherwise.
    #[serde(default)]
    pub dedupe: bool,
    /// How far in milliseconds an event time may lie after the time of receipt.
    #[serde(default = "Sla::default_future_skew_ms")]
    pub future_skew_ms: u32,
}

impl Sla {
    fn default_quantile() -> f64 {
        0.95
    }

    fn default_future_skew_ms() -> u32 {
        5 * 60 * 1000
    }
}

/// From records to entities, times and relations.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mapping {
    /// Whom a record is about.
    pub entity: EntityRef,
    /// When what it says became true; the time of recording where absent.
    pub event_time: Option<TimeRef>,
    /// Edges that a record asserts.
    #[serde(default)]
    pub relations: Vec<Relation>,
    /// Values that are personal data.
    #[serde(default, deserialize_with = "pointers")]
    pub pii: Vec<Pointer>,
    /// Fields that count for completeness.
    #[serde(default, deserialize_with = "pointers")]
    pub completeness: Vec<Pointer>,
    /// Arrays of objects that are compared by a member instead of by position.
    #[serde(default, deserialize_with = "keyed_arrays")]
    pub keyed_arrays: Vec<KeyedArray>,
}

/// An entity, by type and the parts of its key.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntityRef {
    /// Datasets that use the same type and key speak of the same entity.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// The parts of the key in order; at least one.
    #[serde(deserialize_with = "pointers")]
    pub key: Vec<Pointer>,
}

/// A time within a record.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeRef {
    /// Where it stands.
    #[serde(deserialize_with = "pointer")]
    pub pointer: Pointer,
    /// How it is written.
    pub format: TimeFormat,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TimeFormat {
    /// Text of RFC 3339 §5.6 with an offset.
    #[serde(rename = "rfc3339")]
    Rfc3339,
    /// Whole seconds since the Unix epoch.
    #[serde(rename = "unix-s")]
    UnixSeconds,
    /// Whole milliseconds since the Unix epoch.
    #[serde(rename = "unix-ms")]
    UnixMillis,
    /// Whole microseconds since the Unix epoch.
    #[serde(rename = "unix-us")]
    UnixMicros,
}

/// An edge that a record asserts.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relation {
    /// Name of the relation.
    #[serde(rename = "type")]
    pub relation_type: String,
    /// Where the edge starts; the record's entity where absent.
    pub source: Option<EntityRef>,
    /// Where it ends.
    pub target: EntityRef,
    /// Since when; the event time where absent.
    pub since: Option<TimeRef>,
    /// Until when; open where absent.
    pub until: Option<TimeRef>,
}

/// An array of objects that is compared by a member instead of by position.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyedArray {
    /// Where the array stands.
    pub pointer: Pointer,
    /// The member of each element that tells it from the others.
    pub member: String,
}

/// Where the data may lie.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Placement {
    /// Where it is stored.
    pub home_region: String,
    /// Where it may be stored; only the home region where empty.
    #[serde(default)]
    pub allowed_regions: Vec<String>,
    /// How sensitive it is.
    pub classification: Classification,
}

impl Placement {
    /// Whether the data may lie in `region`.
    pub fn allows(&self, region: &str) -> bool {
        self.home_region == region || self.allowed_regions.iter().any(|allowed| allowed == region)
    }
}

/// How sensitive data is, in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the usual four")]
pub enum Classification {
    Public,
    Internal,
    Confidential,
    Restricted,
}

fn parsed<E: de::Error>(text: &str) -> Result<Pointer, E> {
    Pointer::parse(text).map_err(E::custom)
}

fn pointer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pointer, D::Error> {
    parsed(&String::deserialize(deserializer)?)
}

fn pointers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Pointer>, D::Error> {
    Vec::<String>::deserialize(deserializer)?.iter().map(|text| parsed(text)).collect()
}

fn keyed_arrays<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<KeyedArray>, D::Error> {
    serde_json::Map::<String, serde_json::Value>::deserialize(deserializer)?
        .into_iter()
        .map(|(text, member)| {
            let member = String::deserialize(member).map_err(de::Error::custom)?;
            Ok(KeyedArray { pointer: parsed(&text)?, member })
        })
        .collect()
}
