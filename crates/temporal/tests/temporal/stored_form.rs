//! The stored bytes: what is written today must be read for as long as there are logs.

use crate::documents::Parsed;
use intelgraph_temporal::{
    DIFF_FORMAT, DiffError, Differ, EncodedDiff, Head, KeyedArrays, MAX_WORK, apply, revert, to_json_patch,
    to_list, to_merge_patch,
};

const SEED: u64 = 0x1d;

fn head(text: &str) -> Head {
    Head::of_canonical(text.as_bytes()).unwrap()
}

fn diff(old: &str, new: &str) -> Vec<u8> {
    let (mut differ, mut out) = (Differ::default(), Vec::new());
    differ
        .diff(Some(&head(old)), Parsed::new(new).value(), &KeyedArrays::default(), SEED, &mut out)
        .expect("documents");
    out
}

/// A diff of these operations, whatever comes of it.
fn foreign(operations: &[u8]) -> Vec<u8> {
    [&[DIFF_FORMAT; 1][..], &[0; 16], operations].concat()
}

#[test]
fn the_bytes_of_a_diff() {
    let (old, new) = (r#"{"a":{"x":[7]},"b":true,"gone":null}"#, r#"{"a":{"x":[7,8]},"b":false,"new/":"é"}"#);
    let encoded = diff(old, new);
    assert_eq!(encoded[0], 1);
    assert_eq!(encoded[1..17], head(new).hash(SEED).to_be_bytes());
    let operations: &[&[u8]] = &[
        b"a\x03\x02a\x02x\x03\x018",
        b"r\x01\x02b\x04true\x05false",
        b"d\x01\x08gone\x04null",
        b"a\x01\x08new/\x04\"\xc3\xa9\"",
    ];
    assert_eq!(encoded[17..], operations.concat(), "{}", encoded[17..].escape_ascii());
}

#[test]
fn the_hash_is_xxh3_of_the_canonical_text() {
    // XXH3_128bits_withSeed of the xxHash 0.8.4 reference.
    assert_eq!(head(r#"{"a":1}"#).hash(29), 0x561f_66c4_4533_4abe_10d7_6273_ecb8_50c9);
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(1000));
    assert_eq!(head(&long).hash(29), 0x0e17_ad6a_89ff_b933_5e72_8244_7358_1d37);
}

#[test]
fn the_forms_of_an_export() {
    let encoded = diff(
        r#"{"a~b":{"c/d":1,"long enough to pay":true},"gone":[1],"same":0}"#,
        r#"{"a~b":{"c/d":2,"long enough to pay":true},"new\n":[null],"same":0}"#,
    );
    let (mut list, mut patch) = (Vec::new(), Vec::new());
    to_list(&encoded, &mut list).unwrap();
    assert_eq!(
        String::from_utf8(list).unwrap(),
        r#"[["r","/a~0b/c~1d",1,2],["d","/gone",[1]],["a","/new\n",[null]]]"#
    );
    to_json_patch(&encoded, &mut patch).unwrap();
    let expected = [
        r#"{"op":"test","path":"/a~0b/c~1d","value":1}"#,
        r#"{"op":"replace","path":"/a~0b/c~1d","value":2}"#,
        r#"{"op":"test","path":"/gone","value":[1]}"#,
        r#"{"op":"remove","path":"/gone"}"#,
        r#"{"op":"add","path":"/new\n","value":[null]}"#,
    ];
    assert_eq!(String::from_utf8(patch).unwrap(), format!("[{}]", expected.join(",")));
    assert_eq!(
        to_merge_patch(&encoded).unwrap().unwrap(),
        br#"{"a~b":{"c/d":2},"gone":null,"new\n":[null]}"#
    );
}

#[test]
fn a_merge_patch_cannot_say_everything() {
    let merge = |old, new| to_merge_patch(&diff(old, new)).unwrap();
    assert_eq!(merge(r#"{"a":1}"#, r#"{"a":null}"#), None);
    assert_eq!(merge(r#"{"a":1}"#, r#"{"a":{"b":{"c":null}}}"#), None);
    assert_eq!(merge(r#"{"a":["alpha","bravo"]}"#, r#"{"a":["alpha"]}"#), None);
    // Objects that were replaced as a whole are merged all the same.
    assert_eq!(
        merge(r#"{"a":{"b":1,"c":2}}"#, r#"{"a":{"d":3}}"#).unwrap(),
        br#"{"a":{"b":null,"c":null,"d":3}}"#
    );
    let (mut deletion, mut differ) = (Vec::new(), Differ::default());
    differ.deletion(&head("{}"), &mut deletion);
    assert_eq!(to_merge_patch(&deletion).unwrap(), None);
}

#[test]
fn damage_is_named_by_its_place() {
    let refused =
        |operations: &[u8]| apply(Some(&head(r#"{"a":[1]}"#)), &foreign(operations), SEED).unwrap_err();
    let malformed = |at| DiffError::Malformed { at };
    assert_eq!(refused(b"x"), malformed(17));
    assert_eq!(refused(b"r"), malformed(18));
    assert_eq!(refused(b"r\x01\x02a\x05[1]"), malformed(22));
    assert_eq!(refused(b"a\x41"), malformed(18), "a path of 65 steps");
    assert_eq!(refused(b"a\x01\xff\xff\xff\xff\xff"), malformed(24), "a varint of more than 32 bits");
    assert_eq!(refused(b"a\x01\x02\"\x011"), malformed(19), "a key that would end early");
    assert_eq!(refused(b"a\x01\x02b\x02[1"), malformed(2), "a value that is no JSON");
    assert_eq!(apply(None, b"\x02", SEED).unwrap_err(), DiffError::Format(2));
    assert_eq!(apply(None, b"\x01", SEED).unwrap_err(), malformed(1));
    assert_eq!(EncodedDiff::parse(b"").err(), Some(malformed(0)));
}

#[test]
fn operations_need_their_place_and_their_old_value() {
    let refused =
        |operations: &[u8]| apply(Some(&head(r#"{"a":[1],"b":2}"#)), &foreign(operations), SEED).unwrap_err();
    let no_place = DiffError::NoSuchPlace { operation: 0 };
    for operations in [
        &b"r\x01\x02x\x011\x012"[..], // no such member
        b"a\x01\x02a\x011",           // a member that is there
        b"d\x02\x02a\x03\x011",       // no such element
        b"a\x02\x02a\x05\x011",       // beyond the end
        b"a\x02\x02b\x02c\x011",      // into a number
        b"a\x02\x02a\x02c\x011",      // a key into an array
        b"a\x01\x01\x011",            // an index into an object
        b"a\x00\x02{}",               // a document onto a document
    ] {
        assert_eq!(refused(operations), no_place, "{}", operations.escape_ascii());
    }
    let differs = DiffError::OldValueDiffers { operation: 0 };
    for operations in [
        &b"r\x01\x02b\x013\x012"[..],
        b"d\x01\x02b\x011",
        b"d\x01\x02a\x05[1,2]",
        b"d\x01\x02a\x02[1",
        b"d\x00\x02{}",
    ] {
        assert_eq!(refused(operations), differs, "{}", operations.escape_ascii());
    }
    assert_eq!(refused(b"r\x00\x0f{\"a\":[1],\"b\":2}\x03[1]"), DiffError::NotADocument);
    assert_eq!(refused(b"r\x01\x02b\x012\x013"), DiffError::HashDiffers);
    assert_eq!(refused(b""), DiffError::HashDiffers);
    assert_eq!(revert(None, &foreign(b"d\x00\x02[]"), SEED), Err(DiffError::NotADocument));
}

#[test]
fn a_diff_that_moves_too_much_is_refused() {
    // Inserting at the front of a growing array: quadratic, and within no diff that the differ writes.
    let array = vec!["1"; 200_000].join(",");
    let insertions = MAX_WORK as usize / 200_000 + 1;
    let operations = b"a\x02\x02a\x01\x011".repeat(insertions);
    let head = head(&format!(r#"{{"a":[{array}]}}"#));
    assert_eq!(apply(Some(&head), &foreign(&operations), SEED), Err(DiffError::TooMuchWork));
}

#[test]
fn errors_hold_no_values() {
    let secret = head(r#"{"a":"secret"}"#);
    let error = apply(Some(&secret), &foreign(b"d\x01\x02a\x07\"other\""), SEED).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret") && !format!("{error:?}").contains("other"));
}
