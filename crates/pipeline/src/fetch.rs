//! What only the database knows: heads that are not in memory, and the versions at a record's valid time.
//!
//! One query answers for a whole batch. Its rows are those of `entity_change_log`, in PostgreSQL's binary COPY
//! format: seq, recorded, valid_at, entity_id, dataset_id, version, op, since_base, sealed, snapshot. For each
//! entity whose head is asked for they hold the chain back to its base; for each (entity, valid time), every
//! row at that time.

use std::sync::{Arc, PoisonError};

use hashbrown::{HashMap, HashSet};
use intelgraph_envelope::{Context, DekId, Envelope, Keystore, OpeningKey, Purpose, TenantId, Tick};
use intelgraph_temporal::{ChainRow, ChangePlaintext, EncodedDiff, Operation, rebuild};
use zeroize::Zeroizing;

use crate::copy::unix_us;
use crate::error::{Corruption, PipelineError};
use crate::heads::{Committed, Content, EntityKey, Entry, FetchHold, Heads, ValidAt};
use crate::prepare::{Item, ItemContent, Prepared};

/// What was fetched for a batch, each with the watermark that its query saw at least.
#[derive(Debug, Default)]
pub(crate) struct Supplied {
    hold: Option<FetchHold>,
    /// Entities that were asked for; `None` if the log has no version.
    pub heads: HashMap<EntityKey, (u64, Option<Entry>)>,
    /// Content of the versions at a valid time that was asked for.
    pub versions: HashMap<(EntityKey, i64), (u64, Vec<Content>)>,
}

/// What is to be asked, in one query.
#[derive(Debug)]
pub struct FetchPlan {
    /// Identifiers of entities whose chain back to its base is wanted, 16 bytes each.
    pub entities: Vec<u8>,
    /// Identifiers of entities whose versions at one valid time are wanted, 16 bytes each.
    pub late_entities: Vec<u8>,
    /// Those valid times, microseconds since the Unix epoch.
    pub late_valid_at: Vec<i64>,
    watermark: u64,
    hold: FetchHold,
    pub(crate) batch: Arc<Prepared>,
}

/// What a record needs to know before it can be diffed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// Its entity's head.
    pub head: bool,
    /// The versions at its own valid time.
    pub versions: bool,
}

impl Need {
    /// What `item` needs beyond what is in memory.
    #[inline]
    pub fn of(heads: &Heads, item: &Item) -> Self {
        match heads.committed(&item.key) {
            Committed::Absent => Self { head: false, versions: false },
            Committed::Newest(newest) => {
                Self { head: false, versions: item.valid_at.is_some_and(|at| at <= newest) }
            }
            Committed::Unknown => Self { head: true, versions: item.valid_at.is_some() },
        }
    }

    /// What is left of it once `supplied` is taken into account, where that is still fresh.
    #[inline]
    pub fn without(self, supplied: &Supplied, heads: &Heads, item: &Item) -> Self {
        if self.is_met() {
            return self;
        }
        let fresh = |watermark: u64| heads.is_fresh(&item.key, watermark);
        let head = self.head && !supplied.heads.get(&item.key).is_some_and(|head| fresh(head.0));
        let known = |at| supplied.versions.get(&(item.key, at)).is_some_and(|versions| fresh(versions.0));
        Self { head, versions: self.versions && !item.valid_at.is_some_and(known) }
    }

    /// Whether nothing is needed.
    pub fn is_met(self) -> bool {
        !(self.head || self.versions)
    }
}

/// Whether `item` says, at the same valid time, exactly what the committed head says: a duplicate that needs no
/// look-up.
pub(crate) fn repeats_head(heads: &Heads, batch: &Prepared, item: &Item, scratch: &mut Vec<u8>) -> bool {
    let (Some(entry), None) = (heads.peek(&item.key), heads.pending(&item.key)) else { return false };
    if item.valid_at.map(ValidAt::At) != Some(entry.valid_at) {
        return false;
    }
    match (item.content, &entry.head) {
        (ItemContent::Upsert(root), Some(head)) => {
            let mut changed = Vec::new();
            let keys_differ =
                intelgraph_temporal::changed_members(head, batch.value(root), scratch, &mut changed);
            !keys_differ && changed.is_empty()
        }
        (ItemContent::Delete, None) => true,
        _ => false,
    }
}

