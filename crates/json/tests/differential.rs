//! Documents of every spelling, whole and damaged, held against the reference.

mod reference;

use intelgraph_json::{Limits, Parser};
use proptest::collection::vec;
use proptest::prelude::*;
use reference::agreement::check;

/// A document as text, with arbitrary spellings of the same thing.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        number(),
        string(),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            vec((space(), inner.clone(), space()), 0..6).prop_map(|elements| {
                let elements: Vec<_> =
                    elements.into_iter().map(|(before, value, after)| before + &value + &after).collect();
                format!("[{}]", elements.join(","))
            }),
            vec((space(), key(), space(), inner, space()), 0..8).prop_map(|members| {
                let members: Vec<_> = members
                    .into_iter()
                    .map(|(a, key, b, value, c)| format!("{a}{key}{b}:{a}{value}{c}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn space() -> impl Strategy<Value = String> {
    prop_oneof![8 => Just(String::new()), 1 => "[ \t\r\n]{1,3}"]
}

/// Few enough for duplicates and common shapes; some collide only after unescaping, some sort differently in
/// UTF-8 and UTF-16, some are longer than the cache compares at once.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "\"[a-d]{1,2}\"",
        2 => prop::sample::select(vec![
            r#""""#, r#""\u0061""#, r#""\/""#, r#""/""#, r#""\n""#, r#""\u000a""#, r#""é""#, r#""\u00e9""#,
            r#""😀""#, r#""\ud83d\ude00""#, "\"\u{fb33}\"", r#""departure_delay_minutes""#,
            r#""departure_delay_minute2""#, r#""departure_delay""#, r#""0123456789abc""#, r#""0123456789abcd""#,
        ]).prop_map(str::to_owned),
        1 => string(),
    ]
}

fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => "[ -!#-\\[\\]-~]{0,40}",
        2 => "[^\"\\\\\u{0}-\u{1f}]{0,6}",
        2 => prop::sample::select(vec![r"\n", r"\\", r#"\""#, r"\/", r"\b", r"\f", r"\r", r"\t"]).prop_map(str::to_owned),
        2 => any::<char>().prop_map(|c| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04X}")).collect()),
        1 => any::<char>().prop_map(|c| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()),
    ];
    vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,20})",
        "-?(0|[1-9][0-9]{0,8})\\.[0-9]{1,8}",
        "-?(0|[1-9][0-9]{0,3})(\\.0{0,7}[0-9]{1,9})?[eE][+-]?[0-9]{1,3}",
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(|x| format!("{x:e}")),
        any::<f64>()
            .prop_filter("finite", |x| x.is_finite())
            .prop_map(|x| serde_json::to_string(&x).expect("finite")),
        any::<i64>().prop_map(|x| x.to_string()),
        (0u64..4000).prop_map(|x| (u64::MAX - 2000).saturating_add(x).to_string()),
    ]
}

/// A text and what a careless producer, or a broken connection, makes of it.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let damage = (
        any::<prop::sample::Index>(),
        prop_oneof![
            4 => prop::sample::select(b"\"\\{}[]:,0-+.eEtfnu \n\x00\x1f\x7f\x80\xc3\xed\xf0\xff".to_vec()),
            1 => any::<u8>(),
        ],
        0u8..4,
    );
    (document(), vec(damage, 1..4)).prop_map(|(text, damages)| {
        let mut bytes = text.into_bytes();
        for (index, byte, way) in damages {
            let at = index.index(bytes.len() + 1);
            match way {
                0 => bytes.insert(at, byte),
                1 => bytes.truncate(at),
                _ if at == bytes.len() => bytes.push(byte),
                2 => drop(bytes.remove(at)),
                _ => bytes[at] = byte,
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whole_documents_agree_with_the_reference(texts in vec(document(), 1..5)) {
        let documents: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        check(&mut Parser::new(Limits::default()), &documents);
    }

    #[test]
    fn damaged_documents_agree_with_the_reference(documents in vec(damaged(), 1..5)) {
        let documents: Vec<&[u8]> = documents.iter().map(Vec::as_slice).collect();
        check(&mut Parser::new(Limits::default()), &documents);
    }

    #[test]
    fn single_tokens_agree_with_the_reference(token in prop_oneof![number(), string(), "[-+0-9.eE]{1,24}"]) {
        check(&mut Parser::new(Limits::default()), &[token.as_bytes(), &token.as_bytes()[..token.len() - 1]]);
    }
}

/// One parser over thousands of documents: shapes are learned, chosen among, forgotten and learned again.
#[test]
fn a_long_lived_parser_agrees_with_the_reference() {
    let mut parser = Parser::new(Limits::default());
    let mut state = 7u64;
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for round in 0..3000 {
        let texts: Vec<String> = (0..4)
            .map(|_| {
                let mut keys: Vec<u64> = (0..1 + below(12)).collect();
                (0..below(3)).for_each(|_| {
                    let (a, b) = (below(keys.len() as u64) as usize, below(keys.len() as u64) as usize);
                    keys.swap(a, b);
                });
                if below(50) == 0 {
                    keys[0] = *keys.last().expect("at least one key");
                }
                // Keys that are data: these fill the cache.
                let extra = if below(3) == 0 {
                    format!("\"id{}_{round}\":{{\"z\":1,\"a\":2}},", below(1000))
                } else {
                    String::new()
                };
                let members: Vec<_> = keys
                    .iter()
                    .map(|key| format!("\"field_{key}\":{{\"y\":{key},\"x\":[{{\"b\":0,\"a\":0}}]}}"))
                    .collect();
                format!("{{{extra}{}}}", members.join(","))
            })
            .collect();
        check(&mut parser, &texts.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
    }
}
