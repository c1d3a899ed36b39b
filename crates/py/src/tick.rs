//! The clock that leases hang on.

use intelgraph_envelope::Tick;
use rustix::time::{ClockId, clock_gettime};

/// Now, on a clock that counts the time a host was suspended: its leases run out all the same.
pub fn now() -> Tick {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_nsec).unwrap_or(0) / 1000;
    Tick::from_micros(seconds.saturating_mul(1_000_000).saturating_add(micros))
}
