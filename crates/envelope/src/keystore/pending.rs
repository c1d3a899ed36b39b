//! Keys whose wrapped rows are not committed yet, and the rows.

use crate::data_key::DataKey;
use crate::envelope::Suite;
use crate::error::EnvelopeError;
use crate::ids::{DekId, IndexKeyId, TenantId};
use crate::index_key::IndexKeySecret;
use crate::lease::LeaseId;
use crate::tick::Tick;
use crate::wrap::WrappedKey;
use std::fmt;

/// A data key as it is stored; nothing in it is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataKeyRow {
    /// Whose key it is.
    pub tenant: TenantId,
    /// Its id.
    pub id: DekId,
    /// The suite it seals by.
    pub suite: Suite,
    /// The key, wrapped by the tenant key that `wrapped.tenant_key_id()` names.
    pub wrapped: WrappedKey,
}

/// A tenant's index key as it is stored; nothing in it is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexKeyRow {
    /// Whose key it is.
    pub tenant: TenantId,
    /// Its id.
    pub id: IndexKeyId,
    /// The key, wrapped by the tenant key that `wrapped.tenant_key_id()` names.
    pub wrapped: WrappedKey,
}

/// A data key that cannot seal yet: commit [`row`](Self::row), then activate it.
pub struct PendingDek {
    key: DataKey,
    wrapped: WrappedKey,
    lease: LeaseId,
    created: Tick,
}

impl PendingDek {
    pub(super) fn new(key: DataKey, wrapped: WrappedKey, lease: LeaseId, created: Tick) -> Self {
        Self { key, wrapped, lease, created }
    }

    /// What to store.
    #[must_use]
    pub fn row(&self) -> DataKeyRow {
        DataKeyRow { tenant: self.key.tenant, id: self.key.id, suite: self.key.suite, wrapped: self.wrapped }
    }

    pub(super) fn tenant(&self) -> TenantId {
        self.key.tenant
    }

    /// The key and its birth, if the lease it was made under is still this one.
    pub(super) fn into_key(self, lease: LeaseId) -> Result<(DataKey, Tick), EnvelopeError> {
        if self.lease == lease { Ok((self.key, self.created)) } else { Err(EnvelopeError::LeaseExpired) }
    }
}

impl fmt::Debug for PendingDek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingDek({})", self.key.id)
    }
}

/// An index key that is not in use yet: commit [`row`](Self::row), then activate it.
pub struct PendingIndexKey {
    key: IndexKeySecret,
    wrapped: WrappedKey,
    lease: LeaseId,
}

impl PendingIndexKey {
    pub(super) fn new(key: IndexKeySecret, wrapped: WrappedKey, lease: LeaseId) -> Self {
        Self { key, wrapped, lease }
    }

    /// What to store.
    #[must_use]
    pub fn row(&self) -> IndexKeyRow {
        IndexKeyRow { tenant: self.key.tenant(), id: self.key.id(), wrapped: self.wrapped }
    }

    /// The key, if the lease it was made under is still this one.
    pub(super) fn into_key(self, lease: LeaseId) -> Result<IndexKeySecret, EnvelopeError> {
        if self.lease == lease { Ok(self.key) } else { Err(EnvelopeError::LeaseExpired) }
    }
}

impl fmt::Debug for PendingIndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingIndexKey({})", self.key.id())
    }
}
