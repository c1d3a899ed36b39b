//! The opening keys of one tenant: those at hand, and those known not to exist.

use crate::error::EnvelopeError;
use crate::ids::DekId;
use crate::opening::OpeningKey;
use crate::tick::Tick;
use lru::LruCache;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// Ids of keys that do not exist are whatever callers make up: this many are remembered.
const ABSENT_REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

pub(super) struct OpeningCache {
    keys: LruCache<DekId, Arc<OpeningKey>>,
    /// Until when an id need not be looked for.
    absent: LruCache<DekId, Tick>,
    absent_for: Duration,
}

impl OpeningCache {
    pub(super) fn new(capacity: NonZeroUsize, absent_for: Duration) -> Self {
        // Sparse: most tenants never come near the bound.
        Self { keys: LruCache::sparse(capacity), absent: LruCache::sparse(ABSENT_REMEMBERED), absent_for }
    }

    pub(super) fn put(&mut self, key: Arc<OpeningKey>) {
        self.absent.pop(&key.id());
        self.keys.put(key.id(), key);
    }

    pub(super) fn absent(&mut self, id: DekId, now: Tick) {
        self.absent.put(id, now.after(self.absent_for));
    }

    pub(super) fn get(&mut self, id: DekId, now: Tick) -> Result<Arc<OpeningKey>, EnvelopeError> {
        if let Some(key) = self.keys.get(&id) {
            return Ok(Arc::clone(key));
        }
        Err(if self.is_absent(id, now) {
            EnvelopeError::DataKeyNotFound
        } else {
            EnvelopeError::DataKeyNotLoaded
        })
    }

    /// Those that are not at hand. Asking counts as use, so that what is at hand is not what loading the rest
    /// pushes out.
    pub(super) fn not_held(&mut self, ids: impl IntoIterator<Item = DekId>) -> BTreeSet<DekId> {
        ids.into_iter().filter(|id| !self.keys.promote(id)).collect()
    }

    /// Those that are neither at hand nor known to be absent.
    pub(super) fn missing(&mut self, ids: impl IntoIterator<Item = DekId>, now: Tick) -> Vec<DekId> {
        let not_held = self.not_held(ids);
        not_held.into_iter().filter(|id| !self.is_absent(*id, now)).collect()
    }

    fn is_absent(&mut self, id: DekId, now: Tick) -> bool {
        match self.absent.peek(&id) {
            Some(until) if now < *until => true,
            Some(_) => {
                self.absent.pop(&id);
                false
            }
            None => false,
        }
    }
}
