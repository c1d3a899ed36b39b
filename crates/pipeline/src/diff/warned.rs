//! Records that break a contract that only warns, as they are diffed: each is stored with its report.

use intelgraph_temporal::{REPORT_OVERHEAD, Salt, write_report};

use super::GroupDiffer;
use crate::prepare::{Item, Prepared};
use crate::warning::{Enforcement, Warned, Warning};

/// What becomes of a record that says something else of a time than a version that the log has.
pub(super) enum Conflict {
    /// It is a correction.
    Not,
    /// It is one, though the contract wants one content per event time.
    Stored(Warning),
    Quarantined,
}

/// What becomes of this one.
pub(super) fn conflict(batch: &Prepared, item: &Item) -> Conflict {
    match batch.enforcement {
        _ if !batch.stream.contract.document().sla.dedupe => Conflict::Not,
        Enforcement::Enforce => Conflict::Quarantined,
        Enforcement::Warn => Conflict::Stored(Warning::of_conflict(batch, item, batch.warning(item))),
    }
}

/// Writes what of a change precedes its diff.
#[inline]
pub(super) fn begin_change(salt: &Salt, warning: Option<&Warning>, out: &mut Vec<u8>) {
    out.extend_from_slice(salt);
    if let Some(warning) = warning {
        write_report(&warning.json, out);
    }
}

/// Bytes that the reports in the changes of a batch take at most.
pub(super) fn report_bytes(batch: &Prepared) -> u64 {
    let reports: usize = batch.warnings.iter().map(|warning| warning.json.len() + REPORT_OVERHEAD).sum();
    let conflicts = batch.items.len() as u64 * Warning::conflict_bytes(batch);
    reports as u64 + conflicts
}

impl GroupDiffer<'_> {
    /// Notes that the last change stores a record with a warning.
    #[inline]
    pub(super) fn note(&mut self, batch: &Prepared, warning: Option<&Warning>) {
        if let Some(warning) = warning {
            let change = self.changes.len() - 1;
            self.warned.get_or_insert_with(|| Warned::new(batch)).add(change, warning);
        }
    }
}
