//! Inputs that parsers are known to get wrong, each also cut off anywhere and with each byte missing.

mod reference;

use intelgraph_json::{Limits, Parser, canonical};
use reference::agreement::check;

const ACCEPTED: &[&str] = &[
    // Scalars stand alone, between whitespace of all four kinds.
    " \t\r\nnull\n",
    "true",
    "false",
    "0",
    "-0",
    "\"\"",
    "\" \"",
    // Numbers: signs, zeros, fractions and exponents in every legal mix.
    "-1",
    "10",
    "1.5",
    "-0.0",
    "0.000001",
    "0.0000001",
    "1e5",
    "1E5",
    "1e+5",
    "1E-5",
    "0e0",
    "0E+0",
    "1.0e0",
    "-1.25E+2",
    "123456789012345",
    "1234567890123456",
    "12345678901234567",
    "1234567890123456789",
    "0.123456789012345",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "0.1e1",
    "1e-7",
    "100000000000000000000e-5",
    // Strings: every escape, what needs none, boundaries of UTF-8, pairs.
    r#""\"\\\/\b\f\n\r\t""#,
    r#""\u0000\u001f\u001F\u007f""#,
    "\"\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}\"",
    r#""\ud83d\ude00\uD83D\uDE00""#,
    r#""\ufeff\ufffe\uffff""#,
    r#""\\u0041""#,
    r#""\\""#,
    r#""'//""#,
    "\"\u{2028}\u{2029}\"",
    // Containers, empty and nested, with whitespace wherever it may be.
    "[]",
    "[ ]",
    "{}",
    "{ }",
    "[[]]",
    "[{}]",
    "[0]",
    "[ 0 , 1 ]",
    r#"{ "a" : 0 , "b" : { } }"#,
    r#"[[],[[]],[[],[]]]"#,
    r#"{"":0}"#,
    r#"{"a":{"a":{"a":0}}}"#,
    r#"[{"a":0},{"a":0}]"#,
    r#"{"a":[{"b":0,"a":0},{"b":0,"a":0}]}"#,
    // Keys that look alike and are not.
    r#"{"a":0,"A":0}"#,
    r#"{"a":0,"a ":0}"#,
    r#"{"a":0,"aa":0}"#,
    "{\"\u{e9}\":0,\"e\u{301}\":0}",
    r#"{"\\n":0,"\n":0}"#,
    r#"{"constructor":0,"__proto__":{"toString":0}}"#,
    // Long enough for whole blocks, with the interruption at either side of a block's end.
    r#"{"departure_delay_minutes":12,"departure_delay_minutes_":-1,"departure_delay_minute":0}"#,
    r#"["0123456789abcde","0123456789abcdef","0123456789abcdefg","0123456789abcdef0123456789abcde\n"]"#,
];

