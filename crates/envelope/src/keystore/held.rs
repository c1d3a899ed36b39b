//! What one tenant's lease gives access to. Dropping it wipes all of it.

use super::KeystoreLimits;
use super::opening_cache::OpeningCache;
use super::pending::{DataKeyRow, IndexKeyRow, PendingDek, PendingIndexKey};
use super::seal_slot::SealSlot;
use crate::budget::DataKeyLimits;
use crate::data_key::DataKey;
use crate::error::EnvelopeError;
use crate::ids::{TenantId, TenantKeyId};
use crate::index_key::{IndexKey, IndexKeySecret};
use crate::lease::Lease;
use crate::opening::OpeningKey;
use crate::sealing::SealBatch;
use crate::tick::Tick;
use crate::wrap::{TenantKey, WrappedKey, WrappingKey};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Held {
    pub(super) lease: Lease,
    pub(super) opening: OpeningCache,
    tenant_keys: HashMap<TenantKeyId, WrappingKey>,
    sealing: Option<SealSlot>,
    index_key: Option<Arc<IndexKey>>,
}

impl Held {
    pub(super) fn new(lease: Lease, limits: &KeystoreLimits) -> Self {
        Self {
            lease,
            opening: OpeningCache::new(limits.opening_keys, limits.absent_for),
            tenant_keys: HashMap::new(),
            sealing: None,
            index_key: None,
        }
    }

    pub(super) fn add_tenant_key(&mut self, key: TenantKey) {
        let key = key.into_wrapping();
        // A key that came in an envelope does not replace the same one from its row, which may wrap.
        if key.created_us.is_some() || !self.tenant_keys.contains_key(&key.id) {
            self.tenant_keys.insert(key.id, key);
        }
    }

    pub(super) fn missing_tenant_keys(&self, ids: impl IntoIterator<Item = TenantKeyId>) -> Vec<TenantKeyId> {
        let missing: BTreeSet<_> = ids.into_iter().filter(|id| !self.tenant_keys.contains_key(id)).collect();
        missing.into_iter().collect()
    }

    /// The tenant key created last; of two created together, the one with the greater id, so that all
    /// processes choose alike.
    pub(super) fn newest_tenant_key(&self) -> Result<&WrappingKey, EnvelopeError> {
        let wrapping = self.tenant_keys.values().filter(|key| key.created_us.is_some());
        wrapping.max_by_key(|key| (key.created_us, key.id)).ok_or(EnvelopeError::NoTenantKey)
    }

    pub(super) fn tenant_key_due(&self, unix_us: i64, age: Duration) -> bool {
        let age_us = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        let created_us = self.newest_tenant_key().ok().and_then(|key| key.created_us);
        created_us.is_none_or(|created_us| unix_us.saturating_sub(created_us) >= age_us)
    }

    pub(super) fn activate(
        &mut self,
        pending: PendingDek,
        limits: &DataKeyLimits,
    ) -> Result<(), EnvelopeError> {
        let (key, created) = pending.into_key(self.lease.id)?;
        let opening = key.opening_key(self.lease.end.clone())?;
        let sealing = key.into_sealing_key(limits, self.lease.end.clone())?;
        self.sealing = Some(SealSlot::new(Arc::new(sealing), created, limits.age())?);
        self.opening.put(Arc::new(opening));
        Ok(())
    }

    pub(super) fn refresh_due(&self, now: Tick) -> bool {
        self.sealing.as_ref().is_none_or(|slot| slot.refresh_due(now))
    }

    pub(super) fn reserve(&self, messages: u64, bytes: u64, now: Tick) -> Result<SealBatch, EnvelopeError> {
        self.sealing.as_ref().ok_or(EnvelopeError::SealKeyMissing)?.reserve(messages, bytes, now)
    }

    pub(super) fn load_dek(&mut self, row: &DataKeyRow) -> Result<Arc<OpeningKey>, EnvelopeError> {
        let secret = self.tenant_key_of(&row.wrapped)?.unwrap(row.id.as_bytes(), &row.wrapped)?;
        let key = DataKey::load(row.tenant, row.id, row.suite, secret)?;
        let opening = Arc::new(key.opening_key(self.lease.end.clone())?);
        self.opening.put(Arc::clone(&opening));
        Ok(opening)
    }

    pub(super) fn generate_index_key(&self, tenant: TenantId) -> Result<PendingIndexKey, EnvelopeError> {
        let key = IndexKeySecret::generate(tenant)?;
        let wrapped = self.newest_tenant_key()?.wrap(key.id().as_bytes(), key.secret())?;
        Ok(PendingIndexKey::new(key, wrapped, self.lease.id))
    }

    pub(super) fn activate_index_key(&mut self, pending: PendingIndexKey) -> Result<(), EnvelopeError> {
        self.index_key = Some(Arc::new(pending.into_key(self.lease.id)?.index_key()?));
        Ok(())
    }

    pub(super) fn load_index_key(&mut self, row: &IndexKeyRow) -> Result<(), EnvelopeError> {
        let secret = self.tenant_key_of(&row.wrapped)?.unwrap(row.id.as_bytes(), &row.wrapped)?;
        let key = IndexKeySecret::load(row.tenant, row.id, secret)?;
        self.index_key = Some(Arc::new(key.index_key()?));
        Ok(())
    }

    pub(super) fn index_key(&self) -> Result<Arc<IndexKey>, EnvelopeError> {
        self.index_key.as_ref().map(Arc::clone).ok_or(EnvelopeError::IndexKeyMissing)
    }

    fn tenant_key_of(&self, wrapped: &WrappedKey) -> Result<&WrappingKey, EnvelopeError> {
        let id = wrapped.tenant_key_id();
        self.tenant_keys.get(&id).ok_or(EnvelopeError::TenantKeyMissing(id))
    }
}
