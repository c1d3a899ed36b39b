//! A lease: how long a KMS authorisation lets a tenant's key material live here.

use crate::error::EnvelopeError;
use crate::tick::Tick;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// One lease of one tenant, unique in the process. A renewal in time keeps it; a lease that ended
/// and was granted anew is another one. Whatever holds plaintext (heads, graph and query caches) keeps
/// the id it was filled under and is worthless under any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseId(u64);

impl LeaseId {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number, growing with each lease granted in this process.
    #[must_use]
    pub const fn generation(self) -> u64 {
        self.0
    }
}

/// Tells whoever still holds a key that its lease has ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct LeaseEnd(Arc<AtomicBool>);

impl LeaseEnd {
    #[inline]
    pub(crate) fn refuse_if_ended(&self) -> Result<(), EnvelopeError> {
        if self.0.load(Ordering::Acquire) { Err(EnvelopeError::LeaseExpired) } else { Ok(()) }
    }
}

/// A live lease. Dropping it ends it for every key handed out under it.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) id: LeaseId,
    pub(crate) end: LeaseEnd,
    authorised_at: Tick,
    deadline: Tick,
}

impl Lease {
    pub(crate) fn grant(id: LeaseId, authorised_at: Tick, ttl: Duration) -> Self {
        Self { id, end: LeaseEnd::default(), authorised_at, deadline: authorised_at.after(ttl) }
    }

    /// Counts from the moment of authorisation, never from the moment of use. Of two KMS calls that
    /// overlap the later one counts, whichever returns last.
    pub(crate) fn renew(&mut self, authorised_at: Tick, ttl: Duration) {
        if authorised_at >= self.authorised_at {
            self.authorised_at = authorised_at;
            self.deadline = authorised_at.after(ttl);
        }
    }

    pub(crate) fn is_over(&self, now: Tick) -> bool {
        now >= self.deadline
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end.0.store(true, Ordering::Release);
    }
}