/// Plans the query for what `batch` needs; `None` if it needs nothing.
pub(crate) fn plan(heads: &Heads, batch: &Arc<Prepared>, scratch: &mut Vec<u8>) -> Option<FetchPlan> {
    let supplied = batch.supplied.lock().unwrap_or_else(PoisonError::into_inner);
    let mut asked = HashSet::new();
    let mut plan = FetchPlan {
        entities: vec![],
        late_entities: vec![],
        late_valid_at: vec![],
        watermark: heads.watermark(),
        hold: heads.begin_fetch(),
        batch: Arc::clone(batch),
    };
    for item in &batch.items {
        let need = Need::of(heads, item).without(&supplied, heads, item);
        if need.is_met() || (!need.head && repeats_head(heads, batch, item, scratch)) {
            continue;
        }
        if need.head && asked.insert((item.key, None)) {
            plan.entities.extend_from_slice(&item.key.entity);
        }
        if let Some(at) = item.valid_at.filter(|_| need.versions)
            && asked.insert((item.key, Some(at))) {
                plan.late_entities.extend_from_slice(&item.key.entity);
                plan.late_valid_at.push(at);
            }
    }
    (!asked.is_empty()).then_some(plan)
}

impl FetchPlan {
    /// The tenant to ask for.
    pub fn tenant(&self) -> TenantId {
        self.batch.stream().tenant
    }

    /// The data keys that the sealed values in `rows` need, each once.
    ///
    /// # Errors
    /// [`PipelineError::Corrupt`].
    pub fn keys(&self, rows: &[u8]) -> Result<Vec<DekId>, PipelineError> {
        let mut ids = HashSet::new();
        for row in Rows::new(rows) {
            let row = row?;
            for sealed in [Some(row.sealed), row.snapshot].into_iter().flatten() {
                let envelope = Envelope::parse(sealed).map_err(|error| row.corrupt(error))?;
                ids.insert(envelope.dek_id());
            }
        }
        Ok(ids.into_iter().collect())
    }

    /// Gives the batch what `rows` say.
    ///
    /// # Errors
    /// [`PipelineError::Corrupt`] for a row that does not open in its place or a chain that does not rebuild.
    pub fn supply(&self, rows: &[u8], keystore: &Keystore, now: Tick) -> Result<(), PipelineError> {
        let stream = &self.batch.stream;
        let seed = keystore.index_key(stream.tenant, now)?.content_hash_seed();
        let mut opener = Opener { keystore, tenant: stream.tenant, dataset: stream.dataset(), now, last: None };
        let key = |entity: &[u8; 16]| EntityKey { dataset_id: stream.dataset_id, entity: *entity };
        let ids = |bytes: &[u8]| -> Vec<EntityKey> { bytes.as_chunks::<16>().0.iter().map(key).collect() };

        let seen = self.watermark;
        let mut heads: HashMap<_, _> = ids(&self.entities).into_iter().map(|key| (key, (seen, None))).collect();
        let wanted = ids(&self.late_entities).into_iter().zip(self.late_valid_at.iter().copied());
        let mut versions: HashMap<_, _> = wanted.map(|version| (version, (seen, vec![]))).collect();

        let mut chains: HashMap<EntityKey, Vec<Row<'_>>> = HashMap::new();
        for row in Rows::new(rows) {
            let row = row?;
            let key = key(&row.entity);
            if let Some((_, contents)) = versions.get_mut(&(key, row.valid_at)) {
                let change = opener.open(&row, row.sealed, Purpose::Diff)?;
                contents.push(content(&row, &change)?);
            }
            if row.operation.in_chain() && heads.contains_key(&key) {
                chains.entry(key).or_default().push(row);
            }
        }
        for (key, mut rows) in chains {
            let entry = rebuild_head(&mut rows, &mut opener, seed)?;
            heads.insert(key, (seen, Some(entry)));
        }
        let mut supplied = self.batch.supplied.lock().unwrap_or_else(PoisonError::into_inner);
        supplied.hold = Some(Arc::clone(&self.hold));
        supplied.heads.extend(heads);
        supplied.versions.extend(versions);
        Ok(())
    }
}

/// The content of a version, as its diff's hash tells.
fn content(row: &Row<'_>, change: &[u8]) -> Result<Content, PipelineError> {
    let diff = ChangePlaintext::parse(change).and_then(|change| EncodedDiff::parse(change.diff));
    let hash = diff.map_err(|error| row.corrupt(error))?.resulting_hash();
    Ok((!matches!(row.operation, Operation::Delete | Operation::LateDelete)).then_some(hash))
}

