//! Two records, separated by NUL, against contracts of every kind. The verdict is that of the library on a tree; it
//! is explained exactly when it is no; and by changed members it is the same.
#![no_main]

use std::sync::LazyLock;

use intelgraph_contract::{Contract, Report, ReportLimits};
use intelgraph_json::{Key, Kind, Limits, Parser, Tape, Value, write_canonical};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

struct Checked {
    contract: Contract,
    on_trees: jsonschema::Validator,
}

static CONTRACTS: LazyLock<Vec<Checked>> = LazyLock::new(|| {
    let schemas = [
        json!({
            "required": ["a"],
            "properties": {
                "a": {"type": "string", "maxLength": 3}, "b": {"type": ["integer", "null"], "multipleOf": 2},
                "c": {"$ref": "#/$defs/list"}, "d": {"enum": [1, "x", null, [], {"a": 1}]},
                "t": {"format": "date-time"}, "p": {"pattern": "^[a-zé]+$"}, "f": false,
            },
            "additionalProperties": {"type": ["string", "number", "object"]},
            "$defs": {"list": {"maxItems": 3, "uniqueItems": true, "items": {"type": ["string", "number", "array"]}}},
        }),
        json!({
            "properties": {"a": {"$ref": "#"}, "b": {"items": {"$ref": "#"}}},
            "patternProperties": {"^[b-d]": {"not": {"const": 0}}}, "propertyNames": {"maxLength": 4},
            "dependentRequired": {"a": ["b"]}, "minProperties": 1, "unevaluatedProperties": {"minimum": 0.5},
        }),
        json!({"oneOf": [{"required": ["a"]}, {"properties": {"b": {"contains": {"type": "integer"}, "minContains": 2}}}]}),
    ];
    schemas
        .into_iter()
        .map(|schema| {
            let document = json!({
                "datasetId": "fuzz", "version": "1.0.0", "tenantId": "fuzz", "license": "MIT-OK", "purpose": ["fuzz"],
                "retention": "short-30d", "sla": {}, "schema": schema,
                "mapping": {
                    "entity": {"type": "thing", "key": ["/a"]}, "eventTime": {"pointer": "/t", "format": "rfc3339"},
                    "completeness": ["/b"],
                },
                "placement": {"homeRegion": "here", "classification": "public"},
            });
            let options = jsonschema::draft202012::options().offline().should_validate_formats(true);
            let options = options.with_pattern_options(jsonschema::PatternOptions::regex());
            Checked {
                contract: Contract::compile(document.to_string().as_bytes()).expect("the contract compiles"),
                on_trees: options.build(&schema).expect("the schema compiles"),
            }
        })
        .collect()
});

fuzz_target!(|bytes: &[u8]| {
    let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
    let split = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let ranges = [0..split, (split + 1).min(bytes.len())..bytes.len()];
    let roots: Vec<_> = ranges.into_iter().filter_map(|range| parser.parse(&mut tape, bytes, range).ok()).collect();
    let records: Vec<Value<'_>> = roots.iter().map(|root| tape.value(bytes, *root)).collect();
    for Checked { contract, on_trees } in &*CONTRACTS {
        for &record in &records {
            let valid = contract.is_valid(record);
            assert_eq!(valid, record.kind() == Kind::Object && on_trees.is_valid(&record.to_serde()));
            let mut report = Report::new(contract, ReportLimits::default());
            contract.explain(0, record, &mut report);
            assert_eq!(report.is_empty(), valid);
            let json = report.to_json();
            assert_eq!(intelgraph_json::jcs(&json, Limits { max_bytes: u32::MAX, ..Limits::default() }).as_ref(), Ok(&json));
            let _ = contract.event_time(record, 0);
            same_key_for_a_delete(contract, record);
        }
        if let [old, new] = records[..]
            && contract.is_valid(old)
            && new.kind() == Kind::Object
        {
            let (set, removed) = changes(old, new);
            let by_changes = contract.is_valid_changed(set, removed.iter().map(String::as_str));
            assert!(by_changes.is_none_or(|verdict| verdict == contract.is_valid(new)));
        }
    }
});

fn same_key_for_a_delete(contract: &Contract, record: Value<'_>) {
    let (mut key, mut of_delete) = (Vec::new(), Vec::new());
    if contract.entity_key(record, &mut key).is_ok() {
        let part = record.get("a").expect("the key has one part");
        contract.entity_key_of_delete(part, &mut of_delete).expect("the part alone is a key");
        assert_eq!(key, of_delete);
    }
}

fn changes<'n>(old: Value<'_>, new: Value<'n>) -> (Vec<(Key<'n>, Value<'n>)>, Vec<String>) {
    let canonical = |value| {
        let mut text = Vec::new();
        write_canonical(value, &mut text);
        text
    };
    let set = new
        .members()
        .filter(|(key, value)| old.get(&key.as_str()).is_none_or(|old| canonical(old) != canonical(*value)))
        .collect();
    let names = old.members().map(|(key, _)| key.as_str().into_owned());
    (set, names.filter(|name| new.get(name).is_none()).collect())
}
