//! Foreign test suites: JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396).

use crate::documents::Parsed;
use intelgraph_json::{Limits, canonical};
use intelgraph_temporal::{
    Differ, Head, KeyedArrays, Outcome, PatchError, apply_json_patch, revert, to_json_patch, to_merge_patch,
};
use serde_json::Value;

const SEED: u64 = 0x1d;

/// The cases of a suite; the members of a case are kept as they are written, duplicate keys and all.
fn cases(text: &str) -> Vec<std::collections::BTreeMap<String, Box<serde_json::value::RawValue>>> {
    serde_json::from_str(text).expect("a suite is an array of objects")
}

fn bytes(value: &Value) -> Vec<u8> {
    canonical(value.to_string().as_bytes(), Limits::default()).expect("a JSON value")
}

/// Runs a suite; gives the number of its cases that say what is to come out.
fn run(suite: &str) -> usize {
    let mut checked = 0;
    for case in cases(suite) {
        let text = |member: &str| case.get(member).map(|raw| raw.get().as_bytes());
        let (Some(document), Some(patch)) = (text("doc"), text("patch")) else { continue };
        let result = apply_json_patch(document, patch, Limits::default());
        let comment = String::from_utf8_lossy(text("comment").unwrap_or(patch)).into_owned();
        match text("expected") {
            Some(expected) => {
                let expected = canonical(expected, Limits::default()).unwrap();
                assert_eq!(result.unwrap(), expected, "{comment}");
                export(document, &expected);
            }
            None if text("error").is_some() => assert!(result.is_err(), "{comment}"),
            None => assert!(result.is_ok(), "{comment}"),
        }
        checked += 1;
    }
    checked
}

/// Where both are documents of ours, our own patch from one to the other must do the same.
fn export(old: &[u8], new: &[u8]) {
    if !(old.starts_with(b"{") && new.starts_with(b"{")) {
        return;
    }
    let (old, new) = (Parsed::new(old).head(), Parsed::new(new));
    let (mut diff, mut patch) = (Vec::new(), Vec::new());
    let mut differ = Differ::default();
    if let Outcome::Changed { head, .. } =
        differ.diff(Some(&old), new.value(), &KeyedArrays::default(), SEED, &mut diff).unwrap()
    {
        to_json_patch(&diff, &mut patch).unwrap();
        assert_eq!(apply_json_patch(old.json(), &patch, Limits::default()).unwrap(), head.json());
        assert_eq!(revert(Some(&head), &diff, SEED).unwrap(), Some(old));
    }
}

#[test]
fn json_patch_tests() {
    assert_eq!(run(include_str!("../vectors/json-patch-tests/tests.json")), 95);
}

#[test]
fn json_patch_spec_tests() {
    assert_eq!(run(include_str!("../vectors/json-patch-tests/spec_tests.json")), 17);
}

#[test]
fn what_the_revert_tests_undo_is_undone() {
    for case in
        serde_json::from_str::<Vec<Value>>(include_str!("../vectors/json-patch-crate/revert_tests.json"))
            .unwrap()
    {
        let (document, patch) = (bytes(&case["doc"]), case["patch"].as_array().unwrap());
        let all = bytes(&case["patch"]);
        assert!(apply_json_patch(&document, &all, Limits::default()).is_err(), "{}", case["comment"]);
        // All but the failing last operation apply; the way back is ours.
        let kept = Value::from(&patch[..patch.len() - 1]);
        let result = apply_json_patch(&document, &bytes(&kept), Limits::default()).unwrap();
        export(&document, &result);
    }
}

#[test]
fn merge_patches_do_what_the_merge_tests_do() {
    let mut compared = 0;
    for case in
        serde_json::from_str::<Vec<Value>>(include_str!("../vectors/json-patch-crate/merge_tests.json"))
            .unwrap()
    {
        let (document, expected) = (&case["doc"], &case["expected"]);
        if !document.is_object() || !expected.is_object() {
            continue;
        }
        let (old, new) = (Head::of_canonical(&bytes(document)).unwrap(), Parsed::new(bytes(expected)));
        let (mut differ, mut diff) = (Differ::default(), Vec::new());
        let keyed = KeyedArrays::default();
        if let Outcome::Unchanged = differ.diff(Some(&old), new.value(), &keyed, SEED, &mut diff).unwrap() {
            continue;
        }
        if let Some(patch) = to_merge_patch(&diff).unwrap() {
            let mut merged = document.clone();
            json_patch::merge(&mut merged, &serde_json::from_slice(&patch).unwrap());
            assert_eq!(&merged, expected, "{}", case["comment"]);
            compared += 1;
        }
    }
    assert_eq!(compared, 2);
}

