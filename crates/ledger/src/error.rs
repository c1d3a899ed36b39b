//! Everything that this crate refuses.

/// Why bytes are no part of a log, or a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// An entry does not fit a bundle.
    #[error("entry {at} of those to append has {length} bytes; an entry has at most 65,535")]
    EntryTooLong {
        /// Its place among the new entries, from 0.
        at: u64,
        /// Its length.
        length: usize,
    },
    /// A path that no tile has.
    #[error("{path:?} is no path of a tile; one reads tile/0/x001/234 or tile/entries/001.p/7")]
    TilePath {
        /// Its beginning.
        path: String,
    },
    /// A tile that has to be there is not.
    #[error("{path} is missing; restore it from a copy of the log")]
    TileMissing {
        /// Where it should be.
        path: String,
    },
    /// A tile of another length.
    #[error("{path} has {length} bytes and must have {want}; restore it from a copy of the log")]
    TileMalformed {
        /// Where it is.
        path: String,
        /// Its length.
        length: usize,
        /// What it must be.
        want: usize,
    },
    /// Entries end within an entry.
    #[error("the entries end within one, after {entries} whole ones; pass the bundle whole")]
    BundleCutShort {
        /// How many are whole.
        entries: u64,
    },
    /// A bundle with another number of entries.
    #[error("the bundle has {entries} entries and must have {want}")]
    BundleWidth {
        /// How many there are.
        entries: u64,
        /// How many there must be.
        want: u16,
    },
    /// Tiles that are not those of the tree.
    #[error("the tiles are not those of the tree of {size} entries with this root; one of them was altered")]
    RootMismatch {
        /// The tree's size.
        size: u64,
    },
    /// An entry that is not the one its leaf hash is of.
    #[error("entry {index} is not the one that the tree was made of; it was altered")]
    EntryMismatch {
        /// Its index in the log.
        index: u64,
    },

    /// An index that the tree does not have.
    #[error("the tree of {size} entries has no entry {index}")]
    IndexBeyondSize {
        /// The index.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// A tree cannot begin with a larger one.
    #[error("a tree of {to} entries cannot begin with one of {from}; give the smaller size first")]
    SizesReversed {
        /// The size that was given as the smaller.
        from: u64,
        /// The size that was given as the larger.
        to: u64,
    },
    /// Consistency with an empty tree proves nothing.
    #[error("every tree begins with the empty one: there is nothing to prove; give a size from 1")]
    ConsistencyOfEmpty,
    /// Bounds that are no subtree.
    #[error(
        "leaves {start} to {end} are no subtree: it begins at a multiple of a power of two not below its size"
    )]
    SubtreeInvalid {
        /// First leaf.
        start: u64,
        /// After the last leaf.
        end: u64,
    },
    /// A proof with too few or too many hashes.
    #[error("the proof has too few or too many hashes for these sizes")]
    ProofLength,
    /// A proof that leads elsewhere.
    #[error("the proof does not lead to the root; entry, proof or root is another's")]
    ProofMismatch,
    /// Bytes that are no proof file.
    #[error("this is no proof file: {0}")]
    ProofFile(&'static str),

    /// Bytes that are no signed note.
    #[error("this is no signed note: {0}")]
    Note(&'static str),
    /// A known key did not make the signature that bears its name.
    #[error("the signature of {name} is not valid; the note was altered or forged")]
    SignatureInvalid {
        /// Name of the key.
        name: String,
    },
    /// No known key has signed.
    #[error("no known key has signed the note; verify with the key of its signer")]
    NoteUnverified,
    /// Text that is no verifier key.
    #[error("this is no verifier key: {0}")]
    VerifierKey(&'static str),
    /// Two keys that signatures cannot tell apart.
    #[error("two different keys have the name {name} and the same id; use one of them")]
    KeyAmbiguous {
        /// Their name.
        name: String,
    },
    /// The signing key cannot be used.
    #[error("the signing key cannot be used; a seed has 32 random bytes")]
    SigningKey,
    /// A note whose text is no checkpoint.
    #[error("this is no checkpoint: {0}")]
    Checkpoint(&'static str),
    /// A checkpoint that its log has not signed.
    #[error(
        "no known key named {origin}, which is the log's origin, has signed the checkpoint; give the log's key"
    )]
    CheckpointUnsigned {
        /// The origin that it names.
        origin: String,
    },
    /// A cosignature that is none of this key.
    #[error("the signature line is not of the key {name}; give the key of the witness that made it")]
    CosignatureForeign {
        /// Name of the key.
        name: String,
    },
    /// Bytes that are no leaf.
    #[error("this is no leaf: {{\"header\":…,\"payload\":…}} with 64 lower-case hexadecimal digits each")]
    Leaf,
}

impl LedgerError {
    /// The stable name that goes on the wire as `ErrorInfo.reason`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::EntryTooLong { .. } => "LEDGER_ENTRY_TOO_LONG",
            Self::TilePath { .. } => "LEDGER_TILE_PATH_INVALID",
            Self::TileMissing { .. } => "LEDGER_TILE_MISSING",
            Self::TileMalformed { .. } => "LEDGER_TILE_MALFORMED",
            Self::BundleCutShort { .. } => "LEDGER_BUNDLE_CUT_SHORT",
            Self::BundleWidth { .. } => "LEDGER_BUNDLE_WIDTH",
            Self::RootMismatch { .. } => "LEDGER_ROOT_MISMATCH",
            Self::EntryMismatch { .. } => "LEDGER_ENTRY_MISMATCH",
            Self::IndexBeyondSize { .. } => "LEDGER_INDEX_BEYOND_SIZE",
            Self::SizesReversed { .. } => "LEDGER_SIZES_REVERSED",
            Self::ConsistencyOfEmpty => "LEDGER_CONSISTENCY_OF_EMPTY",
            Self::SubtreeInvalid { .. } => "LEDGER_SUBTREE_INVALID",
            Self::ProofLength => "LEDGER_PROOF_LENGTH",
            Self::ProofMismatch => "LEDGER_PROOF_MISMATCH",
            Self::ProofFile(_) => "LEDGER_PROOF_FILE_MALFORMED",
            Self::Note(_) => "NOTE_MALFORMED",
            Self::SignatureInvalid { .. } => "NOTE_SIGNATURE_INVALID",
            Self::NoteUnverified => "NOTE_UNVERIFIED",
            Self::VerifierKey(_) => "VERIFIER_KEY_MALFORMED",
            Self::KeyAmbiguous { .. } => "VERIFIER_KEY_AMBIGUOUS",
            Self::SigningKey => "SIGNING_KEY_UNFIT",
            Self::Checkpoint(_) => "CHECKPOINT_MALFORMED",
            Self::CheckpointUnsigned { .. } => "CHECKPOINT_UNSIGNED",
            Self::CosignatureForeign { .. } => "COSIGNATURE_FOREIGN",
            Self::Leaf => "LEDGER_LEAF_MALFORMED",
        }
    }

    /// The refusal of a path, cut to what a message can hold.
    pub(crate) fn tile_path(path: &str) -> Self {
        Self::TilePath { path: path.chars().take(80).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::LedgerError::{self, *};

    #[test]
    fn every_kind_has_its_own_reason_and_says_what_is_wrong() {
        let text = || "x".to_owned();
        let all: [LedgerError; 25] = [
            EntryTooLong { at: 1, length: 70_000 },
            TilePath { path: text() },
            TileMissing { path: text() },
            TileMalformed { path: text(), length: 1, want: 32 },
            BundleCutShort { entries: 1 },
            BundleWidth { entries: 1, want: 2 },
            RootMismatch { size: 1 },
            EntryMismatch { index: 1 },
            IndexBeyondSize { index: 1, size: 1 },
            SizesReversed { from: 2, to: 1 },
            ConsistencyOfEmpty,
            SubtreeInvalid { start: 1, end: 3 },
            ProofLength,
            ProofMismatch,
            ProofFile("it is empty"),
            Note("it is empty"),
            SignatureInvalid { name: text() },
            NoteUnverified,
            VerifierKey("it is empty"),
            KeyAmbiguous { name: text() },
            SigningKey,
            Checkpoint("it is empty"),
            CheckpointUnsigned { origin: text() },
            CosignatureForeign { name: text() },
            Leaf,
        ];
        let mut reasons = std::collections::BTreeSet::new();
        for error in &all {
            let reason = error.reason();
            assert!(reason.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{reason}");
            assert!(reasons.insert(reason), "{reason} stands for two kinds");
            let text = error.to_string();
            assert!(text.len() > 20 && !text.ends_with('.'), "{text}");
        }
    }
}
