//! A group of batches that commit together: their sealed rows, and what their replies will say.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use intelgraph_envelope::{SealBatch, TenantId};
use intelgraph_temporal::{Hash, Operation};
use zeroize::Zeroizing;

use crate::copy::ChangeRow;
use crate::heads::EntityKey;
use crate::prepare::Prepared;
use crate::quarantine::Quarantine;
use crate::warning::StoredEntry;

/// What [`Engine::diff`](crate::Engine::diff) made of some batches.
pub struct Group {
    pub(crate) tenant: TenantId,
    /// The tenant's generation when it was diffed; another means that something under it was dropped.
    pub(crate) generation: u64,
    pub(crate) ticket: u64,
    pub(crate) batches: Vec<Part>,
    /// COPY rows of the changes whose valid time is known.
    pub(crate) rows: Vec<u8>,
    /// The changes in order of `seq`.
    pub(crate) changes: Vec<Change>,
    /// Plaintexts of changes whose valid time is that of recording, and so are sealed when that is known.
    pub(crate) unsealed: Zeroizing<Vec<u8>>,
    pub(crate) seal: SealBatch,
    /// Entities that were fetched and did not change.
    pub(crate) pinned: Vec<EntityKey>,
    /// Entities of which a record changes nothing.
    pub(crate) consulted: Vec<EntityKey>,
    /// Whether it was bound.
    pub(crate) spent: bool,
}

/// One batch's part of a group.
pub(crate) struct Part {
    pub batch: Arc<Prepared>,
    pub changes: Range<usize>,
    pub unchanged: u32,
    pub duplicate: u32,
    pub quarantine: Option<Quarantine>,
    /// What of its changes breaks the contract.
    pub stored: Option<StoredEntry>,
}

/// A change that is to get its `seq`.
pub(crate) struct Change {
    pub key: EntityKey,
    pub operation: Operation,
    pub commitment: Hash,
    pub place: Place,
}

/// Where a change's row is.
pub(crate) enum Place {
    /// Sealed, among the group's rows.
    Sealed { row: ChangeRow, valid_at: i64 },
    /// To be sealed at its time of recording.
    Unsealed(Unsealed),
}

/// A change whose valid time is its time of recording.
pub(crate) struct Unsealed {
    pub version: u32,
    pub since_base: u16,
    /// The head's valid time. Where that is later, it counts, so that the chain stays in order.
    pub not_before: i64,
    /// Where its plaintext is among those of the group.
    pub change: Range<usize>,
    /// Where its snapshot's is, if it gets one.
    pub snapshot: Option<Range<usize>>,
}

impl Group {
    /// Number of changes.
    pub fn changes(&self) -> usize {
        self.changes.len()
    }

    /// Fingerprints of the records that are to be quarantined, 32 bytes each. Those that wait in quarantine
    /// already are to be given to [`bind`](Self::bind).
    pub fn fingerprints(&self) -> Vec<u8> {
        let entries = self.batches.iter().filter_map(|part| part.quarantine.as_ref());
        entries.flat_map(Quarantine::fingerprints).flatten().copied().collect()
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("ticket", &self.ticket)
            .field("batches", &self.batches.len())
            .field("changes", &self.changes.len())
            .finish_non_exhaustive()
    }
}
