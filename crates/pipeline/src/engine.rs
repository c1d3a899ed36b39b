//! All tenants of a process.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use hashbrown::HashMap;
use intelgraph_envelope::{EnvelopeError, Keystore, LeaseId, TenantId, Tick};
use intelgraph_json::Limits;
use zeroize::Zeroizing;

use crate::bind::Bound;
use crate::diff::{Diffed, GroupDiffer, known_of_all, seal_bounds};
use crate::error::PipelineError;
use crate::fetch::{self, FetchPlan, Lookups};
use crate::group::Group;
use crate::heads::{EntityKey, Heads};
use crate::prepare::{self, BatchLimits, Prepared, Source};
use crate::stream::Stream;
use crate::workbench::Workbenches;

/// Limits of a process.
#[derive(Debug, Clone, Copy)]
pub struct EngineLimits {
    /// Bytes that the heads of all tenants may keep.
    pub cache_bytes: u64,
    /// Limits of a JSON document.
    pub json: Limits,
    /// Limits of a batch.
    pub batch: BatchLimits,
}

/// Prepares, diffs and settles the batches of all tenants. Shared by all threads; what a tenant's calls touch of
/// its heads they do one after the other, tenants do not wait for each other.
pub struct Engine {
    keystore: Arc<Keystore>,
    limits: EngineLimits,
    workbenches: Workbenches,
    tenants: RwLock<HashMap<TenantId, Arc<Mutex<Tenant>>>>,
    tickets: AtomicU64,
    totals: Totals,
}

/// What all tenants' heads come to. Counted per batch and per group, and read without waiting for a tenant.
#[derive(Default)]
struct Totals {
    held: AtomicU64,
    fetched: AtomicU64,
    heads: AtomicU64,
    bytes: AtomicU64,
}

struct Tenant {
    heads: Heads,
    /// Heads and bytes of its cache that the totals have.
    counted: (u64, u64),
    /// Raised by every abort: a group of another generation leans on what was dropped.
    generation: u64,
    /// The lease that the heads hang on.
    lease: Option<LeaseId>,
    /// Most of the process's cache that the tenant may have, in percent.
    share_percent: u64,
}

/// What a tenant keeps in memory.
#[derive(Debug, Clone, Copy)]
pub struct TenantUsage {
    /// Heads in the cache.
    pub heads: usize,
    /// Bytes that they keep.
    pub bytes: u64,
    /// Last change that they reflect.
    pub watermark: u64,
}

impl Engine {
    /// An engine that seals with the keys of `keystore`.
    pub fn new(keystore: Arc<Keystore>, limits: EngineLimits) -> Self {
        Self {
            keystore,
            limits,
            workbenches: Workbenches::new(limits.json),
            tenants: RwLock::default(),
            tickets: AtomicU64::new(1),
            totals: Totals::default(),
        }
    }

    /// Begins to serve a tenant whose last change is `watermark`. Does nothing if it is served already.
    pub fn activate(&self, tenant: TenantId, watermark: u64, share_percent: u64) {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        tenants.entry(tenant).or_insert_with(|| {
            let heads = Heads::new(watermark, 0);
            Arc::new(Mutex::new(Tenant { heads, counted: (0, 0), generation: 0, lease: None, share_percent }))
        });
        self.share_out(&tenants);
    }

    /// Ends serving a tenant and forgets what it has in memory.
    pub fn deactivate(&self, tenant: TenantId) {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(tenant) = tenants.remove(&tenant) {
            let mut tenant = tenant.lock().unwrap_or_else(PoisonError::into_inner);
            tenant.forget(None);
            self.totals.count(&mut tenant);
        }
        self.share_out(&tenants);
    }

