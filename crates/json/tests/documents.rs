//! What a caller sees of a document: kinds, members, pointers, canonical form, errors.

use intelgraph_json::{
    Kind, Limits, ParseError, ParseErrorKind, Parser, Pointer, Tape, canonical, jcs, write_canonical,
};

fn form(document: &str) -> Result<String, ParseErrorKind> {
    let bytes = canonical(document.as_bytes(), Limits::default()).map_err(|error| error.kind)?;
    Ok(String::from_utf8(bytes).expect("canonical form is UTF-8"))
}

fn refused(document: &[u8]) -> (ParseErrorKind, u32) {
    let error = canonical(document, Limits::default()).expect_err("must be refused");
    (error.kind, error.offset)
}

#[test]
fn several_documents_share_a_tape_and_a_buffer() {
    let source = br#"xx{"b":[1,{"c":null}],"a":"\u00e9"} ["x"] tail"#;
    let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
    let first = parser.parse(&mut tape, source, 2..35).expect("valid");
    let failed = parser.parse(&mut tape, source, 35..source.len()).expect_err("two documents");
    assert_eq!((failed.kind, failed.offset), (ParseErrorKind::Syntax, 7));
    let second = parser.parse(&mut tape, source, 35..41).expect("valid");

    let first = tape.value(source, first);
    assert_eq!((first.kind(), first.len()), (Kind::Object, 2));
    let names: Vec<_> = first.members().map(|(key, _)| key.as_str().into_owned()).collect();
    assert_eq!(names, ["b", "a"]);
    let sorted: Vec<_> = first.sorted_members().map(|(key, value)| (key.prefix(), value.raw())).collect();
    assert_eq!(sorted[0], (br#""a":"#.into(), br#""\u00e9""#.as_slice()));
    assert_eq!(first.get("a").and_then(|a| a.as_str()).as_deref(), Some("é"));
    let c = Pointer::parse("/b/1/c").expect("pointer");
    assert_eq!(first.pointer(&c).map(|c| c.kind()), Some(Kind::Null));
    assert!(first.get("b").expect("b").is_canonical() && !first.is_canonical());

    let second = tape.value(source, second);
    assert_eq!(second.elements().map(|x| x.raw()).collect::<Vec<_>>(), [br#""x""#]);
    assert_ne!(first.identity(), second.identity());
    tape.clear();
    parser.parse(&mut tape, b"1", 0..1).expect("a cleared tape takes another buffer");
}

#[test]
fn canonical_form_sorts_strips_and_rewrites() {
    for (document, expected) in [
        (" {\"b\" : 1.0 ,\n\"a\":[ ] } ", r#"{"a":[],"b":1}"#),
        (r#"{"caf\u00e9":"\u0041\/","cafe":"\u001F"}"#, "{\"cafe\":\"\\u001f\",\"café\":\"A/\"}"),
        (
            "{\"\u{fb33}\":1,\"😀\":2,\"\\ud83d\":3}".replace("\\ud83d", "z").as_str(),
            "{\"z\":3,\"😀\":2,\"\u{fb33}\":1}",
        ),
        (r#"[[{"y":{},"x":-0}],1e-7,"é"]"#, "[[{\"x\":0,\"y\":{}}],1e-7,\"é\"]"),
        (r#"{"":0}"#, r#"{"":0}"#),
        ("null", "null"),
    ] {
        assert_eq!(form(document).as_deref(), Ok(expected), "{document}");
        assert_eq!(form(expected).as_deref(), Ok(expected), "canonical form of {expected}");
    }
}

#[test]
fn a_value_knows_whether_it_is_canonical() {
    for document in [r#"{"a":1,"b":[{},"\n",0.5]}"#, "[]", r#""\u0000""#, "true"] {
        assert!(parse_and(document, |value| value.is_canonical()), "{document}");
    }
    for document in
        [r#"{"b":1,"a":1}"#, "[1, 2]", "{ }", r#"{"a":[{"b":1.0}]}"#, r#"{"\u0061":1}"#, r#"{"a" :1}"#]
    {
        assert!(!parse_and(document, |value| value.is_canonical()), "{document}");
    }
}

fn parse_and<T>(document: &str, see: impl FnOnce(intelgraph_json::Value<'_>) -> T) -> T {
    let mut tape = Tape::default();
    let root = Parser::new(Limits::default())
        .parse(&mut tape, document.as_bytes(), 0..document.len())
        .expect("valid");
    see(tape.value(document.as_bytes(), root))
}

#[test]
fn every_rule_has_its_error() {
    use ParseErrorKind::*;
    for (document, expected) in [
        (&b""[..], (Empty, 0)),
        (b" \n", (Empty, 0)),
        (b"{\"a\":1,}", (Syntax, 7)),
        (b"[1 2]", (Syntax, 3)),
        (b"tru", (Syntax, 0)),
        (b"\"a\nb\"", (Syntax, 2)),
        (b"\"open", (Syntax, 5)),
        (b"\xef\xbb\xbf{}", (Syntax, 0)),
        (b"{\"a\":1,\"\\u0061\":2}", (DuplicateKey, 18)),
        (b"[{\"k\":1,\"l\":2,\"k\":3}]", (DuplicateKey, 20)),
        (b"[\"\xff\"]", (InvalidUtf8, 2)),
        (b"[\"\xed\xa0\x80\"]", (InvalidUtf8, 2)),
        (b"[\"\\ud83d\"]", (InvalidEscape, 2)),
        (b"[\"\\x\"]", (InvalidEscape, 2)),
        (b"[1,18446744073709551616]", (NumberRange, 3)),
        (b"[1,0.1000000000000000055]", (NumberPrecision, 3)),
    ] {
        assert_eq!(refused(document), expected, "{}", String::from_utf8_lossy(document));
    }
}

#[test]
fn an_error_says_rule_place_and_fix_and_nothing_else() {
    let error = canonical(br#"{"tail":"N14228","tail":"N14228"}"#, Limits::default()).expect_err("duplicate");
    assert_eq!(error.to_string(), "JSON_DUPLICATE_KEY at byte 33: write each key of an object once");
    for kind in ParseErrorKind::ALL {
        let shown = ParseError { kind, offset: 0 }.to_string();
        assert!(shown.starts_with(kind.reason()) && shown.ends_with(kind.fix()), "{shown}");
    }
}

#[test]
fn size_and_depth_are_bounded() {
    let limits = Limits { max_bytes: 8, max_depth: 3 };
    assert_eq!(canonical(b"[1,2,3,4]", limits).map_err(|e| e.kind), Err(ParseErrorKind::TooLarge));
    assert!(canonical(b"[[[1]]]", limits).is_ok());
    let error = canonical(b"[[[[]]]]", limits).expect_err("too deep");
    assert_eq!((error.kind, error.offset), (ParseErrorKind::TooDeep, 3));

    let limits = Limits { max_bytes: u32::MAX, max_depth: u16::MAX };
    let nested = |depth| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert!(canonical(&nested(usize::from(Limits::DEEPEST)), limits).is_ok());
    assert_eq!(canonical(&nested(1_000_000), limits).map_err(|e| e.kind), Err(ParseErrorKind::TooDeep));
    let wide = format!("[{}[[]]]", "[{}],".repeat(1000));
    assert!(canonical(wide.as_bytes(), limits_of(3)).is_ok(), "depth is not the number of containers");
    assert!(canonical(wide.as_bytes(), limits_of(2)).is_err());
    let objects = "{\"a\":".repeat(1_000_000);
    assert_eq!(canonical(objects.as_bytes(), limits).map_err(|e| e.kind), Err(ParseErrorKind::TooDeep));
}

fn limits_of(max_depth: u16) -> Limits {
    Limits { max_depth, ..Limits::default() }
}

#[test]
fn a_refused_document_leaves_the_tape_as_it_was() {
    let source = br#"{"a":[1,{"c":1,"b":2}]}{"a":[{"y":1,"x":2},{"c":1,"c":2}]}"#;
    let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
    let before = parser.parse(&mut tape, source, 0..23).expect("valid");
    parser.parse(&mut tape, source, 23..source.len()).expect_err("duplicate");
    let after = parser.parse(&mut tape, source, 0..23).expect("valid");
    let mut alone = Tape::default();
    parser.parse(&mut alone, source, 0..23).expect("valid");
    let (before, after) = (tape.value(source, before), tape.value(source, after));
    assert_eq!(after.identity() - before.identity(), alone_nodes(&mut parser, &mut alone, source));
    let mut out = Vec::new();
    write_canonical(after, &mut out);
    assert_eq!(out, br#"{"a":[1,{"b":2,"c":1}]}"#);
}

/// Nodes that one document of `alone` takes, seen by where the next one begins.
fn alone_nodes(parser: &mut Parser, alone: &mut Tape, source: &[u8]) -> usize {
    let next = parser.parse(alone, source, 0..23).expect("valid");
    alone.value(source, next).identity()
}

#[test]
fn debug_shows_no_content() {
    parse_and(r#"{"tail":"N14228"}"#, |value| {
        let (key, member) = value.members().next().expect("one member");
        let shown = format!("{value:?} {key:?} {member:?}");
        assert!(!shown.contains("N14228") && !shown.contains("tail"), "{shown}");
    });
}

#[test]
fn records_and_jcs_differ_in_numbers_only() {
    let document = br#"{"n":9007199254740993}"#;
    assert_eq!(form(r#"{"n":9007199254740993}"#).as_deref(), Ok(r#"{"n":9007199254740993}"#));
    assert_eq!(jcs(document, Limits::default()).map_err(|e| e.kind), Err(ParseErrorKind::NumberRange));
}
