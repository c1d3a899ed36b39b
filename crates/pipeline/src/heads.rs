//! What is known of a tenant's entities without asking the database.
//!
//! Three layers, read from the top:
//! - the *overlay*: heads of batches that are diffed and not yet committed. Batch n+1 is diffed on it while n
//!   commits; an abort drops it whole, with everything that was diffed on it (see [`crate::engine`]);
//! - the *cache*: heads as committed up to the watermark, bounded in bytes, S3-FIFO eviction;
//! - the *filter*: every entity the log has, as Bloom filters, so that a new key costs no query.
//!
//! The watermark is the tenant's last change `seq` that all three reflect. Changes that other gateways commit
//! arrive by [`Heads::catch_up`], which forgets the heads they moved; entities of which retention took versions
//! arrive by [`Heads::retained`], which forgets them too. The filter forgets nobody: who is gone costs a query.

use std::hash::BuildHasherDefault;
use std::sync::Arc;

use fastbloom::BloomFilter;
use hashbrown::HashMap;
use intelgraph_temporal::Head;
use quick_cache::{Weighter, unsync::Cache};

/// Names an entity within a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntityKey {
    /// The dataset's number within the tenant.
    pub dataset_id: i32,
    /// The entity's identifier.
    pub entity: [u8; 16],
}

impl std::hash::Hash for EntityKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // An identifier is 122 bits of an HMAC: uniform already, and not for a producer to choose.
        let (low, high) = self.entity.split_at(8);
        let word = |half: &[u8]| u64::from_le_bytes(half.try_into().expect("a half is 8 bytes"));
        state.write_u64(word(low) ^ word(high).rotate_left(32) ^ u64::from(self.dataset_id.cast_unsigned()));
    }
}

/// Finishes [`EntityKey`]'s uniform word: one multiplication spreads it over both ends, which tables index by.
#[derive(Default, Clone, Copy)]
pub struct UniformHasher(u64);

impl std::hash::Hasher for UniformHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("entity keys hash as one word");
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

type Hasher = BuildHasherDefault<UniformHasher>;

/// From when a head is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidAt {
    /// Microseconds since the Unix epoch.
    At(i64),
    /// The time of recording, which an uncommitted change does not have yet.
    Recording,
}

/// The chain's newest version of an entity.
#[derive(Debug)]
pub struct Entry {
    /// The document; `None` after a delete.
    pub head: Option<Head>,
    /// Position in the chain.
    pub version: u32,
    /// From when it is true.
    pub valid_at: ValidAt,
    /// Chain rows since the last base.
    pub since_base: u16,
    /// Bytes of diffs since the last base.
    pub diff_bytes: u64,
    /// The contract, by its number, that the document satisfied; 0 if that is not known.
    pub contract_id: i32,
    /// Whether retention took the chain, and a late version that it left says that the entity is there. Then the
    /// version is 0, and `valid_at` that of the newest late one.
    pub late_only: bool,
}

impl Entry {
    /// From when it is true, if it is committed.
    fn committed_at(&self) -> Option<i64> {
        match self.valid_at {
            ValidAt::At(at) => Some(at),
            ValidAt::Recording => None,
        }
    }
}

/// Content hash of a version at one valid time; `None` for a delete.
pub type Content = Option<u128>;

/// An entity that uncommitted batches touched.
#[derive(Debug)]
pub struct Pending {
    /// The chain's newest version.
    pub entry: Entry,
    /// The group that made the entry; late records leave it as it is.
    pub made_by: u64,
    /// The last group that touched it.
    pub ticket: u64,
    /// Valid time of the newest committed version; `None` if the log has no version.
    pub committed: Option<i64>,
    /// Valid time and content of the uncommitted versions.
    pub versions: Vec<(i64, Content)>,
}

/// A committed change, as far as heads are concerned.
#[derive(Debug, Clone, Copy)]
pub struct Moved {
    /// The entity.
    pub key: EntityKey,
    /// From when it is true.
    pub valid_at: i64,
    /// Whether it moved the head.
    pub in_chain: bool,
}

/// Weighs an entry by the bytes it keeps in memory.
#[derive(Debug, Clone)]
struct EntryWeight;

