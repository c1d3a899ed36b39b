//! Signed notes: the examples of C2SP signed-note, and what is no note.

use intelgraph_ledger::{
    KeyKind, LedgerError, MAX_NOTE_LEN, MAX_SIGNATURES, Note, NoteSignature, SigningKey, VerifierKey,
};
use proptest::prelude::*;

/// C2SP signed-note, "Verifier keys", "Example".
pub const EXAMPLE_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const EXAMPLE: &str = "This is an example message.\n\n— example.com/foo \
    Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
/// C2SP signed-note, "Note": with an empty line in the text.
const POEM: &str = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n\
    — quasimodo.example/salvatore \
    NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";

pub fn signer(name: &str, seed: u8) -> (SigningKey, VerifierKey) {
    let key = SigningKey::from_seed(&[seed; 32]).unwrap();
    let verifier = VerifierKey::new(name, KeyKind::Ed25519, key.public_key()).unwrap();
    (key, verifier)
}

pub fn signed(text: &str, name: &str, seed: u8) -> (Note, VerifierKey) {
    let (key, verifier) = signer(name, seed);
    let signature = NoteSignature::of_key(&verifier, key.sign(text.as_bytes()).unwrap().to_vec());
    (Note::new(text, signature).unwrap(), verifier)
}

fn key() -> VerifierKey {
    EXAMPLE_KEY.parse().unwrap()
}

#[test]
fn the_examples_of_the_specification_are_notes() {
    let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(note.text(), "This is an example message.\n");
    let verified = note.verify(&[key()]).unwrap();
    assert_eq!((verified[0].name.as_str(), verified[0].kind), ("example.com/foo", KeyKind::Ed25519));
    assert_eq!(note.to_bytes(), EXAMPLE.as_bytes());

    let poem = Note::parse(POEM.as_bytes()).unwrap();
    assert!(poem.text().ends_with("sole:\n\ned è subito sera.\n"));
    assert_eq!(poem.signatures()[0].name(), "quasimodo.example/salvatore");
    assert_eq!(poem.to_bytes(), POEM.as_bytes());
    assert_eq!(poem.verify(&[key()]), Err(LedgerError::NoteUnverified));
}

#[test]
fn every_altered_byte_of_a_note_is_found() {
    for at in 0..EXAMPLE.len() {
        for bit in 0..8 {
            let mut bytes = EXAMPLE.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let opened = Note::parse(&bytes).and_then(|note| note.verify(&[key()]).map(|_| ()));
            assert!(opened.is_err(), "byte {at}, bit {bit}");
        }
        let opened =
            Note::parse(&EXAMPLE.as_bytes()[..at]).and_then(|note| note.verify(&[key()]).map(|_| ()));
        assert!(opened.is_err(), "cut at {at}");
    }
}

#[test]
fn what_is_malformed_is_no_note() {
    let line = EXAMPLE.lines().last().unwrap();
    let (_, signature) = line.rsplit_once(' ').unwrap();
    let with = |line: &str| format!("text\n\n{line}");
    let many = format!("text\n\n{}", format!("{line}\n").repeat(MAX_SIGNATURES + 1));
    for bytes in [
        String::new(),
        "\n".to_owned(),
        "\n\n".to_owned(),
        "text\n".to_owned(),
        "text\n\n".to_owned(),
        format!("text\n{line}\n"),
        format!("\n{line}\n"),
        with(line),
        with(&format!("{line}\n\n")),
        with(&format!("{line}\r\n")),
        with(&format!(" {line}\n")),
        with(&format!("{line}\nmore\n")),
        with(&format!("- example.com/foo {signature}\n")),
        with(&format!("—  {signature}\n")),
        with(&format!("— {signature}\n")),
        with(&format!("— a+b {signature}\n")),
        with(&format!("— a\u{2003}b {signature}\n")),
        with(&format!("— a b {signature}\n")),
        with(&format!("— a {signature} \n")),
        with(&format!("— a {}\n", signature.trim_end_matches('='))),
        with("— a AAAA\n"),
        with("— a AAAAAA==\n"),
        with("— a AAAAAAB=\n"),
        with("— a \n"),
        with("— a AAAAAA==AAAA\n"),
        format!("te\txt\n\n{line}\n"),
        format!("te\0xt\n\n{line}\n"),
        many,
        format!("{}\n\n{line}\n", "x".repeat(MAX_NOTE_LEN)),
    ] {
        let refused = Note::parse(bytes.as_bytes());
        assert!(matches!(refused, Err(LedgerError::Note(_))), "{bytes:?}");
    }
    assert!(matches!(Note::parse(b"text\xff\n\n"), Err(LedgerError::Note(_))));
    for text in ["", "text", "te\txt\n"] {
        let signature = NoteSignature::of_key(&key(), vec![7; 64]);
        assert!(matches!(Note::new(text, signature), Err(LedgerError::Note(_))), "{text:?}");
    }
}

