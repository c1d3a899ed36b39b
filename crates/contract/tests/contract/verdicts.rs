//! The verdict on the tape, the verdict by changed members, and the verdict of the library on a tree: one verdict.

use std::sync::LazyLock;

use intelgraph_contract::Contract;
use intelgraph_json::{Key, Value, write_canonical};
use jsonschema::{PatternOptions, Validator};
use proptest::prelude::*;
use serde_json::{Map, Value as Tree, json};

use crate::fixtures::{compiled, document, on_tape};

/// Schemas that leave members apart.
fn apart() -> Vec<Tree> {
    vec![
        json!({
            "type": "object",
            "required": ["a", "e", "elsewhere"],
            "properties": {
                "a": {"type": "string", "maxLength": 3},
                "b": {"type": ["integer", "null"], "minimum": -1, "multipleOf": 2},
                "c": {"$ref": "#/$defs/list"},
                "d": {"enum": [1, "x", null, [], {"a": 1}]},
                "e": true,
                "f": false,
            },
            "$defs": {
                "list": {"type": "array", "maxItems": 2, "uniqueItems": true, "items": {"$ref": "#/$defs/scalar"}},
                "scalar": {"type": ["string", "number", "boolean"]},
            },
        }),
        json!({
            "required": ["a"],
            "properties": {"a": {"const": 1}, "b": {"if": {"type": "string"}, "then": {"pattern": "^x"}}},
            "additionalProperties": false,
        }),
        json!({
            "properties": {"a": {"properties": {"a": {"type": "integer"}}, "unevaluatedProperties": false}},
            "additionalProperties": {"type": ["string", "integer"]},
            "required": ["b"],
        }),
        json!({"title": "anything"}),
    ]
}

/// Schemas that couple members.
fn coupled() -> Vec<Tree> {
    vec![
        json!({"allOf": [{"required": ["a"]}]}),
        json!({"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}}),
        json!({"dependentRequired": {"a": ["b"]}}),
        json!({"dependentSchemas": {"a": {"maxProperties": 2}}}),
        json!({"minProperties": 1}),
        json!({"maxProperties": 3}),
        json!({"propertyNames": {"maxLength": 1}}),
        json!({"patternProperties": {"^[ab]$": {"type": "string"}}, "additionalProperties": false}),
        json!({"properties": {"a": {}}, "unevaluatedProperties": false}),
        json!({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
        json!({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}),
        json!({"not": {"required": ["a"]}}),
        json!({"$ref": "#/$defs/x", "$defs": {"x": {"required": ["a"]}}}),
        json!({"properties": {"a": {"$ref": "#"}}}),
        json!({"properties": {"a": {"$ref": "#/properties/b"}, "b": {"type": "string"}}}),
        json!({"properties": {"a": {"$dynamicRef": "#x"}}, "$defs": {"x": {"$dynamicAnchor": "x"}}}),
        json!({"enum": [{"a": 1}, {}]}),
        json!({"const": {"a": 1}}),
    ]
}

fn scalar() -> impl Strategy<Value = Tree> {
    prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::from),
        (-5i64..5).prop_map(Tree::from),
        any::<i64>().prop_map(Tree::from),
        (-40i32..40).prop_map(|tenths| json!(f64::from(tenths) / 10.0)),
        "[abx\"\\\\é東\n]{0,4}".prop_map(Tree::from),
    ]
}

fn value() -> impl Strategy<Value = Tree> {
    scalar().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::from),
            prop::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|members| Tree::Object(members.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[a-h]", 1 => Just("elsewhere".to_owned()), 1 => Just("é\"\n".to_owned())]
}

/// Members at random, over members that some schema accepts, so that both verdicts are common.
fn record() -> impl Strategy<Value = Map<String, Tree>> {
    let accepted = prop::sample::subsequence(
        vec![
            ("a", json!("x")),
            ("a", json!(1)),
            ("b", json!(2)),
            ("b", json!("x")),
            ("e", json!(0)),
            ("elsewhere", json!(0)),
        ],
        0..=6,
    );
    (accepted, prop::collection::btree_map(name(), value(), 0..4)).prop_map(|(accepted, members)| {
        let accepted = accepted.into_iter().map(|(name, value)| (name.to_owned(), value));
        members.into_iter().chain(accepted).collect()
    })
}

