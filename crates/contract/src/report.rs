//! What was wrong with a batch: one row per (rule, pointer), without a single value.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::contract::Contract;
use crate::shape::ValueShape;
use crate::violation::Violation;

/// Bounds of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportLimits {
    /// Rows; violations that would need another one are only counted.
    pub rows: usize,
    /// Record indexes kept per row, the lowest.
    pub records_per_row: usize,
}

impl Default for ReportLimits {
    fn default() -> Self {
        Self { rows: 200, records_per_row: 10 }
    }
}

/// Violations of one contract, grouped by rule and pointer.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    contract: ContractId,
    limits: ReportLimits,
    rows: BTreeMap<(String, String), Row>,
    violations: u64,
    records: u64,
    last_record: Option<u64>,
    omitted: u64,
    partial: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ContractId {
    dataset: String,
    version: String,
    digest: [u8; 32],
}

/// All violations of one rule at one pointer.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What was broken; see [`Violation::rule`].
    pub rule: String,
    /// Where in the record; see [`Violation::instance`].
    pub instance: String,
    /// Where in the contract document; see [`Violation::schema`].
    pub schema: String,
    /// How often, exactly.
    pub count: u64,
    /// The lowest record indexes, ascending.
    pub records: Vec<u64>,
    /// What was found.
    pub found: Vec<Found>,
    /// What the producer can do.
    pub fix: String,
}

/// Values of one type and class that broke a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// See [`ValueShape::kind`].
    pub kind: &'static str,
    /// See [`ValueShape::class`].
    pub class: &'static str,
    /// How many.
    pub count: u64,
    /// Least [`ValueShape::length`].
    pub min_length: u64,
    /// Greatest [`ValueShape::length`].
    pub max_length: u64,
}

/// Two reports are about different contracts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reports of different contracts cannot be merged; keep one report per contract digest")]
pub struct OtherContract;

impl Report {
    /// An empty report on records checked against `contract`.
    pub fn new(contract: &Contract, limits: ReportLimits) -> Self {
        let document = contract.document();
        let contract = ContractId {
            dataset: document.dataset_id.clone(),
            version: document.version.to_string(),
            digest: *contract.digest(),
        };
        Self {
            contract,
            limits,
            rows: BTreeMap::new(),
            violations: 0,
            records: 0,
            last_record: None,
            omitted: 0,
            partial: 0,
        }
    }

    /// Adds a violation of record number `record`. Violations of one record are added one after the other.
    pub fn add(&mut self, record: u64, violation: impl Into<Box<Violation>>) {
        self.violations += 1;
        if self.last_record != Some(record) {
            self.last_record = Some(record);
            self.records += 1;
        }
        let Violation { rule, instance, schema, found, fix } = *violation.into();
        let key = (instance, rule.into_owned());
        if !self.rows.contains_key(&key) && self.rows.len() >= self.limits.rows {
            self.omitted += 1;
            return;
        }
        let most = self.limits.records_per_row;
        let row = self.rows.entry(key).or_insert_with_key(|(instance, rule)| Row {
            rule: rule.clone(),
            instance: instance.clone(),
            schema,
            count: 0,
            records: Vec::new(),
            found: Vec::new(),
            fix: fix.into_owned(),
        });
        row.count += 1;
        keep_lowest(&mut row.records, record, most);
        row.find(&Found::one(found));
    }

    /// Whether a row exists already; the fix of further violations is then of no use.
    pub(crate) fn has_row(&self, instance: &str, rule: &str) -> bool {
        self.rows.contains_key(&(instance.to_owned(), rule.to_owned()))
    }

    /// Notes that a record was too large to look for more than its first violation.
    pub fn note_partial(&mut self) {
        self.partial += 1;
    }

