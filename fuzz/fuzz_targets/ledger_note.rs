//! Foreign bytes where notes, checkpoints, verifier keys and signature lines are read: as they come, and laid over a
//! genuine checkpoint. What is read is written as it was, and nothing verifies but what was signed.
#![no_main]

use intelgraph_ledger::{Checkpoint, KeyKind, Note, NoteSignature, SigningKey, VerifierKey, add_cosignature, cosign};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const ORIGIN: &str = "ledger.example/42";

struct Genuine {
    note: Vec<u8>,
    text: String,
    cosignature: String,
    log: VerifierKey,
    witness: VerifierKey,
}

static GENUINE: LazyLock<Genuine> = LazyLock::new(|| {
    let (key, witness_key) = (signing_key(1), signing_key(2));
    let log = VerifierKey::new(ORIGIN, KeyKind::Ed25519, key.public_key()).expect("a name");
    let witness = VerifierKey::new("witness.example", KeyKind::Cosignature, witness_key.public_key()).expect("a name");
    let text = Checkpoint::new(ORIGIN, 700, [7; 32]).text().expect("an origin");
    let signature = key.sign(text.as_bytes()).expect("a signature").to_vec();
    let note = Note::new(&text, NoteSignature::of_key(&log, signature)).expect("a note");
    let cosignature = cosign(&note, witness.name(), &witness_key, 7).expect("a cosignature").line();
    Genuine { note: note.to_bytes(), text, cosignature, log, witness }
});

fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).expect("a key")
}

fuzz_target!(|bytes: &[u8]| {
    let genuine = &*GENUINE;
    reads(bytes);
    opens_if_genuine(genuine, bytes);
    opens_if_genuine(genuine, &lay_over(bytes, &genuine.note));
    if let Ok(line) = std::str::from_utf8(&lay_over(bytes, genuine.cosignature.as_bytes()))
        && add_cosignature(&genuine.note, line, &genuine.witness).is_ok()
    {
        assert_eq!(line.trim_end_matches('\n'), genuine.cosignature.trim_end_matches('\n'));
    }
});

/// Each form has one spelling.
fn reads(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.to_bytes(), bytes);
        if let Ok(checkpoint) = Checkpoint::parse(note.text()) {
            assert_eq!(checkpoint.text().expect("what was read"), note.text());
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(checkpoint) = Checkpoint::parse(text) {
            assert_eq!(checkpoint.text().expect("what was read"), text);
        }
        if let Ok(key) = text.parse::<VerifierKey>() {
            assert_eq!(key.to_string(), text);
        }
        if let Ok(signature) = NoteSignature::parse(text) {
            assert_eq!(signature.line().trim_end_matches('\n'), text);
        }
    }
}

fn opens_if_genuine(genuine: &Genuine, bytes: &[u8]) {
    let keys = [genuine.log.clone(), genuine.witness.clone()];
    if Checkpoint::open(bytes, &keys).is_ok() {
        assert_eq!(Note::parse(bytes).expect("it opened").text(), genuine.text);
    }
}

/// `value` with the bytes after the first XORed over it, from a place the first one chooses.
fn lay_over(bytes: &[u8], value: &[u8]) -> Vec<u8> {
    let mut laid_over = value.to_vec();
    if let Some((&place, patch)) = bytes.split_first() {
        let start = usize::from(place) % value.len();
        laid_over[start..].iter_mut().zip(patch).for_each(|(byte, change)| *byte ^= change);
    }
    laid_over
}
