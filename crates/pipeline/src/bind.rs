//! The third crossing, under the tenant's clock row: `seq`, times, leaves and frontier, and the replies.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use intelgraph_envelope::{Context, Purpose, SealBatch};
use intelgraph_temporal::{Frontier, Hash, LogEntry};
use prost::Message;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::copy::{self, CHANGE_COLUMNS, ChangeRow, HEADER, OpenField, TRAILER};
use crate::error::PipelineError;
use crate::group::{Change, Group, Part, Place, Unsealed};
use crate::heads::Moved;
use crate::quarantine::{ENTRY_COLUMNS, RECORD_COLUMNS};
use crate::wire::{Ack, AckResponse};

/// The tenant's clock row, as it was locked.
#[derive(Debug, Clone)]
pub struct Clock {
    /// Last change.
    pub seq: u64,
    /// Its time of recording, microseconds since the Unix epoch.
    pub recorded_us: i64,
    /// PostgreSQL's clock, likewise.
    pub now_us: i64,
    /// RFC 6962 frontier of the tenant's leaves.
    pub frontier: Frontier,
}

/// What is to be written in one transaction, and what to say when it is committed.
#[derive(Debug)]
pub struct Bound {
    /// Last change of the group, or the one before it if it has none.
    pub seq: u64,
    /// Time of recording of that change.
    pub recorded_us: i64,
    /// Frontier after the group.
    pub frontier: Frontier,
    /// COPY streams by table, in parts: table, columns, parts.
    pub tables: Vec<Table>,
    /// The encoded replies, one for each batch, in order.
    pub replies: Vec<Vec<u8>>,
    /// What became of the group's records, together as the replies say.
    pub outcomes: Outcomes,
    /// How many records of each batch are put into quarantine, in order: those that do not wait there already.
    pub quarantining: Vec<u32>,
    pub(crate) moved: Vec<Moved>,
}

/// Numbers of records, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Changes that are written.
    pub accepted: u64,
    /// Of a newer time than the entity's head, and the same.
    pub unchanged: u64,
    /// In the log already.
    pub duplicate: u64,
    /// In breach of the contract.
    pub quarantined: u64,
}

/// Rows of one table.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The columns that the rows have.
    pub columns: &'static [&'static str],
    /// A binary COPY stream, in parts.
    pub parts: Vec<Vec<u8>>,
}

/// How far the last change may be recorded ahead of PostgreSQL's clock, in microseconds. More means that the clock
/// was set back, and times of recording would drift from it without end.
const MAX_AHEAD_US: i64 = 5_000_000;

