//! Checkpoints and cosignatures: the examples of C2SP tlog-checkpoint and tlog-cosignature, and what is neither.

use intelgraph_ledger::{
    COSIGNATURE_LEN, Checkpoint, KeyKind, LedgerError, Note, NoteSignature, SigningKey, VerifierKey,
    add_cosignature, cosign,
};

use crate::notes::{signed, signer};

/// C2SP tlog-cosignature, the example: a checkpoint with its log's signature and that of a witness. The specifications
/// do not print the keys.
const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
    — example.com/behind-the-sofa \
    Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
    — witness.example.com/w1 \
    jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

const ORIGIN: &str = "ledger.example/42";

fn checkpoint() -> (Note, VerifierKey) {
    signed(&Checkpoint::new(ORIGIN, 7, [5; 32]).text().unwrap(), ORIGIN, 1)
}

fn witness() -> (SigningKey, VerifierKey) {
    let key = SigningKey::from_seed(&[9; 32]).unwrap();
    let verifier = VerifierKey::new("witness.example/w1", KeyKind::Cosignature, key.public_key()).unwrap();
    (key, verifier)
}

#[test]
fn the_example_of_the_specification_is_a_checkpoint() {
    let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(checkpoint.text().unwrap(), note.text());
    let cosignature = &note.signatures()[1];
    assert_eq!((cosignature.name(), cosignature.bytes().len()), ("witness.example.com/w1", COSIGNATURE_LEN));
    // "time 1679315147" in the example of the signed message.
    assert_eq!(cosignature.bytes().first_chunk(), Some(&1_679_315_147_u64.to_be_bytes()));
}

#[test]
fn extension_lines_are_kept() {
    let text = "log\n0\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\none\ntwo lines\n";
    let checkpoint = Checkpoint::parse(text).unwrap();
    assert_eq!((checkpoint.size, checkpoint.root, checkpoint.extensions.len()), (0, [0; 32], 2));
    assert_eq!(checkpoint.text().unwrap(), text);
}

#[test]
fn what_is_malformed_is_no_checkpoint() {
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    for text in [
        String::new(),
        "log\n7\n".to_owned(),
        format!("log\n7\n{root}"),
        format!("\n7\n{root}\n"),
        format!("log\n\n{root}\n"),
        format!("log\n07\n{root}\n"),
        format!("log\n00\n{root}\n"),
        format!("log\n+7\n{root}\n"),
        format!("log\n-7\n{root}\n"),
        format!("log\n7 \n{root}\n"),
        format!("log\n0x7\n{root}\n"),
        format!("log\n\u{667}\n{root}\n"),
        format!("log\n18446744073709551616\n{root}\n"),
        format!("log\n7\n{root}\n\n"),
        format!("log\n7\n{root}\nx\n\ny\n"),
        format!("log\n7\n{root} \n"),
        format!("log\n7\n{}\n", root.trim_end_matches('=')),
        format!("log\n7\n{}\n", root.replace("q2I=", "q2J=")),
        format!("log\n7\n{}\n", root.replace("q2I=", "")),
        "log\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2IA\n".to_owned(),
        format!("lo\tg\n7\n{root}\n"),
    ] {
        assert!(matches!(Checkpoint::parse(&text), Err(LedgerError::Checkpoint(_))), "{text:?}");
    }
    for origin in ["", "two\nlines"] {
        assert!(Checkpoint::new(origin, 7, [0; 32]).text().is_err());
    }
    assert_eq!(Checkpoint::parse(&format!("log\n{}\n{root}\n", u64::MAX)).unwrap().size, u64::MAX);
}

#[test]
fn a_checkpoint_is_its_logs() {
    let (note, key) = checkpoint();
    let (opened, verified) = Checkpoint::open(&note.to_bytes(), std::slice::from_ref(&key)).unwrap();
    assert_eq!(opened, Checkpoint::new(ORIGIN, 7, [5; 32]));
    assert_eq!(verified.len(), 1);
    // Another key, or a key of another name, vouches for nothing.
    let (_, foreign) = signer(ORIGIN, 2);
    assert_eq!(Checkpoint::open(&note.to_bytes(), &[foreign]), Err(LedgerError::NoteUnverified));
    let (other, other_key) = signed(note.text(), "other.example", 3);
    let refused = Checkpoint::open(&other.to_bytes(), &[other_key, key]);
    assert_eq!(refused, Err(LedgerError::CheckpointUnsigned { origin: ORIGIN.to_owned() }));
    let (note, key) = signed("no checkpoint\n", ORIGIN, 1);
    assert!(matches!(Checkpoint::open(&note.to_bytes(), &[key]), Err(LedgerError::Checkpoint(_))));
}

