//! The command line: what it prints and how it exits.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use intelgraph_ledger::{
    Checkpoint, ConsistencyFile, Domain, InclusionFile, KeyKind, LedgerError, Note, ProofPlan, SigningKey,
    TileSet, VerifierKey, add_cosignature, commit, cosign, hash_leaf, leaf,
};
use serde_json::Value;

use crate::directory::{Log, ORIGIN, entry};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_intelgraph-verify")).args(arguments).output().unwrap()
}

/// The report and the exit status.
fn report(arguments: &[&str]) -> (Value, i32) {
    let output = run(&[&["--json"], arguments].concat());
    let status = output.status.code().unwrap();
    (serde_json::from_slice(&output.stdout).unwrap_or(Value::Null), status)
}

fn reasons(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["reason"].as_str().unwrap()).collect()
}

/// A log of 700 entries, files for each verb, and a witness.
struct World {
    log: Log,
    files: tempfile::TempDir,
    vkey: String,
    witness: String,
}

impl World {
    fn new() -> Self {
        let mut log = Log::of_sizes(&[300]);
        let files = tempfile::tempdir().unwrap();
        fs::write(files.path().join("older"), log.checkpoint()).unwrap();
        log.append_to(700);
        let key = SigningKey::from_seed(&[9; 32]).unwrap();
        let witness = VerifierKey::new("witness.example", KeyKind::Cosignature, key.public_key()).unwrap();
        let note = Note::parse(&log.checkpoint()).unwrap();
        let line = cosign(&note, witness.name(), &key, 1_679_315_147).unwrap().line();
        let checkpoint = add_cosignature(&note.to_bytes(), &line, &witness).unwrap();
        log.write("checkpoint", &checkpoint);

        let prove = |plan: ProofPlan| {
            let read = |path: &str| Ok::<_, LedgerError>(fs::read(log.path().join(path)).ok());
            plan.prove(&TileSet::read(plan.tiles(), read).unwrap()).unwrap()
        };
        let inclusion = InclusionFile {
            extra: None,
            index: 299,
            proof: prove(ProofPlan::inclusion(299, 700).unwrap()),
            checkpoint: checkpoint.clone(),
        };
        let consistency = ConsistencyFile {
            old_size: 300,
            proof: prove(ProofPlan::consistency(300, 700).unwrap()),
            checkpoint,
        };
        fs::write(files.path().join("inclusion"), inclusion.to_bytes()).unwrap();
        fs::write(files.path().join("consistency"), consistency.to_bytes()).unwrap();
        fs::write(files.path().join("entry"), entry(299)).unwrap();
        let (vkey, witness) = (log.vkey().to_string(), witness.to_string());
        Self { log, files, vkey, witness }
    }

    fn path(&self, name: &str) -> String {
        self.files.path().join(name).to_str().unwrap().to_owned()
    }

    fn directory(&self) -> String {
        self.log.path().to_str().unwrap().to_owned()
    }

    /// Writes a file altered, and gives its path.
    fn altered(&self, name: &str, alter: impl FnOnce(String) -> String) -> String {
        let text = fs::read_to_string(self.path(name)).unwrap();
        let path = self.path(&format!("{name}.altered"));
        let altered = alter(text.clone());
        assert_ne!(altered, text);
        fs::write(&path, altered).unwrap();
        path
    }
}

#[test]
fn a_log_is_verified() {
    let world = World::new();
    let directory = world.directory();
    let (told, status) =
        report(&["log", &directory, "--vkey", &world.vkey, "--vkey", &world.witness, "--witnesses", "1"]);
    assert_eq!((status, &told["verified"], &told["verb"]), (0, &Value::Bool(true), &Value::from("log")));
    assert_eq!((&told["checkpoint"]["size"], &told["checkpoint"]["origin"]), (&700.into(), &ORIGIN.into()));
    assert_eq!(told["signers"][1]["at"], "2023-03-20T12:25:47Z");
    assert_eq!(told["findings"], Value::Array(Vec::new()));

    let output = run(&["log", &directory, "--vkey", &world.vkey, "--since", &world.path("older")]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with("since    300 entries, which this log begins with\nverified\n"), "{text}");
    assert!(output.stderr.is_empty(), "no bar where there is no terminal");
}

