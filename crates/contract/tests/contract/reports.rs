//! Reports: grouped, counted, bounded, and without a single value.

use intelgraph_contract::{Contract, OtherContract, Report, ReportLimits, Row, Rule, Violation};
use intelgraph_json::{Limits, ParseErrorKind, Parser, Tape};
use proptest::prelude::*;
use serde_json::{Value as Tree, json};

use crate::fixtures::{compiled, document, document_with, on_tape};

fn explained<'r>(contract: &Contract, records: impl IntoIterator<Item = &'r str>) -> Report {
    let mut report = Report::new(contract, ReportLimits::default());
    for (index, record) in (0..).zip(records) {
        on_tape(record, |record| contract.explain(index, record, &mut report));
    }
    report
}

fn row<'r>(report: &'r Report, rule: &str, instance: &str) -> &'r Row {
    report
        .rows()
        .find(|row| (row.rule.as_str(), row.instance.as_str()) == (rule, instance))
        .unwrap_or_else(|| panic!("no row for {rule} at {instance:?}"))
}

fn planes() -> Contract {
    let schema = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["tailnum", "seats"],
        "properties": {
            "tailnum": {"type": "string", "pattern": "^N"},
            "seats": {"type": "integer", "minimum": 1},
            "stops": {"type": "array", "items": {
                "type": "object", "properties": {"code": {"enum": ["JFK", "EWR"]}}, "required": ["code"],
            }},
            "notes": {"additionalProperties": {"type": "string"}},
        },
    });
    let mapping = json!({"entity": {"type": "aircraft", "key": ["/tailnum"]}});
    compiled(&document_with(&schema, mapping, json!({})))
}

#[test]
fn one_row_per_rule_and_pointer() {
    let report = explained(
        &planes(),
        [
            r#"{"tailnum":null,"seats":0}"#,
            r#"{"tailnum":7,"seats":2}"#,
            r#"{"tailnum":"N1","seats":2}"#,
            r#"{"tailnum":"D942DN","stops":[{"code":"JFK"},{"code":"LGA"},{},{"code":""}]}"#,
            r#"{"tailnum":"N1","seats":2,"notes":{"anna@example.org":1,"seats":[2]}}"#,
            r#"{"tail_num":"N1","tailnum":"N1","seats":2}"#,
            r#"["N1"]"#,
        ],
    );
    assert_eq!((report.records(), report.omitted()), (6, 0));

    let type_row = row(&report, "type", "/tailnum");
    assert_eq!((type_row.count, &type_row.records[..]), (2, &[0, 1][..]));
    assert_eq!(type_row.schema, "/schema/properties/tailnum/type");
    let kinds: Vec<_> = type_row.found.iter().map(|found| (found.kind, found.class, found.count)).collect();
    assert_eq!(kinds, [("integer", "positive", 1), ("null", "-", 1)]);

    assert_eq!(row(&report, "minimum", "/seats").fix, "send a number of at least 1");
    assert_eq!(row(&report, "pattern", "/tailnum").fix, "send text that matches ^N");
    assert_eq!(row(&report, "required", "/seats").found[0].kind, "missing");
    let codes = row(&report, "enum", "/stops/*/code");
    assert_eq!((codes.count, &codes.records[..]), (2, &[3][..]));
    assert_eq!(codes.fix, r#"send one of ["JFK","EWR"]"#);
    assert_eq!(row(&report, "required", "/stops/*/code").count, 1);
    // A name that the contract does not declare may be anything, an address for one.
    assert_eq!(row(&report, "type", "/notes/*").count, 1);
    assert_eq!(row(&report, "type", "/notes/seats").count, 1);
    let unknown = row(&report, "additionalProperties", "/*");
    assert_eq!(unknown.fix, "remove the member, or declare it in the contract; was tailnum meant?");
    assert_eq!((unknown.found[0].kind, unknown.found[0].min_length), ("member", 8));
    assert_eq!(row(&report, "RECORD_NOT_OBJECT", "").found[0].kind, "array");
    assert_eq!(report.rows().map(|row| row.count).sum::<u64>(), report.violations());
}

#[test]
fn a_valid_record_leaves_no_trace() {
    let report = explained(&planes(), [r#"{"tailnum":"N1","seats":2}"#]);
    assert!(report.is_empty() && report.rows().len() == 0);
}

#[test]
fn other_rules_have_rows_too() {
    let contract = compiled(&document_with(
        &json!({}),
        json!({"entity": {"type": "t", "key": ["/id"]}, "eventTime": {"pointer": "/at", "format": "unix-s"}}),
        json!({"dedupe": true}),
    ));
    let mut report = Report::new(&contract, ReportLimits::default());
    let broken = "{\"id\":\"N1\",}";
    let error =
        Parser::new(Limits::default()).parse(&mut Tape::default(), broken.as_bytes(), 0..broken.len());
    report.add(0, Violation::from(error.unwrap_err()));
    on_tape(r#"{"at":"soon"}"#, |record| {
        report.add(1, contract.entity_key(record, &mut Vec::new()).unwrap_err());
        report.add(2, contract.event_time(record, 0).unwrap_err());
        report.add(3, contract.dedupe_conflict(record));
    });
    assert_eq!(row(&report, ParseErrorKind::Syntax.reason(), "").fix, ParseErrorKind::Syntax.fix());
    assert_eq!(row(&report, Rule::EntityKeyMissing.id(), "/id").schema, "/mapping/entity/key/0");
    assert_eq!(row(&report, Rule::EventTimeInvalid.id(), "/at").fix, Rule::EventTimeInvalid.fix());
    assert_eq!(row(&report, Rule::DedupeConflict.id(), "/at").schema, "/sla/dedupe");
    assert_eq!((report.violations(), report.records()), (4, 4));
}

#[test]
fn rules_are_distinct() {
    let ids: std::collections::HashSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(ids.len(), Rule::ALL.len());
    assert!(Rule::ALL.iter().all(|rule| !rule.fix().is_empty()));
}

#[test]
fn the_json_is_canonical_and_says_when_it_is_cut() {
    let contract = planes();
    let mut report = Report::new(&contract, ReportLimits { rows: 1, records_per_row: 2 });
    for index in [4, 9, 2, 7] {
        on_tape(r#"{"tailnum":1,"seats":"x"}"#, |record| contract.explain(index, record, &mut report));
    }
    let bytes = report.to_json();
    assert_eq!(intelgraph_json::jcs(&bytes, Limits::default()).unwrap(), bytes);
    let tree: Tree = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(tree["format"], "ig.report.v1");
    let digest: String = contract.digest().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(tree["contract"]["digest"], format!("sha256:{digest}"));
    assert_eq!(tree["violations"], 8);
    assert_eq!(tree["omittedViolations"], 4);
    assert_eq!(tree["rows"][0]["count"], 4);
    assert_eq!(tree["rows"][0]["records"], json!([2, 4]));
    assert_eq!(report.digest(), report.clone().digest());
}

#[test]
fn reports_of_different_contracts_stay_apart() {
    let (planes, other) = (planes(), compiled(&document(&json!({}))));
    let mut report = Report::new(&planes, ReportLimits::default());
    assert_eq!(report.merge(&Report::new(&other, ReportLimits::default())), Err(OtherContract));
}

/// A mark that no rule, pointer or fix holds.
const MARK: &str = "Qz7xPlantedQz7x";

fn planted() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(json!(MARK)),
        Just(json!(format!("{MARK} é\n"))),
        Just(json!(918_273_645_918_273u64)),
        Just(Tree::Null),
        Just(json!("N1")),
    ];
    let name = prop_oneof![Just(MARK.to_owned()), "(tailnum|seats|stops|notes|code|b)"];
    leaf.prop_recursive(4, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::from),
            prop::collection::btree_map(name.clone(), inner, 0..5)
                .prop_map(|members| Tree::Object(members.into_iter().collect())),
        ]
    })
}

