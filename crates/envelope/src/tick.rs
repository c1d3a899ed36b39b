//! The clock that leases and ages are measured by.

use std::time::Duration;

/// A moment on a clock that only goes forward, in microseconds since an arbitrary start.
///
/// The caller reads the clock; this crate does no I/O. It should be one that counts time asleep
/// (`CLOCK_BOOTTIME` on Linux): on one that stops, a suspended host would prolong its leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(u64);

impl Tick {
    /// The moment `micros` microseconds after the clock's start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// This moment and `duration`, at most the end of the clock.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// Time passed since `earlier`; none, if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}
