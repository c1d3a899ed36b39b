//! Rules on numbers: ranges, and what is an integer.

use std::ops::RangeInclusive;

use intelgraph_json::Value;
use serde_json::{Map, Value as Tree};

/// Bounds beyond are left to the library: between them there is room above and below for what does not fit `i64`.
const GREATEST_BOUND: i64 = 1 << 53;

/// What is asked of a number. The bounds of ranges are integers, so a number keeps them when the integers next to it
/// do.
pub(super) struct NumberRules {
    only_integers: bool,
    floor: RangeInclusive<i64>,
    ceiling: RangeInclusive<i64>,
}

/// The integers next to a number, below and above; both are the number if it is an integer. The ends of `i64` stand
/// for all that is beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    floor: i64,
    ceiling: i64,
}

impl NumberRules {
    /// Takes `minimum`, `exclusiveMinimum`, `maximum` and `exclusiveMaximum` where they are integers.
    pub(super) fn take(keywords: &mut Map<String, Tree>, only_integers: bool) -> Option<Self> {
        let mut take = |keyword| {
            let bound = keywords.get(keyword)?.as_i64()?;
            let plain = (-GREATEST_BOUND..=GREATEST_BOUND).contains(&bound);
            plain.then(|| keywords.remove(keyword)).map(|_| bound)
        };
        let (least, above) = (take("minimum"), take("exclusiveMinimum"));
        let (most, below) = (take("maximum"), take("exclusiveMaximum"));
        let any = only_integers || [least, above, most, below].iter().any(Option::is_some);
        any.then(|| Self {
            only_integers,
            floor: least.unwrap_or(i64::MIN)..=below.map_or(i64::MAX, |bound| bound - 1),
            ceiling: above.map_or(i64::MIN, |bound| bound + 1)..=most.unwrap_or(i64::MAX),
        })
    }

    #[inline(always)]
    pub(super) fn accept(&self, number: &Value<'_>) -> bool {
        let bounds = bounds(number);
        (!self.only_integers || bounds.is_integer())
            && self.floor.contains(&bounds.floor)
            && self.ceiling.contains(&bounds.ceiling)
    }
}

impl Bounds {
    /// Whether the number is an integer mathematically, as `1.0` is (Validation §6.1.1).
    fn is_integer(self) -> bool {
        self.floor == self.ceiling
    }

    fn of(number: i64) -> Self {
        Self { floor: number, ceiling: number }
    }
}

/// The integers next to a number on the tape.
#[inline(always)]
fn bounds(number: &Value<'_>) -> Bounds {
    plain(number.raw()).unwrap_or_else(|| unusual(number))
}

/// Of up to 18 digits and a fraction, without exponent.
fn plain(token: &[u8]) -> Option<Bounds> {
    let (negative, digits) = match token {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let mut whole = 0i64;
    let mut length = 0;
    while let Some(digit @ b'0'..=b'9') = digits.get(length) {
        if length == 18 {
            return None;
        }
        whole = whole * 10 + i64::from(digit - b'0');
        length += 1;
    }
    let mut between = false;
    if let [_point, fraction @ ..] = &digits[length..] {
        for digit in fraction {
            between |= *digit != b'0';
            if !digit.is_ascii_digit() {
                return None;
            }
        }
        if digits[length] != b'.' {
            return None;
        }
    }
    let beyond = i64::from(between);
    Some(if negative {
        Bounds { floor: -whole - beyond, ceiling: -whole }
    } else {
        Bounds { floor: whole, ceiling: whole + beyond }
    })
}

#[cold]
fn unusual(value: &Value<'_>) -> Bounds {
    let Some(number) = value.number() else { return Bounds::of(0) };
    match number.as_i64() {
        Some(integer) => Bounds::of(integer),
        // What is written with a fraction or an exponent survives f64, and the conversion keeps to the ends of i64.
        None => Bounds { floor: number.as_f64().floor() as i64, ceiling: number.as_f64().ceil() as i64 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use intelgraph_json::{Limits, Parser, Tape};

    #[test]
    fn numbers_lie_between_integers() {
        for (text, floor, ceiling) in [
            ("0", 0, 0),
            ("-0", 0, 0),
            ("-0.0", 0, 0),
            ("12.00", 12, 12),
            ("12.5", 12, 13),
            ("-12.5", -13, -12),
            ("-0.001", -1, 0),
            ("1e2", 100, 100),
            ("12.5e-1", 1, 2),
            ("-125E-1", -13, -12),
            ("5e-324", 0, 1),
            ("999999999999999999", 999_999_999_999_999_999, 999_999_999_999_999_999),
            ("9223372036854775807", i64::MAX, i64::MAX),
            ("-9223372036854775808", i64::MIN, i64::MIN),
            ("18446744073709551615", i64::MAX, i64::MAX),
            ("1e300", i64::MAX, i64::MAX),
            ("-1e300", i64::MIN, i64::MIN),
            ("4503599627370495.5", 4_503_599_627_370_495, 4_503_599_627_370_496),
        ] {
            let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
            let root = parser.parse(&mut tape, text.as_bytes(), 0..text.len()).unwrap();
            let value = tape.value(text.as_bytes(), root);
            assert_eq!(bounds(&value), Bounds { floor, ceiling }, "{text}");
            assert!(plain(text.as_bytes()).is_none_or(|plain| plain == unusual(&value)), "{text}");
            assert_eq!(bounds(&value).is_integer(), value.number().unwrap().is_integer(), "{text}");
        }
    }
}
