//! The published JSON-Schema-Test-Suite, draft 2020-12, on the tape.
//!
//! Every case runs through the validator as contracts build it. Cases whose schema can stand in a contract run
//! through a contract as well, whole and by changed field.

use std::fs;
use std::path::{Path, PathBuf};

use intelgraph_json::{Limits, Parser, Tape, Value};
use serde::Deserialize;
use serde_json::{Value as Tree, json};

use crate::Contract;
use crate::compile::options;
use crate::tape_json::TapeNode;

#[derive(Deserialize)]
struct Group {
    description: String,
    schema: Tree,
    tests: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    description: String,
    data: Tree,
    valid: bool,
}

/// Cases that do not apply, by file, a part of the description, and why.
const NOT_OURS: &[(&str, &str, &str)] = &[
    ("format.json", "", "asks that formats be ignored; contracts assert them (Validation §7.2.2)"),
    ("vocabulary.json", "", "needs a meta-schema of its own; contracts know the one of 2020-12"),
];

/// What a schema that is refused holds: a reference to a remote document of the suite, of which none is fetched,
/// or a format that is not asserted. Contracts refuse rather than ignore either.
const REFUSED: [&str; 4] = [
    "http://localhost:1234/",
    r#""format":"idn-email""#,
    r#""format":"idn-hostname""#,
    r#""format":"unknown""#,
];

fn suite(folder: &str) -> Vec<(String, Vec<Group>)> {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/json-schema-test-suite/draft2020-12");
    let mut files: Vec<PathBuf> = fs::read_dir(root.join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
    };
    files.into_iter().map(read).collect()
}

fn is_ours(file: &str, group: &Group, case: &Case) -> bool {
    let title = format!("{}: {}", group.description, case.description);
    !NOT_OURS.iter().any(|(other, part, _)| *other == file && title.contains(part))
}

fn on_tape<T>(document: &Tree, check: impl FnOnce(Value<'_>) -> T) -> Option<T> {
    let source = document.to_string().into_bytes();
    let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
    let root = parser.parse(&mut tape, &source, 0..source.len()).ok()?;
    Some(check(tape.value(&source, root)))
}

#[derive(Default)]
struct Outcome {
    passed: usize,
    /// Groups whose schema holds one of [`REFUSED`].
    refused: usize,
    failed: Vec<String>,
}

fn run(folder: &str) -> Outcome {
    let mut outcome = Outcome::default();
    for (file, groups) in suite(folder) {
        for group in &groups {
            let Ok(validator) = options().build(&group.schema) else {
                if REFUSED.iter().any(|reason| group.schema.to_string().contains(reason)) {
                    outcome.refused += 1;
                } else {
                    outcome.failed.push(format!("{file}: {}: refused", group.description));
                }
                continue;
            };
            for case in group.tests.iter().filter(|case| is_ours(&file, group, case)) {
                let verdict = on_tape(&case.data, |data| {
                    let verdict = validator.is_valid(TapeNode(data));
                    assert_eq!(verdict, validator.validate(TapeNode(data)).is_ok());
                    assert_eq!(verdict, validator.iter_errors(TapeNode(data)).next().is_none());
                    verdict
                });
                if verdict == Some(case.valid) {
                    outcome.passed += 1;
                } else {
                    let title = format!("{}: {}", group.description, case.description);
                    outcome.failed.push(format!("{file}: {title}: {verdict:?} instead of {}", case.valid));
                }
            }
        }
    }
    outcome
}

#[test]
fn required_cases_hold_on_the_tape() {
    let Outcome { passed, refused, failed } = run("");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert_eq!((passed, refused), (1_117, 22));
}

#[test]
fn optional_cases_hold_on_the_tape() {
    let Outcome { passed, refused, failed } = run("optional");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert_eq!((passed, refused), (100, 0));
}

#[test]
fn formats_are_asserted() {
    let Outcome { passed, refused, failed } = run("optional/format");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert_eq!((passed, refused), (649, 4));
}

/// Every schema that can stand in a contract, as the only field of a record: the whole way and the way by changed
/// fields must give the suite's verdict.
#[test]
fn contracts_give_the_same_verdicts() {
    let (mut whole, mut changed) = (0, 0);
    for (file, group) in
        suite("").iter().flat_map(|(file, groups)| groups.iter().map(move |group| (file, group)))
    {
        // References would lead elsewhere once the schema is no longer the root.
        let text = group.schema.to_string();
        if ["\"$ref\"", "\"$id\"", "\"$dynamicRef\""].iter().any(|reference| text.contains(reference)) {
            continue;
        }
        let mut schema = group.schema.clone();
        if let Some(members) = schema.as_object_mut() {
            members.remove("$schema");
        }
        let document = json!({
            "datasetId": "suite", "version": "1.0.0", "tenantId": "suite", "license": "MIT-OK", "purpose": ["test"],
            "retention": "ephemeral-7d", "sla": {}, "schema": {"properties": {"value": schema}},
            "mapping": {"entity": {"type": "case", "key": ["/id"]}},
            "placement": {"homeRegion": "here", "classification": "public"},
        });
        let Ok(contract) = Contract::compile(document.to_string().as_bytes()) else { continue };
        for case in group.tests.iter().filter(|case| is_ours(file, group, case)) {
            let verdicts = on_tape(&json!({"value": case.data}), |record| {
                (contract.is_valid(record), contract.is_valid_changed(record.members(), []))
            });
            let Some((verdict, by_field)) = verdicts else { continue };
            assert_eq!(verdict, case.valid, "{file}: {}: {}", group.description, case.description);
            whole += 1;
            if let Some(by_field) = by_field {
                assert_eq!(by_field, case.valid, "{file}: {}: {}", group.description, case.description);
                changed += 1;
            }
        }
    }
    assert_eq!((whole, changed), (941, 941));
}
