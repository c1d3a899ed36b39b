//! Entity keys: equal for equal keys however written, different for different ones.

use intelgraph_contract::{Contract, Rule};
use proptest::prelude::*;
use serde_json::{Value as Tree, json};

use crate::fixtures::{compiled, document_with, on_tape};

fn contract(pointers: &[&str]) -> Contract {
    compiled(&document_with(&json!({}), json!({"entity": {"type": "thing", "key": pointers}}), json!({})))
}

fn key(contract: &Contract, record: &str) -> Result<Vec<u8>, (String, String)> {
    let mut out = b"before".to_vec();
    let result = on_tape(record, |record| contract.entity_key(record, &mut out));
    let key = out.strip_prefix(b"before").unwrap().to_vec();
    result.map(|()| key.clone()).map_err(|violation| {
        assert!(key.is_empty());
        (violation.rule.into_owned(), violation.instance)
    })
}

fn delete_key(contract: &Contract, text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let result = on_tape(text, |value| contract.entity_key_of_delete(value, &mut out));
    result.map(|()| out).map_err(|violation| violation.rule.into_owned())
}

#[test]
fn a_key_is_typed_and_its_parts_are_apart() {
    let one = contract(&["/a"]);
    assert_eq!(key(&one, r#"{"a":"1"}"#).unwrap(), b"\x01\0\0\0\x03\"1\"");
    assert_eq!(key(&one, r#"{"a":1}"#).unwrap(), b"\x02\0\0\0\x011");
    assert_eq!(key(&one, r#"{"a":true}"#).unwrap(), b"\x03\0\0\0\x04true");
    let two = contract(&["/a", "/b/c"]);
    assert_eq!(key(&two, r#"{"b":{"c":"y"},"a":"x"}"#).unwrap(), b"\x01\0\0\0\x03\"x\"\x01\0\0\0\x03\"y\"");
}

#[test]
fn writing_does_not_matter() {
    let contract = contract(&["/a"]);
    for (one, other) in
        [("1", "1.0"), ("100", "1e2"), ("0", "-0"), (r#""é\n""#, r#""\u00e9\u000A""#), (r#""/""#, r#""\/""#)]
    {
        let record = |value: &str| format!(r#"{{"a":{value}}}"#);
        assert_eq!(key(&contract, &record(one)), key(&contract, &record(other)), "{one}");
    }
}

#[test]
fn a_part_that_is_no_scalar_is_named() {
    let contract = contract(&["/a", "/b"]);
    let fault = |rule: Rule, at: &str| Err((rule.id().to_owned(), at.to_owned()));
    assert_eq!(key(&contract, r#"{"a":1}"#), fault(Rule::EntityKeyMissing, "/b"));
    assert_eq!(key(&contract, r#"{"a":null,"b":1}"#), fault(Rule::EntityKeyMissing, "/a"));
    assert_eq!(key(&contract, r#"{"a":1,"b":[]}"#), fault(Rule::EntityKeyNotScalar, "/b"));
    assert_eq!(key(&contract, r#"{"a":{},"b":1}"#), fault(Rule::EntityKeyNotScalar, "/a"));
}

#[test]
fn a_delete_names_the_same_key() {
    let one = contract(&["/a"]);
    for value in [r#""x""#, "7", "false", "1.50"] {
        let record = format!(r#"{{"z":0,"a":{value}}}"#);
        let expected = key(&one, &record).unwrap();
        assert_eq!(delete_key(&one, value).unwrap(), expected);
        assert_eq!(delete_key(&one, &format!(r#"{{"a":{value}}}"#)).unwrap(), expected);
    }
    let two = contract(&["/a/b", "/c"]);
    assert_eq!(delete_key(&two, r#"{"c":2,"a":{"b":1}}"#), Ok(key(&two, r#"{"a":{"b":1},"c":2}"#).unwrap()));
    for text in [r#""x""#, "null", r#"{"c":2}"#] {
        assert_eq!(delete_key(&two, text), Err("ENTITY_KEY_MISSING".into()), "{text}");
    }
    assert_eq!(delete_key(&one, "null"), Err("ENTITY_KEY_MISSING".into()));
    assert_eq!(delete_key(&one, "[1]"), Err("ENTITY_KEY_NOT_SCALAR".into()));
}

#[test]
fn event_times_are_optional_but_not_wrong() {
    let mapping = json!({
        "entity": {"type": "thing", "key": ["/id"]},
        "eventTime": {"pointer": "/at", "format": "rfc3339"},
    });
    let contract = compiled(&document_with(&json!({}), mapping, json!({"futureSkewMs": 1000})));
    let time = |record: &str, now_us| {
        on_tape(record, |record| contract.event_time(record, now_us)).map_err(|violation| {
            assert_eq!(violation.instance, "/at");
            (violation.rule.into_owned(), violation.schema)
        })
    };
    let record = r#"{"at":"1970-01-01T00:00:02Z"}"#;
    assert_eq!(time(record, 1_000_000), Ok(Some(2_000_000)));
    assert_eq!(time(record, 999_999), Err(("EVENT_TIME_FUTURE".into(), "/sla/futureSkewMs".into())));
    assert_eq!(time(record, i64::MAX), Ok(Some(2_000_000)));
    assert_eq!(time("{}", 0), Ok(None));
    assert_eq!(time(r#"{"at":null}"#, 0), Ok(None));
    for value in ["\"\"", "0", "\"yesterday\"", "[]"] {
        let fault = ("EVENT_TIME_INVALID".to_owned(), "/mapping/eventTime/format".to_owned());
        assert_eq!(time(&format!(r#"{{"at":{value}}}"#), 0), Err(fault), "{value}");
    }
    let none =
        compiled(&document_with(&json!({}), json!({"entity": {"type": "thing", "key": ["/id"]}}), json!({})));
    assert_eq!(on_tape(record, |record| none.event_time(record, 0)), Ok(None));
}

fn part() -> impl Strategy<Value = Tree> {
    prop_oneof![
        "[ab1\"\\\\,é]{0,4}".prop_map(Tree::from),
        (-20i64..20).prop_map(Tree::from),
        (-20i32..20).prop_map(|halves| json!(f64::from(halves) / 2.0)),
        any::<bool>().prop_map(Tree::from),
    ]
}

proptest! {
    #[test]
    fn keys_are_equal_exactly_when_their_parts_are(one in [part(), part()], other in [part(), part()]) {
        let contract = contract(&["/0", "/1"]);
        let record = |parts: &[Tree; 2]| json!({"0": parts[0], "1": parts[1]}).to_string();
        let same = |a: &Tree, b: &Tree| match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        };
        let equal = one.iter().zip(&other).all(|(a, b)| same(a, b));
        prop_assert_eq!(key(&contract, &record(&one)) == key(&contract, &record(&other)), equal);
    }
}