    /// Changes the most of the process's cache that a tenant may have, in percent; evicts what is beyond.
    ///
    /// # Errors
    /// [`PipelineError::NotActive`].
    pub fn set_share(&self, tenant: TenantId, share_percent: u64) -> Result<(), PipelineError> {
        self.tenant(tenant)?.lock().unwrap_or_else(PoisonError::into_inner).share_percent = share_percent;
        self.share_out(&self.tenants.read().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    /// Gives each tenant its share of the cache, at most an equal one: the sum never exceeds the process's.
    fn share_out(&self, tenants: &HashMap<TenantId, Arc<Mutex<Tenant>>>) {
        let equal = self.limits.cache_bytes / (tenants.len().max(1) as u64);
        for tenant in tenants.values() {
            let mut tenant = tenant.lock().unwrap_or_else(PoisonError::into_inner);
            let share = self.limits.cache_bytes / 100 * tenant.share_percent;
            tenant.heads.set_capacity(share.min(equal));
            self.totals.count(&mut tenant);
        }
    }

    /// Decodes, parses and checks a batch. `now_us` is the time of receipt in microseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`PipelineError::Wire`], [`PipelineError::TooManyRecords`], [`PipelineError::Key`],
    /// [`PipelineError::NotActive`].
    pub fn prepare(
        &self,
        stream: Arc<Stream>,
        frame: Source,
        now_us: i64,
        now: Tick,
    ) -> Result<Arc<Prepared>, PipelineError> {
        let index_key = self.keystore.index_key(stream.tenant, now)?;
        let tenant = self.tenant(stream.tenant)?;
        self.workbenches.with(|bench| {
            let mut batch = prepare::read(bench, stream, frame, &index_key, self.limits.batch, now_us)?;
            let vouched = {
                let tenant = self.leased(&tenant, batch.stream.tenant, now)?;
                prepare::vouched(&tenant.heads, &batch, bench)
            };
            prepare::validate(&mut batch, &vouched);
            Ok(Arc::new(batch))
        })
    }

    /// Plans the query for what a batch needs to know before it can be diffed; `None` if it needs nothing.
    ///
    /// # Errors
    /// [`PipelineError::Key`], [`PipelineError::NotActive`].
    pub fn plan_fetch(&self, batch: &Arc<Prepared>, now: Tick) -> Result<Option<FetchPlan>, PipelineError> {
        let tenant = self.tenant(batch.stream.tenant)?;
        let tenant = self.leased(&tenant, batch.stream.tenant, now)?;
        let (plan, lookups) =
            self.workbenches.with(|bench| fetch::plan(&tenant.heads, batch, &mut bench.canonical));
        self.totals.held.fetch_add(lookups.held, Ordering::Relaxed);
        self.totals.fetched.fetch_add(lookups.fetched, Ordering::Relaxed);
        Ok(plan)
    }

    /// Diffs batches of one tenant, in order, as one group.
    ///
    /// # Errors
    /// [`PipelineError::Key`], [`PipelineError::NotActive`], [`PipelineError::Diff`]; then what was diffed of the
    /// tenant and is not committed is dropped.
    pub fn diff(
        &self,
        tenant_id: TenantId,
        batches: &[Arc<Prepared>],
        now: Tick,
    ) -> Result<Diffed, PipelineError> {
        let index_key = self.keystore.index_key(tenant_id, now)?;
        let tenant = self.tenant(tenant_id)?;
        let mut tenant = self.leased(&tenant, tenant_id, now)?;
        let tenant = &mut *tenant;
        self.workbenches.with(|bench| {
            let known = match known_of_all(&tenant.heads, batches, bench) {
                Ok(known) => known,
                Err(missing) => return Ok(Diffed::Missing(missing)),
            };
            let (messages, bytes) = seal_bounds(&tenant.heads, batches);
            let records: usize = batches.iter().map(|batch| batch.items.len()).sum();
            let received: usize = batches.iter().map(|batch| batch.size()).sum();
            let differ = GroupDiffer {
                heads: &mut tenant.heads,
                bench,
                index_key: &index_key,
                tenant: tenant_id,
                ticket: self.tickets.fetch_add(1, Ordering::Relaxed),
                seal: self.keystore.reserve(tenant_id, messages, bytes, now)?,
                salts: Vec::new(),
                // Room for what is usual. Growing would leave plaintext behind: rows are sealed one by one, so
                // that at most one is in the clear when the buffer moves.
                rows: Vec::with_capacity(records * 512 + received / 2),
                changes: Vec::with_capacity(records),
                unsealed: Zeroizing::default(),
                pinned: Vec::new(),
                consulted: Vec::new(),
            };
            let group = differ.run(batches, &known, tenant.generation);
            if group.is_err() {
                tenant.abort();
            }
            group.map(|group| Diffed::Ready(Box::new(group)))
        })
    }

    /// Whether a group leans on what was dropped since, or was bound.
    pub fn is_stale(&self, group: &Group) -> bool {
        let Ok(tenant) = self.tenant(group.tenant) else { return true };
        let tenant = tenant.lock().unwrap_or_else(PoisonError::into_inner);
        group.spent || tenant.generation != group.generation
    }

    /// A bound group is committed: its heads are the committed ones.
    ///
    /// # Errors
    /// [`PipelineError::NotActive`].
    pub fn commit(&self, group: &Group, bound: &Bound) -> Result<(), PipelineError> {
        let tenant = self.tenant(group.tenant)?;
        let mut tenant = tenant.lock().unwrap_or_else(PoisonError::into_inner);
        tenant.heads.commit(group.ticket, &bound.moved, bound.seq);
        tenant.heads.unpin(group.ticket, group.pinned.iter().copied());
        tenant.heads.release(group.ticket, &group.consulted);
        self.totals.count(&mut tenant);
        if tenant.generation != group.generation {
            // Something was dropped while this group was being committed. What was diffed since then did not see it.
            tenant.abort();
        }
        Ok(())
    }

    /// Drops what of a tenant is diffed and not committed.
    pub fn abort(&self, tenant: TenantId) {
        if let Ok(tenant) = self.tenant(tenant) {
            tenant.lock().unwrap_or_else(PoisonError::into_inner).abort();
        }
    }

    /// Another gateway committed changes up to `seq`: `moved` has dataset number (4 bytes) and entity (16 bytes)
    /// of each. What was diffed on one of them is dropped, and with it everything that is not committed.
    ///
    /// # Errors
    /// [`PipelineError::NotActive`].
    pub fn catch_up(&self, tenant: TenantId, moved: &[u8], seq: u64) -> Result<(), PipelineError> {
        let tenant = self.tenant(tenant)?;
        let mut tenant = tenant.lock().unwrap_or_else(PoisonError::into_inner);
        if tenant.heads.catch_up(entity_keys(moved), seq) {
            tenant.abort();
        }
        self.totals.count(&mut tenant);
        Ok(())
    }

    /// Retention took versions of the entities in `keys`, or put the base of their chain elsewhere; layout as for
    /// [`catch_up`](Self::catch_up). What was diffed on one of them is dropped with everything that is not
    /// committed.
    ///
    /// # Errors
    /// [`PipelineError::NotActive`].
    pub fn retained(&self, tenant: TenantId, keys: &[u8]) -> Result<(), PipelineError> {
        let tenant = self.tenant(tenant)?;
        let mut tenant = tenant.lock().unwrap_or_else(PoisonError::into_inner);
        if tenant.heads.retained(entity_keys(keys)) {
            tenant.abort();
        }
        self.totals.count(&mut tenant);
        Ok(())
    }

    /// As [`retained`](Self::retained), where it is not known of which entities: drops every head of the tenant.
    ///
    /// # Errors
    /// [`PipelineError::NotActive`].
    pub fn all_retained(&self, tenant: TenantId) -> Result<(), PipelineError> {
        let tenant = self.tenant(tenant)?;
        let mut tenant = tenant.lock().unwrap_or_else(PoisonError::into_inner);
        tenant.abort();
        tenant.heads.all_retained();
        self.totals.count(&mut tenant);
        Ok(())
    }

    /// Learns which entities the log has, as far as `seq`; layout as for [`catch_up`](Self::catch_up).
    ///
    /// # Errors
    /// [`PipelineError::NotActive`].
    pub fn learn(&self, tenant: TenantId, entities: &[u8], seq: u64) -> Result<(), PipelineError> {
        let tenant = self.tenant(tenant)?;
        let mut tenant = tenant.lock().unwrap_or_else(PoisonError::into_inner);
        tenant.heads.learn(entity_keys(entities), seq);
        Ok(())
    }

    /// After which change [`learn`](Self::learn) has to go on; `None` when everything is known.
    ///
    /// # Errors
    /// [`PipelineError::NotActive`].
    pub fn learn_from(&self, tenant: TenantId) -> Result<Option<u64>, PipelineError> {
        let tenant = self.tenant(tenant)?;
        let tenant = tenant.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(tenant.heads.learn_from())
    }

    /// What a tenant keeps in memory.
    ///
    /// # Errors
    /// [`PipelineError::NotActive`].
    pub fn usage(&self, tenant: TenantId) -> Result<TenantUsage, PipelineError> {
        let tenant = self.tenant(tenant)?;
        let tenant = tenant.lock().unwrap_or_else(PoisonError::into_inner);
        let heads = &tenant.heads;
        Ok(TenantUsage { heads: heads.cached(), bytes: heads.cached_bytes(), watermark: heads.watermark() })
    }

    /// Where heads came from, of all tenants, since the engine was made.
    pub fn lookups(&self) -> Lookups {
        let Totals { held, fetched, .. } = &self.totals;
        Lookups { held: held.load(Ordering::Relaxed), fetched: fetched.load(Ordering::Relaxed) }
    }

    /// Heads in the caches of all tenants, and the bytes that they keep, as the last groups left them.
    pub fn cached(&self) -> (u64, u64) {
        (self.totals.heads.load(Ordering::Relaxed), self.totals.bytes.load(Ordering::Relaxed))
    }

    /// The keys that everything here hangs on.
    pub fn keystore(&self) -> &Arc<Keystore> {
        &self.keystore
    }

    /// Forgets the documents of tenants whose lease is over. To be called now and then: a tenant that nobody
    /// asks for would keep its plaintext otherwise.
    pub fn forget_unleased(&self, now: Tick) {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        for (id, tenant) in tenants.iter() {
            if self.keystore.lease(*id, now).is_none() {
                let mut tenant = tenant.lock().unwrap_or_else(PoisonError::into_inner);
                tenant.forget(None);
                self.totals.count(&mut tenant);
            }
        }
    }

    fn tenant(&self, tenant: TenantId) -> Result<Arc<Mutex<Tenant>>, PipelineError> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.get(&tenant).cloned().ok_or(PipelineError::NotActive)
    }

    /// The tenant's state, with nothing in it that an earlier lease gave access to.
    fn leased<'t>(
        &self,
        tenant: &'t Mutex<Tenant>,
        tenant_id: TenantId,
        now: Tick,
    ) -> Result<MutexGuard<'t, Tenant>, PipelineError> {
        let mut tenant = tenant.lock().unwrap_or_else(PoisonError::into_inner);
        let lease = self.keystore.lease(tenant_id, now);
        if lease != tenant.lease {
            tenant.forget(lease);
            self.totals.count(&mut tenant);
        }
        if lease.is_none() {
            return Err(PipelineError::Key(EnvelopeError::LeaseExpired));
        }
        Ok(tenant)
    }
}

