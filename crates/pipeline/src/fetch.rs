//! What only the database knows: heads that are not in memory, and the versions at a record's valid time.
//!
//! One query answers for a whole batch. Its rows are those of `entity_change_log`, in PostgreSQL's binary COPY
//! format: seq, recorded, valid_at, entity_id, dataset_id, version, op, since_base, sealed, snapshot. For each
//! entity whose head is asked for they hold the chain back to its base or, where retention took the chain, the
//! newest late version; for each (entity, valid time), every row at that time.

use std::sync::{Arc, PoisonError};

use hashbrown::{HashMap, HashSet};
use intelgraph_envelope::{DekId, Keystore, Purpose, TenantId, Tick};
use intelgraph_temporal::{ChangePlaintext, EncodedDiff, Operation};

use crate::error::{Corruption, PipelineError};
use crate::heads::{Committed, Content, EntityKey, Entry, FetchHold, Heads, ValidAt};
use crate::opening::{Fields, Opener, Row, Rows, keys_of, rebuild_chain};
use crate::prepare::{Item, ItemContent, Prepared};

/// What was fetched for a batch, each with the age of the heads that its query saw at least.
#[derive(Debug, Default)]
pub(crate) struct Supplied {
    hold: Option<FetchHold>,
    /// Entities that were asked for; `None` if the log has no version.
    pub heads: HashMap<EntityKey, (u64, Option<Entry>)>,
    /// Content of the versions at a valid time that was asked for.
    pub versions: HashMap<(EntityKey, i64), (u64, Vec<Content>)>,
    /// Whether the batch was planned before: what it found in memory is counted once.
    planned: bool,
}

/// Where the heads of records came from.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Lookups {
    /// Records whose entity's head was in memory, or known not to be.
    pub held: u64,
    /// Records whose entity's head the database was asked for.
    pub fetched: u64,
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
    age: u64,
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
        let fresh = |age: u64| heads.is_fresh(&item.key, age);
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

/// Plans the query for what `batch` needs; `None` if it needs nothing. And says what it found.
pub(crate) fn plan(
    heads: &Heads,
    batch: &Arc<Prepared>,
    scratch: &mut Vec<u8>,
) -> (Option<FetchPlan>, Lookups) {
    let mut supplied = batch.supplied.lock().unwrap_or_else(PoisonError::into_inner);
    let mut fetched = 0;
    let mut asked = HashSet::new();
    let mut plan = FetchPlan {
        entities: vec![],
        late_entities: vec![],
        late_valid_at: vec![],
        age: heads.age(),
        hold: heads.begin_fetch(),
        batch: Arc::clone(batch),
    };
    for item in &batch.items {
        let need = Need::of(heads, item).without(&supplied, heads, item);
        if need.is_met() || (!need.head && repeats_head(heads, batch, item, scratch)) {
            continue;
        }
        fetched += u64::from(need.head);
        if need.head && asked.insert((item.key, None)) {
            plan.entities.extend_from_slice(&item.key.entity);
        }
        if let Some(at) = item.valid_at.filter(|_| need.versions)
            && asked.insert((item.key, Some(at)))
        {
            plan.late_entities.extend_from_slice(&item.key.entity);
            plan.late_valid_at.push(at);
        }
    }
    let held = if supplied.planned { 0 } else { batch.items.len() as u64 - fetched };
    supplied.planned = true;
    ((!asked.is_empty()).then_some(plan), Lookups { held, fetched })
}

impl FetchPlan {
    /// The tenant to ask for.
    pub fn tenant(&self) -> TenantId {
        self.batch.stream().tenant
    }

    /// The data keys that the sealed values in `rows` need, each once.
    ///
    /// # Errors
    /// [`PipelineError::Unreadable`].
    pub fn keys(&self, rows: &[u8]) -> Result<Vec<DekId>, PipelineError> {
        Ok(keys_of(&Rows::all(rows, Fields::Head)?))
    }

    /// Gives the batch what `rows` say.
    ///
    /// # Errors
    /// [`PipelineError::Corrupt`] for a row that does not open in its place or a chain that does not rebuild,
    /// [`PipelineError::Unreadable`], [`PipelineError::Key`].
    pub fn supply(&self, rows: &[u8], keystore: &Keystore, now: Tick) -> Result<(), PipelineError> {
        let stream = &self.batch.stream;
        let seed = keystore.index_key(stream.tenant, now)?.content_hash_seed();
        let mut opener = Opener::new(keystore, stream.tenant, now);
        let key = |entity: &[u8; 16]| EntityKey { dataset_id: stream.dataset_id, entity: *entity };
        let ids = |bytes: &[u8]| -> Vec<EntityKey> { bytes.as_chunks::<16>().0.iter().map(key).collect() };

        let seen = self.age;
        let mut heads: HashMap<_, _> =
            ids(&self.entities).into_iter().map(|key| (key, (seen, None))).collect();
        let wanted = ids(&self.late_entities).into_iter().zip(self.late_valid_at.iter().copied());
        let mut versions: HashMap<_, _> = wanted.map(|version| (version, (seen, vec![]))).collect();

        let mut chains: HashMap<EntityKey, Vec<Row<'_>>> = HashMap::new();
        let mut latest: HashMap<EntityKey, Row<'_>> = HashMap::new();
        for row in Rows::new(rows, Fields::Head) {
            let row = row?;
            let key = key(&row.entity);
            if let Some((_, contents)) = versions.get_mut(&(key, row.valid_at)) {
                let change = opener.open(&row, stream.dataset(), row.sealed, Purpose::Diff)?;
                contents.push(content(&row, &change)?);
            }
            if !heads.contains_key(&key) {
                continue;
            }
            if row.operation.in_chain() {
                chains.entry(key).or_default().push(row);
            } else {
                let newest = latest.entry(key).or_insert(row);
                if (newest.valid_at, newest.seq) < (row.valid_at, row.seq) {
                    *newest = row;
                }
            }
        }
        for (key, row) in latest {
            if !chains.contains_key(&key) {
                heads.insert(key, (seen, Some(late_head(&row))));
            }
        }
        for (key, mut rows) in chains {
            let entry = rebuild_head(&mut rows, stream.dataset(), &mut opener, seed)?;
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

/// The head of an entity whose chain is gone: there is no document to compare with, but a time before which every
/// record is late.
fn late_head(newest: &Row<'_>) -> Entry {
    Entry {
        head: None,
        version: 0,
        valid_at: ValidAt::At(newest.valid_at),
        since_base: 0,
        diff_bytes: 0,
        contract_id: 0,
        late_only: newest.operation == Operation::LateUpsert,
    }
}

fn rebuild_head(
    rows: &mut Vec<Row<'_>>,
    dataset: &str,
    opener: &mut Opener<'_>,
    seed: u64,
) -> Result<Entry, PipelineError> {
    rows.sort_by_key(|row| row.version);
    rows.dedup_by_key(|row| row.version);
    let Some(newest) = rows.last() else { unreachable!("a chain has the row it was made for") };
    // Rows at other valid times may have come along; the chain is what leads from its base without a gap.
    let first = rows.len().checked_sub(usize::from(newest.since_base) + 1);
    let chain = &rows[first.ok_or_else(|| newest.corrupt(Corruption::Chain))?..];
    let rebuilt = rebuild_chain(chain, dataset, opener, seed)?;
    Ok(Entry {
        head: rebuilt.head,
        version: newest.version,
        valid_at: ValidAt::At(newest.valid_at),
        since_base: newest.since_base,
        diff_bytes: rebuilt.diff_bytes,
        contract_id: 0,
        late_only: false,
    })
}
