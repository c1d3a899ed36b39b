//! The samples of RFC 8785, and where the form of records leaves it.

use intelgraph_json::{Limits, ParseErrorKind, canonical, jcs};

const SAMPLE: &[u8] = include_bytes!("vectors/rfc8785/sample.json");
const SORTING: &[u8] = include_bytes!("vectors/rfc8785/sorting.json");

#[test]
fn the_sample_object_has_the_bytes_of_the_rfc() {
    let hex = include_str!("vectors/rfc8785/sample.hex").split_whitespace();
    let expected: Vec<u8> =
        hex.map(|byte| u8::from_str_radix(byte, 16).expect("a hexadecimal byte")).collect();
    let form = jcs(SAMPLE, Limits::default()).expect("the sample is I-JSON");
    assert_eq!(form.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn keys_sort_as_in_the_rfc_in_both_forms() {
    for form in [jcs(SORTING, Limits::default()), canonical(SORTING, Limits::default())] {
        let form = String::from_utf8(form.expect("the sample is valid")).expect("UTF-8");
        // The values hold no quotes, so every fourth piece is one.
        let values: Vec<_> = form.split('"').skip(3).step_by(4).collect();
        assert_eq!(values, include_str!("vectors/rfc8785/sorting.txt").lines().collect::<Vec<_>>());
    }
}

#[test]
fn a_record_is_refused_where_the_rfc_would_round() {
    let error = canonical(SAMPLE, Limits::default()).expect_err("333333333.33333329 does not survive");
    assert_eq!(error.kind, ParseErrorKind::NumberPrecision);
    let exact = String::from_utf8_lossy(SAMPLE).replace("333333333.33333329", "333333333.3333333");
    assert_eq!(canonical(exact.as_bytes(), Limits::default()), jcs(SAMPLE, Limits::default()));
}

#[test]
fn numbers_have_the_text_of_the_rfc() {
    for (bits, text) in
        include_str!("vectors/rfc8785/numbers.txt").lines().filter_map(|line| line.split_once(' '))
    {
        let float = f64::from_bits(u64::from_str_radix(bits, 16).expect("hexadecimal bits"));
        let form = jcs(format!("{float:e}").as_bytes(), Limits::default());
        let integer = text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
        if integer && float.abs() > 9_007_199_254_740_992.0 {
            assert_eq!(
                form.map_err(|error| error.kind),
                Err(ParseErrorKind::NumberRange),
                "{text} is beyond I-JSON"
            );
        } else {
            assert_eq!(form.as_deref(), Ok(text.as_bytes()), "{bits}");
        }
    }
}
