//! Signed notes (C2SP signed-note): text, an empty line, and a line for each signature.

use crate::base64;
use crate::error::LedgerError;
use crate::verifier_key::{KeyKind, VerifierKey, is_key_name};

/// Bytes of the longest note that is read. The specification asks for room for 16 signatures, of 5 kB at most.
pub const MAX_NOTE_LEN: usize = 256 * 1024;
/// Signatures of a note that is read, at most.
pub const MAX_SIGNATURES: usize = 100;

const DASH: &str = "— ";

/// One signature line, whether its key is known or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    key_id: u32,
    bytes: Vec<u8>,
}

impl NoteSignature {
    /// The signature that this key made: for [`KeyKind::Cosignature`] the timestamp comes first.
    #[must_use]
    pub fn of_key(key: &VerifierKey, bytes: Vec<u8>) -> Self {
        Self { name: key.name().to_owned(), key_id: key.id(), bytes }
    }

    /// Reads a signature line, without its newline.
    ///
    /// # Errors
    /// `Note`.
    pub fn parse(line: &str) -> Result<Self, LedgerError> {
        let malformed = LedgerError::Note("a signature line has not the form \"— name base64\"");
        let (name, signature) =
            line.strip_prefix(DASH).and_then(|line| line.split_once(' ')).ok_or(malformed)?;
        if !is_key_name(name) {
            return Err(LedgerError::Note("the name of a key is empty or has a space or plus sign in it"));
        }
        let signature = base64::decode(signature).ok_or(LedgerError::Note("a signature is not base64"))?;
        match signature.split_first_chunk() {
            Some((key_id, bytes)) if !bytes.is_empty() => {
                Ok(Self { name: name.to_owned(), key_id: u32::from_be_bytes(*key_id), bytes: bytes.to_vec() })
            }
            _ => Err(LedgerError::Note("a signature is too short for a key id and a signature")),
        }
    }

    /// Name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Id of the key.
    #[must_use]
    pub fn key_id(&self) -> u32 {
        self.key_id
    }

    /// The signature without the key id.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The line, with its newline.
    #[must_use]
    pub fn line(&self) -> String {
        let signature = [&self.key_id.to_be_bytes(), self.bytes.as_slice()].concat();
        format!("{DASH}{} {}\n", self.name, base64::encode(&signature))
    }

    pub(crate) fn is_of(&self, key: &VerifierKey) -> bool {
        self.key_id == key.id() && self.name == key.name()
    }
}

/// A signature that a known key made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSignature {
    /// Name of the key.
    pub name: String,
    /// What the key signs.
    pub kind: KeyKind,
    /// For a cosignature, when it was made, in seconds since the epoch.
    pub timestamp: Option<u64>,
}

/// A note, well-formed. Its text is not to be trusted before [`verify`](Self::verify) says who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// A note of a text and its first signature.
    ///
    /// # Errors
    /// `Note` for a text that no note may have.
    pub fn new(text: &str, signature: NoteSignature) -> Result<Self, LedgerError> {
        let note = Self { text: text.to_owned(), signatures: vec![signature] };
        // What is not read back as it was written is no note: a text without newline at its end, for one.
        match Self::parse(&note.to_bytes())? {
            parsed if parsed == note => Ok(note),
            _ => Err(LedgerError::Note("the text does not end with one newline")),
        }
    }

    /// Reads a note.
    ///
    /// # Errors
    /// `Note`.
    pub fn parse(bytes: &[u8]) -> Result<Self, LedgerError> {
        if bytes.len() > MAX_NOTE_LEN {
            return Err(LedgerError::Note("it is longer than 256 KiB"));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| LedgerError::Note("it is not UTF-8"))?;
        if note.contains(|c: char| c < ' ' && c != '\n') {
            return Err(LedgerError::Note("it has a control character other than newline in it"));
        }
        let at = note.rfind("\n\n").ok_or(LedgerError::Note("no empty line stands before signatures"))?;
        let (text, signatures) = (&note[..=at], &note[at + 2..]);
        let lines = signatures
            .strip_suffix('\n')
            .ok_or(LedgerError::Note("no line of a signature, ended by a newline, is at its end"))?;
        let signatures = lines.split('\n').map(NoteSignature::parse).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(LedgerError::Note("it has more than 100 signatures"));
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// What is signed, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All signatures, verified or not, in order.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature, after the others.
    ///
    /// # Errors
    /// `Note` where it would have too many.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), LedgerError> {
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(LedgerError::Note("it has more than 100 signatures"));
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// The note as it is stored; what was parsed comes out as it went in.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}\n", self.text).into_bytes();
        self.signatures.iter().for_each(|signature| bytes.extend_from_slice(signature.line().as_bytes()));
        bytes
    }

    /// Verifies every signature that bears name and id of one of `keys`, and ignores the others. Gives those of known
    /// keys, in the note's order.
    ///
    /// # Errors
    /// `KeyAmbiguous`; `SignatureInvalid` for a known key's signature that is not valid, even beside a valid one;
    /// `NoteUnverified` where there is none of a known key.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<Vec<VerifiedSignature>, LedgerError> {
        for (at, key) in keys.iter().enumerate() {
            let alike = |other: &&VerifierKey| other.id() == key.id() && other.name() == key.name();
            if keys[..at].iter().find(alike).is_some_and(|other| other != key) {
                return Err(LedgerError::KeyAmbiguous { name: key.name().to_owned() });
            }
        }
        let mut verified = Vec::new();
        for signature in &self.signatures {
            let Some(key) = keys.iter().find(|key| signature.is_of(key)) else { continue };
            if !key.verifies(&self.text, signature.bytes()) {
                return Err(LedgerError::SignatureInvalid { name: key.name().to_owned() });
            }
            let timestamp = match key.kind() {
                KeyKind::Ed25519 => None,
                KeyKind::Cosignature => signature.bytes().first_chunk().map(|time| u64::from_be_bytes(*time)),
            };
            verified.push(VerifiedSignature { name: key.name().to_owned(), kind: key.kind(), timestamp });
        }
        if verified.is_empty() { Err(LedgerError::NoteUnverified) } else { Ok(verified) }
    }
}
