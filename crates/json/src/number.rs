//! Number tokens: which are accepted, what they denote, and how they are written canonically.
//!
//! Integers are exact: a token without fraction and exponent must fit `i64` or `u64`. Everything else is an
//! `f64`, and must survive that: the canonical text denotes the very decimal of the token.

use crate::error::ParseErrorKind;
use crate::scan;
use crate::tape::{INTEGER, REWRITTEN};

/// Which numbers are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberRule {
    /// Records: integers of 64 bits, decimals that survive `f64`.
    Record,
    /// RFC 8785 on I-JSON: everything is an `f64`; what would be written as an integer is within ±2^53.
    IJson,
}

/// Decimals of up to so many digits survive `f64` (C's `DBL_DIG`).
const F64_DIGITS: usize = 15;
/// Integers of up to so many digits fit `i64`.
const I64_DIGITS: usize = 18;
/// 2^53: up to here `f64` holds every integer.
const F64_INTEGERS: u64 = 1 << 53;

/// The common case of [`scan()`], for which no rule needs a closer look: few digits, no exponent. `bytes` may
/// go on behind the document.
#[inline(always)]
pub(crate) fn scan_plain(bytes: &[u8], at: usize) -> Option<(usize, u32)> {
    let whole = at + usize::from(bytes.get(at) == Some(&b'-'));
    let (wholes, fractions) = scan::digit_runs(bytes.get(whole..)?)?;
    let point = whole + wholes;
    let zero = bytes[whole] == b'0';
    let (end, flags) = if bytes[point] == b'.' {
        let end = point + 1 + fractions;
        if fractions == 0
            || (bytes[whole] == b'0' && (wholes > 1 || bytes[point..end].starts_with(b".000000")))
        {
            return None;
        }
        (end, if bytes[end - 1] == b'0' { REWRITTEN } else { 0 })
    } else {
        if zero && (wholes > 1 || whole > at) {
            return None;
        }
        (point, INTEGER)
    };
    (wholes > 0 && bytes.get(end)? | 0x20 != b'e').then_some((end, flags))
}

/// Checks the number that begins at `at`. Gives the position behind it and its flags.
pub(crate) fn scan(doc: &[u8], at: usize, rule: NumberRule) -> Result<(usize, u32), (ParseErrorKind, usize)> {
    let negative = doc[at] == b'-';
    let whole = at + usize::from(negative);
    let mut end = whole + digits(doc, whole);
    let leading_zero = doc.get(whole) == Some(&b'0');
    if end == whole || (leading_zero && end > whole + 1) {
        return Err((ParseErrorKind::Syntax, end.min(whole + 1)));
    }
    let mut count = end - whole;
    let mut flags = 0;
    let mut plain = true;
    if doc.get(end) == Some(&b'.') {
        let fraction = end + 1;
        let len = digits(doc, fraction);
        end = fraction + len;
        if len == 0 {
            return Err((ParseErrorKind::Syntax, end));
        }
        count += len;
        // ECMAScript Number::toString turns to exponents below 1e-6, that is at six leading zeros.
        let tiny = leading_zero && doc[fraction..end].starts_with(b"000000");
        if tiny || doc[end - 1] == b'0' {
            flags = REWRITTEN;
        }
    } else {
        flags = if leading_zero && negative { INTEGER | REWRITTEN } else { INTEGER };
    }
    if matches!(doc.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(doc.get(end + 1), Some(b'+' | b'-')));
        let exponent = end + 1 + sign;
        end = exponent + digits(doc, exponent);
        if end == exponent {
            return Err((ParseErrorKind::Syntax, end));
        }
        plain = false;
        flags = 0;
    }
    let survives = match rule {
        NumberRule::Record if flags & INTEGER != 0 => I64_DIGITS,
        _ => F64_DIGITS,
    };
    if plain && count <= survives {
        return Ok((end, flags));
    }
    let rewritten = check(&doc[at..end], flags & INTEGER != 0, rule).map_err(|kind| (kind, at))?;
    Ok((end, flags & INTEGER | if rewritten { REWRITTEN } else { 0 }))
}

fn digits(doc: &[u8], at: usize) -> usize {
    doc.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Checks a token that is too long, or too unusual, to be safe by its looks. Gives whether its canonical
/// form differs.
#[cold]
fn check(token: &[u8], integer: bool, rule: NumberRule) -> Result<bool, ParseErrorKind> {
    let number = Number::new(token, integer);
    match rule {
        NumberRule::Record if integer => {
            let fits = number.as_i64().is_some() || number.as_u64().is_some();
            return if fits { Ok(token == b"-0") } else { Err(ParseErrorKind::NumberRange) };
        }
        NumberRule::IJson if integer => {
            let fits =
                number.text().trim_start_matches('-').parse().is_ok_and(|size: u64| size <= F64_INTEGERS);
            return if fits { Ok(token == b"-0") } else { Err(ParseErrorKind::NumberRange) };
        }
        _ => {}
    }
    let float = number.as_f64();
    if !float.is_finite() {
        return Err(ParseErrorKind::NumberRange);
    }
    let mut text = Vec::with_capacity(32);
    write_float(float, rule, &mut text);
    let as_integer = text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
    match rule {
        NumberRule::Record if Decimal::of(&text) != Decimal::of(token) => {
            Err(ParseErrorKind::NumberPrecision)
        }
        NumberRule::IJson if as_integer && float.abs() > F64_INTEGERS as f64 => {
            Err(ParseErrorKind::NumberRange)
        }
        _ => Ok(text != token),
    }
}

/// A number of a document, exactly as written.
#[derive(Clone, Copy)]
pub struct Number<'a> {
    token: &'a [u8],
    integer: bool,
}

