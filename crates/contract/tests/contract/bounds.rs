//! Contracts come from outside: compiling one, and checking records against it, keeps time and stack.

use std::time::{Duration, Instant};

use intelgraph_contract::{Contract, Report, ReportLimits};
use serde_json::{Value as Tree, json};

use crate::fixtures::{compiled, document, on_tape};

/// Threads of the gateway have at least this much stack (the default of `std::thread`).
const STACK: usize = 2 << 20;

fn on_a_thread<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(STACK).spawn(task).unwrap().join().unwrap()
}

fn nested(levels: usize, member: &str, leaf: &str) -> String {
    format!("{}{leaf}{}", format!("{{\"{member}\":").repeat(levels), "}".repeat(levels))
}

/// The verdict, and how many violations are told.
fn check(contract: &Contract, record: &str) -> (bool, u64) {
    on_tape(record, |record| {
        let mut report = Report::new(contract, ReportLimits::default());
        contract.explain(0, record, &mut report);
        (contract.is_valid(record), report.violations())
    })
}

/// `$defs` `0`, `1`, … where each checks its value by `count` copies of the next, and the last by `last`.
fn chain(length: usize, count: usize, last: &Tree) -> Tree {
    let mut definitions = serde_json::Map::new();
    for number in 0..length {
        let next = json!({"$ref": format!("#/$defs/{}", number + 1)});
        definitions.insert(number.to_string(), json!({"allOf": vec![next; count]}));
    }
    definitions.insert(length.to_string(), last.clone());
    definitions.into()
}

#[test]
fn a_chain_of_references_is_bounded() {
    for (length, count) in [(1000, 1), (40, 2), (13, 2)] {
        let schema = json!({"$defs": chain(length, count, &json!({"type": "object"})), "$ref": "#/$defs/0"});
        let errors = on_a_thread(move || Contract::compile(&document(&schema)).unwrap_err());
        assert_eq!(errors.iter().next().unwrap().rule, "SCHEMA_TOO_COMPLEX", "{length} {count}");
    }
    let schema = json!({"$defs": chain(10, 1, &json!({"type": "object"})), "$ref": "#/$defs/0"});
    compiled(&document(&schema));
}

#[test]
fn the_deepest_record_fits_the_stack_at_every_turn() {
    let last = json!({"properties": {"a": {"$ref": "#/$defs/0"}}, "required": ["b"]});
    let schema = json!({"$defs": chain(10, 1, &last), "$ref": "#/$defs/0"});
    let contract = compiled(&document(&schema));
    let (valid, violations) = on_a_thread(move || check(&contract, &nested(64, "a", "1")));
    assert!(!valid);
    assert_eq!(violations, 64);
}

/// A record that is looked at twice as often with each level.
fn doubling(combine: &str, next: &Tree) -> Tree {
    json!({
        "type": "object",
        combine: [
            {"properties": {"a": next}, "required": ["missing"]},
            {"properties": {"a": next}, "required": ["absent"]},
        ],
    })
}

#[test]
fn recursion_that_doubles_is_answered_in_outline() {
    for combine in ["anyOf", "oneOf", "allOf"] {
        let node = doubling(combine, &json!({"$ref": "#/$defs/node"}));
        let schema = json!({"$defs": {"node": node}, "properties": {"a": {"$ref": "#/$defs/node"}}});
        let contract = compiled(&document(&schema));
        let begun = Instant::now();
        assert_eq!(on_a_thread(move || check(&contract, &nested(63, "a", "{}"))), (false, 1));
        assert!(begun.elapsed() < Duration::from_secs(5), "{combine}: {:?}", begun.elapsed());
    }
}

#[test]
fn definitions_that_double_are_refused() {
    for combine in ["anyOf", "oneOf", "allOf"] {
        let mut definitions = serde_json::Map::new();
        for number in 0..30 {
            let next = json!({"$ref": format!("#/$defs/{}", number + 1)});
            definitions.insert(number.to_string(), doubling(combine, &next));
        }
        definitions.insert("30".into(), json!({}));
        let schema = json!({"$defs": definitions, "$ref": "#/$defs/0"});
        let errors = Contract::compile(&document(&schema)).unwrap_err();
        assert_eq!(errors.iter().next().unwrap().rule, "SCHEMA_TOO_COMPLEX");
    }
}

#[test]
fn a_large_record_is_answered_in_outline() {
    let schema = json!({"properties": {"list": {"items": {"type": "string"}}, "tail": {"type": "string"}}});
    let contract = compiled(&document(&schema));
    let record = format!(r#"{{"list":[{}],"tail":"x"}}"#, vec!["1"; 500_000].join(","));
    assert_eq!(check(&contract, &record), (false, 1));
    // As many as are told one by one: in a time that grows with their number, not with its square.
    let begun = Instant::now();
    let record = format!(r#"{{"list":[{}],"tail":1}}"#, vec!["1"; 40_000].join(","));
    assert_eq!(check(&contract, &record), (false, 40_001));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