impl Group {
    /// Gives every change its `seq` and its time of recording: the database's, or one microsecond after the
    /// change before it, whichever is later. `quarantined` has those of the group's fingerprints that wait in
    /// quarantine already, each (32 bytes) followed by the entry's identifier (16 bytes). A group binds once.
    ///
    /// # Errors
    /// [`PipelineError::Stale`] if it was bound before; [`PipelineError::ClockBehind`];
    /// [`PipelineError::Frontier`]; keys' errors.
    pub fn bind(&mut self, clock: &Clock, quarantined: &[u8]) -> Result<Bound, PipelineError> {
        if std::mem::replace(&mut self.spent, true) {
            return Err(PipelineError::Stale);
        }
        if clock.recorded_us > clock.now_us.saturating_add(MAX_AHEAD_US) {
            return Err(PipelineError::ClockBehind { ahead_us: clock.recorded_us - clock.now_us });
        }
        if clock.frontier.size() != clock.seq {
            return Err(PipelineError::Frontier { size: clock.frontier.size(), seq: clock.seq });
        }
        let mut binding = Binding {
            seq: clock.seq,
            recorded_us: clock.recorded_us,
            now_us: clock.now_us,
            frontier: clock.frontier.clone(),
            rows: std::mem::take(&mut self.rows),
            sealed_now: Vec::new(),
            moved: Vec::with_capacity(self.changes.len()),
        };
        let mut quarantine = QuarantineRows::new(quarantined);
        let mut replies = Vec::with_capacity(self.batches.len());
        let mut quarantining = Vec::with_capacity(self.batches.len());
        let mut outcomes = Outcomes::default();
        let changes = std::mem::take(&mut self.changes);
        for part in &self.batches {
            let first = binding.seq + 1;
            for change in &changes[part.changes.clone()] {
                match &change.place {
                    Place::Sealed { row, valid_at } => binding.stamp(part, change, *row, *valid_at),
                    Place::Unsealed(unsealed) => {
                        binding.seal(part, change, unsealed, &self.unsealed, &mut self.seal)?;
                    }
                }
            }
            let recorded_us = binding.recorded_us.max(clock.now_us);
            let (quarantine_id, added) = quarantine.write(part, recorded_us);
            quarantining.push(added);
            let ack = ack(part, first, recorded_us, quarantine_id);
            outcomes.add(&ack);
            replies.push(AckResponse { ack: Some(ack) }.encode_to_vec());
        }
        self.unsealed = Zeroizing::default();
        let mut tables = Vec::new();
        if !changes.is_empty() {
            let parts = vec![HEADER.to_vec(), binding.rows, binding.sealed_now, TRAILER.to_vec()];
            tables.push(Table { name: "entity_change_log", columns: &CHANGE_COLUMNS, parts });
        }
        tables.extend(quarantine.into_tables());
        let Binding { seq, recorded_us, frontier, moved, .. } = binding;
        Ok(Bound { seq, recorded_us, frontier, tables, replies, outcomes, quarantining, moved })
    }
}

impl Outcomes {
    fn add(&mut self, ack: &Ack) {
        self.accepted += u64::from(ack.accepted);
        self.unchanged += u64::from(ack.unchanged);
        self.duplicate += u64::from(ack.duplicate);
        self.quarantined += u64::from(ack.quarantined);
    }
}

/// The clock as it moves through a group.
struct Binding {
    seq: u64,
    recorded_us: i64,
    now_us: i64,
    frontier: Frontier,
    rows: Vec<u8>,
    /// Rows that could only be sealed now.
    sealed_now: Vec<u8>,
    moved: Vec<Moved>,
}

impl Binding {
    fn tick(&mut self) {
        self.seq += 1;
        self.recorded_us = self.now_us.max(self.recorded_us + 1);
    }

    #[inline]
    fn stamp(&mut self, part: &Part, change: &Change, row: ChangeRow, valid_at: i64) {
        self.tick();
        let leaf = self.leaf(part, change, valid_at);
        row.stamp(&mut self.rows, self.seq, self.recorded_us, valid_at, &leaf);
    }

    fn seal(
        &mut self,
        part: &Part,
        change: &Change,
        unsealed: &Unsealed,
        plaintexts: &[u8],
        seal: &mut SealBatch,
    ) -> Result<(), PipelineError> {
        self.tick();
        let valid_at = self.recorded_us.max(unsealed.not_before);
        let stream = part.batch.stream();
        let row = copy::Change {
            tenant: stream.tenant,
            entity: &change.key.entity,
            dataset_id: stream.dataset_id,
            contract_id: stream.contract_id,
            stream_no: stream.stream_no,
            batch_sequence: part.batch.sequence(),
            version: unsealed.version,
            op: change.operation.number(),
            since_base: unsealed.since_base,
        };
        let row = ChangeRow::open(&mut self.sealed_now, &row);
        let context = Context {
            tenant: stream.tenant,
            dataset: stream.dataset(),
            entity: &change.key.entity,
            purpose: Purpose::Diff,
            version: u64::from(unsealed.version),
            op: change.operation.number(),
            valid_at,
        };
        self.field(seal, &context, &plaintexts[unsealed.change.clone()])?;
        match &unsealed.snapshot {
            Some(snapshot) => {
                let context = Context { purpose: Purpose::Snapshot, ..context };
                self.field(seal, &context, &plaintexts[snapshot.clone()])?;
            }
            None => copy::null(&mut self.sealed_now),
        }
        let leaf = self.leaf(part, change, valid_at);
        row.stamp(&mut self.sealed_now, self.seq, self.recorded_us, valid_at, &leaf);
        Ok(())
    }