impl<'a> Number<'a> {
    pub(crate) fn new(token: &'a [u8], integer: bool) -> Self {
        Self { token, integer }
    }

    /// The token as written.
    pub fn text(self) -> &'a str {
        std::str::from_utf8(self.token).unwrap_or_default()
    }

    /// Whether the value is mathematically an integer: `1`, `1.0` and `1e2` are.
    pub fn is_integer(self) -> bool {
        self.integer || Decimal::of(self.token).exponent >= 0
    }

    /// Whether the token is written without fraction and exponent.
    pub fn is_written_as_integer(self) -> bool {
        self.integer
    }

    /// The exact value, where it is an integer of that range, however it is written.
    pub fn as_i64(self) -> Option<i64> {
        if self.integer {
            self.text().parse().ok()
        } else {
            i64::try_from(Decimal::of(self.token).integer()?).ok()
        }
    }

    /// The exact value, where it is an integer of that range, however it is written. `-0` is 0.
    pub fn as_u64(self) -> Option<u64> {
        if self.integer && self.token != b"-0" {
            return self.text().parse().ok();
        }
        u64::try_from(Decimal::of(self.token).integer()?).ok()
    }

    /// The nearest `f64`. What is not written as an integer survives it; integers do up to 2^53.
    pub fn as_f64(self) -> f64 {
        self.text().parse().unwrap_or(f64::NAN)
    }

    pub(crate) fn to_serde(self) -> serde_json::Value {
        match (self.as_i64(), self.as_u64()) {
            (Some(integer), _) => integer.into(),
            (None, Some(integer)) => integer.into(),
            (None, None) => self.as_f64().into(),
        }
    }

    /// Appends the canonical text.
    pub(crate) fn write(self, rule: NumberRule, out: &mut Vec<u8>) {
        match self.token {
            b"-0" => out.push(b'0'),
            token if self.integer => out.extend_from_slice(token),
            _ => write_float(self.as_f64(), rule, out),
        }
    }
}

/// RFC 8785 §3.2.2.3: ECMAScript's Number::toString, where integers from 1e21 on turn to exponents. In
/// records they do so beyond 64 bits already, because an integer token of that size is refused.
fn write_float(float: f64, rule: NumberRule, out: &mut Vec<u8>) {
    let mut buffer = ryu_js::Buffer::new();
    let text = buffer.format_finite(float);
    let integer = || text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let fits = || text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok();
    if rule == NumberRule::IJson || text.len() < 20 || !integer() || fits() {
        return out.extend_from_slice(text.as_bytes());
    }
    let (sign, digits) = text.split_at(usize::from(float < 0.0));
    let significant = digits.trim_end_matches('0');
    let (first, rest) = significant.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    out.extend_from_slice([sign, first, point, rest, "e+"].concat().as_bytes());
    out.extend_from_slice((digits.len() - 1).to_string().as_bytes());
}

/// The value of a token as ±digits × 10^exponent, without zeros at either end of the digits; zero has none.
struct Decimal<'a> {
    negative: bool,
    /// May hold a decimal point.
    digits: &'a [u8],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn of(token: &'a [u8]) -> Self {
        let negative = token.first() == Some(&b'-');
        let token = &token[usize::from(negative)..];
        let split = token.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(token.len());
        let (mut digits, power) = token.split_at(split);
        let mut exponent = power.get(1..).map_or(0, saturating_power);
        if let Some(point) = digits.iter().position(|&byte| byte == b'.') {
            exponent = exponent.saturating_sub((digits.len() - point - 1) as i64);
        }
        while let [rest @ .., last @ (b'0' | b'.')] = digits {
            exponent = exponent.saturating_add(i64::from(*last == b'0'));
            digits = rest;
        }
        while let [b'0' | b'.', rest @ ..] = digits {
            digits = rest;
        }
        if digits.is_empty() {
            return Self { negative: false, digits, exponent: 0 };
        }
        Self { negative, digits, exponent }
    }

    fn figures(&self) -> impl Iterator<Item = u8> {
        self.digits.iter().filter(|byte| byte.is_ascii_digit()).map(|digit| digit - b'0')
    }

    /// The value, where it is an integer that fits.
    fn integer(&self) -> Option<i128> {
        let power = 10i128.checked_pow(u32::try_from(self.exponent).ok()?)?;
        let size = self
            .figures()
            .try_fold(0i128, |size, digit| size.checked_mul(10)?.checked_add(i128::from(digit)))?;
        size.checked_mul(if self.negative { -power } else { power })
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.negative == other.negative
            && self.exponent == other.exponent
            && self.figures().eq(other.figures())
    }
}