    /// Adds all of another report on other records of the same contract.
    pub fn merge(&mut self, other: &Self) -> Result<(), OtherContract> {
        if self.contract != other.contract {
            return Err(OtherContract);
        }
        self.violations += other.violations;
        self.records += other.records;
        self.omitted += other.omitted;
        self.partial += other.partial;
        let most = self.limits.records_per_row;
        let mut room = self.limits.rows.saturating_sub(self.rows.len());
        for (key, row) in &other.rows {
            if let Some(own) = self.rows.get_mut(key) {
                own.count += row.count;
                row.records.iter().for_each(|&record| keep_lowest(&mut own.records, record, most));
                row.found.iter().for_each(|found| own.find(found));
            } else if room > 0 {
                room -= 1;
                let mut row = row.clone();
                row.records.truncate(most);
                self.rows.insert(key.clone(), row);
            } else {
                self.omitted += row.count;
            }
        }
        Ok(())
    }

    /// Whether nothing was violated.
    pub fn is_empty(&self) -> bool {
        self.violations == 0
    }

    /// Violations, those of omitted rows included.
    pub fn violations(&self) -> u64 {
        self.violations
    }

    /// Records that violated something.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Violations that are counted but have no row, because there were too many rows.
    pub fn omitted(&self) -> u64 {
        self.omitted
    }

    /// The rows, ordered by pointer and rule.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Row> {
        self.rows.values()
    }

    /// The report as canonical JSON (RFC 8785), format `ig.report.v1`: the same bytes for the RPC, the CLI
    /// and the console.
    pub fn to_json(&self) -> Vec<u8> {
        let mut report = json!({
            "format": "ig.report.v1",
            "contract": {
                "datasetId": self.contract.dataset,
                "version": self.contract.version,
                "digest": digest_text(&self.contract.digest),
            },
            "violations": self.violations,
            "records": self.records,
            "rows": self.rows.values().map(Row::to_value).collect::<Vec<_>>(),
        });
        // Members that speak up only when the report does not tell all.
        if self.omitted > 0 {
            report["omittedViolations"] = self.omitted.into();
        }
        if self.partial > 0 {
            report["partialRecords"] = self.partial.into();
        }
        canonical(&report)
    }

    /// SHA-256 of [`Report::to_json`].
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.to_json()).into()
    }
}

impl Row {
    fn find(&mut self, found: &Found) {
        match self.found.iter_mut().find(|own| (own.kind, own.class) == (found.kind, found.class)) {
            Some(own) => {
                own.count += found.count;
                own.min_length = own.min_length.min(found.min_length);
                own.max_length = own.max_length.max(found.max_length);
            }
            None => {
                self.found.push(*found);
                self.found.sort_by_key(|found| (found.kind, found.class));
            }
        }
    }

    fn to_value(&self) -> Value {
        json!({
            "rule": self.rule,
            "instance": self.instance,
            "schema": self.schema,
            "count": self.count,
            "records": self.records,
            "found": self.found.iter().copied().map(Found::to_value).collect::<Vec<_>>(),
            "fix": self.fix,
        })
    }
}

impl Found {
    fn one(shape: ValueShape) -> Self {
        let ValueShape { kind, class, length } = shape;
        Self { kind, class, count: 1, min_length: length, max_length: length }
    }

    fn to_value(self) -> Value {
        json!({
            "type": self.kind,
            "class": self.class,
            "count": self.count,
            "minLength": self.min_length,
            "maxLength": self.max_length,
        })
    }
}

/// `sha256:` and the digest in hexadecimal, as contracts are named outside.
pub(crate) fn digest_text(digest: &[u8; 32]) -> String {
    digest.iter().fold(String::from("sha256:"), |text, byte| text + &format!("{byte:02x}"))
}

fn keep_lowest(records: &mut Vec<u64>, record: u64, most: usize) {
    if let Err(at) = records.binary_search(&record)
        && at < most
    {
        records.insert(at, record);
        records.truncate(most);
    }
}

fn canonical(report: &Value) -> Vec<u8> {
    let limits = intelgraph_json::Limits { max_bytes: u32::MAX, ..Default::default() };
    // Counts stay far below 2^53 and nothing else could be refused; the plain form says the same.
    intelgraph_json::jcs(report.to_string().as_bytes(), limits)
        .unwrap_or_else(|_| report.to_string().into_bytes())
}
