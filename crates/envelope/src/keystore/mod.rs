//! All key material of a process.
//!
//! Rules:
//! - Everything of a tenant hangs on its [lease](crate::LeaseId): no lease, no key. A lease runs from
//!   the moment the KMS authorised it for a fixed time and never slides with use. When it runs out or
//!   is revoked, tenant keys, sealing key, opening keys and index key are dropped and wiped at once.
//! - A key seals only after its wrapped row is committed: [`Keystore::generate_dek`] gives the row and
//!   a handle, [`Keystore::activate`] takes the handle once the row is safe.
//! - No I/O. The caller reads clocks, calls the KMS and the database, and finds out here what is
//!   needed: `missing`, `missing_tenant_keys`, `refresh_due`, `tenant_key_due`.
//!
//! A cold tenant, step by step:
//! ```
//! # use intelgraph_envelope::*;
//! # use std::time::Duration;
//! # fn main() -> Result<(), EnvelopeError> {
//! # let (tenant, unix_us) = (TenantId::from_bytes([1; 16]), 0);
//! let keystore = Keystore::new(KeystoreLimits::default());
//! let asked_at = Tick::from_micros(1_000);
//! let tenant_key = TenantKey::generate(tenant, unix_us)?;
//! // … the KMS wraps tenant_key.secret(), its row is committed, the KMS unwraps it once …
//! keystore.renew(tenant, asked_at, Duration::from_secs(300))?;
//! keystore.add_tenant_key(tenant_key, asked_at)?;
//!
//! let pending = keystore.generate_dek(tenant, asked_at)?;
//! // … pending.row() is committed …
//! keystore.activate(pending, asked_at)?;
//!
//! let context = Context {
//!     tenant, dataset: "flights", entity: b"N10156", purpose: Purpose::Diff, version: 1, op: 1, valid_at: 0,
//! };
//! let mut sealed = Vec::new();
//! keystore.reserve(tenant, 1, 1024, asked_at)?.seal(&context, b"a diff", &mut sealed)?;
//!
//! let envelope = Envelope::parse(&sealed)?;
//! let mut opened = Vec::new();
//! keystore.opening_key(tenant, envelope.dek_id(), asked_at)?.open(&context, &envelope, &mut opened)?;
//! assert_eq!(opened, b"a diff");
//! # Ok(())
//! # }
//! ```

mod held;
mod opening_cache;
mod pending;
mod seal_slot;

pub use pending::{DataKeyRow, IndexKeyRow, PendingDek, PendingIndexKey};

use crate::budget::DataKeyLimits;
use crate::data_key::DataKey;
use crate::error::EnvelopeError;
use crate::ids::{DekId, TenantId, TenantKeyId};
use crate::index_key::IndexKey;
use crate::lease::{Lease, LeaseId};
use crate::opening::OpeningKey;
use crate::sealing::SealBatch;
use crate::tick::Tick;
use crate::wrap::TenantKey;
use held::Held;
use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// What a keystore keeps and for how long.
#[derive(Debug, Clone, Copy)]
pub struct KeystoreLimits {
    /// When a data key is replaced.
    pub data_key: DataKeyLimits,
    /// Opening keys kept per tenant (about 1 KiB each); the least recently used goes first.
    pub opening_keys: NonZeroUsize,
    /// How long a data key that was not found is not looked for again.
    pub absent_for: Duration,
    /// When a tenant key is replaced.
    pub tenant_key_age: Duration,
}

impl Default for KeystoreLimits {
    /// Data keys as [`DataKeyLimits::default`], 4,096 opening keys, 30 seconds, 30 days.
    fn default() -> Self {
        Self {
            data_key: DataKeyLimits::default(),
            opening_keys: const { NonZeroUsize::new(4096).unwrap() },
            absent_for: Duration::from_secs(30),
            tenant_key_age: Duration::from_secs(30 * 24 * 60 * 60),
        }
    }
}

