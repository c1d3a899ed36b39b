//! The data key a tenant seals with now.

use crate::error::EnvelopeError;
use crate::sealing::{SealBatch, SealingKey};
use crate::tick::Tick;
use std::sync::Arc;
use std::time::Duration;

/// Refreshing starts at 80 % ± 10 points of what a key may do, so that processes that started
/// together do not all refresh together.
const REFRESH_FROM_PERMILLE: u64 = 700;
const REFRESH_SPREAD_PERMILLE: u64 = 200;

pub(super) struct SealSlot {
    key: Arc<SealingKey>,
    created: Tick,
    age: Duration,
    refresh_at_permille: u64,
}

impl SealSlot {
    /// `created` is when the key was generated, not when it was activated.
    pub(super) fn new(key: Arc<SealingKey>, created: Tick, age: Duration) -> Result<Self, EnvelopeError> {
        let mut drawn = [0; 8];
        aws_lc_rs::rand::fill(&mut drawn).map_err(|_| EnvelopeError::EntropyUnavailable)?;
        let jitter = u64::from_ne_bytes(drawn) % (REFRESH_SPREAD_PERMILLE + 1);
        Ok(Self { key, created, age, refresh_at_permille: REFRESH_FROM_PERMILLE + jitter })
    }

    pub(super) fn refresh_due(&self, now: Tick) -> bool {
        let age_permille = now.since(self.created).as_micros() * 1000 / self.age.as_micros().max(1);
        self.key.used_permille() >= self.refresh_at_permille
            || age_permille >= u128::from(self.refresh_at_permille)
    }

    pub(super) fn reserve(&self, messages: u64, bytes: u64, now: Tick) -> Result<SealBatch, EnvelopeError> {
        if now.since(self.created) >= self.age {
            return Err(EnvelopeError::SealKeyExpired);
        }
        self.key.reserve(messages, bytes)
    }
}