#[test]
fn a_fault_is_told_and_the_status_is_1() {
    let world = World::new();
    let path = world.log.path().join("tile/entries/001");
    let mut bundle = fs::read(&path).unwrap();
    bundle[2] ^= 1;
    fs::write(&path, bundle).unwrap();
    let (told, status) = report(&["log", &world.directory(), "--vkey", &world.vkey]);
    assert_eq!((status, &told["verified"]), (1, &Value::Bool(false)));
    let found = &told["findings"][0];
    assert_eq!((&found["reason"], &found["file"]), (&"ENTRY_ALTERED".into(), &"tile/entries/001".into()));
    assert_eq!(found["index"], 256);
    let output = run(&["log", &world.directory(), "--vkey", &world.vkey]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("FOUND    ENTRY_ALTERED tile/entries/001, entry 256: "), "{text}");
    assert!(text.ends_with("NOT VERIFIED: 1 finding\n"), "{text}");
}

#[test]
fn a_log_that_was_begun_anew_does_not_begin_with_an_older_checkpoint() {
    let world = World::new();
    let forked = world.log.sign(&Checkpoint::new(ORIGIN, 300, [7; 32]));
    fs::write(world.path("forked"), forked).unwrap();
    let beyond = world.log.sign(&Checkpoint::new(ORIGIN, 701, world.log.writer.root()));
    fs::write(world.path("beyond"), beyond).unwrap();
    for name in ["forked", "beyond"] {
        let path = world.path(name);
        let (told, status) = report(&["log", &world.directory(), "--vkey", &world.vkey, "--since", &path]);
        assert_eq!((reasons(&told), status), (vec!["NOT_CONSISTENT"], 1), "{name}");
    }
}

#[test]
fn a_checkpoint_is_verified() {
    let world = World::new();
    let checkpoint = world.log.path().join("checkpoint");
    let checkpoint = checkpoint.to_str().unwrap();
    let output = run(&["checkpoint", checkpoint, "--vkey", &world.vkey, "--vkey", &world.witness]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("size     700\n") && text.contains("signed   ledger.example/42 (log)\n"), "{text}");
    assert!(text.contains("signed   witness.example (witness, 2023-03-20T12:25:47Z)\n"), "{text}");
    assert_eq!(output.status.code(), Some(0));

    let older = world.path("older");
    let with_witness = ["--vkey", &world.vkey, "--vkey", &world.witness, "--witnesses", "1"];
    let (told, status) = report(&[&["checkpoint", &older], &with_witness[..]].concat());
    assert_eq!((reasons(&told), status), (vec!["WITNESSES_TOO_FEW"], 1));
    let altered = world.altered("older", |text| text.replace("300", "301"));
    let (told, status) = report(&["checkpoint", &altered, "--vkey", &world.vkey]);
    assert_eq!((reasons(&told), status), (vec!["CHECKPOINT_REFUSED"], 1));
    let (told, status) = report(&["checkpoint", &older, "--vkey", &world.witness]);
    assert_eq!((reasons(&told), status), (vec!["CHECKPOINT_REFUSED"], 1));
}

#[test]
fn an_inclusion_proof_is_verified() {
    let world = World::new();
    let (proof, leaf) = (world.path("inclusion"), world.path("entry"));
    let (told, status) = report(&["inclusion", &proof, "--entry", &leaf, "--vkey", &world.vkey]);
    assert_eq!((status, &told["index"]), (0, &299.into()));
    let hash = data_encoding::HEXLOWER.encode(&hash_leaf(&entry(299)));
    assert_eq!(report(&["inclusion", &proof, "--leaf-hash", &hash, "--vkey", &world.vkey]).1, 0);

    let other = hash.replace('a', "b");
    let (told, status) = report(&["inclusion", &proof, "--leaf-hash", &other, "--vkey", &world.vkey]);
    assert_eq!((reasons(&told), status), (vec!["PROOF_REFUSED"], 1));
    let moved = world.altered("inclusion", |text| text.replace("index 299", "index 298"));
    let (told, status) = report(&["inclusion", &moved, "--entry", &leaf, "--vkey", &world.vkey]);
    assert_eq!((reasons(&told), status), (vec!["PROOF_REFUSED"], 1));
    let no_proof = world.altered("inclusion", |text| text.replace("@v1", "@v2"));
    let (told, status) = report(&["inclusion", &no_proof, "--entry", &leaf, "--vkey", &world.vkey]);
    assert_eq!((reasons(&told), status), (vec!["PROOF_REFUSED"], 1));
    let resized = world.altered("inclusion", |text| text.replace("\n700\n", "\n701\n"));
    let (told, status) = report(&["inclusion", &resized, "--entry", &leaf, "--vkey", &world.vkey]);
    assert_eq!((reasons(&told), status), (vec!["CHECKPOINT_REFUSED"], 1));
}

