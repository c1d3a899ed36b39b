//! Which version of an entity holds at a moment.

/// Where a version stands in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionTime {
    /// Valid time in microseconds since the Unix epoch: from when on the record says it holds.
    pub valid_at_us: i64,
    /// Recorded time in microseconds since the Unix epoch: when it was committed.
    pub recorded_us: i64,
    /// Its number in the tenant's log.
    pub seq: u64,
}

/// A question about the past. Both bounds are inclusive; `None` does not bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsOf {
    /// What held at this valid time.
    pub valid_us: Option<i64>,
    /// As it was known at this recorded time.
    pub recorded_us: Option<i64>,
}

impl AsOf {
    /// Whether the version was there to be known, and held by then.
    pub fn admits(&self, version: &VersionTime) -> bool {
        self.valid_us.is_none_or(|bound| version.valid_at_us <= bound)
            && self.recorded_us.is_none_or(|bound| version.recorded_us <= bound)
    }

    /// The version that answers: of those admitted the one with the greatest (valid time, seq). Without bounds
    /// that is "now". A delete is a version like others; it answers that there is nothing.
    pub fn select(&self, versions: impl IntoIterator<Item = VersionTime>) -> Option<VersionTime> {
        let admitted = versions.into_iter().filter(|version| self.admits(version));
        admitted.max_by_key(|version| (version.valid_at_us, version.seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(seq: u64, valid_at_us: i64) -> VersionTime {
        VersionTime { valid_at_us, recorded_us: seq as i64 * 100, seq }
    }

    #[test]
    fn the_greatest_valid_time_wins_then_the_later_recorded() {
        // The third is late: recorded last of those at hand, older in valid time than the second.
        let log = [version(1, 10), version(2, 30), version(3, 20), version(4, 30)];
        let seq =
            |valid_us, recorded_us| AsOf { valid_us, recorded_us }.select(log).map(|version| version.seq);
        assert_eq!(seq(None, None), Some(4));
        assert_eq!(seq(Some(29), None), Some(3));
        assert_eq!(seq(Some(29), Some(299)), Some(1));
        assert_eq!(seq(None, Some(300)), Some(2));
        assert_eq!(seq(Some(10), Some(100)), Some(1), "bounds are inclusive");
        assert_eq!((seq(Some(9), None), seq(None, Some(99))), (None, None));
    }
}
