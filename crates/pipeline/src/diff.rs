//! The second crossing: each record against what is known of its entity, in order, to sealed rows.
//!
//! What a record is, by its valid time t and its entity's head (true from h):
//!
//! | | same content | other content |
//! |-|-|-|
//! | no version yet | | insert |
//! | t > h | unchanged | update; insert after a delete |
//! | t = h | duplicate | duplicate if any version at t says so; a conflict where the contract says `dedupe`; else a correction: update |
//! | t < h | duplicate if any version at t says so; a conflict where the contract says `dedupe` and there is one; else late | the same |
//!
//! Where retention took the chain and left late versions, h is the time of the newest of them, and there is no
//! content to compare with: what is newer begins a chain, a delete too if that version says that the entity is there.
//! A record without an event time is true from its recording on, so it is always newer. A delete has the content
//! "nothing". Deleting what is not there is unchanged, unless it is late.

use std::sync::{Arc, PoisonError};

use intelgraph_contract::Report;
use intelgraph_envelope::{Context, EnvelopeError, IndexKey, Purpose, SealBatch, TenantId, reserve_header};
use intelgraph_temporal::{
    Hash, Head, Operation, Outcome, SALT_LEN, Salt, absence, commitment, needs_snapshot, write_snapshot,
};
use zeroize::Zeroizing;

use crate::copy::{self, ChangeRow, OpenField};
use crate::error::PipelineError;
use crate::fetch::{Need, Supplied, repeats_head};
use crate::group::{Change, Group, Part, Place, Unsealed};
use crate::heads::{Content, EntityKey, Entry, Heads, ValidAt};
use crate::prepare::{Item, ItemContent, Prepared, Rejected};
use crate::quarantine::Quarantine;
use crate::workbench::Workbench;

/// What came of diffing a group.
#[derive(Debug)]
pub enum Diffed {
    /// The group, ready to be bound.
    Ready(Box<Group>),
    /// Batches, by their index, that need to know more first.
    Missing(Vec<usize>),
}

/// How a record's committed versions are known, before its group is diffed. Decided once: while the group is diffed,
/// the filter learns its entities and may take a new one for an old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// From memory.
    Here,
    /// From what the batch was supplied with.
    Supplied,
    /// The record says what the committed head says, at the same time: a duplicate, even if a record before it in
    /// the group moves the head.
    Repeated,
}

/// How each record of a batch is known; `None` if the batch needs to know more first.
fn known(heads: &Heads, batch: &Prepared, bench: &mut Workbench) -> Option<Vec<Known>> {
    let supplied = batch.supplied.lock().unwrap_or_else(PoisonError::into_inner);
    let known = |item: &Item| {
        let need = Need::of(heads, item);
        if need.is_met() {
            Some(Known::Here)
        } else if need.without(&supplied, heads, item).is_met() {
            Some(Known::Supplied)
        } else {
            let repeated = !need.head && repeats_head(heads, batch, item, &mut bench.canonical);
            repeated.then_some(Known::Repeated)
        }
    };
    batch.items.iter().map(known).collect()
}

/// How each record of each batch is known.
///
/// # Errors
/// The batches, by their index, that cannot be diffed on what is in memory and what they were supplied with.
pub(crate) fn known_of_all(
    heads: &Heads,
    batches: &[Arc<Prepared>],
    bench: &mut Workbench,
) -> Result<Vec<Vec<Known>>, Vec<usize>> {
    let all: Vec<_> = batches.iter().map(|batch| known(heads, batch, bench)).collect();
    let missing: Vec<usize> =
        all.iter().enumerate().filter_map(|(index, known)| known.is_none().then_some(index)).collect();
    if missing.is_empty() { Ok(all.into_iter().flatten().collect()) } else { Err(missing) }
}