fn every_keyword() -> Contract {
    compiled(&document(&json!({
        "type": "object",
        "required": ["tailnum"],
        "properties": {
            "tailnum": {"type": "string", "pattern": "^N", "maxLength": 3, "format": "ipv4", "enum": ["N2"]},
            "seats": {"type": "integer", "maximum": 5, "multipleOf": 7, "const": 0},
            "stops": {
                "contains": {"const": 1}, "uniqueItems": true, "maxItems": 1, "prefixItems": [{"type": "null"}],
                "items": false, "minProperties": 9, "unevaluatedProperties": false,
            },
            "notes": {"anyOf": [{"type": "null"}, {"required": ["code"]}], "propertyNames": {"maxLength": 2}},
            "code": {"oneOf": [true, {"type": "string"}], "not": {"type": "object"}},
            "b": false,
        },
        "patternProperties": {"^Q": {"type": "boolean"}},
        "additionalProperties": {"type": "boolean"},
        "dependentRequired": {"seats": ["code"]},
        "dependentSchemas": {"stops": {"maxProperties": 1}},
        "if": {"required": ["notes"]}, "then": {"required": ["stops"]},
    })))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_value_reaches_a_report(records in prop::collection::vec(planted(), 1..5)) {
        for contract in [planes(), every_keyword()] {
            let records: Vec<String> = records.iter().map(Tree::to_string).collect();
            let report = explained(&contract, records.iter().map(String::as_str));
            let shown = format!("{report:?} {}", String::from_utf8(report.to_json()).unwrap());
            for mark in [MARK, "918273645918273", "N1"] {
                prop_assert!(!shown.contains(mark), "{}", shown);
            }
        }
    }

    #[test]
    fn explained_exactly_when_invalid(record in planted()) {
        for contract in [planes(), every_keyword()] {
            let record = record.to_string();
            let valid = on_tape(&record, |record| contract.is_valid(record));
            prop_assert_eq!(explained(&contract, [record.as_str()]).is_empty(), valid);
        }
    }

    #[test]
    fn merged_parts_are_the_whole(records in prop::collection::vec(planted(), 0..12), cut in 0usize..12) {
        let contract = planes();
        let cut = cut.min(records.len());
        let mut parts = [Report::new(&contract, ReportLimits::default()), Report::new(&contract, ReportLimits::default())];
        let mut whole = Report::new(&contract, ReportLimits::default());
        for (index, record) in records.iter().enumerate() {
            on_tape(&record.to_string(), |record| {
                contract.explain(index as u64, record, &mut parts[usize::from(index >= cut)]);
                contract.explain(index as u64, record, &mut whole);
            });
        }
        let [mut first, second] = parts;
        first.merge(&second).unwrap();
        prop_assert_eq!(first.to_json(), whole.to_json());
    }
}
