//! Records that break their contract and are stored all the same, where the tenant's contracts only warn.
//!
//! Each such change carries its own report inside its sealed value, so that the tree over the log covers it and whoever
//! reads the change finds it. A batch's reports together are the entry of its own that the list of violations shows.

use intelgraph_contract::Report;
use intelgraph_envelope::SealBatch;
use uuid::Uuid;

use crate::error::PipelineError;
use crate::prepare::{Item, ItemContent, Prepared};
use crate::quarantine::seal_report;

/// What becomes of a record that breaks its contract. Decided once for a batch, when it is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforcement {
    /// It waits in quarantine.
    Enforce,
    /// It is stored with its report, if its key and its event time can be formed; else it waits in quarantine.
    Warn,
}

/// What is wrong with one record that is to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Warning {
    /// The record's index in its batch.
    pub index: u32,
    pub report: Report,
    /// The report as it is stored.
    pub json: Vec<u8>,
}

impl Warning {
    pub fn new(index: u32, report: Report) -> Self {
        let json = report.to_json();
        Self { index, report, json }
    }

    /// Of a record that says something else of a time than the log does, where the contract wants one content per event
    /// time; `warning` is what else is wrong with it.
    pub fn of_conflict(batch: &Prepared, item: &Item, warning: Option<&Self>) -> Self {
        let contract = &batch.stream.contract;
        let mut report = warning.map_or_else(|| batch.empty_report(), |warning| warning.report.clone());
        if let ItemContent::Upsert(root) = item.content {
            report.add(u64::from(item.index), contract.dedupe_conflict(batch.value(root)));
        }
        Self::new(item.index, report)
    }

    /// Bytes that the report of a conflict takes at most beside what else is wrong with its record: all that varies in
    /// it stands in the contract.
    pub fn conflict_bytes(batch: &Prepared) -> u64 {
        batch.stream.contract.canonical().len() as u64 + 1024
    }
}

/// Which changes of a batch store what breaks the contract, and how.
pub(crate) struct Warned {
    report: Report,
    /// Positions of the changes in their group, in order.
    changes: Vec<usize>,
}

impl Warned {
    /// Nothing yet.
    pub fn new(batch: &Prepared) -> Self {
        Self { report: batch.empty_report(), changes: Vec::new() }
    }

    /// Change number `change` of the group stores a record with this warning.
    pub fn add(&mut self, change: usize, warning: &Warning) {
        self.changes.push(change);
        // The reports of a batch are all of its contract, so that they merge.
        let merged = self.report.merge(&warning.report);
        debug_assert!(merged.is_ok());
    }

    /// Seals the report. The batch's own changes begin with number `first`.
    pub fn seal(
        self,
        batch: &Prepared,
        first: usize,
        seal: &mut SealBatch,
    ) -> Result<StoredEntry, PipelineError> {
        let (id, report) = seal_report(batch, &self.report, seal)?;
        let changes = self.changes.into_iter().map(|change| change - first).collect();
        Ok(StoredEntry { id, report, changes })
    }
}

/// The entry on one batch's changes that break the contract.
pub(crate) struct StoredEntry {
    pub id: Uuid,
    /// Sealed.
    pub report: Vec<u8>,
    /// Positions of the changes among those of the batch, in order.
    changes: Vec<usize>,
}

impl StoredEntry {
    /// Number of changes.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// The `seq` of each change, 8 bytes each, given that of the batch's first.
    pub fn seqs(&self, first: u64) -> Vec<u8> {
        self.changes.iter().flat_map(|change| (first + *change as u64).to_be_bytes()).collect()
    }
}