/// Messages and bytes that sealing `batches` takes at most.
pub(crate) fn seal_bounds(heads: &Heads, batches: &[Arc<Prepared>]) -> (u64, u64) {
    let (mut messages, mut bytes) = (0, 0);
    for batch in batches {
        messages += 2 * batch.items.len() as u64 + u64::from(batch.records()) + 1;
        // A diff holds at most both documents, a snapshot the new one, and both have a head of fixed size.
        let known =
            |item: &Item| heads.peek(&item.key).and_then(|entry| entry.head.as_ref()).map_or(0, Head::weight);
        let old: usize = batch.items.iter().map(known).sum();
        let supplied = batch.supplied.lock().unwrap_or_else(PoisonError::into_inner);
        let fetched: usize = supplied
            .heads
            .values()
            .filter_map(|(_, entry)| entry.as_ref()?.head.as_ref().map(Head::weight))
            .sum();
        bytes += 4 * (batch.size() + old + fetched) as u64 + 256 * u64::from(batch.records()) + REPORT_BYTES;
    }
    (messages, bytes)
}

/// A report is bounded in rows; this bounds its bytes.
const REPORT_BYTES: u64 = 1 << 20;

/// Diffs batches in order, each on what the ones before it leave. Every batch must have what it needs.
pub(crate) struct GroupDiffer<'a> {
    pub heads: &'a mut Heads,
    pub bench: &'a mut Workbench,
    pub index_key: &'a IndexKey,
    pub tenant: TenantId,
    pub ticket: u64,
    pub seal: SealBatch,
    pub salts: Vec<Salt>,
    pub rows: Vec<u8>,
    pub changes: Vec<Change>,
    pub unsealed: Zeroizing<Vec<u8>>,
    pub pinned: Vec<EntityKey>,
    pub consulted: Vec<EntityKey>,
}

/// What came of one record.
enum Verdict {
    Accepted,
    Unchanged,
    Duplicate,
    Conflict,
}

/// The chain as one record finds it.
struct Before {
    version: u32,
    valid_at: ValidAt,
    since_base: u16,
    diff_bytes: u64,
    exists: bool,
    late_only: bool,
    committed: Option<i64>,
}

impl Before {
    /// Whether retention took the chain.
    fn is_without_chain(&self) -> bool {
        self.version == 0
    }
}