/// The members of `new` that are not in `old` or have another value, and the names that went away.
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

/// A contract, and the library on trees with the same schema.
struct Checked {
    schema: Tree,
    contract: Contract,
    on_trees: Validator,
}

fn checked(schemas: Vec<Tree>) -> Vec<Checked> {
    let check = |schema: Tree| {
        let options = jsonschema::draft202012::options().offline().should_validate_formats(true);
        let on_trees = options.with_pattern_options(PatternOptions::regex()).build(&schema).unwrap();
        Checked { contract: compiled(&document(&schema)), on_trees, schema }
    };
    schemas.into_iter().map(check).collect()
}

static APART: LazyLock<Vec<Checked>> = LazyLock::new(|| checked(apart()));
static COUPLED: LazyLock<Vec<Checked>> = LazyLock::new(|| checked(coupled()));

#[test]
fn only_what_leaves_members_apart_is_taken_apart() {
    assert!(APART.iter().all(|checked| checked.contract.is_decomposable()));
    for Checked { schema, contract, .. } in &*COUPLED {
        assert!(!contract.is_decomposable(), "{schema}");
        on_tape("{}", |record| assert_eq!(contract.is_valid_changed(record.members(), []), None));
    }
}

#[test]
fn a_record_is_an_object() {
    for Checked { schema, contract, .. } in APART.iter().chain(&*COUPLED) {
        for text in ["null", "[]", "1", "\"{}\""] {
            assert!(!on_tape(text, |record| contract.is_valid(record)), "{schema} {text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn tape_and_tree_agree(record in record()) {
        let record = Tree::Object(record);
        for Checked { schema, contract, on_trees } in APART.iter().chain(&*COUPLED) {
            let verdict = on_tape(&record.to_string(), |record| contract.is_valid(record));
            prop_assert_eq!(verdict, on_trees.is_valid(&record), "{} {}", schema, record);
        }
    }

    #[test]
    fn changes_and_whole_agree(old in record(), new in record(), kept in any::<u8>()) {
        let mut new = new;
        for (position, (name, value)) in old.iter().enumerate() {
            if kept >> (position % 8) & 1 == 1 {
                new.insert(name.clone(), value.clone());
            }
        }
        let (old, new) = (Tree::Object(old).to_string(), Tree::Object(new).to_string());
        for Checked { schema, contract, .. } in &*APART {
            on_tape(&old, |old| on_tape(&new, |new| {
                if contract.is_valid(old) {
                    let (set, removed) = changes(old, new);
                    let by_changes = contract.is_valid_changed(set, removed.iter().map(String::as_str));
                    prop_assert_eq!(by_changes, Some(contract.is_valid(new)), "{}", schema);
                }
                Ok(())
            }))?;
        }
    }
}

/// Both properties above hold of nothing unless both verdicts occur.
#[test]
fn both_verdicts_occur() {
    let [first, second, third, _] = &APART[..] else { panic!("four schemas") };
    for (checked, text, verdict) in [
        (first, r#"{"a":"東京","e":0,"elsewhere":1,"b":-0,"c":["x",1],"d":{"a":1.0}}"#, true),
        (first, r#"{"a":"abcd","e":0,"elsewhere":1}"#, false),
        (first, r#"{"a":"abc","e":0}"#, false),
        (first, r#"{"a":"abc","e":0,"elsewhere":1,"b":3}"#, false),
        (first, r#"{"a":"abc","e":0,"elsewhere":1,"c":[1,1.0]}"#, false),
        (first, r#"{"a":"abc","e":0,"elsewhere":1,"f":1}"#, false),
        (second, r#"{"a":1.0,"b":"x"}"#, true),
        (second, r#"{"a":1,"z":1}"#, false),
        (third, r#"{"b":1,"a":{"a":1},"z":"y"}"#, true),
        (third, r#"{"b":1,"a":{"b":1}}"#, false),
        (third, r#"{"b":1,"z":null}"#, false),
    ] {
        assert_eq!(on_tape(text, |record| checked.contract.is_valid(record)), verdict, "{text}");
    }
}
