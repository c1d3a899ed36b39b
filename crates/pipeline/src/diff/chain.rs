//! The chain of an entity's versions, each a difference from the one before, and the link that a record adds to it.

use intelgraph_envelope::{Context, Purpose, reserve_header};
use intelgraph_temporal::{
    Hash, Head, Operation, Outcome, SALT_LEN, absence, commitment, needs_snapshot, write_snapshot,
};
use zeroize::Zeroizing;

use super::warned::begin_change;
use super::{GroupDiffer, Verdict};
use crate::copy::{self, ChangeRow, OpenField};
use crate::error::PipelineError;
use crate::group::{Change, Place, Unsealed};
use crate::heads::{Committed, EntityKey, Entry, ValidAt};
use crate::prepare::{Item, ItemContent, Prepared};
use crate::warning::Warning;

/// The chain as one record finds it.
pub(super) struct Before {
    pub version: u32,
    pub valid_at: ValidAt,
    pub since_base: u16,
    pub diff_bytes: u64,
    pub exists: bool,
    pub late_only: bool,
    pub committed: Option<i64>,
}

impl Before {
    /// Whether retention took the chain.
    pub(super) fn is_without_chain(&self) -> bool {
        self.version == 0
    }
}

impl GroupDiffer<'_> {
    /// The chain of an entity; `None` where it has no versions.
    pub(super) fn before(&self, key: &EntityKey) -> Option<Before> {
        let entry = self.heads.get(key)?;
        let committed = match self.heads.committed(key) {
            Committed::Newest(at) => Some(at),
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

    /// A record that extends the chain, if it says anything new. `before` is `None` for an entity without versions.
    pub(super) fn advance(
        &mut self,
        batch: &Prepared,
        item: &Item,
        before: Option<Before>,
        warning: Option<&Warning>,
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
        let step = Step { version, operation, before: before.as_ref(), warning };
        let link = match item.valid_at {
            Some(at) => self.link_sealed(batch, item, &step, at)?,
            None => self.link_unsealed(batch, item, &step)?,
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
        self.note(batch, warning);
        let entry = Entry {
            head: link.head,
            version,
            valid_at: item.valid_at.map_or(ValidAt::Recording, ValidAt::At),
            since_base: link.since_base,
            diff_bytes: link.diff_bytes,
            // What was stored with a warning is nothing that the next record could lean on.
            contract_id: if warning.is_none() { batch.stream.contract_id } else { 0 },
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
        step: &Step<'_>,
        at: i64,
    ) -> Result<Option<Link>, PipelineError> {
        let Step { version, operation, before, warning } = *step;
        let start = self.rows.len();
        let change = self.change(batch, item, version, operation);
        let row = ChangeRow::open(&mut self.rows, &change);
        let sealed = OpenField::open(&mut self.rows);
        let plaintext = reserve_header(&mut self.rows);
        let salt = self.salt()?;
        begin_change(&salt, warning, &mut self.rows);
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
        let said = &self.rows[plaintext + SALT_LEN..];
        let commitment = commitment(&salt, said);
        let base = Base::after(operation, before, said.len(), head.as_ref());
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
        step: &Step<'_>,
    ) -> Result<Option<Link>, PipelineError> {
        let Step { version, operation, before, warning } = *step;
        let mut unsealed = std::mem::replace(&mut self.unsealed, Zeroizing::new(Vec::new()));
        let start = unsealed.len();
        let salt = self.salt()?;
        begin_change(&salt, warning, &mut unsealed);
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
        let said = &self.unsealed[start + SALT_LEN..];
        let commitment = commitment(&salt, said);
        let base = Base::after(operation, before, said.len(), head.as_ref());
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
}

/// How a record extends its entity's chain.
#[derive(Clone, Copy)]
struct Step<'a> {
    version: u32,
    operation: Operation,
    /// The chain until then; `None` for an entity without versions.
    before: Option<&'a Before>,
    warning: Option<&'a Warning>,
}

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
    fn after(operation: Operation, before: Option<&Before>, said_len: usize, head: Option<&Head>) -> Self {
        let (Some(before), false) = (before, operation == Operation::Insert) else {
            return Self { since_base: 0, diff_bytes: 0, snapshot: false };
        };
        if before.is_without_chain() {
            return Self { since_base: 0, diff_bytes: 0, snapshot: true };
        }
        let (since_base, diff_bytes) = (before.since_base + 1, before.diff_bytes + said_len as u64);
        let snapshot =
            head.is_some_and(|head| needs_snapshot(u32::from(since_base), diff_bytes, head.json().len()));
        if snapshot {
            Self { since_base: 0, diff_bytes: 0, snapshot }
        } else {
            Self { since_base, diff_bytes, snapshot }
        }
    }
}