#[test]
fn a_witness_cosigns_and_anyone_verifies() {
    let (note, log) = checkpoint();
    let (key, witness) = witness();
    let cosignature = cosign(&note, witness.name(), &key, 1_679_315_147).unwrap();
    let cosigned = add_cosignature(&note.to_bytes(), &cosignature.line(), &witness).unwrap();
    assert_eq!(cosigned, [note.to_bytes(), cosignature.line().into_bytes()].concat());
    assert_eq!(add_cosignature(&cosigned, &cosignature.line(), &witness).unwrap(), cosigned, "once only");

    let (_, verified) = Checkpoint::open(&cosigned, &[log.clone(), witness.clone()]).unwrap();
    assert_eq!((verified[1].kind, verified[1].timestamp), (KeyKind::Cosignature, Some(1_679_315_147)));
    // A witness alone does not make a log's checkpoint, even under the log's name.
    assert!(matches!(
        Checkpoint::open(&cosigned, std::slice::from_ref(&witness)),
        Err(LedgerError::CheckpointUnsigned { .. })
    ));
    let as_log = VerifierKey::new(ORIGIN, KeyKind::Cosignature, key.public_key()).unwrap();
    let cosignature = cosign(&note, ORIGIN, &key, 7).unwrap();
    let cosigned = add_cosignature(&note.to_bytes(), &cosignature.line(), &as_log).unwrap();
    assert!(matches!(Checkpoint::open(&cosigned, &[as_log]), Err(LedgerError::CheckpointUnsigned { .. })));
    assert!(Checkpoint::open(&cosigned, &[log]).is_ok());
}

#[test]
fn a_cosignature_is_of_one_checkpoint_key_and_time() {
    let (note, _) = checkpoint();
    let (key, witness) = witness();
    let line = cosign(&note, witness.name(), &key, 7).unwrap().line();
    let add =
        |line: &str, witness: &VerifierKey| add_cosignature(&note.to_bytes(), line, witness).unwrap_err();

    let (other, _) = signed(&Checkpoint::new(ORIGIN, 8, [5; 32]).text().unwrap(), ORIGIN, 1);
    let invalid = LedgerError::SignatureInvalid { name: witness.name().to_owned() };
    assert_eq!(add_cosignature(&other.to_bytes(), &line, &witness), Err(invalid.clone()));

    let other_time = NoteSignature::parse(line.trim_end()).unwrap();
    let mut bytes = other_time.bytes().to_vec();
    bytes[7] ^= 1;
    assert_eq!(add(&NoteSignature::of_key(&witness, bytes.clone()).line(), &witness), invalid);
    bytes[0] = 0x80;
    assert_eq!(add(&NoteSignature::of_key(&witness, bytes.clone()).line(), &witness), invalid);
    bytes.truncate(64);
    assert_eq!(add(&NoteSignature::of_key(&witness, bytes).line(), &witness), invalid);
    assert!(matches!(cosign(&note, "w", &key, 1 << 63), Err(LedgerError::Note(_))));

    let foreign = LedgerError::CosignatureForeign { name: "witness.example/w2".to_owned() };
    let renamed = VerifierKey::new("witness.example/w2", KeyKind::Cosignature, key.public_key()).unwrap();
    assert_eq!(add(&line, &renamed), foreign);
    // The log's own kind of signature is no cosignature.
    let log_kind = VerifierKey::new(witness.name(), KeyKind::Ed25519, key.public_key()).unwrap();
    assert!(matches!(add(&line, &log_kind), LedgerError::CosignatureForeign { .. }));
    for line in ["", "\n", "x", &format!("{line}{line}"), &format!("{line}\n")] {
        assert!(matches!(add(line, &witness), LedgerError::Note(_)), "{line:?}");
    }
    let (note, _) = signed("no checkpoint\n", ORIGIN, 1);
    assert!(matches!(cosign(&note, "w", &key, 7), Err(LedgerError::Checkpoint(_))));
}
