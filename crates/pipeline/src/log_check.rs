//! Whether a tenant's log is what was committed: every change there, once, in order, opening in its place, and
//! together the leaves of the tree whose frontier stands in the clock row (RFC 6962 §2.1). Where retention removed
//! rows, the subtree hashes that it kept stand for them.

use intelgraph_envelope::{DekId, Keystore, Purpose, TenantId, Tick};
use intelgraph_temporal::{
    ChangePlaintext, EncodedDiff, Frontier, Hash, LogEntry, Operation, commitment, read_snapshot,
};

use crate::error::{Corruption, PipelineError};
use crate::opening::{Fields, Opener, Row, Rows, keys_of, leaf_of};
use crate::read::Catalogue;
use crate::retention::{RemovedRange, RemovedRanges};

/// Findings that are kept; the others are counted.
const MOST_FINDINGS: usize = 1000;

/// What can be wrong with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There are changes before and after, or the clock row has counted them, and no rows.
    Missing,
    /// There is more than one row of a number.
    Repeated,
    /// A change does not open in its place.
    Change,
    /// A snapshot does not, or is another document than its change led to.
    Snapshot,
    /// A row names a dataset that the tenant does not have.
    Dataset,
    /// The stored leaf is not that of the change.
    Leaf,
    /// The time of recording is not after that of the change before.
    Recorded,
    /// The clock row does not know of changes that have rows.
    ClockBehind,
    /// What stands for removed rows are not the hashes of so many, or it stands where there are rows.
    Range,
    /// The clock row's frontier is not one, or is not of as many changes.
    Frontier,
    /// Together the changes are not those that were committed.
    Root,
    /// Together the changes are not those that were there when the log was anchored.
    Anchor,
}

impl Fault {
    /// The stable name.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "CHANGE_MISSING",
            Self::Repeated => "CHANGE_REPEATED",
            Self::Change => "CHANGE_ALTERED",
            Self::Snapshot => "SNAPSHOT_ALTERED",
            Self::Dataset => "DATASET_UNKNOWN",
            Self::Leaf => "LEAF_DIFFERS",
            Self::Recorded => "RECORDED_NOT_LATER",
            Self::ClockBehind => "CLOCK_BEHIND_LOG",
            Self::Range => "REMOVED_RANGE_UNFIT",
            Self::Frontier => "FRONTIER_UNFIT",
            Self::Root => "ROOT_DIFFERS",
            Self::Anchor => "ANCHOR_DIFFERS",
        }
    }
}

/// Something in the log that was not committed so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub fault: Fault,
    /// The first change that it is about.
    pub first_seq: u64,
    /// The last change that it is about.
    pub last_seq: u64,
    /// What is wrong, for people. Holds no value.
    pub message: String,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Changes that were looked at.
    pub changes: u64,
    /// Changes that retention removed.
    pub removed: u64,
    /// First and last change of each range of those, at most a thousand.
    pub removed_ranges: Vec<(u64, u64)>,
    /// Root of the tree over both; `None` where a change is missing, so that there is no such tree.
    pub root: Option<Hash>,
    /// What was found, at most a thousand, in order of their first change.
    pub findings: Vec<Finding>,
    /// Findings beyond that.
    pub omitted: u64,
}

/// A check of one tenant's log, taken page by page.
#[derive(Debug)]
pub struct LogCheck {
    tenant: TenantId,
    anchors: Vec<Anchor>,
    progress: Progress,
}

/// What the ledger says that a log was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Changes that it had.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
    /// When the last of them was recorded, in microseconds since the Unix epoch: no leaf has it.
    pub recorded_us: i64,
}

#[derive(Debug, Clone, Default)]
struct Progress {
    changes: u64,
    removed: u64,
    removed_ranges: Vec<(u64, u64)>,
    seq: u64,
    recorded_us: Option<i64>,
    frontier: Frontier,
    /// Whether the frontier is that of all changes until `seq`.
    complete: bool,
    /// Anchors that were passed.
    passed: usize,
    /// Size at the last anchor that fits.
    fits: u64,
    findings: Vec<Finding>,
    omitted: u64,
}