impl Totals {
    /// Takes what the tenant's cache has come to since it was counted last.
    fn count(&self, tenant: &mut Tenant) {
        let (heads, bytes) = (tenant.heads.cached() as u64, tenant.heads.cached_bytes());
        // Adding wraps around, so that a difference below zero takes away.
        self.heads.fetch_add(heads.wrapping_sub(tenant.counted.0), Ordering::Relaxed);
        self.bytes.fetch_add(bytes.wrapping_sub(tenant.counted.1), Ordering::Relaxed);
        tenant.counted = (heads, bytes);
    }
}

impl Tenant {
    fn abort(&mut self) {
        self.heads.abort();
        self.generation += 1;
    }

    fn forget(&mut self, lease: Option<LeaseId>) {
        self.abort();
        self.heads.forget();
        self.lease = lease;
    }
}

fn entity_keys(bytes: &[u8]) -> impl Iterator<Item = EntityKey> {
    bytes.as_chunks::<20>().0.iter().map(|key| {
        let (dataset, entity) = key.split_at(4);
        EntityKey {
            dataset_id: i32::from_be_bytes(dataset.try_into().unwrap_or_default()),
            entity: entity.try_into().unwrap_or_default(),
        }
    })
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("limits", &self.limits).finish_non_exhaustive()
    }
}