/// The power behind an `e`; its sign is kept where its size does not fit.
fn saturating_power(text: &[u8]) -> i64 {
    let size = text
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .fold(0i64, |power, digit| power.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if text.first() == Some(&b'-') { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(token: &str, rule: NumberRule) -> Result<String, &'static str> {
        let (end, flags) = scan(token.as_bytes(), 0, rule).map_err(|(kind, _)| kind.reason())?;
        assert_eq!(end, token.len(), "{token}");
        let mut out = Vec::new();
        Number::new(token.as_bytes(), flags & INTEGER != 0).write(rule, &mut out);
        assert_eq!(out == token.as_bytes(), flags & REWRITTEN == 0, "{token}");
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn records_keep_integers_of_64_bits() {
        for token in [
            "0",
            "-1",
            "9223372036854775807",
            "-9223372036854775808",
            "18446744073709551615",
            "9007199254740993",
        ] {
            assert_eq!(verdict(token, NumberRule::Record).as_deref(), Ok(token));
        }
        for token in
            ["18446744073709551616", "-9223372036854775809", "100000000000000000000", "1e400", "-1e400"]
        {
            assert_eq!(verdict(token, NumberRule::Record), Err("NUMBER_RANGE"), "{token}");
        }
    }

    #[test]
    fn records_keep_decimals_that_survive() {
        for (token, text) in [
            ("-0", "0"),
            ("-0.0", "0"),
            ("0e999999999999999999999", "0"),
            ("1.0", "1"),
            ("1e2", "100"),
            ("1E+2", "100"),
            ("120e-1", "12"),
            ("0.1", "0.1"),
            ("0.10", "0.1"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("5e-324", "5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("1e18", "1000000000000000000"),
            ("1e19", "10000000000000000000"),
            ("-1e19", "-1e+19"),
            ("1.2345678901234567e19", "12345678901234567000"),
            ("1e20", "1e+20"),
            ("-1.5e20", "-1.5e+20"),
            ("1e21", "1e+21"),
        ] {
            assert_eq!(verdict(token, NumberRule::Record).as_deref(), Ok(text), "{token}");
            assert_eq!(verdict(text, NumberRule::Record).as_deref(), Ok(text), "{text} again");
        }
        for token in
            ["0.300000000000000041", "9007199254740993.0", "1e-400", "3.14159265358979323846", "4.9e-324"]
        {
            assert_eq!(verdict(token, NumberRule::Record), Err("NUMBER_PRECISION"), "{token}");
        }
    }

    #[test]
    fn i_json_rounds_and_refuses_large_integers() {
        for (token, text) in [
            ("9007199254740992", "9007199254740992"),
            ("-9007199254740992", "-9007199254740992"),
            ("333333333.33333329", "333333333.3333333"),
            ("1E30", "1e+30"),
            ("1e-400", "0"),
        ] {
            assert_eq!(verdict(token, NumberRule::IJson).as_deref(), Ok(text));
        }
        for token in ["9007199254740993", "-9007199254740993", "1e16", "1e20", "1e309"] {
            assert_eq!(verdict(token, NumberRule::IJson), Err("NUMBER_RANGE"), "{token}");
        }
    }

    #[test]
    fn floats_have_the_text_of_rfc_8785_appendix_b() {
        let table = include_str!("../tests/vectors/rfc8785/numbers.txt");
        for (bits, expected) in table.lines().filter_map(|line| line.split_once(' ')) {
            let float = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
            let mut text = Vec::new();
            write_float(float, NumberRule::IJson, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), expected);
            let mut record = Vec::new();
            write_float(float, NumberRule::Record, &mut record);
            assert!(Decimal::of(&record) == Decimal::of(expected.as_bytes()), "{expected}");
        }
    }

    #[test]
    fn refuses_what_rfc_8259_does() {
        for token in ["-", "01", "-01", "1.", "1.e1", "1e", "1e+", "-.5", "00"] {
            assert_eq!(verdict(token, NumberRule::Record), Err("JSON_SYNTAX"), "{token}");
        }
    }

    #[test]
    fn reads_integers_however_written() {
        let number = |token: &'static str| Number::new(token.as_bytes(), !token.contains(['.', 'e']));
        assert_eq!(number("1e2").as_i64(), Some(100));
        assert_eq!(number("-1.50e1").as_i64(), Some(-15));
        assert_eq!(number("1.2345678901234567e19").as_u64(), Some(12_345_678_901_234_567_000));
        assert_eq!(number("-0").as_u64(), Some(0));
        assert_eq!(number("0.0").as_i64(), Some(0));
        assert_eq!((number("1.5").as_i64(), number("1e99999999999").as_u64()), (None, None));
        assert_eq!(number("18446744073709551615").as_u64(), Some(u64::MAX));
        assert!(
            number("10.00").is_integer()
                && number("15e-1").as_i64().is_none()
                && !number("15e-1").is_integer()
        );
        assert_eq!(number("0.25").as_f64(), 0.25);
    }
}