impl LogCheck {
    /// A check from the first change on, against what the ledger says that the log was at some sizes.
    pub fn new(tenant: TenantId, mut anchors: Vec<Anchor>) -> Self {
        anchors.sort_by_key(|anchor| anchor.size);
        Self { tenant, anchors, progress: Progress { complete: true, ..Progress::default() } }
    }

    /// The data keys that `rows`, of twelve fields, need to be opened, each once.
    ///
    /// # Errors
    /// [`PipelineError::Unreadable`].
    pub fn keys_needed(rows: &[u8]) -> Result<Vec<DekId>, PipelineError> {
        Ok(keys_of(&Rows::all(rows, Fields::Leaf)?))
    }

    /// Takes the next rows, by `seq`, and the removed ranges before and between them, each as first and last change
    /// and hashes. After an error the same can be taken again.
    ///
    /// # Errors
    /// [`PipelineError::Unreadable`], [`PipelineError::Key`].
    pub fn take(
        &mut self,
        rows: &[u8],
        removed: &[u8],
        keystore: &Keystore,
        catalogue: &Catalogue,
        now: Tick,
    ) -> Result<(), PipelineError> {
        let mut opener = Opener::new(keystore, self.tenant, now);
        let seed = opener.seed()?;
        let mut progress = self.progress.clone();
        let mut removed = RemovedRanges::new(removed).peekable();
        for row in Rows::new(rows, Fields::Leaf) {
            let row = row?;
            let before = |range: &Result<RemovedRange, _>| {
                range.as_ref().map_or(true, |range| range.first_seq <= row.seq)
            };
            while let Some(range) = removed.next_if(before) {
                progress.pass(&range?);
                progress.hold(&self.anchors);
            }
            progress.place(&row, &self.anchors);
            let leaf = match opened_leaf(&row, &mut opener, catalogue, seed) {
                Ok(leaf) => {
                    if leaf_of(&row) != Some(leaf) {
                        progress.find(Fault::Leaf, row.seq, "its stored leaf is not that of what it says");
                    }
                    Some(leaf)
                }
                Err(PipelineError::Corrupt { fault, .. }) => {
                    let kind = match fault {
                        Corruption::Snapshot => Fault::Snapshot,
                        Corruption::Name => Fault::Dataset,
                        _ => Fault::Change,
                    };
                    progress.find(kind, row.seq, &fault.to_string());
                    // The tree can still tell whether the other changes are those that were committed.
                    leaf_of(&row)
                }
                Err(error) => return Err(error),
            };
            match leaf {
                Some(leaf) => progress.frontier.push(leaf),
                None => progress.complete = false,
            }
            progress.hold(&self.anchors);
        }
        for range in removed {
            progress.pass(&range?);
            progress.hold(&self.anchors);
        }
        self.progress = progress;
        Ok(())
    }

    /// The verdict, once every row was taken. `seq` and `frontier` are those of the clock row, `last_seq` is the
    /// last change of the log when the clock row was read.
    pub fn finish(&self, seq: u64, frontier: &[u8], last_seq: u64) -> Verdict {
        let mut progress = self.progress.clone();
        if progress.seq < seq {
            progress.missing(progress.seq + 1, seq);
        }
        if last_seq > seq {
            progress.range(Fault::ClockBehind, seq + 1, last_seq, "unknown to the clock row");
        }
        progress.compare(seq, frontier);
        if let Some(last) = self.anchors.last().filter(|anchor| anchor.size > progress.seq.max(seq)) {
            progress.missing(progress.seq.max(seq) + 1, last.size);
        }
        let Progress { changes, removed, removed_ranges, complete, frontier, findings, omitted, .. } =
            progress;
        let root = complete.then(|| frontier.root());
        Verdict { changes, removed, removed_ranges, root, findings, omitted }
    }
}