/// Bytes that a cache slot costs beside its document: key, entry, allocation headers, queue links.
const SLOT_BYTES: u64 = 128;

impl Weighter<EntityKey, Entry> for EntryWeight {
    fn weight(&self, _: &EntityKey, entry: &Entry) -> u64 {
        SLOT_BYTES + entry.head.as_ref().map_or(0, |head| head.weight() as u64)
    }
}

/// What the layers say of an entity's committed versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// The log has none.
    Absent,
    /// The newest one is true from then.
    Newest(i64),
    /// Only the database knows.
    Unknown,
}

/// The heads of one tenant.
#[derive(Debug)]
pub struct Heads {
    watermark: u64,
    overlay: HashMap<EntityKey, Pending, Hasher>,
    /// Entities of which uncommitted groups decided that a record changes nothing, with the last such group.
    consulted: HashMap<EntityKey, u64, Hasher>,
    cache: Cache<EntityKey, Entry, EntryWeight, Hasher>,
    filter: Filter,
    /// How often heads moved, by whatever cause.
    age: u64,
    /// Keys that moved while somebody holds what was fetched, with the age they moved at: what was fetched of
    /// them before is not so any more.
    moved: HashMap<EntityKey, u64, Hasher>,
    /// The age at which everything moved.
    all_moved: u64,
    fetches: Arc<()>,
}

/// Held by what was fetched, from the query to its use: as long as one is, moves are remembered.
pub type FetchHold = Arc<()>;

impl Heads {
    /// Starts with what a log whose last change is `watermark` has: nothing known, unless it is empty.
    pub fn new(watermark: u64, capacity_bytes: u64) -> Self {
        Self {
            watermark,
            overlay: HashMap::default(),
            consulted: HashMap::default(),
            cache: Cache::with(
                usize::try_from(capacity_bytes / 1024).unwrap_or(usize::MAX).max(16),
                capacity_bytes,
                EntryWeight,
                Hasher::default(),
                quick_cache::unsync::DefaultLifecycle::default(),
            ),
            filter: Filter::new(watermark),
            age: 0,
            moved: HashMap::default(),
            all_moved: 0,
            fetches: Arc::default(),
        }
    }

    /// The last change that is reflected.
    pub fn watermark(&self) -> u64 {
        self.watermark
    }

    /// Sets the bytes that the cache may keep; evicts what is beyond.
    pub fn set_capacity(&mut self, bytes: u64) {
        self.cache.set_capacity(bytes);
    }

    /// Bytes that the cache keeps.
    pub fn cached_bytes(&self) -> u64 {
        self.cache.weight()
    }

    /// Number of heads in the cache.
    pub fn cached(&self) -> usize {
        self.cache.len()
    }

    /// The newest version of an entity, committed or not, without counting as a use.
    #[inline]
    pub fn peek(&self, key: &EntityKey) -> Option<&Entry> {
        self.overlay.get(key).map(|pending| &pending.entry).or_else(|| self.cache.peek(key))
    }

    /// The newest version of an entity, committed or not.
    #[inline]
    pub fn get(&self, key: &EntityKey) -> Option<&Entry> {
        self.overlay.get(key).map(|pending| &pending.entry).or_else(|| self.cache.get(key))
    }

    /// What is known of the committed versions of an entity.
    #[inline]
    pub fn committed(&self, key: &EntityKey) -> Committed {
        if let Some(pending) = self.overlay.get(key) {
            return pending.committed.map_or(Committed::Absent, Committed::Newest);
        }
        match self.cache.peek(key) {
            Some(Entry { valid_at: ValidAt::At(at), .. }) => Committed::Newest(*at),
            Some(Entry { valid_at: ValidAt::Recording, .. }) => Committed::Unknown,
            None if self.filter.lacks(key) => Committed::Absent,
            None => Committed::Unknown,
        }
    }

    /// What uncommitted batches did to an entity.
    #[inline]
    pub fn pending(&self, key: &EntityKey) -> Option<&Pending> {
        self.overlay.get(key)
    }

