//! The verdict on the tape, the verdict by changed members, and the verdict of the library on a tree: one verdict.

use std::sync::LazyLock;

use intelgraph_contract::Contract;
use intelgraph_json::{Key, Value, write_canonical};
use jsonschema::{PatternOptions, Validator};
use proptest::prelude::*;
use serde_json::{Map, Value as Tree, json};

use crate::fixtures::{compiled, document, on_tape};
use crate::spelling::spelled;

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
        json!({
            "properties": {
                "a": {"type": ["string", "null"], "minLength": 2, "maxLength": 3, "title": "a"},
                "b": {"type": "integer", "minimum": -3, "maximum": 3},
                "c": {"type": "number", "minimum": -2, "maximum": 9_007_199_254_740_991i64},
                "d": {"enum": ["a", "é", "\"\n", "b/"]},
                "e": {"type": ["array", "string"], "enum": ["a", "ab"], "maxLength": 1},
                "f": {"minLength": 1, "minimum": 0},
                "g": {"type": ["object", "boolean", "integer"], "x-note": 1},
                "h": {"minimum": 0.5, "type": "number"},
            },
        }),
        json!({
            "properties": {
                "a": {"pattern": "^[a-bx]{1,2}$"},
                "b": {"type": "string", "pattern": "^[^\\s\"]+$", "maxLength": 2},
                "c": {"type": "array", "items": {"type": ["string", "array"]}, "minItems": 1, "maxItems": 2},
                "d": {
                    "type": ["object", "null"],
                    "properties": {
                        "a": {"type": "number", "exclusiveMinimum": -1, "exclusiveMaximum": 2},
                        "b": {"required": ["a"]},
                        "c": {"items": {"type": "integer", "multipleOf": 2}},
                    },
                    "required": ["a"],
                    "additionalProperties": {"maxProperties": 1},
                },
                "e": {"properties": {"a": true}, "patternProperties": {"b": false}, "additionalProperties": false},
                "f": {"prefixItems": [{"type": "null"}], "items": {"type": "string"}, "minLength": 1},
                "g": {"type": "array", "contains": {"type": "string"}, "unevaluatedItems": {"type": "null"}},
                "h": {"enum": ["a", "b"], "const": "a", "$comment": "", "minLength": 1},
            },
            "additionalProperties": false,
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
/// Each subschema of a member, alone: what one rejects hides nothing of what another does.
static FIELDS: LazyLock<Vec<Checked>> = LazyLock::new(|| {
    let properties = |schema: Tree| match &schema["properties"] {
        Tree::Object(properties) => properties.values().cloned().collect(),
        _ => Vec::new(),
    };
    let fields = apart().into_iter().flat_map(properties).filter(|field| field.get("$ref").is_none());
    checked(fields.map(|field| json!({"properties": {"b": field}})).collect())
});

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
    fn tape_and_tree_agree(record in record(), seed in any::<u64>()) {
        let record = Tree::Object(record);
        let text = spelled(&record, seed);
        for Checked { schema, contract, on_trees } in APART.iter().chain(&*COUPLED) {
            let verdict = on_tape(&text, |record| contract.is_valid(record));
            prop_assert_eq!(verdict, on_trees.is_valid(&record), "{} {}", schema, text);
        }
    }

    #[test]
    fn each_field_agrees_however_it_is_written(value in value(), seed in any::<u64>()) {
        let record = json!({"b": value});
        let text = spelled(&record, seed);
        for Checked { schema, contract, on_trees } in &*FIELDS {
            let expected = on_trees.is_valid(&record);
            on_tape(&text, |record| {
                let by_changes = contract.is_valid_changed(record.members(), []);
                prop_assert_eq!(contract.is_valid(record), expected, "{} {}", schema, text);
                prop_assert_eq!(by_changes, Some(expected), "{} {}", schema, text);
                Ok(())
            })?;
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
    let [first, second, third, plain, nested, _] = &APART[..] else { panic!("six schemas") };
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
        (
            plain,
            r#"{"a":"\u00e9\ud83d\ude00","b":-3.0,"c":9007199254740991,"d":"\u00E9","e":"\u0061"}"#,
            true,
        ),
        (plain, r#"{"d":"b\/","f":18446744073709551615,"h":0.5}"#, true),
        (plain, r#"{"a":"\ud83d\ude00"}"#, false),
        (plain, r#"{"a":"aaaa"}"#, false),
        (plain, r#"{"b":3.5}"#, false),
        (plain, r#"{"b":4e0}"#, false),
        (plain, r#"{"c":9007199254740992}"#, false),
        (plain, r#"{"d":"\u0062"}"#, false),
        (plain, r#"{"e":"ab"}"#, false),
        (plain, r#"{"e":[]}"#, false),
        (plain, r#"{"f":-0.1}"#, false),
        (plain, r#"{"g":1.5}"#, false),
        (nested, r#"{"a":"\u0062","b":"é/","c":["x",[]],"d":{"a":1.9},"e":{"a":1},"f":[null,"x"]}"#, true),
        (nested, r#"{"d":{"a":-0.5e0,"b":{"a":1},"c":[2.0,-4],"d":{"x":1}},"g":["x",null],"h":"a"}"#, true),
        (nested, r#"{"a":"ba\u0062"}"#, false),
        (nested, r#"{"a":"xé"}"#, false),
        (nested, r#"{"b":"a\u0020"}"#, false),
        (nested, r#"{"b":"ééé"}"#, false),
        (nested, r#"{"c":[]}"#, false),
        (nested, r#"{"c":["a","b","c"]}"#, false),
        (nested, r#"{"c":["a",1]}"#, false),
        (nested, r#"{"d":{"a":2.0}}"#, false),
        (nested, r#"{"d":{"a":-10e-1}}"#, false),
        (nested, r#"{"d":{}}"#, false),
        (nested, r#"{"d":{"a":1,"b":{}}}"#, false),
        (nested, r#"{"d":{"a":1,"c":[1]}}"#, false),
        (nested, r#"{"d":{"a":1,"d":{"x":1,"y":2}}}"#, false),
        (nested, r#"{"e":{"c":1}}"#, false),
        (nested, r#"{"e":{"b":1}}"#, false),
        (nested, r#"{"f":[1]}"#, false),
        (nested, r#"{"g":["x",1]}"#, false),
        (nested, r#"{"h":"b"}"#, false),
        (nested, r#"{"i":1}"#, false),
    ] {
        assert_eq!(on_tape(text, |record| checked.contract.is_valid(record)), verdict, "{text}");
    }
}

/// Which members an object has is remembered; what is not remembered any more is looked up. Neither may show.
#[test]
fn a_verdict_does_not_depend_on_what_came_before() {
    let schema = json!({
        "properties": {
            "a": {"type": "integer"}, "b": {"type": "string"}, "c": {"type": "null"}, "d": {"type": "boolean"},
            "e": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        },
        "required": ["a"],
        "additionalProperties": {"type": "array"},
    });
    let members = [
        ("a", json!(1), json!("1")),
        ("b", json!("x"), json!(0)),
        ("c", json!(null), json!(0)),
        ("d", json!(true), json!(0)),
        ("e", json!({"a": 1, "z": 1}), json!({"z": 1})),
        ("z", json!([]), json!({})),
    ];
    let Checked { contract, on_trees, .. } = checked(vec![schema]).remove(0);
    let mut seen = [0, 0];
    for round in 0..4 {
        for present in 0..1 << members.len() {
            let bad = if round % 2 == 0 { None } else { Some((present + round) % members.len()) };
            let chosen = members.iter().enumerate().filter(|(at, _)| present >> at & 1 == 1);
            let record: Tree = chosen
                .map(|(at, (name, good, wrong))| (*name, if bad == Some(at) { wrong } else { good }))
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .collect::<Map<_, _>>()
                .into();
            let verdict = on_tape(&spelled(&record, present as u64), |record| contract.is_valid(record));
            assert_eq!(verdict, on_trees.is_valid(&record), "{record}");
            seen[usize::from(verdict)] += 1;
        }
    }
    assert!(seen[0] > 100 && seen[1] > 60, "{seen:?}");
}
