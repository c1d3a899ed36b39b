//! An entry as `intelgraph --json ledger show` tells it, and whether it is what was committed to.
//!
//! Header and payload are committed to. What people read, who did what, stands beside them a second time: it has to be the
//! same, or somebody is shown what was never signed.

use data_encoding::HEXLOWER;
use intelgraph_ledger::{Domain, Hash, SALT_LEN, commit, leaf, parse_leaf};
use intelgraph_verify::Reason;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::report::Report;

/// What is told of an entry; header and payload are canonical JSON, in text. A member that is not known could not be
/// checked, and is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownEntry {
    leaf: String,
    header: Option<String>,
    payload: Option<String>,
    header_salt: Option<String>,
    payload_salt: Option<String>,
    #[serde(default, deserialize_with = "told")]
    index: Option<Value>,
    #[serde(default, deserialize_with = "told")]
    state: Option<Value>,
    #[serde(default, deserialize_with = "told")]
    entry_id: Option<Value>,
    #[serde(default, deserialize_with = "told")]
    kind: Option<Value>,
    #[serde(default, deserialize_with = "told")]
    subject: Option<Value>,
    #[serde(default, deserialize_with = "told")]
    actor: Option<Value>,
    #[serde(default, deserialize_with = "told")]
    actor_method: Option<Value>,
    #[serde(default, deserialize_with = "told")]
    tenant: Option<Value>,
    #[serde(default, deserialize_with = "told")]
    at: Option<Value>,
    #[serde(default, deserialize_with = "told")]
    sequenced: Option<Value>,
    #[serde(default, deserialize_with = "told")]
    facts: Option<Value>,
    #[serde(default, deserialize_with = "told")]
    erased_by_index: Option<Value>,
}

/// A member that is there, and be it null.
fn told<'de, D: Deserializer<'de>>(member: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(member).map(Some)
}

impl ShownEntry {
    /// Reads the JSON.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// The leaf: of what header and payload commit to where they are told, else the one that is told. A header or
    /// payload that is not what the told leaf says is a finding.
    pub fn leaf(&self, file: &str, report: &mut Report) -> Vec<u8> {
        let Ok(told) = parse_leaf(self.leaf.as_bytes()) else {
            report.findings.add(Reason::EntryAltered, file, None, "its leaf has not the form of one");
            return self.leaf.clone().into_bytes();
        };
        let header =
            Part { name: "header", domain: Domain::Header, text: &self.header, salt: &self.header_salt };
        let payload =
            Part { name: "payload", domain: Domain::Payload, text: &self.payload, salt: &self.payload_salt };
        leaf(&header.commitment(told.0, file, report), &payload.commitment(told.1, file, report))
    }

    /// Holds what people read against header and payload, and against the index that is proven. What differs is a
    /// finding.
    pub fn hold(&self, index: u64, file: &str, report: &mut Report) {
        if !report.findings.is_empty() {
            return; // header or payload are not what was committed to: nothing is to be held against them
        }
        let header = parsed(self.header.as_deref());
        let facts = parsed(self.payload.as_deref());
        let is_erased = header.is_null();
        // Of an erased entry nothing is told but its kind and its id, for which nothing vouches.
        let text = |value: &Value| if is_erased { Value::from("") } else { value.clone() };
        let members = [
            ("index", &self.index, Value::from(index)),
            ("subject", &self.subject, text(&header["subject"])),
            ("actor", &self.actor, text(&header["actor"]["subject"])),
            ("actor_method", &self.actor_method, text(&header["actor"]["method"])),
            ("tenant", &self.tenant, header["tenant"]["name"].clone()),
            ("facts", &self.facts, facts),
        ];
        for (name, told, committed) in members {
            hold(name, told.as_ref().is_none_or(|told| *told == committed), file, report);
        }
        hold("at", self.at.as_ref().is_none_or(|at| is_moment(at, &header["at"])), file, report);
        let whole = self.state.as_ref().is_some_and(|state| state == "whole");
        hold("state", !(whole && is_erased), file, report);
        let named = [("kind", &self.kind, &header["kind"]), ("entry_id", &self.entry_id, &header["entry"])];
        for (name, told, committed) in named {
            match told {
                Some(told) if is_erased => report.line(format!("{name:<8} {told}, which nothing proves")),
                told => hold(name, told.as_ref().is_none_or(|told| told == committed), file, report),
            }
        }
        for (name, told) in [("sequenced", &self.sequenced), ("erased_by_index", &self.erased_by_index)] {
            if let Some(told) = told.as_ref().filter(|told| !told.is_null()) {
                report.line(format!("{name} {told}, which nothing proves"));
            }
        }
    }
}

fn hold(name: &str, fits: bool, file: &str, report: &mut Report) {
    if !fits {
        let what = format!("its {name} is not the one in what was committed to");
        report.findings.add(Reason::EntryAltered, file, None, what);
    }
}

/// What a part says; null where it is not told, or is no JSON and so not what a gateway commits to.
fn parsed(part: Option<&str>) -> Value {
    part.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Whether a time that is told, ISO 8601 or microseconds where a calendar does not reach, is so many microseconds since
/// the Unix epoch; null is none.
fn is_moment(told: &Value, microseconds: &Value) -> bool {
    let Some(text) = told.as_str() else { return told.is_null() && microseconds.is_null() };
    let read = OffsetDateTime::parse(text, &Rfc3339).ok();
    let read = read.and_then(|at| i64::try_from(at.unix_timestamp_nanos() / 1000).ok());
    read.or_else(|| text.parse().ok()).is_some_and(|at| *microseconds == at)
}

/// Header or payload.
struct Part<'a> {
    name: &'static str,
    domain: Domain,
    text: &'a Option<String>,
    salt: &'a Option<String>,
}

impl Part<'_> {
    fn commitment(&self, told: Hash, file: &str, report: &mut Report) -> Hash {
        let Self { name, domain, .. } = *self;
        let Some(text) = self.text else {
            report.line(format!("{name:<8} is not told: it was erased, or left out"));
            return told;
        };
        let salt = self.salt.as_ref().and_then(|salt| HEXLOWER.decode(salt.as_bytes()).ok());
        let salt = salt.and_then(|salt| <[u8; SALT_LEN]>::try_from(salt).ok());
        let committed = salt.map(|salt| commit(&salt, domain, text.as_bytes()));
        if committed == Some(told) {
            report.line(format!("{name:<8} {text}"));
        } else {
            let what = format!("its {name} is not the one that was committed to");
            report.findings.add(Reason::EntryAltered, file, None, what);
        }
        committed.unwrap_or(told)
    }
}
