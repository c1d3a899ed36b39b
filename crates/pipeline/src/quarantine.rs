//! Records that break their contract, sealed like any data, with the report on them.

use intelgraph_contract::Report;
use intelgraph_envelope::{Context, IndexKey, Keystore, Purpose, SealBatch, TenantId, Tick};
use uuid::Uuid;

use crate::copy;
use crate::error::PipelineError;
use crate::opening::Opener;
use crate::prepare::{Prepared, Rejected};
use crate::read::Encoded;

/// Columns of an entry's row, in the order in which [`Quarantine::write`] writes them.
pub const ENTRY_COLUMNS: [&str; 10] = [
    "tenant_id",
    "quarantine_id",
    "dataset_id",
    "contract_id",
    "stream_no",
    "batch_sequence",
    "records",
    "recorded",
    "state",
    "report",
];
/// Columns of a record's row, likewise.
pub const RECORD_COLUMNS: [&str; 5] = ["tenant_id", "fingerprint", "quarantine_id", "record_index", "sealed"];

/// The entry of one batch.
pub(crate) struct Quarantine {
    pub id: Uuid,
    report: Vec<u8>,
    records: Vec<QuarantinedRecord>,
}

struct QuarantinedRecord {
    index: u32,
    fingerprint: [u8; 32],
    sealed: Vec<u8>,
}

impl Quarantine {
    /// Seals `rejected`, records of `batch`, and their report.
    pub fn seal(
        batch: &Prepared,
        rejected: &[Rejected],
        report: &Report,
        index_key: &IndexKey,
        id: Uuid,
        seal: &mut SealBatch,
    ) -> Result<Self, PipelineError> {
        let stream = batch.stream();
        let records = rejected
            .iter()
            .map(|rejected| {
                let document = &batch.bytes()[rejected.bytes.clone()];
                let fingerprint = index_key.fingerprint(stream.dataset(), document);
                let mut sealed = Vec::new();
                let context = context(stream.tenant, stream.dataset(), &fingerprint, Purpose::Quarantine);
                seal.seal(&context, document, &mut sealed)?;
                Ok(QuarantinedRecord { index: rejected.index, fingerprint, sealed })
            })
            .collect::<Result<_, PipelineError>>()?;
        let mut sealed_report = Vec::new();
        let name = id.as_bytes();
        let context = context(stream.tenant, stream.dataset(), name, Purpose::QuarantineReport);
        seal.seal(&context, &report.to_json(), &mut sealed_report)?;
        Ok(Self { id, report: sealed_report, records })
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn fingerprints(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.records.iter().map(|record| &record.fingerprint)
    }

    /// Appends the rows of the records that `is_new` admits, and the entry's own row if there are any.
    /// Gives how many there are.
    pub fn write(
        &self,
        batch: &Prepared,
        recorded_us: i64,
        mut is_new: impl FnMut(&[u8; 32]) -> bool,
        entries: &mut Vec<u8>,
        records: &mut Vec<u8>,
    ) -> u32 {
        let stream = batch.stream();
        let mut count = 0u32;
        for record in self.records.iter().filter(|record| is_new(&record.fingerprint)) {
            copy::row(records, 5);
            copy::field(records, stream.tenant.as_bytes());
            copy::field(records, &record.fingerprint);
            copy::field(records, self.id.as_bytes());
            copy::field(records, &record.index.to_be_bytes());
            copy::field(records, &record.sealed);
            count += 1;
        }
        if count == 0 {
            return 0;
        }
        copy::row(entries, 10);
        copy::field(entries, stream.tenant.as_bytes());
        copy::field(entries, self.id.as_bytes());
        copy::field(entries, &stream.dataset_id.to_be_bytes());
        copy::field(entries, &stream.contract_id.to_be_bytes());
        copy::field(entries, &stream.stream_no.to_be_bytes());
        copy::field(entries, &batch.sequence().to_be_bytes());
        copy::field(entries, &count.to_be_bytes());
        copy::field(entries, &copy::timestamp(recorded_us));
        copy::field(entries, b"quarantined");
        copy::field(entries, &self.report);
        count
    }
}

/// Opens what of entry `id` is sealed: the report first, then the records, each with its fingerprint.
///
/// # Errors
/// [`PipelineError::Quarantined`] for a value that does not open in its place; [`PipelineError::Key`].
pub fn open_entry(
    keystore: &Keystore,
    tenant: TenantId,
    dataset: &str,
    id: Uuid,
    report: &[u8],
    records: &[(&[u8], &[u8])],
    now: Tick,
) -> Result<Vec<Encoded>, PipelineError> {
    let mut opener = Opener::new(keystore, tenant, now);
    let report = (id.as_bytes().as_slice(), report, Purpose::QuarantineReport);
    let records = records.iter().map(|(fingerprint, sealed)| (*fingerprint, *sealed, Purpose::Quarantine));
    std::iter::once(report)
        .chain(records)
        .map(|(name, sealed, purpose)| {
            let opened = opener.open_in(&context(tenant, dataset, name, purpose), sealed)?;
            opened.map_err(|fault| PipelineError::Quarantined { entry: id, fault })
        })
        .collect()
}

/// Where a quarantined value belongs: a record to its fingerprint, a report to its entry.
fn context<'a>(tenant: TenantId, dataset: &'a str, name: &'a [u8], purpose: Purpose) -> Context<'a> {
    Context { tenant, dataset, entity: name, purpose, version: 0, op: 0, valid_at: 0 }
}
