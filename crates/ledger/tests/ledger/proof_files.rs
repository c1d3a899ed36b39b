//! Proof files: C2SP tlog-proof, and the body of add-checkpoint in C2SP tlog-witness.

use intelgraph_ledger::{ConsistencyFile, InclusionFile, LedgerError};
use proptest::prelude::*;

const CHECKPOINT: &str = "example.com/fancylog\n109482\nsFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n\n\
    — example.com/fancylog hI2DJwAA\n";

/// The example of C2SP tlog-proof, with lines of 32 bytes and the checkpoint written out.
fn example() -> String {
    format!(
        "c2sp.org/tlog-proof@v1\nextra YWdlLXYx\nindex 73894\n\
         gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\nB95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n\n{CHECKPOINT}"
    )
}

#[test]
fn the_example_of_the_specification_is_read_and_written() {
    let file = InclusionFile::parse(example().as_bytes()).unwrap();
    assert_eq!((file.extra.as_deref(), file.index, file.proof.len()), (Some(&b"age-v1"[..]), 73_894, 2));
    assert_eq!(file.checkpoint, CHECKPOINT.as_bytes());
    assert_eq!(file.to_bytes(), example().as_bytes());
    let plain = InclusionFile { extra: None, proof: Vec::new(), index: 0, ..file };
    let text = format!("c2sp.org/tlog-proof@v1\nindex 0\n\n{CHECKPOINT}");
    assert_eq!(plain.to_bytes(), text.as_bytes());
    assert_eq!(InclusionFile::parse(text.as_bytes()).unwrap(), plain);
}

#[test]
fn what_is_malformed_is_no_inclusion_file() {
    let example = example();
    for text in [
        String::new(),
        example.replace("@v1", "@v2"),
        example.replace("index", "Index"),
        example.replace("73894", "073894"),
        example.replace("73894", "-1"),
        example.replace("index 73894\n", ""),
        example.replace("extra YWdlLXYx", "extra YWdlLXY"),
        example.replace("extra YWdlLXYx\nindex 73894", "index 73894\nextra YWdlLXYx"),
        example.replace("gSKy", "gSK"),
        example.replace("gSKy", "gSKy gSKy"),
        example.replacen("\n\n", "\n", 2),
        example.replacen("c2sp", "\nc2sp", 1),
        example.replace(
            "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n",
            &"gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n".repeat(64),
        ),
        format!("{example}{}", "x".repeat(400_000)),
    ] {
        assert!(matches!(InclusionFile::parse(text.as_bytes()), Err(LedgerError::ProofFile(_))), "{text}");
    }
}

#[test]
fn the_form_of_tlog_witness_is_read_and_written() {
    let text = format!(
        "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
         jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\n{CHECKPOINT}"
    );
    let file = ConsistencyFile::parse(text.as_bytes()).unwrap();
    assert_eq!((file.old_size, file.proof.len()), (20_852_014, 2));
    assert_eq!(file.checkpoint, CHECKPOINT.as_bytes());
    assert_eq!(file.to_bytes(), text.as_bytes());
    for text in [
        text.replace("old", "new"),
        text.replace("20852014", "020852014"),
        text.replace("PlRN", "PlR"),
        text.replacen("\n\n", "\n", 2),
        String::new(),
    ] {
        assert!(matches!(ConsistencyFile::parse(text.as_bytes()), Err(LedgerError::ProofFile(_))), "{text}");
    }
}

proptest! {
    #[test]
    fn any_proof_is_written_and_read_back(
        index in any::<u64>(),
        proof in prop::collection::vec(any::<[u8; 32]>(), 0..=64),
        extra in any::<Option<Vec<u8>>>(),
    ) {
        let checkpoint = CHECKPOINT.as_bytes().to_vec();
        let file = InclusionFile { extra, index, proof: proof.clone(), checkpoint: checkpoint.clone() };
        prop_assert_eq!(InclusionFile::parse(&file.to_bytes()).unwrap(), file);
        let file = ConsistencyFile { old_size: index, proof, checkpoint };
        prop_assert_eq!(ConsistencyFile::parse(&file.to_bytes()).unwrap(), file);
    }
}