#[test]
fn unknown_signatures_are_kept_and_ignored() {
    let (mut note, known) = signed("text\n", "ledger.example", 1);
    let (other, unknown) = signer("other.example", 2);
    let (_, same_name) = signer("ledger.example", 3);
    note.add(NoteSignature::of_key(&unknown, other.sign(b"text\n").unwrap().to_vec())).unwrap();
    note.add(NoteSignature::of_key(&same_name, vec![0; 5])).unwrap();
    let note = Note::parse(&note.to_bytes()).unwrap();
    assert_eq!(note.signatures().len(), 3);
    assert_eq!(note.verify(std::slice::from_ref(&known)).unwrap().len(), 1);
    assert_eq!(note.verify(&[known.clone(), unknown.clone()]).unwrap().len(), 2);
    // Known, it has to be valid, whatever else is.
    let refused = note.verify(&[known, same_name]);
    assert_eq!(refused, Err(LedgerError::SignatureInvalid { name: "ledger.example".to_owned() }));
    assert_eq!(note.verify(&[]), Err(LedgerError::NoteUnverified));
}

#[test]
fn a_second_signature_of_a_known_key_is_verified_too() {
    let (mut note, key) = signed("text\n", "ledger.example", 1);
    let first = note.signatures()[0].clone();
    note.add(first).unwrap();
    assert_eq!(note.verify(std::slice::from_ref(&key)).unwrap().len(), 2);
    note.add(NoteSignature::of_key(&key, vec![0; 64])).unwrap();
    assert!(matches!(note.verify(&[key]), Err(LedgerError::SignatureInvalid { .. })));
}

#[test]
fn sixteen_signatures_of_post_quantum_length_fit() {
    let (mut note, key) = signed("text\n", "ledger.example", 1);
    for number in 0..15 {
        let (_, other) = signer(&format!("witness.example/{number}"), 2);
        note.add(NoteSignature::of_key(&other, vec![7; 5000])).unwrap();
    }
    let note = Note::parse(&note.to_bytes()).unwrap();
    assert_eq!((note.signatures().len(), note.verify(&[key]).unwrap().len()), (16, 1));
}

#[test]
fn a_key_given_twice_is_one_key() {
    let (note, key) = signed("text\n", "ledger.example", 1);
    assert_eq!(note.verify(&[key.clone(), key]).unwrap().len(), 1);
}

proptest! {
    #[test]
    fn foreign_bytes_parse_only_as_what_they_are(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(note) = Note::parse(&bytes) {
            prop_assert_eq!(note.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_text_is_signed_and_read_back(lines in prop::collection::vec("[^\\p{Cc}]{0,20}", 1..6)) {
        let text = format!("{}\n", lines.join("\n"));
        let (note, key) = signed(&text, "ledger.example/größe", 1);
        let read = Note::parse(&note.to_bytes()).unwrap();
        prop_assert_eq!(read.text(), text);
        prop_assert!(read.verify(&[key]).is_ok());
    }
}
