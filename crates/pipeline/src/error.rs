//! What can go wrong with a batch as a whole. What is wrong with a record is a violation, not an error.

use intelgraph_contract::ContractErrors;
use intelgraph_envelope::EnvelopeError;
use intelgraph_temporal::DiffError;

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
    /// Stored rows are not what this system writes, or were altered.
    #[error("row {row} of what was fetched is corrupt: {fault}")]
    Corrupt {
        /// Index of the row in the answer.
        row: u32,
        /// What is wrong with it.
        fault: Corruption,
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
    /// The row's bytes do not have its fields.
    #[error("its fields cannot be read")]
    Layout,
    /// Its sealed value does not open in its place, or its key is not there.
    #[error("its sealed value does not open: {0}")]
    Sealed(#[from] EnvelopeError),
    /// Its diff does not apply.
    #[error("its diff does not apply: {0}")]
    Diff(#[from] DiffError),
    /// The chain does not reach back to a base.
    #[error("its chain has no base")]
    Chain,
}