fn rebuild_head(rows: &mut Vec<Row<'_>>, opener: &mut Opener<'_>, seed: u64) -> Result<Entry, PipelineError> {
    rows.sort_by_key(|row| row.version);
    rows.dedup_by_key(|row| row.version);
    let Some(newest) = rows.last() else { unreachable!("a chain has the row it was made for") };
    let (number, version, valid_at, since_base) =
        (newest.number, newest.version, newest.valid_at, newest.since_base);
    // Rows at other valid times may have come along; the chain is what leads from its base without a gap.
    let length = usize::from(since_base) + 1;
    let chain = rows.len().checked_sub(length).map(|first| &rows[first..]);
    let corrupt = |fault| PipelineError::Corrupt { row: number, fault };
    let chain = chain.ok_or_else(|| corrupt(Corruption::Chain))?;

    let mut opened = Vec::with_capacity(length);
    for row in chain {
        let change = opener.open(row, row.sealed, Purpose::Diff)?;
        let snapshot =
            row.snapshot.map(|sealed| opener.open(row, sealed, Purpose::Snapshot)).transpose()?;
        opened.push((row.operation, change, snapshot));
    }
    let diff_bytes = opened[1..].iter().map(|(_, change, _)| change.len() as u64).sum();
    let links: Vec<ChainRow<'_>> = opened
        .iter()
        .map(|(operation, change, snapshot)| ChainRow {
            operation: *operation,
            change,
            snapshot: snapshot.as_ref().map(|snapshot| &snapshot[..]),
        })
        .collect();
    let head = rebuild(&links, seed).map_err(|_| corrupt(Corruption::Chain))?;
    Ok(Entry { head, version, valid_at: ValidAt::At(valid_at), since_base, diff_bytes, contract_id: 0 })
}

/// Opens the sealed values of rows; keeps the key of the last one, which most rows share.
struct Opener<'a> {
    keystore: &'a Keystore,
    tenant: TenantId,
    dataset: &'a str,
    now: Tick,
    last: Option<Arc<OpeningKey>>,
}

impl Opener<'_> {
    fn open(&mut self, row: &Row<'_>, sealed: &[u8], purpose: Purpose) -> Result<Zeroizing<Vec<u8>>, PipelineError> {
        let envelope = Envelope::parse(sealed).map_err(|error| row.corrupt(error))?;
        let id = envelope.dek_id();
        if self.last.as_ref().is_none_or(|key| key.id() != id) {
            self.last = Some(self.keystore.opening_key(self.tenant, id, self.now)?);
        }
        let mut plaintext = Zeroizing::new(Vec::with_capacity(envelope.plaintext_len()));
        let context = Context {
            tenant: self.tenant,
            dataset: self.dataset,
            entity: &row.entity,
            purpose,
            version: u64::from(row.version),
            op: row.operation.number(),
            valid_at: row.valid_at,
        };
        if let Some(key) = &self.last {
            key.open(&context, &envelope, &mut plaintext).map_err(|error| row.corrupt(error))?;
        }
        Ok(plaintext)
    }
}

/// A row of the answer.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    number: u32,
    valid_at: i64,
    entity: [u8; 16],
    version: u32,
    operation: Operation,
    since_base: u16,
    sealed: &'a [u8],
    snapshot: Option<&'a [u8]>,
}

impl Row<'_> {
    fn corrupt(&self, fault: impl Into<Corruption>) -> PipelineError {
        PipelineError::Corrupt { row: self.number, fault: fault.into() }
    }
}

/// Reads the rows of a binary COPY stream.
struct Rows<'a> {
    copy: crate::copy::Reader<'a>,
    number: u32,
}

impl<'a> Rows<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { copy: crate::copy::Reader::new(bytes), number: 0 }
    }

    fn row(&mut self) -> Option<Option<Row<'a>>> {
        if !self.copy.next_row(10)? {
            return Some(None);
        }
        let _seq = self.copy.fixed::<8>()?;
        let _recorded = self.copy.fixed::<8>()?;
        let valid_at = unix_us(i64::from_be_bytes(self.copy.fixed()?));
        let entity = self.copy.fixed()?;
        let _dataset = self.copy.fixed::<4>()?;
        let version = u32::from_be_bytes(self.copy.fixed()?);
        let operation = Operation::from_number(u8::try_from(u16::from_be_bytes(self.copy.fixed()?)).ok()?)?;
        let since_base = u16::from_be_bytes(self.copy.fixed()?);
        let sealed = self.copy.field()??;
        let snapshot = self.copy.field()?;
        let number = self.number;
        self.number += 1;
        Some(Some(Row { number, valid_at, entity, version, operation, since_base, sealed, snapshot }))
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Result<Row<'a>, PipelineError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.row() {
            Some(row) => row.map(Ok),
            None => Some(Err(PipelineError::Corrupt { row: self.number, fault: Corruption::Layout })),
        }
    }
}
