//! Checkpoints (C2SP tlog-checkpoint): a signed note whose text is origin, size and root of a log's tree.

use crate::base64;
use crate::error::LedgerError;
use crate::note::{Note, VerifiedSignature};
use crate::tree::Hash;
use crate::verifier_key::{KeyKind, VerifierKey};

/// What a log says of its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: not empty, one line.
    pub origin: String,
    /// Entries in the tree.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
    /// Further lines, not empty, that nothing here gives a meaning to.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint without extensions.
    #[must_use]
    pub fn new(origin: &str, size: u64, root: Hash) -> Self {
        Self { origin: origin.to_owned(), size, root, extensions: Vec::new() }
    }

    /// The text to sign.
    ///
    /// # Errors
    /// `Checkpoint` for an origin or extension line that is empty or not one line.
    pub fn text(&self) -> Result<String, LedgerError> {
        let lines = || std::iter::once(&self.origin).chain(&self.extensions);
        if lines().any(|line| line.is_empty() || line.contains(|c: char| c < ' ')) {
            return Err(LedgerError::Checkpoint("origin and extensions are lines, and not empty"));
        }
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, base64::encode(&self.root));
        self.extensions.iter().for_each(|line| text.extend([line, "\n"]));
        Ok(text)
    }

    /// Reads the text of a note.
    ///
    /// # Errors
    /// `Checkpoint`.
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        let text =
            text.strip_suffix('\n').ok_or(LedgerError::Checkpoint("it does not end with a newline"))?;
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(LedgerError::Checkpoint("it has not three lines: origin, size and root"));
        };
        let size =
            decimal(size).ok_or(LedgerError::Checkpoint("the size is no decimal number below 2^64"))?;
        let root = base64::decode(root).and_then(|root| root.try_into().ok());
        let root = root.ok_or(LedgerError::Checkpoint("the root is not 32 bytes in base64"))?;
        let extensions = lines.map(str::to_owned).collect();
        let checkpoint = Self { origin: origin.to_owned(), size, root, extensions };
        checkpoint.text()?;
        Ok(checkpoint)
    }

    /// Reads a signed checkpoint, and verifies that its log signed it: one of `keys` bears the origin's name, is no
    /// witness's, and made a signature.
    ///
    /// # Errors
    /// `Note`, `KeyAmbiguous`, `SignatureInvalid`, `NoteUnverified`, `Checkpoint`; `CheckpointUnsigned` where only
    /// others have signed.
    pub fn open(note: &[u8], keys: &[VerifierKey]) -> Result<(Self, Vec<VerifiedSignature>), LedgerError> {
        let note = Note::parse(note)?;
        let verified = note.verify(keys)?;
        let checkpoint = Self::parse(note.text())?;
        let of_log = |signature: &VerifiedSignature| {
            signature.kind == KeyKind::Ed25519 && signature.name == checkpoint.origin
        };
        if verified.iter().any(of_log) {
            Ok((checkpoint, verified))
        } else {
            Err(LedgerError::CheckpointUnsigned { origin: checkpoint.origin })
        }
    }
}

/// A decimal number in its one form: digits, no zero before others.
pub(crate) fn decimal(digits: &str) -> Option<u64> {
    let plain =
        digits.bytes().all(|digit| digit.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if plain { digits.parse().ok() } else { None }
}