/// Keys of all tenants of a process. Shared by all threads; a tenant's calls wait for each other,
/// tenants' do not.
pub struct Keystore {
    limits: KeystoreLimits,
    leases_granted: AtomicU64,
    tenants: RwLock<HashMap<TenantId, Arc<Mutex<Tenant>>>>,
}

#[derive(Default)]
struct Tenant {
    /// What the lease gives access to, and the lease.
    held: Option<Held>,
    /// Of the last denial. An authorisation asked for before it says nothing.
    denied_at: Option<Tick>,
}

impl Keystore {
    /// An empty keystore.
    #[must_use]
    pub fn new(limits: KeystoreLimits) -> Self {
        Self { limits, leases_granted: AtomicU64::new(0), tenants: RwLock::default() }
    }

    /// Records that the KMS authorised the tenant: the lease now ends `ttl` after `authorised_at`,
    /// the moment *before* the KMS was asked. A live lease keeps its id; otherwise a new one begins,
    /// empty.
    ///
    /// To bridge an unreachable KMS, where the tenant's policy allows it, repeat the last
    /// `authorised_at` with a longer `ttl` before the lease ends.
    ///
    /// # Errors
    /// [`EnvelopeError::AuthorisationStale`] if the tenant was denied at that moment or later.
    pub fn renew(
        &self,
        tenant: TenantId,
        authorised_at: Tick,
        ttl: Duration,
    ) -> Result<LeaseId, EnvelopeError> {
        let slot = self.slot(tenant);
        let mut tenant = locked(&slot);
        if tenant.denied_at.is_some_and(|denied_at| authorised_at <= denied_at) {
            return Err(EnvelopeError::AuthorisationStale);
        }
        match tenant.live(authorised_at) {
            Ok(held) => {
                held.lease.renew(authorised_at, ttl);
                Ok(held.lease.id)
            }
            Err(_) => {
                let id = LeaseId::new(self.leases_granted.fetch_add(1, Ordering::Relaxed) + 1);
                let lease = Lease::grant(id, authorised_at, ttl);
                tenant.held = Some(Held::new(lease, &self.limits));
                Ok(id)
            }
        }
    }

    /// The KMS denied the tenant (or says its key is disabled or pending deletion): everything of the
    /// tenant is dropped and wiped.
    pub fn revoke(&self, tenant: TenantId, now: Tick) {
        let slot = self.slot(tenant);
        let mut tenant = locked(&slot);
        tenant.held = None;
        tenant.denied_at = tenant.denied_at.max(Some(now));
    }

    /// The tenant's live lease.
    pub fn lease(&self, tenant: TenantId, now: Tick) -> Option<LeaseId> {
        self.with(tenant, now, |held| Ok(held.lease.id)).ok()
    }