const REFUSED: &[&[u8]] = &[
    b"",
    b" ",
    b"\x0c",
    b"\xef\xbb\xbf",
    b"\xef\xbb\xbf{}",
    b"\xfe\xff\x00{",
    b"{\x00}",
    b"nul",
    b"nulll",
    b"Null",
    b"TRUE",
    b"truefalse",
    b"tru\x00",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"undefined",
    b"+1",
    b"-",
    b"--1",
    b"01",
    b"-01",
    b"00",
    b"0x1",
    b"1.",
    b".5",
    b"-.5",
    b"1.e1",
    b"1e",
    b"1e+",
    b"1e1.5",
    b"1ee1",
    b"1+1",
    b"1_000",
    b"1,000",
    b"0-1",
    b"1 2",
    b"\xef\xbc\x91",
    b"1e400",
    b"-1e400",
    b"1e-400",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"0.30000000000000004441",
    b"9007199254740993.0",
    b"\"",
    b"\"a",
    b"'a'",
    b"\"\\\"",
    b"\"\\",
    b"\"\\a\"",
    b"\"\\'\"",
    b"\"\\0\"",
    b"\"\\U0041\"",
    b"\"\\u\"",
    b"\"\\u004\"",
    b"\"\\u004g\"",
    b"\"\\u 041\"",
    b"\"\\u+041\"",
    b"\"\n\"",
    b"\"\t\"",
    b"\"\x00\"",
    b"\"\x1f\"",
    b"\"a\"b",
    b"\"\\ud800\"",
    b"\"\\udc00\"",
    b"\"\\ud800\\ud800\"",
    b"\"\\ud800\\u0041\"",
    b"\"\\ud800x\"",
    b"\"\\ud800\\n\"",
    b"\"\\udc00\\ud800\"",
    b"\"\\ud800\\u",
    b"\"\\ud800\\u\"",
    b"\"\\ud800\\udc0\"",
    b"\"\x80\"",
    b"\"\xc3\"",
    b"\"\xc0\xaf\"",
    b"\"\xe0\x80\xaf\"",
    b"\"\xed\xa0\x80\"",
    b"\"\xf0\x80\x80\xaf\"",
    b"\"\xf4\x90\x80\x80\"",
    b"\"\xff\"",
    b"[",
    b"]",
    b"[]]",
    b"[}",
    b"[,]",
    b"[,1]",
    b"[1,]",
    b"[1,,2]",
    b"[1 2]",
    b"[1;2]",
    b"[1,2",
    b"(1)",
    b"[\"a\"",
    b"[1]x",
    b"[][]",
    b"{",
    b"}",
    b"{]",
    b"{,}",
    b"{\"a\"}",
    b"{\"a\":}",
    b"{\"a\":1,}",
    b"{,\"a\":1}",
    b"{\"a\":1,,\"b\":2}",
    b"{\"a\" 1}",
    b"{\"a\"::1}",
    b"{\"a\":1:2}",
    b"{a:1}",
    b"{'a':1}",
    b"{1:1}",
    b"{null:1}",
    b"{[]:1}",
    b"{\"a\":1 \"b\":2}",
    b"{\"a\":1",
    b"{\"a\":",
    b"{\"a",
    b"{\"a\":1}{",
    b"{}//",
    b"/**/{}",
    b"{}#",
    b"[1]/*",
    b"<a/>",
    b"{}\xe2\x80\xa8",
    b"\xc2\xa0{}",
    b"{\"a\":1,\"a\":1}",
    b"{\"a\":1,\"b\":2,\"a\":3}",
    b"{\"a\":1,\"\\u0061\":2}",
    b"{\"\\u0061\":1,\"\\u0061\":2}",
    b"{\"\":0,\"\":0}",
    b"{\"a\":{\"b\":0,\"b\":0}}",
    b"[{\"b\":0,\"a\":0},{\"b\":0,\"a\":0,\"b\":0}]",
    b"{\"\\/\":0,\"/\":0}",
    b"{\"\\ud83d\\ude00\":0,\"\xf0\x9f\x98\x80\":0}",
    b"{\"departure_delay_minutes\":0,\"departure_delay_minutes\":0}",
];

#[test]
fn what_is_json_is_accepted_and_what_is_not_is_refused() {
    for text in ACCEPTED {
        assert!(canonical(text.as_bytes(), Limits::default()).is_ok(), "{text}");
    }
    for bytes in REFUSED {
        assert!(canonical(bytes, Limits::default()).is_err(), "{}", bytes.escape_ascii());
    }
}

#[test]
fn damaged_at_any_place_they_get_the_verdict_of_the_reference() {
    for bytes in ACCEPTED.iter().map(|text| text.as_bytes()).chain(REFUSED.iter().copied()) {
        check(&mut Parser::new(Limits::default()), &[bytes]);
        for at in 0..bytes.len() {
            let without = [&bytes[..at], &bytes[at + 1..]].concat();
            let doubled = [&bytes[..=at], &bytes[at..]].concat();
            // The whole document comes first, so that its shapes are known when the damaged ones come.
            check(&mut Parser::new(Limits::default()), &[bytes, &bytes[..at], &without, &doubled, bytes]);
        }
    }
}

/// Blocks are read whole: what ends a string or a number must be found at every place in one, whatever
/// stands behind the document.
#[test]
fn tokens_end_where_they_end_at_every_alignment() {
    for len in 0..70 {
        let plain = "x".repeat(len);
        let texts = [
            format!("\"{plain}\""),
            format!("\"{plain}\\n\""),
            format!("\"{plain}é\""),
            format!("\"{plain}\u{1}\""),
            format!("\"{plain}"),
            format!("{{\"{plain}\":1,\"{plain}y\":\"{plain}\"}}"),
            format!("{{\"{plain}\":1,\"{plain}\":2}}"),
            format!("[{}]", "1".repeat(len)),
            format!("0.{}", "5".repeat(len)),
            format!("{}e0", "1".repeat(len)),
            "7".repeat(len),
        ];
        check(
            &mut Parser::new(Limits::default()),
            &texts.iter().map(|text| text.as_bytes()).collect::<Vec<_>>(),
        );
        for text in &texts {
            check(&mut Parser::new(Limits::default()), &[text.as_bytes()]);
        }
    }
}