#[test]
fn a_patch_cannot_grow_a_document_without_bound() {
    // Each copy doubles the document: 2^40 bytes if nobody looked.
    let doubling = (0..40).map(|at| format!(r#"{{"op":"copy","from":"","path":"/a{at}"}}"#));
    let patch = format!("[{}]", doubling.collect::<Vec<_>>().join(","));
    let limits = Limits { max_bytes: 1 << 20, max_depth: 512 };
    let result = apply_json_patch(br#"{"a":"0123456789"}"#, patch.as_bytes(), limits);
    assert!(matches!(result, Err(PatchError::TooLarge { operation: 10.. })), "{result:?}");

    let nested = (1..40)
        .map(|depth| format!(r#"{{"op":"add","path":"{}","value":{{"a":{{}}}}}}"#, "/a".repeat(depth * 2)));
    let patch =
        format!(r#"[{{"op":"add","path":"/a","value":{{}}}},{}]"#, nested.collect::<Vec<_>>().join(","));
    let result = apply_json_patch(b"{}", patch.as_bytes(), Limits::default());
    assert!(matches!(result, Err(PatchError::TooLarge { .. })), "{result:?}");
}

#[test]
fn no_key_of_a_value_means_anything_to_us() {
    for key in ["$serde_json::private::RawValue", "$serde_json::private::Number", "op", "path"] {
        let patch = format!(r#"[{{"op":"add","path":"/a","value":{{"{key}":{{"{key}":1}}}}}}]"#);
        let expected = format!(r#"{{"a":{{"{key}":{{"{key}":1}}}}}}"#);
        assert_eq!(
            apply_json_patch(b"{}", patch.as_bytes(), Limits::default()).unwrap(),
            expected.as_bytes()
        );
    }
}

#[test]
fn what_was_removed_makes_room() {
    let long = "x".repeat(300);
    let steps = (0..20)
        .map(|_| format!(r#"{{"op":"add","path":"/a","value":"{long}"}},{{"op":"remove","path":"/a"}}"#));
    let patch = format!("[{}]", steps.collect::<Vec<_>>().join(","));
    let limits = Limits { max_bytes: patch.len() as u32, ..Limits::default() };
    assert_eq!(apply_json_patch(b"{}", patch.as_bytes(), limits).unwrap(), b"{}");
}

#[test]
fn a_patch_cannot_cost_without_bound() {
    let document = format!(r#"{{"a":[{}]}}"#, vec!["0"; 100_000].join(","));
    let shifting = vec![r#"{"op":"add","path":"/a/0","value":0}"#; 1000].join(",");
    let result = apply_json_patch(document.as_bytes(), format!("[{shifting}]").as_bytes(), Limits::default());
    assert!(matches!(result, Err(PatchError::TooMuchWork { operation: 100.. })), "{result:?}");
    let copying = vec![r#"{"op":"copy","from":"/a","path":"/b"}"#; 1000].join(",");
    let result = apply_json_patch(document.as_bytes(), format!("[{copying}]").as_bytes(), Limits::default());
    assert!(matches!(result, Err(PatchError::TooMuchWork { operation: 100.. })), "{result:?}");
    // Replacing every element moves none.
    let replacing = (0..5000).map(|at| format!(r#"{{"op":"replace","path":"/a/{at}","value":1}}"#));
    let patch = format!("[{}]", replacing.collect::<Vec<_>>().join(","));
    assert!(apply_json_patch(document.as_bytes(), patch.as_bytes(), Limits::default()).is_ok());
}

#[test]
fn refusals_name_the_operation() {
    let apply =
        |patch: &str| apply_json_patch(br#"{"a":[1]}"#, patch.as_bytes(), Limits::default()).unwrap_err();
    let ok = r#"{"op":"test","path":"/a/0","value":1.0}"#;
    let second = |operation: &str| apply(&format!("[{ok},{operation}]"));
    assert!(matches!(second(r#"{"op":"remove","path":"/b"}"#), PatchError::NoSuchPlace { operation: 1 }));
    assert!(matches!(
        second(r#"{"op":"test","path":"/a","value":[2]}"#),
        PatchError::TestFailed { operation: 1 }
    ));
    assert!(matches!(
        second(r#"{"op":"move","from":"/a","path":"/a/0"}"#),
        PatchError::MoveIntoItself { operation: 1 }
    ));
    assert!(matches!(second(r#"{"op":"melt","path":"/a"}"#), PatchError::Operation { operation: 1 }));
    assert!(matches!(apply(r#"{"op":"remove","path":"/a"}"#), PatchError::Operation { operation: 0 }));
    assert!(matches!(apply("["), PatchError::Syntax(_)));
    assert!(matches!(apply_json_patch(b"{", b"[]", Limits::default()), Err(PatchError::Document(_))));
}