    /// Makes `entry` the newest version of an entity, uncommitted, as batch `ticket` left it.
    /// `version` is the valid time and content of what the batch appends; `None` if only known at recording.
    #[inline]
    pub fn set_pending(
        &mut self,
        key: EntityKey,
        entry: Entry,
        ticket: u64,
        committed: Option<i64>,
        version: Option<(i64, Content)>,
    ) {
        self.filter.add(&key);
        match self.overlay.entry(key) {
            hashbrown::hash_map::Entry::Occupied(mut slot) => {
                let pending = slot.get_mut();
                pending.entry = entry;
                (pending.made_by, pending.ticket) = (ticket, ticket);
                pending.versions.extend(version);
            }
            hashbrown::hash_map::Entry::Vacant(slot) => {
                let versions = version.into_iter().collect();
                slot.insert(Pending { entry, made_by: ticket, ticket, committed, versions });
            }
        }
    }

    /// Notes a late version of an entity whose head stays as it is. The head must be known.
    pub fn add_late(&mut self, key: EntityKey, ticket: u64, valid_at: i64, content: Content) {
        if !self.overlay.contains_key(&key) {
            let Some((_, entry)) = self.cache.remove(&key) else { return };
            let committed = entry.committed_at();
            // The head moves up with its entity: an abort then forgets it, which costs a query and no truth.
            self.overlay.insert(key, Pending { entry, made_by: ticket, ticket, committed, versions: vec![] });
        }
        if let Some(pending) = self.overlay.get_mut(&key) {
            pending.ticket = ticket;
            pending.versions.push((valid_at, content));
        }
    }

    /// Group `ticket` is committed: its changes in order, up to `seq`.
    pub fn commit(&mut self, ticket: u64, changes: &[Moved], seq: u64) {
        let fetching = self.remember_moves();
        for change in changes {
            if fetching {
                self.moved.insert(change.key, self.age);
            }
            let Some(pending) = self.overlay.get_mut(&change.key) else {
                // Aborted since: the new head is gone, and the cache has what it replaced.
                self.cache.remove(&change.key);
                continue;
            };
            if change.in_chain && pending.made_by == ticket {
                pending.entry.valid_at = ValidAt::At(change.valid_at);
            }
            if pending.ticket != ticket {
                // A later group has touched the entity in the overlay. Should that abort, the cache must not
                // answer with what this group replaced.
                pending.committed = pending.committed.max(Some(change.valid_at));
                self.cache.remove(&change.key);
            }
        }
        self.unpin(ticket, changes.iter().map(|change| change.key));
        self.watermark = seq;
    }

    /// Forgets all that is uncommitted.
    pub fn abort(&mut self) {
        self.overlay.clear();
        self.consulted.clear();
    }

    /// Forgets every document, because the lease on plaintext is over. Which entities exist may stay known.
    pub fn forget(&mut self) {
        self.overlay = HashMap::default();
        self.consulted = HashMap::default();
        self.cache.clear();
    }

    /// Other gateways moved `keys` up to `seq`: forgets their heads. True if an uncommitted batch leans on one.
    pub fn catch_up(&mut self, keys: impl Iterator<Item = EntityKey>, seq: u64) -> bool {
        let touched = self.forget_moved(keys, |filter, key| filter.add(key));
        self.watermark = self.watermark.max(seq);
        touched
    }

    /// Retention took versions of `keys`, or put the base of their chain elsewhere: forgets their heads. True if an
    /// uncommitted batch leans on one.
    pub fn retained(&mut self, keys: impl Iterator<Item = EntityKey>) -> bool {
        self.forget_moved(keys, |_, _| {})
    }

    /// As [`retained`](Self::retained), where nobody knows of which entities: forgets every head, and what was
    /// fetched.
    pub fn all_retained(&mut self) {
        self.remember_moves();
        self.all_moved = self.age;
        self.forget();
    }

    fn forget_moved(
        &mut self,
        keys: impl Iterator<Item = EntityKey>,
        mut note: impl FnMut(&mut Filter, &EntityKey),
    ) -> bool {
        let fetching = self.remember_moves();
        let mut touched = false;
        for key in keys {
            touched |= self.overlay.contains_key(&key) || self.consulted.contains_key(&key);
            self.cache.remove(&key);
            note(&mut self.filter, &key);
            if fetching {
                self.moved.insert(key, self.age);
            }
        }
        touched
    }

    /// How often heads have moved. A fetch that begins now sees all of it.
    pub fn age(&self) -> u64 {
        self.age
    }

