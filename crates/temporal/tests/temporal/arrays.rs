//! Arrays: by key, by the shortest script, or replaced; and always in bounded work.

use crate::documents::Parsed;
use intelgraph_json::Pointer;
use intelgraph_temporal::{Differ, Head, KeyedArrays, Outcome, apply, revert, to_list};

const SEED: u64 = 0x1d;

fn keyed(array: &str, member: &str) -> KeyedArrays {
    let mut keyed = KeyedArrays::default();
    keyed.insert(&Pointer::parse(array).unwrap(), member);
    keyed
}

/// The diff in list form and what it cost to find, held to lead there and back.
fn diff(old: &str, new: &str, keyed: &KeyedArrays) -> (String, u64) {
    let (old, new) = (Parsed::new(old).head(), Parsed::new(new));
    let (mut differ, mut encoded, mut list) = (Differ::default(), Vec::new(), Vec::new());
    let outcome = differ.diff(Some(&old), new.value(), keyed, SEED, &mut encoded).unwrap();
    let Outcome::Changed { head, .. } = outcome else { return ("[]".into(), differ.comparisons()) };
    assert_eq!(apply(Some(&old), &encoded, SEED).unwrap().as_ref(), Some(&head));
    assert_eq!(revert(Some(&head), &encoded, SEED).unwrap(), Some(old));
    to_list(&encoded, &mut list).unwrap();
    (String::from_utf8(list).unwrap(), differ.comparisons())
}

fn list(old: &str, new: &str, keyed: &KeyedArrays) -> String {
    diff(old, new, keyed).0
}