#[test]
fn what_is_told_of_an_entry_is_what_was_committed_to() {
    let mut log = Log::of_sizes(&[]);
    let header = r#"{"actor":{"method":"jwt","subject":"alice"},"at":1795736568491181,"entry":"e","kind":"contract.published","subject":"contract:flights","tenant":{"id":"i","name":"acme"},"v":1}"#;
    let payload = r#"{"dataset":"flights"}"#;
    let commitments = [
        commit(&[1; 32], Domain::Header, header.as_bytes()),
        commit(&[2; 32], Domain::Payload, payload.as_bytes()),
    ];
    let leaf = leaf(&commitments[0], &commitments[1]);
    log.writer.append(std::slice::from_ref(&leaf)).unwrap();
    let proof = InclusionFile { extra: None, index: 0, proof: Vec::new(), checkpoint: log.checkpoint() };
    log.write("proof", &proof.to_bytes());
    let shown = serde_json::json!({
        "index": 0, "leaf": String::from_utf8(leaf).unwrap(), "header": header, "payload": payload,
        "header_salt": "01".repeat(32), "payload_salt": "02".repeat(32), "state": "whole", "entry_id": "e",
        "kind": "contract.published", "subject": "contract:flights", "actor": "alice", "actor_method": "jwt",
        "tenant": "acme", "at": "2026-11-26T23:42:48.491181Z", "sequenced": "2026-11-26T23:42:49Z",
        "facts": {"dataset": "flights"}, "erased_by_index": null,
    });
    let check = |change: &[(&str, Value)]| {
        let mut shown = shown.clone();
        change.iter().for_each(|(name, value)| shown[*name] = value.clone());
        log.write("shown", shown.to_string().as_bytes());
        let [proof, shown] =
            ["proof", "shown"].map(|name| log.path().join(name).to_str().unwrap().to_owned());
        let (told, status) =
            report(&["inclusion", &proof, "--shown", &shown, "--vkey", &log.vkey().to_string()]);
        let found = if told.is_null() { Vec::new() } else { reasons(&told) };
        (found.join(" "), status)
    };
    assert_eq!(check(&[]), (String::new(), 0));
    let altered = ("PROOF_REFUSED ENTRY_ALTERED".to_owned(), 1);
    assert_eq!(check(&[("header", r#"{"kind":"contract.withdrawn"}"#.into())]), altered);
    assert_eq!(check(&[("payload_salt", "03".repeat(32).into())]), altered);
    assert_eq!(check(&[("payload_salt", "no digits".into())]), ("ENTRY_ALTERED".to_owned(), 1));
    // What people read is what was committed to, member by member.
    for (name, other) in [
        ("index", 1.into()),
        ("entry_id", "f".into()),
        ("kind", "contract.withdrawn".into()),
        ("subject", "contract:trains".into()),
        ("actor", "mallo".into()),
        ("actor_method", "cli".into()),
        ("tenant", Value::Null),
        ("at", "2026-11-26T23:42:48.491182Z".into()),
        ("at", Value::Null),
        ("facts", serde_json::json!({"dataset": "trains"})),
        ("facts", Value::Null),
    ] {
        assert_eq!(check(&[(name, other)]), ("ENTRY_ALTERED".to_owned(), 1), "{name}");
    }
    // What is not known could not be checked, and a text without its salt cannot be.
    assert_eq!(check(&[("note", "approved by the board".into())]), (String::new(), 2));
    assert_eq!(check(&[("payload_salt", Value::Null)]), ("ENTRY_ALTERED".to_owned(), 1));
    // Erased, the commitments are still provably in the log; nobody vouches for what is told all the same.
    let erased = [
        ("payload", Value::Null),
        ("payload_salt", Value::Null),
        ("facts", Value::Null),
        ("header", Value::Null),
        ("header_salt", Value::Null),
        ("state", "erased".into()),
        ("subject", "".into()),
        ("actor", "".into()),
        ("actor_method", "".into()),
        ("tenant", Value::Null),
        ("at", Value::Null),
    ];
    assert_eq!(check(&erased), (String::new(), 0));
    let mut forged = erased.to_vec();
    forged.push(("actor", "mallo".into()));
    assert_eq!(check(&forged), ("ENTRY_ALTERED".to_owned(), 1));
    assert_eq!(check(&[("leaf", "{}".into())]), altered);
}

#[test]
fn a_consistency_proof_is_verified() {
    let world = World::new();
    let (older, proof) = (world.path("older"), world.path("consistency"));
    let (told, status) = report(&["consistency", &older, &proof, "--vkey", &world.vkey]);
    assert_eq!((status, &told["since"], &told["checkpoint"]["size"]), (0, &300.into(), &700.into()));

    let other = world.altered("consistency", |text| text.replace("old 300", "old 299"));
    let (told, status) = report(&["consistency", &older, &other, "--vkey", &world.vkey]);
    assert_eq!((reasons(&told), status), (vec!["PROOF_REFUSED"], 1));
    let forked = world.path("forked");
    fs::write(&forked, world.log.sign(&Checkpoint::new(ORIGIN, 300, [7; 32]))).unwrap();
    let (told, status) = report(&["consistency", &forked, &proof, "--vkey", &world.vkey]);
    assert_eq!((reasons(&told), status), (vec!["NOT_CONSISTENT"], 1));
    let shorter = world.altered("consistency", |text| {
        let mut lines: Vec<_> = text.lines().collect();
        lines.remove(1);
        lines.join("\n") + "\n"
    });
    let (told, status) = report(&["consistency", &older, &shorter, "--vkey", &world.vkey]);
    assert_eq!((reasons(&told), status), (vec!["NOT_CONSISTENT"], 1));
    let altered = world.altered("older", |text| text.replace("300", "301"));
    let (told, status) = report(&["consistency", &altered, &proof, "--vkey", &world.vkey]);
    assert_eq!((reasons(&told), status), (vec!["CHECKPOINT_REFUSED"], 1));
}

#[test]
fn what_cannot_be_used_is_said_and_the_status_is_2() {
    let world = World::new();
    let (directory, vkey, witness) = (world.directory(), world.vkey.as_str(), world.witness.as_str());
    let none = world.path("none");
    for (arguments, says) in [
        (vec!["log", &none, "--vkey", vkey], "cannot be read"),
        (vec!["log", &directory], "--vkey"),
        (vec!["log", &directory, "--vkey", "x"], "no verifier key"),
        (vec!["log", &directory, "--vkey", vkey, "--witnesses", "1"], "0 are given"),
        (vec!["log", &directory, "--vkey", vkey, "--vkey", witness, "--witnesses", "2"], "1 are given"),
        (vec!["log", &directory, "--vkey-file", &none], "cannot be read"),
        (vec!["log", &directory, "--vkey", vkey, "--since", &none], "cannot be read"),
        (vec!["checkpoint", &none, "--vkey", vkey], "cannot be read"),
        (vec!["inclusion", &none, "--vkey", vkey], "--shown"),
        (vec!["inclusion", &none, "--shown", &world.path("entry"), "--vkey", vkey], "no entry as"),
        (
            vec!["inclusion", &none, "--leaf-hash", "00", "--entry", &none, "--vkey", vkey],
            "cannot be used with",
        ),
        (vec!["inclusion", &none, "--leaf-hash", "00", "--vkey", vkey], "64 hexadecimal digits"),
        (vec!["unknown"], "unrecognized"),
        (vec![], "Usage"),
    ] {
        let output = run(&arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text.contains(says), "{arguments:?}: {text}");
    }
}

#[test]
fn keys_come_from_a_file_and_input_from_a_pipe() {
    let world = World::new();
    let keys: PathBuf = world.files.path().join("keys");
    fs::write(&keys, format!("# the log\n{}\n\n  {}\n", world.vkey, world.witness)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_intelgraph-verify"))
        .args(["checkpoint", "-", "--vkey-file", keys.to_str().unwrap(), "--witnesses", "1"])
        .stdin(fs::File::open(world.log.path().join("checkpoint")).unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn help_teaches_each_verb() {
    for verb in ["log", "checkpoint", "inclusion", "consistency"] {
        let output = run(&[verb, "--help"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.contains(&format!("    intelgraph-verify {verb} ")) && text.contains("--vkey '"),
            "{text}"
        );
    }
    let text = String::from_utf8(run(&["--help"]).stdout).unwrap();
    assert!(text.contains("Exit status:\n"), "{text}");
}
