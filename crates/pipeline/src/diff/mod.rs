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
//!
//! Where the batch's contract only warns, a conflict is stored as if the contract did not say `dedupe`, with a warning,
//! and so is a record that breaks the contract otherwise.
//!
//! A record without an event time is true from its recording on, so it is always newer. A delete has the content
//! "nothing". Deleting what is not there is unchanged, unless it is late.

mod chain;
mod known;
mod late;
mod warned;

use std::sync::{Arc, PoisonError};

use intelgraph_contract::Report;
use intelgraph_envelope::{Context, EnvelopeError, IndexKey, Purpose, SealBatch, TenantId};
use intelgraph_temporal::{Head, Operation, SALT_LEN, Salt};
use zeroize::Zeroizing;

use self::chain::Before;
pub(crate) use self::known::{Known, known_of_all};
use self::warned::{Conflict, conflict};
use crate::copy;
use crate::error::PipelineError;
use crate::fetch::Supplied;
use crate::group::{Change, Group, Part};
use crate::heads::{Content, EntityKey, Heads, ValidAt};
use crate::prepare::{Item, ItemContent, Prepared, Rejected};
use crate::quarantine::Quarantine;
use crate::warning::{Enforcement, Warned};
use crate::workbench::Workbench;

/// What came of diffing a group.
#[derive(Debug)]
pub enum Diffed {
    /// The group, ready to be bound.
    Ready(Box<Group>),
    /// Batches, by their index, that need to know more first.
    Missing(Vec<usize>),
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
        if batch.enforcement == Enforcement::Warn {
            messages += 1;
            bytes += warned::report_bytes(batch) + REPORT_BYTES;
        }
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
    /// What of the batch that is diffed is stored with a warning.
    pub warned: Option<Warned>,
}

/// What came of one record.
enum Verdict {
    Accepted,
    Unchanged,
    Duplicate,
    Conflict,
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
        let stored =
            self.warned.take().map(|warned| warned.seal(batch, first, &mut self.seal)).transpose()?;
        let batch = Arc::clone(batch);
        Ok(Part { batch, changes: first..self.changes.len(), unchanged, duplicate, quarantine, stored })
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
                ItemContent::Upsert(_) => self.advance(batch, item, None, batch.warning(item)),
                ItemContent::Delete => Ok(Verdict::Unchanged),
            };
        };
        match (item.valid_at, before.valid_at) {
            (Some(at), ValidAt::At(head)) if at < head => self.late(batch, item, at, supplied),
            (Some(at), ValidAt::At(head)) if at == head => self.same_time(batch, item, at, before, supplied),
            // The head is about to be recorded as true from then; an event time cannot be put after that with
            // certainty. Stored whole it is right wherever it falls.
            (Some(at), ValidAt::Recording) => self.late(batch, item, at, supplied),
            _ => self.advance(batch, item, Some(before), batch.warning(item)),
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
        match conflict(batch, item) {
            Conflict::Not => self.advance(batch, item, Some(before), batch.warning(item)),
            Conflict::Stored(warning) => self.advance(batch, item, Some(before), Some(&warning)),
            Conflict::Quarantined => Ok(Verdict::Conflict),
        }
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
        Quarantine::seal(batch, &rejected, &report, self.index_key, &mut self.seal).map(Some)
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