#[test]
fn scalars_are_inserted_removed_and_replaced_where_they_are() {
    let none = KeyedArrays::default();
    let old = r#"{"tags":["alpha","bravo","charlie","delta"]}"#;
    let list = |new| list(old, new, &none);
    assert_eq!(
        list(r#"{"tags":["alpha","charlie","delta","echo"]}"#),
        r#"[["d","/tags/1","bravo"],["a","/tags/3","echo"]]"#
    );
    assert_eq!(list(r#"{"tags":["alpha","x","charlie","delta"]}"#), r#"[["r","/tags/1","bravo","x"]]"#);
    assert_eq!(
        list(r#"{"tags":["alpha","bravo"]}"#),
        r#"[["d","/tags/2","charlie"],["d","/tags/2","delta"]]"#
    );
}

#[test]
fn objects_in_arrays_are_compared_inside() {
    let old =
        r#"{"legs":[{"from":"EWR","to":"IAH","notes":"none"},{"from":"IAH","to":"MIA","notes":"none"}]}"#;
    let new =
        r#"{"legs":[{"from":"EWR","to":"IAH","notes":"none"},{"from":"IAH","to":"JFK","notes":"none"}]}"#;
    assert_eq!(list(old, new, &KeyedArrays::default()), r#"[["r","/legs/1/to","MIA","JFK"]]"#);
}

#[test]
fn elements_with_a_key_are_followed_wherever_they_move() {
    let item = |sku: &str, count: u32| format!(r#"{{"count":{count},"note":"as ordered","sku":"{sku}"}}"#);
    let order = |items: &[String]| format!(r#"{{"lines":[{}]}}"#, items.join(","));
    let old = order(&[item("a", 1), item("b", 2), item("c", 3), item("d", 4)]);
    let keyed = keyed("/lines", "sku");

    let counted = order(&[item("a", 1), item("b", 2), item("c", 9), item("d", 4)]);
    assert_eq!(list(&old, &counted, &keyed), r#"[["r","/lines/2/count",3,9]]"#);

    // The first is gone and another has come: by position all three that stay would differ.
    let shifted = order(&[item("b", 2), item("c", 3), item("d", 5), item("e", 1)]);
    assert_eq!(
        list(&old, &shifted, &keyed),
        format!(
            r#"[["d","/lines/0",{}],["r","/lines/2/count",4,5],["a","/lines/3",{}]]"#,
            item("a", 1),
            item("e", 1)
        )
    );

    let moved = order(&[item("d", 4), item("a", 1), item("b", 2), item("c", 3)]);
    assert_eq!(
        list(&old, &moved, &keyed),
        format!(r#"[["d","/lines/3",{}],["a","/lines/0",{}]]"#, item("d", 4), item("d", 4))
    );
}

#[test]
fn a_key_names_arrays_inside_elements() {
    let lines = |first: &str, second: &str| {
        format!(r#"{{"orders":[{{"id":1,"lines":[{{"sku":"{first}"}},{{"sku":"{second}"}}]}}]}}"#)
    };
    // Nothing is shared but the key member, so that a pair by position is a replacement inside the element.
    let by_position = r#"[["r","/orders/0/lines/0/sku","a","b"],["r","/orders/0/lines/1/sku","b","c"]]"#;
    assert_eq!(list(&lines("a", "b"), &lines("b", "c"), &keyed("/lines", "sku")), {
        // Not the array that the contract names: the shortest script.
        r#"[["d","/orders/0/lines/0",{"sku":"a"}],["a","/orders/0/lines/1",{"sku":"c"}]]"#
    });
    assert_ne!(list(&lines("a", "b"), &lines("b", "c"), &keyed("/orders/-/lines", "sku")), by_position);
}

#[test]
fn without_unique_keys_an_array_is_compared_as_any_other() {
    let keyed = keyed("/lines", "sku");
    for (old, new) in [
        (r#"{"lines":[{"sku":1},{"sku":1}]}"#, r#"{"lines":[{"sku":1},{"sku":2}]}"#),
        (r#"{"lines":[{"sku":1},{"other":1}]}"#, r#"{"lines":[{"sku":1},{"other":2}]}"#),
        (r#"{"lines":[{"sku":[1]},{"sku":[2]}]}"#, r#"{"lines":[{"sku":[1]},{"sku":[3]}]}"#),
        (r#"{"lines":[1,2]}"#, r#"{"lines":[1,3]}"#),
    ] {
        assert_eq!(list(old, new, &keyed), list(old, new, &KeyedArrays::default()));
    }
}

#[test]
fn what_would_be_longer_than_a_replacement_is_replaced() {
    let none = KeyedArrays::default();
    assert_eq!(list(r#"{"a":[1,2,3]}"#, r#"{"a":[4,5,6]}"#, &none), r#"[["r","/a",[1,2,3],[4,5,6]]]"#);
    let deep = |value: u32| {
        format!(r#"{{"a":{{"b":{{"c":{{"long key":{{"x":{value},"y":{value},"z":{value}}}}}}}}}}}"#)
    };
    assert_eq!(
        list(&deep(1), &deep(2), &none),
        r#"[["r","/a/b/c/long key",{"x":1,"y":1,"z":1},{"x":2,"y":2,"z":2}]]"#
    );
}

#[test]
fn a_change_below_the_deepest_path_replaces_what_is_there() {
    let deep = |value: u32| format!("{{\"a\":{}{value}{}}}", r#"{"a":["#.repeat(31), "]}".repeat(31));
    let (list, _) = diff(&deep(1), &deep(2), &KeyedArrays::default());
    assert_eq!(list.matches('/').count(), 63, "{list}");
}

/// Documents with one array of 20,000 elements, which once took a differ seconds: jsondiffpatch #365.
fn large(elements: impl Iterator<Item = String>) -> String {
    format!(r#"{{"a":[{}]}}"#, elements.collect::<Vec<_>>().join(","))
}

#[test]
fn large_arrays_cost_a_few_looks_at_each_element() {
    const COUNT: u64 = 20_000;
    let none = KeyedArrays::default();
    let by_id = keyed("/a", "id");
    let object = |id: u64, value: u64| format!(r#"{{"id":{id},"value":{value}}}"#);
    let old = large((0..COUNT).map(|id| object(id, id)));
    let cases = [
        ("all changed", large((0..COUNT).map(|id| object(id, id + 1)))),
        ("reversed", large((0..COUNT).rev().map(|id| object(id, id)))),
        ("rotated", large((0..COUNT).map(|id| object((id + 7) % COUNT, (id + 7) % COUNT)))),
        ("every other gone", large((0..COUNT).step_by(2).map(|id| object(id, id)))),
        ("shuffled", large((0..COUNT).map(|id| object(id * 7919 % COUNT, id * 7919 % COUNT)))),
        ("all new", large((0..COUNT).map(|id| object(id + COUNT, id)))),
        ("all alike", large((0..COUNT).map(|id| object(id % 2, 0)))),
        ("one in the middle", large((0..COUNT).filter(|id| *id != COUNT / 2).map(|id| object(id, id)))),
    ];
    for (name, new) in &cases {
        for keyed in [&none, &by_id] {
            let (_, comparisons) = diff(&old, new, keyed);
            assert!(comparisons < 12 * 2 * COUNT, "{name}: {comparisons} comparisons");
        }
    }
    let (list, comparisons) = diff(&old, &cases[7].1, &none);
    assert_eq!(list, r#"[["d","/a/10000",{"id":10000,"value":10000}]]"#);
    assert!(comparisons <= 2 * COUNT + 4, "{comparisons} comparisons");
}

#[test]
fn few_large_elements_cost_a_few_looks_at_each_byte() {
    // Long texts that differ in their last byte: comparing two is dear, and no two are equal.
    let text = |mark: u64| format!("\"{}{mark:06}\"", "x".repeat(5000));
    let (old, new) = (large((0..80).map(text)), large((80..160).map(text)));
    let (_, comparisons) = diff(&old, &new, &KeyedArrays::default());
    let looks = (old.len() + new.len()) as u64 / 64;
    assert!(comparisons < 10 * looks + 8192, "{comparisons} comparisons, {looks} looks");
}

#[test]
fn keys_of_large_objects_may_all_change() {
    let members =
        |prefix: &str| (0..9000).map(|at| format!(r#""{prefix}{at:05}":1"#)).collect::<Vec<_>>().join(",");
    let (old, new) = (format!("{{{}}}", members("a")), format!("{{{}}}", members("b")));
    // 18,000 operations that each move 18,000 members are more than a diff may cost.
    let (list, _) = diff(&old, &new, &KeyedArrays::default());
    assert!(list.starts_with(r#"[["r","",{"#), "{}", &list[..40]);
    let nested = |text: &str| format!(r#"{{"of":{text}}}"#);
    let (list, _) = diff(&nested(&old), &nested(&new), &KeyedArrays::default());
    assert!(list.starts_with(r#"[["r","/of",{"#), "{}", &list[..40]);
}

#[test]
fn heads_longer_than_64_kib_are_compared_too() {
    let long = "x".repeat(70_000);
    let (short, wide) = (r#"{"a":1,"b":"y","c":2}"#.to_owned(), format!(r#"{{"a":1,"b":"{long}","c":2}}"#));
    let none = KeyedArrays::default();
    assert_eq!(list(&short, &wide, &none), format!(r#"[["r","/b","y","{long}"]]"#));
    assert_eq!(list(&wide, &short, &none), format!(r#"[["r","/b","{long}","y"]]"#));
    assert_eq!(list(&wide, &wide.replace("2}", "3,\"d\":4}"), &none), r#"[["r","/c",2,3],["a","/d",4]]"#);
    let many = (0..30_000).map(|at| format!(r#""k{at:05}":{at}"#)).collect::<Vec<_>>().join(",");
    let head = Head::of_canonical(format!("{{{many}}}").as_bytes()).unwrap();
    assert_eq!(head.get("k29999"), Some(&b"29999"[..]));
}