    fn field(
        &mut self,
        seal: &mut SealBatch,
        context: &Context<'_>,
        plaintext: &[u8],
    ) -> Result<(), PipelineError> {
        let field = OpenField::open(&mut self.sealed_now);
        seal.seal(context, plaintext, &mut self.sealed_now)?;
        field.close(&mut self.sealed_now);
        Ok(())
    }

    #[inline]
    fn leaf(&mut self, part: &Part, change: &Change, valid_at: i64) -> Hash {
        let stream = part.batch.stream();
        let entry = LogEntry {
            tenant: stream.tenant.as_bytes(),
            dataset: stream.dataset(),
            entity_id: &change.key.entity,
            operation: change.operation,
            valid_at_us: valid_at,
        };
        let leaf = entry.leaf(&change.commitment);
        self.frontier.push(leaf);
        let in_chain = change.operation.in_chain();
        self.moved.push(Moved { key: change.key, valid_at, in_chain });
        leaf
    }
}

/// Rows of the group's quarantine entries.
struct QuarantineRows {
    /// Fingerprints that wait already, here or in the table, with their entry.
    waiting: HashMap<[u8; 32], Uuid>,
    entries: Vec<u8>,
    records: Vec<u8>,
}

impl QuarantineRows {
    fn new(quarantined: &[u8]) -> Self {
        let waiting = quarantined.as_chunks::<48>().0.iter().map(|pair| {
            let (fingerprint, entry) = pair.split_at(32);
            let entry = Uuid::from_slice(entry).unwrap_or_default();
            (fingerprint.try_into().unwrap_or([0; 32]), entry)
        });
        Self { waiting: waiting.collect(), entries: HEADER.to_vec(), records: HEADER.to_vec() }
    }

    /// Adds what of a batch does not wait yet. Gives the entry that holds its records, the new one or else the
    /// one that holds the first of them, and how many were added.
    fn write(&mut self, part: &Part, recorded_us: i64) -> (Option<Uuid>, u32) {
        let Some(quarantine) = part.quarantine.as_ref() else {
            return (None, 0);
        };
        let first = quarantine.fingerprints().next().and_then(|first| self.waiting.get(first).copied());
        let mut is_new = |fingerprint: &[u8; 32]| match self.waiting.entry(*fingerprint) {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(quarantine.id);
                true
            }
        };
        let added =
            quarantine.write(&part.batch, recorded_us, &mut is_new, &mut self.entries, &mut self.records);
        (if added > 0 { Some(quarantine.id) } else { first }, added)
    }

    fn into_tables(self) -> Vec<Table> {
        if self.entries.len() == HEADER.len() {
            return vec![];
        }
        let parts = |rows| vec![rows, TRAILER.to_vec()];
        vec![
            Table { name: "quarantine", columns: &ENTRY_COLUMNS, parts: parts(self.entries) },
            Table { name: "quarantine_record", columns: &RECORD_COLUMNS, parts: parts(self.records) },
        ]
    }
}

fn ack(part: &Part, first: u64, recorded_us: i64, quarantine_id: Option<Uuid>) -> Ack {
    let accepted = part.changes.len() as u32;
    let any = u64::from(accepted > 0);
    Ack {
        sequence: part.batch.sequence(),
        accepted,
        unchanged: part.unchanged,
        duplicate: part.duplicate,
        quarantined: part.quarantine.as_ref().map_or(0, |quarantine| quarantine.len() as u32),
        first_change_seq: first * any,
        last_change_seq: (first + u64::from(accepted)).saturating_sub(1) * any,
        recorded_us,
        quarantine_id: quarantine_id.map(|id| id.to_string()).unwrap_or_default(),
        credit_bytes: part.batch.size() as u64,
    }
}
