//! What must hold for any bytes, given to a parser in any state.

use std::collections::BTreeMap;

use intelgraph_json::{Kind, Limits, Parser, Root, Tape, Value, canonical, jcs, write_canonical};

use super::{Decimal, Tree, decimal, kept, read};

const DEPTH: u16 = 64;

/// Parses documents one after the other onto one tape over one buffer, twice, so that the parser has learned
/// their shapes the second time, and holds each against the reference.
///
/// # Panics
/// If anything differs.
pub fn check(parser: &mut Parser, documents: &[&[u8]]) {
    let (mut source, mut ranges) = (Vec::new(), Vec::new());
    for (at, document) in documents.iter().enumerate() {
        // Something that would continue a string, a number or a key stands behind each document.
        source.extend_from_slice([&b"\"a\":1,"[..], b"7.5", b"\\\"", b"\"", &[0xFF; 20], &[0; 20]][at % 6]);
        ranges.push(source.len()..source.len() + document.len());
        source.extend_from_slice(document);
    }
    source.extend_from_slice(b"0\":\"x\"");
    let mut tape = Tape::default();
    let mut parse =
        || ranges.iter().map(|range| parser.parse(&mut tape, &source, range.clone()).ok()).collect();
    let (learning, learned): (Vec<Option<Root>>, Vec<Option<Root>>) = (parse(), parse());
    for ((document, learning), learned) in documents.iter().zip(learning).zip(learned) {
        let expected = read(document, DEPTH.into());
        let accepted = (learning.is_some(), learned.is_some());
        assert_eq!(
            accepted,
            (expected.is_some(), expected.is_some()),
            "verdict on {}",
            document.escape_ascii()
        );
        if let (Some(learning), Some(learned), Some(expected)) = (learning, learned, expected) {
            let (learning, learned) = (tape.value(&source, learning), tape.value(&source, learned));
            assert_eq!(form(learning), form(learned));
            check_document(learned, document, &expected);
        }
    }
}

fn form(value: Value<'_>) -> Vec<u8> {
    let mut form = Vec::new();
    write_canonical(value, &mut form);
    form
}

fn check_document(root: Value<'_>, document: &[u8], expected: &Tree) {
    assert_eq!(tree(root), *expected);
    check_views(root);
    let form = form(root);
    assert_eq!(canonical(&form, Limits::default()).as_ref(), Ok(&form), "canonical form is stable");
    assert_eq!(read(&form, DEPTH.into()).as_ref(), Some(expected), "canonical form is equal");
    let text = serde_json::to_vec(&root.to_serde()).expect("a tree can be written");
    assert_eq!(canonical(&text, Limits::default()).as_ref(), Ok(&form), "the serde tree is equal");
    if let Ok(form) = jcs(document, Limits::default()) {
        assert_eq!(jcs(&form, Limits::default()).as_ref(), Ok(&form), "RFC 8785 form is stable");
    }
}

/// The document as the value's own methods tell it.
fn tree(value: Value<'_>) -> Tree {
    match value.kind() {
        Kind::Null => Tree::Null,
        Kind::True => Tree::Bool(true),
        Kind::False => Tree::Bool(false),
        Kind::String => Tree::String(value.as_str().expect("a string").into_owned()),
        Kind::Number => Tree::Number(decimal(value.number().expect("a number").text())),
        Kind::Array => Tree::Array(value.elements().map(tree).collect()),
        Kind::Object => {
            Tree::Object(value.members().map(|(key, value)| (units(&key.as_str()), tree(value))).collect())
        }
    }
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// All ways of reading one value say the same, down to its leaves.
fn check_views(value: Value<'_>) {
    let form = form(value);
    assert_eq!(value.is_canonical(), value.raw() == form);
    if let Some(number) = value.number() {
        let text = std::str::from_utf8(&form).expect("canonical form is UTF-8");
        let Decimal { digits, power, .. } = decimal(number.text());
        assert_eq!(number.is_integer(), power >= 0 || digits.is_empty());
        let plain = |parsed: Option<String>| parsed.is_some_and(|parsed| parsed == text);
        let integer = plain(text.parse().ok().map(|x: i64| x.to_string()))
            || plain(text.parse().ok().map(|x: u64| x.to_string()));
        assert_eq!(number.as_i64(), text.parse().ok());
        assert_eq!(number.as_u64(), text.parse().ok());
        assert!(integer || kept(number.as_f64()) == decimal(text));
    }
    let source_order: BTreeMap<_, _> =
        value.members().map(|(key, value)| (units(&key.as_str()), value.identity())).collect();
    let sorted: Vec<_> = value.sorted_members().collect();
    let by_reference: Vec<_> = source_order.iter().map(|(key, &value)| (key.clone(), value)).collect();
    let by_value: Vec<_> =
        sorted.iter().map(|(key, value)| (units(&key.as_str()), value.identity())).collect();
    assert_eq!(by_value, by_reference);
    assert_eq!(value.len(), sorted.len() + value.elements().count());
    if let Some(shape) = value.shape() {
        assert_eq!(shape.len(), sorted.len());
    }
    for (position, (key, member)) in sorted.into_iter().enumerate() {
        let quoted = serde_json::to_vec(&key.as_str()).expect("a string can be written");
        assert_eq!(key.quoted(), quoted);
        assert_eq!(key.prefix(), [&quoted[..], b":"].concat());
        assert!(key.is(&key.as_str()));
        assert_eq!(value.get(&key.as_str()).map(Value::identity), Some(member.identity()));
        if let Some(shape) = value.shape() {
            assert_eq!(shape.position(&key.as_str()), Some(position));
            assert_eq!(value.member(position).map(|(_, member)| member.identity()), Some(member.identity()));
        }
        check_views(member);
    }
    value.elements().for_each(check_views);
}
