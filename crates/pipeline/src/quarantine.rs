//! Entries about records that break their contract: sealed like any data, with the report on them. An entry is of one
//! batch, and of the records that wait, or of those that were stored all the same (see [`crate::warning`]).

use intelgraph_contract::Report;
use intelgraph_envelope::{Context, EnvelopeError, IndexKey, Keystore, Purpose, SealBatch, TenantId, Tick};
use uuid::Uuid;

use crate::copy;
use crate::error::PipelineError;
use crate::opening::Opener;
use crate::prepare::{Prepared, Rejected};
use crate::read::Encoded;
use crate::warning::StoredEntry;

/// Columns of an entry's row, in the order in which [`write_entry`] writes them.
pub const ENTRY_COLUMNS: [&str; 11] = [
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
    "changes",
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
        let (id, report) = seal_report(batch, report, seal)?;
        Ok(Self { id, report, records })
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
        let entry =
            Entry { id: self.id, records: count, state: b"quarantined", report: &self.report, changes: &[] };
        write_entry(batch, &entry, recorded_us, entries);
        count
    }
}

/// Appends the entry on what a batch stores though it breaks the contract; `first` is the `seq` of the batch's first
/// change. Its records are the changes.
pub(crate) fn write_stored(
    batch: &Prepared,
    stored: &StoredEntry,
    first: u64,
    recorded_us: i64,
    entries: &mut Vec<u8>,
) {
    let entry = Entry {
        id: stored.id,
        records: stored.len() as u32,
        state: b"stored",
        report: &stored.report,
        changes: &stored.seqs(first),
    };
    write_entry(batch, &entry, recorded_us, entries);
}

/// What of an entry's row does not follow from its batch.
struct Entry<'a> {
    id: Uuid,
    records: u32,
    state: &'a [u8],
    /// Sealed.
    report: &'a [u8],
    /// The `seq` of each change that it is about, 8 bytes each.
    changes: &'a [u8],
}

fn write_entry(batch: &Prepared, entry: &Entry<'_>, recorded_us: i64, entries: &mut Vec<u8>) {
    let stream = batch.stream();
    copy::row(entries, 11);
    copy::field(entries, stream.tenant.as_bytes());
    copy::field(entries, entry.id.as_bytes());
    copy::field(entries, &stream.dataset_id.to_be_bytes());
    copy::field(entries, &stream.contract_id.to_be_bytes());
    copy::field(entries, &stream.stream_no.to_be_bytes());
    copy::field(entries, &batch.sequence().to_be_bytes());
    copy::field(entries, &entry.records.to_be_bytes());
    copy::field(entries, &copy::timestamp(recorded_us));
    copy::field(entries, entry.state);
    copy::field(entries, entry.report);
    copy::field(entries, entry.changes);
}

/// Seals a report on records of `batch` as that of a new entry. Gives the entry's identifier and the sealed report.
pub(crate) fn seal_report(
    batch: &Prepared,
    report: &Report,
    seal: &mut SealBatch,
) -> Result<(Uuid, Vec<u8>), PipelineError> {
    let mut id = [0; 16];
    aws_lc_rs::rand::fill(&mut id).map_err(|_| EnvelopeError::EntropyUnavailable)?;
    let id = uuid::Builder::from_random_bytes(id).into_uuid();
    let stream = batch.stream();
    let context = context(stream.tenant, stream.dataset(), id.as_bytes(), Purpose::QuarantineReport);
    let mut sealed = Vec::new();
    seal.seal(&context, &report.to_json(), &mut sealed)?;
    Ok((id, sealed))
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