impl Progress {
    /// Looks at where a row stands.
    fn place(&mut self, row: &Row<'_>, anchors: &[Anchor]) {
        self.changes += 1;
        if row.seq <= self.seq {
            self.complete = false;
            self.find(Fault::Repeated, row.seq, "there is more than one change of that number");
        } else if row.seq != self.seq + 1 {
            self.missing(self.seq + 1, row.seq - 1);
        }
        if self.recorded_us.is_some_and(|before| row.recorded_us <= before) {
            self.find(Fault::Recorded, row.seq, "it is not recorded after the change before it");
        }
        self.hold_time(row, anchors);
        self.seq = self.seq.max(row.seq);
        self.recorded_us = Some(row.recorded_us);
    }

    /// Holds the time of recording against the anchors around it: it is after that of the one before, and not after
    /// that of the one behind, which has the last of its changes' own. Changes in a row that do not fit are told once.
    fn hold_time(&mut self, row: &Row<'_>, anchors: &[Anchor]) {
        let (before, behind) = anchors.split_at(anchors.partition_point(|anchor| anchor.size < row.seq));
        let too_early = before.last().is_some_and(|anchor| row.recorded_us <= anchor.recorded_us);
        let too_late = behind.first().is_some_and(|anchor| row.recorded_us > anchor.recorded_us);
        let other = |anchor: &Anchor| anchor.size == row.seq && row.recorded_us != anchor.recorded_us;
        if !(too_early || too_late || behind.first().is_some_and(other)) {
            return;
        }
        let message = "recorded at another time than the log's anchors in the ledger say";
        match self.findings.last_mut() {
            Some(last)
                if last.fault == Fault::Anchor && last.last_seq + 1 == row.seq && last.message == message =>
            {
                last.last_seq = row.seq;
            }
            _ => self.find(Fault::Anchor, row.seq, message),
        }
    }

    /// Passes over rows that retention removed.
    fn pass(&mut self, range: &RemovedRange) {
        let (first, last) = (range.first_seq, range.last_seq);
        if first <= self.seq {
            self.complete = false;
            self.range(Fault::Range, first, last, "it stands for changes that have rows, or another range");
            self.seq = self.seq.max(last);
            return;
        }
        if first != self.seq + 1 {
            self.missing(self.seq + 1, first - 1);
        }
        match &range.stretch {
            Some(stretch) => self.complete = self.complete && self.frontier.append(stretch),
            None => {
                self.complete = false;
                self.range(Fault::Range, first, last, "its hashes are not those of so many changes");
            }
        }
        self.seq = last;
        self.removed += (last + 1).saturating_sub(first);
        if let Some(before) = self.removed_ranges.last_mut().filter(|before| before.1 + 1 == first) {
            before.1 = last;
        } else if self.removed_ranges.len() < MOST_FINDINGS {
            self.removed_ranges.push((first, last));
        }
    }

    /// Holds the tree against the anchors at its size. One within a range that was removed cannot be looked at any
    /// more, and neither can those behind a change that is missing; the next one that can covers them.
    fn hold(&mut self, anchors: &[Anchor]) {
        while let Some(anchor) = anchors.get(self.passed).filter(|anchor| anchor.size <= self.seq) {
            self.passed += 1;
            if !self.complete || anchor.size != self.frontier.size() {
                continue;
            }
            if self.frontier.root() == anchor.root {
                self.fits = anchor.size;
            } else {
                let message = "not what they were when the log was anchored in the ledger";
                self.range(Fault::Anchor, self.fits + 1, anchor.size, message);
            }
        }
    }

    fn missing(&mut self, first: u64, last: u64) {
        self.complete = false;
        self.range(Fault::Missing, first, last, "missing from the log");
    }