impl GroupDiffer<'_> {
    pub fn run(
        mut self,
        batches: &[Arc<Prepared>],
        known: &[Vec<Known>],
        generation: u64,
    ) -> Result<Group, PipelineError> {
        let mut parts = Vec::with_capacity(batches.len());
        for (batch, known) in batches.iter().zip(known) {
            parts.push(self.batch(batch, known)?);
        }
        Ok(Group {
            tenant: self.tenant,
            generation,
            ticket: self.ticket,
            batches: parts,
            rows: self.rows,
            changes: self.changes,
            unsealed: self.unsealed,
            seal: self.seal,
            pinned: self.pinned,
            consulted: self.consulted,
            spent: false,
        })
    }

    fn batch(&mut self, batch: &Arc<Prepared>, known: &[Known]) -> Result<Part, PipelineError> {
        let first = self.changes.len();
        let (mut unchanged, mut duplicate) = (0, 0);
        let mut conflicts = Vec::new();
        let mut supplied = batch.supplied.lock().unwrap_or_else(PoisonError::into_inner);
        for (item, known) in batch.items.iter().zip(known) {
            let verdict = match known {
                Known::Repeated => Verdict::Duplicate,
                Known::Supplied => {
                    self.pin(item, &mut supplied);
                    self.record(batch, item, &supplied)?
                }
                Known::Here => self.record(batch, item, &supplied)?,
            };
            if !matches!(verdict, Verdict::Accepted) {
                self.heads.consult(item.key, self.ticket);
                self.consulted.push(item.key);
            }
            match verdict {
                Verdict::Accepted => {}
                Verdict::Unchanged => unchanged += 1,
                Verdict::Duplicate => duplicate += 1,
                Verdict::Conflict => conflicts.push(*item),
            }
        }
        *supplied = Supplied::default();
        let quarantine = self.quarantine(batch, &conflicts)?;
        let batch = Arc::clone(batch);
        Ok(Part { batch, changes: first..self.changes.len(), unchanged, duplicate, quarantine })
    }

    fn record(
        &mut self,
        batch: &Prepared,
        item: &Item,
        supplied: &Supplied,
    ) -> Result<Verdict, PipelineError> {
        let before = self.before(&item.key);
        let Some(before) = before else {
            return match item.content {
                ItemContent::Upsert(_) => self.advance(batch, item, None),
                ItemContent::Delete => Ok(Verdict::Unchanged),
            };
        };
        match (item.valid_at, before.valid_at) {
            (Some(at), ValidAt::At(head)) if at < head => self.late(batch, item, at, supplied),
            (Some(at), ValidAt::At(head)) if at == head => self.same_time(batch, item, at, before, supplied),
            // The head is about to be recorded as true from then; an event time cannot be put after that with
            // certainty. Stored whole it is right wherever it falls.
            (Some(at), ValidAt::Recording) => self.late(batch, item, at, supplied),
            _ => self.advance(batch, item, Some(before)),
        }
    }

    /// Moves what was fetched of an entity into the overlay.
    fn pin(&mut self, item: &Item, supplied: &mut Supplied) {
        if let Some((_, entry)) = supplied.heads.remove(&item.key)
            && let Some(entry) = entry
        {
            self.heads.pin(item.key, entry, self.ticket);
            self.pinned.push(item.key);
        }
    }

    fn before(&self, key: &EntityKey) -> Option<Before> {
        let entry = self.heads.get(key)?;
        let committed = match self.heads.committed(key) {
            crate::heads::Committed::Newest(at) => Some(at),
            _ => None,
        };
        Some(Before {
            version: entry.version,
            valid_at: entry.valid_at,
            since_base: entry.since_base,
            diff_bytes: entry.diff_bytes,
            exists: entry.head.is_some(),
            late_only: entry.late_only,
            committed,
        })
    }

    /// A record at the head's own valid time.
    fn same_time(
        &mut self,
        batch: &Prepared,
        item: &Item,
        at: i64,
        before: Before,
        supplied: &Supplied,
    ) -> Result<Verdict, PipelineError> {
        let content = self.content(batch, item)?;
        let same_as_head = match &self.heads.get(&item.key).and_then(|entry| entry.head.as_ref()) {
            Some(head) => content == Some(head.hash(self.index_key.content_hash_seed())),
            None => content.is_none() && !before.is_without_chain(),
        };
        if same_as_head || self.versions_at(item, at, supplied).contains(&content) {
            return Ok(Verdict::Duplicate);
        }
        if batch.stream.contract.document().sla.dedupe {
            return Ok(Verdict::Conflict);
        }
        self.advance(batch, item, Some(before))
    }

    /// A record older than the head.
    fn late(
        &mut self,
        batch: &Prepared,
        item: &Item,
        at: i64,
        supplied: &Supplied,
    ) -> Result<Verdict, PipelineError> {
        let content = self.content(batch, item)?;
        let versions = self.versions_at(item, at, supplied);
        if versions.contains(&content) {
            return Ok(Verdict::Duplicate);
        }
        if !versions.is_empty() && batch.stream.contract.document().sla.dedupe {
            return Ok(Verdict::Conflict);
        }
        let operation = if content.is_some() { Operation::LateUpsert } else { Operation::LateDelete };
        let version = versions.len() as u32 + 1;
        let change = self.change(batch, item, version, operation);
        let row = ChangeRow::open(&mut self.rows, &change);
        let sealed = OpenField::open(&mut self.rows);
        let plaintext = reserve_header(&mut self.rows);
        let salt = self.salt()?;
        self.rows.extend_from_slice(&salt);
        match item.content {
            ItemContent::Upsert(root) => {
                let seed = self.index_key.content_hash_seed();
                self.bench.differ.diff(None, batch.value(root), &batch.stream.keyed, seed, &mut self.rows)?;
            }
            ItemContent::Delete => absence(&mut self.rows),
        }
        let commitment = commitment(&salt, &self.rows[plaintext + SALT_LEN..]);
        let context = self.context(batch, item, version, operation, at);
        self.seal.seal_in_place(&context, &mut self.rows, plaintext)?;
        sealed.close(&mut self.rows);
        copy::null(&mut self.rows);
        let place = Place::Sealed { row, valid_at: at };
        self.changes.push(Change { key: item.key, operation, commitment, place });
        self.heads.add_late(item.key, self.ticket, at, content);
        Ok(Verdict::Accepted)
    }

    /// A record that extends the chain, if it says anything new. `before` is `None` for an entity without versions.
    fn advance(
        &mut self,
        batch: &Prepared,
        item: &Item,
        before: Option<Before>,
    ) -> Result<Verdict, PipelineError> {
        let exists = before.as_ref().is_some_and(|before| before.exists);
        let late_only = before.as_ref().is_some_and(|before| before.late_only);
        let operation = match item.content {
            ItemContent::Upsert(_) if exists => Operation::Update,
            ItemContent::Upsert(_) => Operation::Insert,
            ItemContent::Delete if exists || late_only => Operation::Delete,
            ItemContent::Delete => return Ok(Verdict::Unchanged),
        };
        let version = before.as_ref().map_or(0, |before| before.version) + 1;
        let link = match item.valid_at {
            Some(at) => self.link_sealed(batch, item, version, operation, &before, at)?,
            None => self.link_unsealed(batch, item, version, operation, &before)?,
        };
        let Some(link) = link else { return Ok(Verdict::Unchanged) };
        let content = item.valid_at.map(|at| {
            let seed = self.index_key.content_hash_seed();
            (at, link.head.as_ref().map(|head| head.hash(seed)))
        });
        self.changes.push(Change {
            key: item.key,
            operation,
            commitment: link.commitment,
            place: link.place,
        });
        let entry = Entry {
            head: link.head,
            version,
            valid_at: item.valid_at.map_or(ValidAt::Recording, ValidAt::At),
            since_base: link.since_base,
            diff_bytes: link.diff_bytes,
            contract_id: batch.stream.contract_id,
            late_only: false,
        };
        let committed = before.and_then(|before| before.committed);
        self.heads.set_pending(item.key, entry, self.ticket, committed, content);
        Ok(Verdict::Accepted)
    }

    /// Writes and seals the row of a link whose valid time is known; `None` if nothing changed.
    fn link_sealed(
        &mut self,
        batch: &Prepared,
        item: &Item,
        version: u32,
        operation: Operation,
        before: &Option<Before>,
        at: i64,
    ) -> Result<Option<Link>, PipelineError> {
        let start = self.rows.len();
        let change = self.change(batch, item, version, operation);
        let row = ChangeRow::open(&mut self.rows, &change);
        let sealed = OpenField::open(&mut self.rows);
        let plaintext = reserve_header(&mut self.rows);
        let salt = self.salt()?;
        self.rows.extend_from_slice(&salt);
        let mut rows = std::mem::take(&mut self.rows);
        let head = self.compare(batch, item, &mut rows);
        self.rows = rows;
        let head = match head? {
            Compared::Same => {
                self.rows.truncate(start);
                return Ok(None);
            }
            Compared::Now(head) => head,
        };
        let diff = &self.rows[plaintext + SALT_LEN..];
        let commitment = commitment(&salt, diff);
        let base = Base::after(operation, before, diff.len(), head.as_ref());
        let context = self.context(batch, item, version, operation, at);
        self.seal.seal_in_place(&context, &mut self.rows, plaintext)?;
        sealed.close(&mut self.rows);
        if base.snapshot {
            let snapshot = OpenField::open(&mut self.rows);
            let plaintext = reserve_header(&mut self.rows);
            write_snapshot(head.as_ref(), &mut self.rows);
            let context = Context { purpose: Purpose::Snapshot, ..context };
            self.seal.seal_in_place(&context, &mut self.rows, plaintext)?;
            snapshot.close(&mut self.rows);
        } else {
            copy::null(&mut self.rows);
        }
        row.set_since_base(&mut self.rows, base.since_base);
        let place = Place::Sealed { row, valid_at: at };
        let (since_base, diff_bytes) = (base.since_base, base.diff_bytes);
        Ok(Some(Link { head, commitment, since_base, diff_bytes, place }))
    }

    /// Keeps the plaintext of a link whose valid time is that of recording; `None` if nothing changed.
    fn link_unsealed(
        &mut self,
        batch: &Prepared,
        item: &Item,
        version: u32,
        operation: Operation,
        before: &Option<Before>,
    ) -> Result<Option<Link>, PipelineError> {
        let mut unsealed = std::mem::replace(&mut self.unsealed, Zeroizing::new(Vec::new()));
        let start = unsealed.len();
        let salt = self.salt()?;
        unsealed.extend_from_slice(&salt);
        let head = self.compare(batch, item, &mut unsealed);
        self.unsealed = unsealed;
        let head = match head? {
            Compared::Same => {
                self.unsealed.truncate(start);
                return Ok(None);
            }
            Compared::Now(head) => head,
        };
        let change = start..self.unsealed.len();
        let diff = &self.unsealed[start + SALT_LEN..];
        let commitment = commitment(&salt, diff);
        let base = Base::after(operation, before, diff.len(), head.as_ref());
        let snapshot = base.snapshot.then(|| {
            let start = self.unsealed.len();
            write_snapshot(head.as_ref(), &mut self.unsealed);
            start..self.unsealed.len()
        });
        let not_before = match before {
            Some(Before { valid_at: ValidAt::At(at), .. }) => *at,
            _ => i64::MIN,
        };
        let (since_base, diff_bytes) = (base.since_base, base.diff_bytes);
        let place = Place::Unsealed(Unsealed { version, since_base, not_before, change, snapshot });
        Ok(Some(Link { head, commitment, since_base, diff_bytes, place }))
    }

    /// Compares a record with its entity's head and appends the diff to `out`.
    fn compare(
        &mut self,
        batch: &Prepared,
        item: &Item,
        out: &mut Vec<u8>,
    ) -> Result<Compared, PipelineError> {
        let old = self.heads.get(&item.key).and_then(|entry| entry.head.as_ref());
        match item.content {
            ItemContent::Upsert(root) => {
                let seed = self.index_key.content_hash_seed();
                let (value, keyed) = (batch.value(root), &batch.stream.keyed);
                Ok(match self.bench.differ.diff(old, value, keyed, seed, out)? {
                    Outcome::Unchanged => Compared::Same,
                    Outcome::Changed { head, .. } => Compared::Now(Some(head)),
                })
            }
            ItemContent::Delete => {
                match old {
                    Some(old) => self.bench.differ.deletion(old, out),
                    None => absence(out),
                }
                Ok(Compared::Now(None))
            }
        }
    }

    /// Contents of the versions at `at`, committed or not.
    fn versions_at(&self, item: &Item, at: i64, supplied: &Supplied) -> Vec<Content> {
        let committed = supplied.versions.get(&(item.key, at)).map_or(&[][..], |(_, contents)| contents);
        let pending = self.heads.pending(&item.key).map_or(&[][..], |pending| &pending.versions);
        let pending = pending.iter().filter(|version| version.0 == at).map(|version| version.1);
        committed.iter().copied().chain(pending).collect()
    }

    fn content(&mut self, batch: &Prepared, item: &Item) -> Result<Content, PipelineError> {
        let ItemContent::Upsert(root) = item.content else { return Ok(None) };
        Ok(Some(Head::of_value(batch.value(root))?.hash(self.index_key.content_hash_seed())))
    }

    fn quarantine(
        &mut self,
        batch: &Prepared,
        conflicts: &[Item],
    ) -> Result<Option<Quarantine>, PipelineError> {
        if conflicts.is_empty() && batch.rejected.is_empty() {
            return Ok(None);
        }
        let mut rejected = batch.rejected.clone();
        let mut report: Report = batch.report.clone();
        for item in conflicts {
            let ItemContent::Upsert(root) = item.content else { continue };
            let value = batch.value(root);
            report.add(u64::from(item.index), batch.stream.contract.dedupe_conflict(value));
            rejected.push(Rejected { index: item.index, bytes: batch.span(value.raw()) });
        }
        rejected.sort_by_key(|rejected| rejected.index);
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| EnvelopeError::EntropyUnavailable)?;
        let id = uuid::Builder::from_random_bytes(id).into_uuid();
        Quarantine::seal(batch, &rejected, &report, self.index_key, id, &mut self.seal).map(Some)
    }

    fn change<'k>(
        &self,
        batch: &Prepared,
        item: &'k Item,
        version: u32,
        operation: Operation,
    ) -> copy::Change<'k> {
        copy::Change {
            tenant: self.tenant,
            entity: &item.key.entity,
            dataset_id: batch.stream.dataset_id,
            contract_id: batch.stream.contract_id,
            stream_no: batch.stream.stream_no,
            batch_sequence: batch.sequence,
            version,
            op: operation.number(),
            since_base: 0,
        }
    }

    fn context<'k>(
        &self,
        batch: &'k Prepared,
        item: &'k Item,
        version: u32,
        operation: Operation,
        at: i64,
    ) -> Context<'k> {
        Context {
            tenant: self.tenant,
            dataset: batch.stream.dataset(),
            entity: &item.key.entity,
            purpose: Purpose::Diff,
            version: u64::from(version),
            op: operation.number(),
            valid_at: at,
        }
    }

    /// A fresh salt. Drawn in blocks: one call to the generator costs more than the rest of a row.
    fn salt(&mut self) -> Result<Salt, PipelineError> {
        if self.salts.is_empty() {
            let mut block = [0; SALT_LEN * SALT_BLOCK];
            aws_lc_rs::rand::fill(&mut block).map_err(|_| EnvelopeError::EntropyUnavailable)?;
            self.salts.extend_from_slice(block.as_chunks().0);
        }
        self.salts.pop().ok_or(PipelineError::Key(EnvelopeError::EntropyUnavailable))
    }
}

const SALT_BLOCK: usize = 256;

enum Compared {
    Same,
    /// The head that the entity now has.
    Now(Option<Head>),
}

struct Link {
    head: Option<Head>,
    commitment: Hash,
    since_base: u16,
    diff_bytes: u64,
    place: Place,
}

/// How far a link is from its base.
struct Base {
    since_base: u16,
    diff_bytes: u64,
    snapshot: bool,
}

impl Base {
    fn after(operation: Operation, before: &Option<Before>, diff_len: usize, head: Option<&Head>) -> Self {
        let (Some(before), false) = (before, operation == Operation::Insert) else {
            return Self { since_base: 0, diff_bytes: 0, snapshot: false };
        };
        if before.is_without_chain() {
            return Self { since_base: 0, diff_bytes: 0, snapshot: true };
        }
        let (since_base, diff_bytes) = (before.since_base + 1, before.diff_bytes + diff_len as u64);
        let snapshot =
            head.is_some_and(|head| needs_snapshot(u32::from(since_base), diff_bytes, head.json().len()));
        if snapshot {
            Self { since_base: 0, diff_bytes: 0, snapshot }
        } else {
            Self { since_base, diff_bytes, snapshot }
        }
    }
}