    /// Drops and wipes what belongs to leases that have run out, and names their tenants. Called
    /// about once a second: every other call drops what it finds expired, but of its own tenant only.
    pub fn expire(&self, now: Tick) -> Vec<TenantId> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let mut ended = Vec::new();
        for (id, slot) in tenants.iter() {
            let mut tenant = locked(slot);
            if tenant.held.is_some() && tenant.live(now).is_err() {
                ended.push(*id);
            }
        }
        ended
    }

    /// Adds a tenant key that the KMS has unwrapped, or that is new and whose row is committed. The
    /// one created last wraps new keys.
    ///
    /// # Errors
    /// [`EnvelopeError::LeaseExpired`].
    pub fn add_tenant_key(&self, key: TenantKey, now: Tick) -> Result<(), EnvelopeError> {
        self.with(key.tenant(), now, |held| {
            held.add_tenant_key(key);
            Ok(())
        })
    }

    /// Which of these tenant keys are not loaded, each once.
    ///
    /// # Errors
    /// [`EnvelopeError::LeaseExpired`].
    pub fn missing_tenant_keys(
        &self,
        tenant: TenantId,
        ids: impl IntoIterator<Item = TenantKeyId>,
        now: Tick,
    ) -> Result<Vec<TenantKeyId>, EnvelopeError> {
        self.with(tenant, now, |held| Ok(held.missing_tenant_keys(ids)))
    }

    /// Whether a new tenant key should be made: there is none, or the newest was created too long
    /// before `unix_us`.
    ///
    /// # Errors
    /// [`EnvelopeError::LeaseExpired`].
    pub fn tenant_key_due(&self, tenant: TenantId, unix_us: i64, now: Tick) -> Result<bool, EnvelopeError> {
        self.with(tenant, now, |held| Ok(held.tenant_key_due(unix_us, self.limits.tenant_key_age)))
    }

    /// Makes a data key, wrapped by the tenant's newest tenant key.
    ///
    /// # Errors
    /// `LeaseExpired`, `NoTenantKey`, `EntropyUnavailable`.
    pub fn generate_dek(&self, tenant: TenantId, now: Tick) -> Result<PendingDek, EnvelopeError> {
        self.with(tenant, now, |held| {
            let key = DataKey::generate(tenant)?;
            let wrapped = held.newest_tenant_key()?.wrap(key.id.as_bytes(), &key.secret)?;
            Ok(PendingDek::new(key, wrapped, held.lease.id, now))
        })
    }

    /// Makes a data key whose row is committed the one that seals. What it seals opens here at once.
    /// The key before it serves out the batches that have reserved it.
    ///
    /// # Errors
    /// [`EnvelopeError::LeaseExpired`], also if the key was made under an earlier lease.
    pub fn activate(&self, pending: PendingDek, now: Tick) -> Result<(), EnvelopeError> {
        self.with(pending.tenant(), now, |held| held.activate(pending, &self.limits.data_key))
    }

    /// Whether the sealing key should be replaced now: there is none, or 70–90 % (drawn per key) of
    /// its messages, bytes or age are used.
    ///
    /// # Errors
    /// [`EnvelopeError::LeaseExpired`].
    pub fn refresh_due(&self, tenant: TenantId, now: Tick) -> Result<bool, EnvelopeError> {
        self.with(tenant, now, |held| Ok(held.refresh_due(now)))
    }

    /// Reserves `messages` seals of `bytes` of plaintext in all for one batch. What is not used
    /// returns when the batch is dropped, so an upper bound will do.
    ///
    /// # Errors
    /// `LeaseExpired`, `SealKeyMissing`, `SealKeyExpired`, `BudgetExhausted`.
    pub fn reserve(
        &self,
        tenant: TenantId,
        messages: u64,
        bytes: u64,
        now: Tick,
    ) -> Result<SealBatch, EnvelopeError> {
        self.with(tenant, now, |held| held.reserve(messages, bytes, now))
    }

    /// Which of these data keys must be fetched before their values open, each once. Keys that were
    /// reported absent lately are left out; [`opening_key`](Self::opening_key) refuses them.
    ///
    /// At most `opening_keys` of them fit at a time: fetch and open larger sets in parts.
    ///
    /// # Errors
    /// [`EnvelopeError::LeaseExpired`].
    pub fn missing(
        &self,
        tenant: TenantId,
        ids: impl IntoIterator<Item = DekId>,
        now: Tick,
    ) -> Result<Vec<DekId>, EnvelopeError> {
        self.with(tenant, now, |held| Ok(held.opening.missing(ids, now)))
    }

    /// Which of these data keys do not open now, each once: those of [`missing`](Self::missing), and those that
    /// were reported absent lately.
    ///
    /// # Errors
    /// [`EnvelopeError::LeaseExpired`].
    pub fn not_held(
        &self,
        tenant: TenantId,
        ids: impl IntoIterator<Item = DekId>,
        now: Tick,
    ) -> Result<Vec<DekId>, EnvelopeError> {
        self.with(tenant, now, |held| Ok(held.opening.not_held(ids).into_iter().collect()))
    }

    /// Loads a data key from its row.
    ///
    /// # Errors
    /// `LeaseExpired`; `TenantKeyMissing` naming the tenant key to unwrap first;
    /// `WrappedKeyNotAuthentic` or `CommitmentMismatch` if the row was altered or belongs elsewhere.
    pub fn load_dek(&self, row: &DataKeyRow, now: Tick) -> Result<Arc<OpeningKey>, EnvelopeError> {
        self.with(row.tenant, now, |held| held.load_dek(row))
    }

    /// Records that a data key does not exist, so that it is not looked for again for a while.
    ///
    /// # Errors
    /// [`EnvelopeError::LeaseExpired`].
    pub fn dek_absent(&self, tenant: TenantId, id: DekId, now: Tick) -> Result<(), EnvelopeError> {
        self.with(tenant, now, |held| {
            held.opening.absent(id, now);
            Ok(())
        })
    }

    /// The key that opens this data key's envelopes. Hold it for a call, not longer.
    ///
    /// # Errors
    /// `LeaseExpired`; `DataKeyNotFound` if it was reported absent lately; `DataKeyNotLoaded`.
    pub fn opening_key(
        &self,
        tenant: TenantId,
        id: DekId,
        now: Tick,
    ) -> Result<Arc<OpeningKey>, EnvelopeError> {
        self.with(tenant, now, |held| held.opening.get(id, now))
    }

    /// Makes the tenant's index key, wrapped by the newest tenant key. Two processes may do so at
    /// once: the row that is committed first is the tenant's, the other handle is dropped.
    ///
    /// # Errors
    /// `LeaseExpired`, `NoTenantKey`, `EntropyUnavailable`.
    pub fn generate_index_key(&self, tenant: TenantId, now: Tick) -> Result<PendingIndexKey, EnvelopeError> {
        self.with(tenant, now, |held| held.generate_index_key(tenant))
    }

    /// Takes an index key whose row is committed into use.
    ///
    /// # Errors
    /// [`EnvelopeError::LeaseExpired`], also if the key was made under an earlier lease.
    pub fn activate_index_key(&self, pending: PendingIndexKey, now: Tick) -> Result<(), EnvelopeError> {
        self.with(pending.row().tenant, now, |held| held.activate_index_key(pending))
    }

    /// Loads the tenant's index key from its row.
    ///
    /// # Errors
    /// As [`load_dek`](Self::load_dek).
    pub fn load_index_key(&self, row: &IndexKeyRow, now: Tick) -> Result<(), EnvelopeError> {
        self.with(row.tenant, now, |held| held.load_index_key(row))
    }

    /// The tenant's index key. Hold it for a call, not longer.
    ///
    /// # Errors
    /// `LeaseExpired`, `IndexKeyMissing`.
    pub fn index_key(&self, tenant: TenantId, now: Tick) -> Result<Arc<IndexKey>, EnvelopeError> {
        self.with(tenant, now, |held| held.index_key())
    }

    fn with<T>(
        &self,
        tenant: TenantId,
        now: Tick,
        work: impl FnOnce(&mut Held) -> Result<T, EnvelopeError>,
    ) -> Result<T, EnvelopeError> {
        let slot = {
            let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
            tenants.get(&tenant).map(Arc::clone).ok_or(EnvelopeError::LeaseExpired)?
        };
        work(locked(&slot).live(now)?)
    }

    fn slot(&self, tenant: TenantId) -> Arc<Mutex<Tenant>> {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tenants.entry(tenant).or_default())
    }
}

impl Tenant {
    /// What is held, if the lease still runs; what is not, is gone.
    fn live(&mut self, now: Tick) -> Result<&mut Held, EnvelopeError> {
        if self.held.as_ref().is_some_and(|held| held.lease.is_over(now)) {
            self.held = None;
        }
        self.held.as_mut().ok_or(EnvelopeError::LeaseExpired)
    }
}

/// Locks a tenant. A thread that died while it held the lock may have left anything behind, so
/// nothing is left: the tenant starts over from the KMS.
fn locked(slot: &Mutex<Tenant>) -> MutexGuard<'_, Tenant> {
    slot.lock().unwrap_or_else(|poisoned| {
        slot.clear_poison();
        let mut tenant = poisoned.into_inner();
        tenant.held = None;
        tenant
    })
}

impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Keystore({} tenants)", tenants.len())
    }
}