    /// Holds the tree of the rows against the one that stands in the clock row.
    fn compare(&mut self, seq: u64, stored: &[u8]) {
        let stored = match stored {
            [] => Ok(Frontier::default()),
            bytes => Frontier::from_bytes(bytes),
        };
        match stored {
            Ok(stored) if stored.size() == seq => {
                if self.complete && stored != self.frontier {
                    let (first, last) = first_difference(&stored, &self.frontier);
                    let what = "together they are not the changes that were committed";
                    self.range(Fault::Root, first, last, what);
                }
            }
            Ok(stored) => {
                let what = format!("the clock row's frontier is of {} changes", stored.size());
                self.range(Fault::Frontier, seq, seq, &what);
            }
            Err(error) => self.range(Fault::Frontier, seq, seq, &error.to_string()),
        }
    }

    fn find(&mut self, fault: Fault, seq: u64, message: &str) {
        self.range(fault, seq, seq, message);
    }

    fn range(&mut self, fault: Fault, first_seq: u64, last_seq: u64, message: &str) {
        if self.findings.len() == MOST_FINDINGS {
            self.omitted += 1;
            return;
        }
        self.findings.push(Finding { fault, first_seq, last_seq, message: message.to_owned() });
    }
}

/// The leaf of what a row says; its snapshot must be what its change led to.
fn opened_leaf(
    row: &Row<'_>,
    opener: &mut Opener<'_>,
    catalogue: &Catalogue,
    seed: u64,
) -> Result<Hash, PipelineError> {
    let dataset = catalogue.dataset(row)?;
    let plaintext = opener.open(row, dataset, row.sealed, Purpose::Diff)?;
    let change = ChangePlaintext::parse(&plaintext).map_err(|error| row.corrupt(error))?;
    let diff = EncodedDiff::parse(change.diff).map_err(|error| row.corrupt(error))?;
    match (row.since_base, row.operation, row.snapshot) {
        // What is rebuilt begins with a base, and nowhere else.
        (0, Operation::Update | Operation::Delete, None) => return Err(row.corrupt(Corruption::Snapshot)),
        (1.., Operation::Insert, _) | (1.., _, Some(_)) => return Err(row.corrupt(Corruption::Chain)),
        _ => {}
    }
    if let Some(sealed) = row.snapshot {
        let differs = |_| row.corrupt(Corruption::Snapshot);
        let snapshot = match opener.open(row, dataset, sealed, Purpose::Snapshot) {
            Err(PipelineError::Corrupt { .. }) => return Err(row.corrupt(Corruption::Snapshot)),
            opened => opened?,
        };
        let snapshot = read_snapshot(&snapshot).map_err(differs)?;
        if snapshot.map_or(0, |head| head.hash(seed)) != diff.resulting_hash() {
            return Err(row.corrupt(Corruption::Snapshot));
        }
    }
    let entry = LogEntry {
        tenant: opener.tenant.as_bytes(),
        dataset,
        entity_id: &row.entity,
        operation: row.operation,
        valid_at_us: row.valid_at,
    };
    Ok(entry.leaf(&commitment(change.salt, change.committed)))
}

/// The changes under the first subtree in which two trees of one size differ.
fn first_difference(stored: &Frontier, computed: &Frontier) -> (u64, u64) {
    let (stored, computed) = (stored.to_bytes(), computed.to_bytes());
    let size = u64::from_be_bytes(stored[..8].try_into().unwrap_or_default());
    let peaks = stored[8..].chunks(32).zip(computed[8..].chunks(32));
    // The subtrees are those of the size's bits, the largest first.
    let sizes = (0..64).rev().map(|bit| 1 << bit).filter(|bit| size & bit != 0);
    let mut first = 1;
    for ((ours, theirs), leaves) in peaks.zip(sizes) {
        if ours != theirs {
            return (first, first + leaves - 1);
        }
        first += leaves;
    }
    (1, size)
}