    /// A fetch from the database begins. Moves are remembered until the hold is dropped.
    pub fn begin_fetch(&self) -> FetchHold {
        Arc::clone(&self.fetches)
    }

    /// Heads are about to move; whether somebody has to be told later which.
    fn remember_moves(&mut self) -> bool {
        self.age += 1;
        let fetching = Arc::strong_count(&self.fetches) > 1;
        if !fetching && !self.moved.is_empty() {
            self.moved = HashMap::default();
        }
        fetching
    }

    /// Whether what a fetch begun at `age` says of an entity is still so.
    pub fn is_fresh(&self, key: &EntityKey, age: u64) -> bool {
        self.all_moved <= age && self.moved.get(key).is_none_or(|&moved| moved <= age)
    }

    /// Group `ticket` decided that a record changes nothing of an entity. Should another gateway move it before the
    /// group commits, that was decided on the past.
    #[inline]
    pub fn consult(&mut self, key: EntityKey, ticket: u64) {
        self.consulted.insert(key, ticket);
    }

    /// Group `ticket` is committed, and so is what it decided about these entities.
    pub fn release(&mut self, ticket: u64, keys: &[EntityKey]) {
        for key in keys {
            if self.consulted.get(key) == Some(&ticket) {
                self.consulted.remove(key);
            }
        }
    }

    /// Takes a committed head that was fetched, and keeps it until batch `ticket` is done: evicted before, the
    /// batch's next record of that entity would have to fetch it again.
    pub fn pin(&mut self, key: EntityKey, entry: Entry, ticket: u64) {
        let committed = entry.committed_at();
        self.overlay.entry(key).or_insert(Pending {
            entry,
            made_by: ticket,
            ticket,
            committed,
            versions: vec![],
        });
    }

    /// Group `ticket` is committed: what it touched last of these entities moves from the overlay to the cache.
    pub fn unpin(&mut self, ticket: u64, keys: impl Iterator<Item = EntityKey>) {
        for key in keys {
            if self.overlay.get(&key).is_some_and(|pending| pending.ticket == ticket)
                && let Some(pending) = self.overlay.remove(&key)
            {
                self.cache.insert(key, pending.entry);
            }
        }
    }

    /// Takes entities of the log, as far as `seq`, into the filter; once that is all there is, the filter answers.
    pub fn learn(&mut self, keys: impl Iterator<Item = EntityKey>, seq: u64) {
        for key in keys {
            self.filter.add(&key);
        }
        self.filter.learned(seq);
    }

    /// Where [`learn`](Self::learn) has to go on, `None` when the filter knows the whole log.
    pub fn learn_from(&self) -> Option<u64> {
        self.filter.missing
    }
}

/// Which entities the log has. Grows by doubling layers; the first holds 2^14 keys.
#[derive(Debug)]
struct Filter {
    layers: Vec<(BloomFilter, usize)>,
    /// The filter lacks changes after this `seq`, up to the watermark when it was made; `None`: it lacks nothing.
    missing: Option<u64>,
    until: u64,
}

const FIRST_LAYER: usize = 1 << 14;
/// A false positive costs one row of a query; 1 % of new keys is not noticed.
const FALSE_POSITIVES: f64 = 0.01;

impl Filter {
    fn new(watermark: u64) -> Self {
        Self { layers: vec![], missing: (watermark > 0).then_some(0), until: watermark }
    }

    fn lacks(&self, key: &EntityKey) -> bool {
        self.missing.is_none() && !self.has(key)
    }

    fn has(&self, key: &EntityKey) -> bool {
        self.layers.iter().any(|(layer, _)| layer.contains(key))
    }

    fn add(&mut self, key: &EntityKey) {
        if self.has(key) {
            return;
        }
        if self.layers.last().is_none_or(|(_, left)| *left == 0) {
            let size = FIRST_LAYER << self.layers.len().min(20);
            self.layers.push((BloomFilter::with_false_pos(FALSE_POSITIVES).expected_items(size), size));
        }
        if let Some((layer, left)) = self.layers.last_mut() {
            layer.insert(key);
            *left -= 1;
        }
    }

    fn learned(&mut self, seq: u64) {
        self.missing = (seq < self.until).then_some(seq);
    }
}
