//! How much one data key may still seal.

use crate::error::EnvelopeError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What one data key seals before it is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataKeyLimits {
    messages: u64,
    bytes: u64,
    age: Duration,
}

impl DataKeyLimits {
    /// No data key seals more messages: with 2^24 random 96-bit nonces the chance that two are alike
    /// is 2^-49 (SP 800-38D §8.3 asks for 2^-32).
    pub const HARD_MESSAGES: u64 = 1 << 24;
    /// No data key seals more bytes of plaintext: 2^34 blocks keep the distinguishing advantage of
    /// the cipher below 2^-60 (q²/2^129).
    pub const HARD_BYTES: u64 = 1 << 38;

    /// At most `messages` and `bytes` of plaintext, for `age` at most.
    ///
    /// # Errors
    /// [`EnvelopeError::LimitOutOfRange`] for none, or for more than the hard bounds.
    pub fn new(messages: u64, bytes: u64, age: Duration) -> Result<Self, EnvelopeError> {
        let fits = (1..=Self::HARD_MESSAGES).contains(&messages) && (1..=Self::HARD_BYTES).contains(&bytes);
        if fits && !age.is_zero() {
            Ok(Self { messages, bytes, age })
        } else {
            Err(EnvelopeError::LimitOutOfRange)
        }
    }

    pub(crate) fn age(&self) -> Duration {
        self.age
    }
}

impl Default for DataKeyLimits {
    /// 5 million messages, 2^38 bytes, 15 minutes.
    fn default() -> Self {
        Self { messages: 5_000_000, bytes: Self::HARD_BYTES, age: Duration::from_secs(15 * 60) }
    }
}

/// Bytes take the low 39 bits of the counter, messages the 25 above: each hard bound just fits, so
/// both move in one step and neither can overflow into the other.
const BYTES_BITS: u32 = 39;
const BYTES_MASK: u64 = (1 << BYTES_BITS) - 1;

/// What is reserved of one data key, counted once for all threads.
#[derive(Debug)]
pub(crate) struct Budget {
    limit_messages: u64,
    limit_bytes: u64,
    used: AtomicU64,
}

impl Budget {
    pub(crate) fn new(limits: &DataKeyLimits) -> Self {
        Self { limit_messages: limits.messages, limit_bytes: limits.bytes, used: AtomicU64::new(0) }
    }

    /// Reserves both or neither.
    pub(crate) fn reserve(&self, messages: u64, bytes: u64) -> Result<(), EnvelopeError> {
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                let messages = (used >> BYTES_BITS).checked_add(messages)?;
                let bytes = (used & BYTES_MASK).checked_add(bytes)?;
                let fits = messages <= self.limit_messages && bytes <= self.limit_bytes;
                fits.then_some(messages << BYTES_BITS | bytes)
            })
            .map(drop)
            .map_err(|_| EnvelopeError::BudgetExhausted)
    }

    /// Gives back what was reserved and not used.
    pub(crate) fn give_back(&self, messages: u64, bytes: u64) {
        self.used.fetch_sub(messages << BYTES_BITS | bytes, Ordering::AcqRel);
    }

    /// How much is used of the budget that is used most, in thousandths.
    pub(crate) fn used_permille(&self) -> u64 {
        let used = self.used.load(Ordering::Acquire);
        let messages = (used >> BYTES_BITS) * 1000 / self.limit_messages;
        let bytes = (used & BYTES_MASK) * 1000 / self.limit_bytes;
        messages.max(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn budget(messages: u64, bytes: u64) -> Budget {
        Budget::new(&DataKeyLimits::new(messages, bytes, Duration::from_secs(1)).unwrap())
    }

    #[test]
    fn limits_keep_to_the_hard_bounds() {
        let (messages, bytes) = (DataKeyLimits::HARD_MESSAGES, DataKeyLimits::HARD_BYTES);
        let second = Duration::from_secs(1);
        assert!(DataKeyLimits::new(messages, bytes, second).is_ok());
        for (messages, bytes, age) in [
            (messages + 1, bytes, second),
            (messages, bytes + 1, second),
            (0, bytes, second),
            (messages, 0, second),
            (messages, bytes, Duration::ZERO),
        ] {
            assert_eq!(DataKeyLimits::new(messages, bytes, age), Err(EnvelopeError::LimitOutOfRange));
        }
    }

    #[test]
    fn hard_bounds_are_reached_exactly() {
        let budget = budget(DataKeyLimits::HARD_MESSAGES, DataKeyLimits::HARD_BYTES);
        budget.reserve(DataKeyLimits::HARD_MESSAGES, DataKeyLimits::HARD_BYTES).unwrap();
        assert_eq!(budget.used_permille(), 1000);
        assert_eq!(budget.reserve(1, 0), Err(EnvelopeError::BudgetExhausted));
        assert_eq!(budget.reserve(0, 1), Err(EnvelopeError::BudgetExhausted));
        budget.give_back(DataKeyLimits::HARD_MESSAGES, DataKeyLimits::HARD_BYTES);
        assert_eq!(budget.used_permille(), 0);
    }

    #[test]
    fn a_refusal_takes_nothing() {
        let budget = budget(10, 100);
        for (messages, bytes) in [(11, 0), (0, 101), (u64::MAX, 1), (1, u64::MAX), (11, 101)] {
            assert_eq!(budget.reserve(messages, bytes), Err(EnvelopeError::BudgetExhausted));
        }
        budget.reserve(10, 100).unwrap();
    }

    proptest! {
        #[test]
        fn counts_like_two_plain_counters(steps in prop::collection::vec((0_u64..40, 0_u64..400, any::<bool>()), 0..60)) {
            let budget = budget(100, 1000);
            let (mut messages, mut bytes) = (0, 0);
            let mut held = Vec::new();
            for (more_messages, more_bytes, release) in steps {
                let fits = messages + more_messages <= 100 && bytes + more_bytes <= 1000;
                prop_assert_eq!(budget.reserve(more_messages, more_bytes).is_ok(), fits);
                if fits {
                    (messages, bytes) = (messages + more_messages, bytes + more_bytes);
                    held.push((more_messages, more_bytes));
                }
                if release && let Some((back_messages, back_bytes)) = held.pop() {
                    budget.give_back(back_messages, back_bytes);
                    (messages, bytes) = (messages - back_messages, bytes - back_bytes);
                }
                prop_assert_eq!(budget.used_permille(), (messages * 10).max(bytes));
            }
        }
    }

    #[test]
    fn threads_never_reserve_more_than_there_is() {
        let budget = budget(100_000, 1 << 30);
        let total: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    let budget = &budget;
                    scope.spawn(move || {
                        let mut kept = 0;
                        for round in 0..20_000_u64 {
                            let messages = (thread + round) % 7 + 1;
                            if budget.reserve(messages, messages * 100).is_ok() {
                                if round % 3 == 0 {
                                    budget.give_back(messages, messages * 100);
                                } else {
                                    kept += messages;
                                }
                            }
                        }
                        kept
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(total <= 100_000, "{total}");
        // What is left is exactly what nobody kept.
        budget.reserve(100_000 - total, 0).unwrap();
        assert_eq!(budget.reserve(1, 0), Err(EnvelopeError::BudgetExhausted));
    }
}
