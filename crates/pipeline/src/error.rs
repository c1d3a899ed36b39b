//! What can go wrong with a batch as a whole. What is wrong with a record is a violation, not an error.

use intelgraph_contract::ContractErrors;
use intelgraph_envelope::EnvelopeError;
use intelgraph_temporal::DiffError;
use uuid::Uuid;

use crate::wire::WireError;

/// Why a batch cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The frame is not a batch.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The batch has more records than it may.
    #[error("the batch has more than {limit} records")]
    TooManyRecords {
        /// Records that a batch may have.
        limit: u32,
    },
    /// A key is missing, its lease is over or its budget is used up.
    #[error(transparent)]
    Key(#[from] EnvelopeError),
    /// The tenant's state was not set up, or was dropped.
    #[error("the tenant is not active in this engine")]
    NotActive,
    /// A change of the log is not what this system wrote, or was altered.
    #[error("change {seq} of the log is corrupt: {fault}")]
    Corrupt {
        /// The change.
        seq: u64,
        /// What is wrong with it.
        fault: Corruption,
    },
    /// What a query answered has not the fields of a row.
    #[error("row {row} of what the database answered cannot be read")]
    Unreadable {
        /// Index of the row in the answer.
        row: u32,
    },
    /// A value in quarantine is not what this system wrote, or was altered.
    #[error("a value of quarantine entry {entry} does not open: {fault}")]
    Quarantined {
        /// The entry.
        entry: Uuid,
        /// What is wrong with the value.
        fault: EnvelopeError,
    },
    /// The header or payload of a ledger entry is not what can be committed to.
    #[error("ledger entry {entry} is not JSON within I-JSON: {why}")]
    EntryMalformed {
        /// The entry.
        entry: Uuid,
        /// The rule that it breaks.
        why: String,
    },
    /// A ledger entry is not what was written, or was altered.
    #[error("ledger entry {entry} was altered: {what}")]
    EntryAltered {
        /// The entry.
        entry: Uuid,
        /// What of it.
        what: &'static str,
    },
    /// A head and a document cannot be compared.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// A contract does not compile.
    #[error(transparent)]
    Contract(#[from] ContractErrors),
    /// The last change is recorded far ahead of the database's clock.
    #[error("the last change is recorded {ahead_us} µs ahead of PostgreSQL's clock: was it set back?")]
    ClockBehind {
        /// By how much, in microseconds.
        ahead_us: i64,
    },
    /// The stored frontier does not belong to the stored `seq`.
    #[error("the tenant's frontier has {size} leaves and its log {seq} changes")]
    Frontier {
        /// Leaves of the frontier.
        size: u64,
        /// Changes of the log.
        seq: u64,
    },
    /// What was diffed leans on something that has changed since; diff it again.
    #[error("the group is stale")]
    Stale,
}

/// What is wrong with a stored row.
#[derive(Debug, thiserror::Error)]
pub enum Corruption {
    /// Its sealed value does not open in its place, or its key is not there.
    #[error("its sealed value does not open: {0}")]
    Sealed(#[from] EnvelopeError),
    /// Its diff does not apply.
    #[error("its diff does not apply: {0}")]
    Diff(#[from] DiffError),
    /// A version before it is missing or is another one, or its document is not the one that was hashed.
    #[error("it does not follow from the versions before it")]
    Chain,
    /// The log has the changes before and after it, and not this one.
    #[error("it is missing")]
    Missing,
    /// Its snapshot does not open in its place, or is not the document that the change led to.
    #[error("its snapshot is not the document that it led to")]
    Snapshot,
    /// It names a dataset or a contract that the tenant does not have.
    #[error("it names a dataset or a contract that does not exist")]
    Name,
}
