//! What a check finds.

use serde::Serialize;

/// Findings that are kept; of a log that is wholly another's, more would say no more.
pub const MAX_FINDINGS: usize = 1000;

/// What kind of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// The checkpoint is not there, not one, or not signed as it must be.
    CheckpointRefused,
    /// Fewer of the known witnesses have cosigned than were asked for.
    WitnessesTooFew,
    /// An older checkpoint is not a beginning of this log.
    NotConsistent,
    /// A proof does not hold.
    ProofRefused,
    /// The entries are not those that the checkpoint was signed over.
    RootDiffers,
    /// A file that no log has.
    FileUnexpected,
    /// A file of a larger tree than the checkpoint's.
    FileBeyondCheckpoint,
    /// A file that cannot be read.
    FileUnreadable,
    /// A tile or bundle that must be there.
    FileMissing,
    /// A tile whose length is wrong.
    TileMalformed,
    /// A hash in a tile is not that of what it was made of.
    TileAltered,
    /// A tile and what lies below it disagree, and nothing vouches for either.
    TileDiffers,
    /// A bundle that does not consist of entries, or not of as many.
    BundleMalformed,
    /// An entry that is not the one that the tree was made of.
    EntryAltered,
    /// A partial tile or bundle from before is not the beginning of the later one.
    PartialDiffers,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The file, relative to the directory.
    pub file: String,
    /// The first entry that it concerns; none where it concerns none.
    pub index: Option<u64>,
    /// What kind.
    pub reason: Reason,
    /// In words: what is wrong, and where a copy would help.
    pub what: String,
}

/// All that was found, as far as it is kept.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    kept: Vec<Finding>,
    left_out: u64,
}

impl Findings {
    /// Adds a finding.
    pub fn add(&mut self, reason: Reason, file: impl ToString, index: Option<u64>, what: impl Into<String>) {
        if self.kept.len() < MAX_FINDINGS {
            self.kept.push(Finding { file: file.to_string(), index, reason, what: what.into() });
        } else {
            self.left_out += 1;
        }
    }

    /// Adds the findings of another check.
    pub fn append(&mut self, others: Self) {
        self.left_out += others.left_out;
        for finding in others.kept {
            self.add(finding.reason, finding.file, finding.index, finding.what);
        }
    }

    /// Whether no more are kept.
    #[must_use]
    pub fn are_full(&self) -> bool {
        self.kept.len() >= MAX_FINDINGS
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.left_out == 0
    }

    /// Those that were kept, by file and index, and how many were not.
    #[must_use]
    pub fn into_sorted(mut self) -> (Vec<Finding>, u64) {
        self.kept.sort();
        (self.kept, self.left_out)
    }
}
