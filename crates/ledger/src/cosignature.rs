//! Cosignatures of checkpoints, cosignature/v1 (C2SP tlog-cosignature, the Ed25519 type): a witness says that at a
//! time this was the largest tree of the log that it had seen, and that it was consistent with those before.

use crate::checkpoint::Checkpoint;
use crate::error::LedgerError;
use crate::note::{Note, NoteSignature};
use crate::signature::{SIGNATURE_LEN, SigningKey};
use crate::verifier_key::{KeyKind, VerifierKey};

/// Bytes of a cosignature: the timestamp and the Ed25519 signature.
pub const COSIGNATURE_LEN: usize = 8 + SIGNATURE_LEN;

/// What a witness signs: header and time, each a line, then the whole text of the checkpoint.
///
/// # Errors
/// `Note` for a time beyond 2^63 − 1.
pub(crate) fn message(timestamp: u64, text: &str) -> Result<Vec<u8>, LedgerError> {
    match i64::try_from(timestamp) {
        Ok(_) => Ok(format!("cosignature/v1\ntime {timestamp}\n{text}").into_bytes()),
        Err(_) => Err(LedgerError::Note("the time of a cosignature is beyond 2^63 - 1")),
    }
}

/// Cosigns a checkpoint as of `timestamp`, in seconds since the epoch. That the tree is consistent with those cosigned
/// before is the caller's to verify.
///
/// # Errors
/// `Checkpoint`; `VerifierKey` for an unfit name; `Note` for a time beyond 2^63 − 1; `SigningKey`.
pub fn cosign(
    note: &Note,
    name: &str,
    key: &SigningKey,
    timestamp: u64,
) -> Result<NoteSignature, LedgerError> {
    Checkpoint::parse(note.text())?;
    let verifier = VerifierKey::new(name, KeyKind::Cosignature, key.public_key())?;
    let mut bytes = timestamp.to_be_bytes().to_vec();
    bytes.extend_from_slice(&key.sign(&message(timestamp, note.text())?)?);
    Ok(NoteSignature::of_key(&verifier, bytes))
}

/// Adds a witness's signature line to a checkpoint; one that is there already is not added again.
///
/// # Errors
/// `Note` for a line or a note of another form, `Checkpoint`; `CosignatureForeign` where the line bears another name or
/// key id; `SignatureInvalid`.
pub fn add_cosignature(note: &[u8], line: &str, witness: &VerifierKey) -> Result<Vec<u8>, LedgerError> {
    let mut note = Note::parse(note)?;
    Checkpoint::parse(note.text())?;
    let signature = NoteSignature::parse(line.strip_suffix('\n').unwrap_or(line))?;
    if witness.kind() != KeyKind::Cosignature || !signature.is_of(witness) {
        return Err(LedgerError::CosignatureForeign { name: witness.name().to_owned() });
    }
    if !witness.verifies(note.text(), signature.bytes()) {
        return Err(LedgerError::SignatureInvalid { name: witness.name().to_owned() });
    }
    if !note.signatures().contains(&signature) {
        note.add(signature)?;
    }
    Ok(note.to_bytes())
}
