//! What a batch says about the producer's promises: counters, cheap enough for every record.

use intelgraph_json::{Kind, Pointer, Value};

use crate::contract::Contract;

/// Counters over records of one contract. Merged from batch to batch, read by metrics and reports.
#[derive(Clone, Debug, PartialEq)]
pub struct SlaCounters {
    received: u64,
    present: Vec<u64>,
    latency: LatencyHistogram,
}

impl SlaCounters {
    /// Zero.
    pub fn new(contract: &Contract) -> Self {
        let fields = contract.completeness_fields().len();
        Self { received: 0, present: vec![0; fields], latency: LatencyHistogram::default() }
    }

    /// Counts a record that is JSON, valid or not. `event_us` is its event time where it has one, `received_us`
    /// the time of receipt; `None` for backfills, which are exempt from latency.
    pub fn observe(
        &mut self,
        contract: &Contract,
        record: Value<'_>,
        event_us: Option<i64>,
        received_us: Option<i64>,
    ) {
        self.received += 1;
        for (present, pointer) in self.present.iter_mut().zip(contract.completeness_fields()) {
            *present += u64::from(record.pointer(pointer).is_some_and(|value| value.kind() != Kind::Null));
        }
        if let (Some(event), Some(received)) = (event_us, received_us) {
            self.latency.add(received.saturating_sub(event));
        }
    }

    /// Counts a record that could not be read: received, and nothing in it present.
    pub fn observe_malformed(&mut self) {
        self.received += 1;
    }

    /// Adds the counters of other records of the same contract.
    pub fn merge(&mut self, other: &Self) {
        self.received += other.received;
        self.present.iter_mut().zip(&other.present).for_each(|(own, other)| *own += other);
        self.latency.merge(&other.latency);
    }

    /// Records received, malformed ones included.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Non-null values of each field that counts for completeness, in the order of
    /// [`Contract::completeness_fields`].
    pub fn present<'a>(&'a self, contract: &'a Contract) -> impl Iterator<Item = (&'a Pointer, u64)> {
        contract.completeness_fields().iter().zip(self.present.iter().copied())
    }

    /// Least share over the fields of non-null values, in percent of the records received. 100 where nothing
    /// was received or no field counts.
    pub fn completeness_pct(&self) -> f64 {
        match self.present.iter().min() {
            Some(&least) if self.received > 0 => least as f64 * 100.0 / self.received as f64,
            _ => 100.0,
        }
    }

    /// The latency histogram.
    pub fn latency(&self) -> &LatencyHistogram {
        &self.latency
    }
}

/// Ingest latencies in buckets that are at most 1/16 wide, from 1 ms to 12 days and beyond.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyHistogram {
    buckets: Box<[u32; BUCKETS]>,
    count: u64,
}

/// Values below this many milliseconds have a bucket of their own; above, each power of two has this many.
const STEPS: u64 = 16;
/// 2^30 ms, 12 days; what is longer counts in the last bucket.
const LARGEST_EXPONENT: usize = 30;
const BUCKETS: usize = STEPS as usize * (LARGEST_EXPONENT - 3);

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self { buckets: Box::new([0; BUCKETS]), count: 0 }
    }
}

impl LatencyHistogram {
    /// Counts a latency in microseconds. What lies in the future counts as 0; its skew is another rule.
    pub fn add(&mut self, latency_us: i64) {
        let millis = u64::try_from(latency_us).unwrap_or(0) / 1000;
        let bucket = &mut self.buckets[bucket_of(millis)];
        *bucket = bucket.saturating_add(1);
        self.count += 1;
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        self.buckets
            .iter_mut()
            .zip(other.buckets.iter())
            .for_each(|(own, other)| *own = own.saturating_add(*other));
        self.count += other.count;
    }

    /// How many latencies were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// A bound in milliseconds that at least the share `quantile` (0 to 1) keeps: the upper end of its bucket.
    /// `None` where nothing was counted.
    pub fn quantile_ms(&self, quantile: f64) -> Option<u64> {
        let rank = ((quantile.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        self.buckets
            .iter()
            .position(|&count| {
                seen += u64::from(count);
                seen >= rank
            })
            .map(upper_end)
    }
}

fn bucket_of(millis: u64) -> usize {
    if millis < STEPS {
        return millis as usize;
    }
    let exponent = millis.ilog2() as usize;
    let step = (millis >> (exponent - 4)) & (STEPS - 1);
    ((exponent - 3) * STEPS as usize + step as usize).min(BUCKETS - 1)
}

fn upper_end(bucket: usize) -> u64 {
    let (row, step) = (bucket / STEPS as usize, (bucket % STEPS as usize) as u64);
    match row {
        0 => step,
        row => ((STEPS + step + 1) << (row - 1)) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_narrow_and_in_order() {
        let mut last = 0;
        for millis in (0..20_000).chain((15..30).map(|exponent| (1u64 << exponent) + 12_345)) {
            let bucket = bucket_of(millis);
            assert!(bucket >= last, "{millis}");
            last = bucket;
            let upper = upper_end(bucket);
            assert!(millis <= upper && upper - millis <= millis / STEPS, "{millis} in {upper}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_hold() {
        let mut latency = LatencyHistogram::default();
        assert_eq!(latency.quantile_ms(0.95), None);
        (1..=100).for_each(|millis| latency.add(millis * 1000));
        assert_eq!(latency.quantile_ms(0.0), Some(1));
        assert_eq!(latency.quantile_ms(0.10), Some(10));
        let p95 = latency.quantile_ms(0.95).unwrap();
        assert!((95..=100).contains(&p95), "{p95}");
        latency.add(-5_000_000);
        assert_eq!(latency.quantile_ms(0.0), Some(0));
        assert_eq!(latency.count(), 101);
    }
}
