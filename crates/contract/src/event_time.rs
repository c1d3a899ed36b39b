//! Event times: from what a record says to microseconds since the Unix epoch.
//!
//! RFC 3339 §5.6 is read with its offset. Digits beyond microseconds are cut off, so that an instant never
//! moves into the future; the record keeps them. A leap second (§5.7, only at 23:59:60 UTC on the last day of
//! a month) is the last microsecond of its minute, because POSIX time has no place for it and order must not
//! turn. `Z`, lower-case `t` and `z` are accepted; a time without offset is not, because it names no instant.

use intelgraph_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::document::TimeFormat;

/// 0000-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z, the range of RFC 3339, in microseconds.
const RANGE: std::ops::RangeInclusive<i64> = -62_167_219_200_000_000..=253_402_300_799_999_999;

/// Reads a time that is there. `None` where it is not of that format, or outside the years 0000 to 9999.
pub(crate) fn read(value: Value<'_>, format: TimeFormat) -> Option<i64> {
    let units_per_second = match format {
        TimeFormat::Rfc3339 => return read_rfc3339(&value.as_str()?),
        TimeFormat::UnixSeconds => 1,
        TimeFormat::UnixMillis => 1_000,
        TimeFormat::UnixMicros => 1_000_000,
    };
    let micros = value.number()?.as_i64()?.checked_mul(1_000_000 / units_per_second)?;
    RANGE.contains(&micros).then_some(micros)
}

fn read_rfc3339(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let micros = time.unix_timestamp() * 1_000_000 + i64::from(time.microsecond());
    // An offset can carry the first and the last day beyond the range.
    RANGE.contains(&micros).then_some(micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use intelgraph_json::{Limits, Parser, Tape};
    use proptest::prelude::*;

    fn micros(source: &str, format: TimeFormat) -> Option<i64> {
        let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
        let root = parser.parse(&mut tape, source.as_bytes(), 0..source.len()).unwrap();
        read(tape.value(source.as_bytes(), root), format)
    }

    fn rfc3339(text: &str) -> Option<i64> {
        micros(&format!("\"{text}\""), TimeFormat::Rfc3339)
    }

    #[test]
    fn reads_the_examples_of_the_rfc() {
        // RFC 3339 §5.8.
        for (text, expected) in [
            ("1985-04-12T23:20:50.52Z", 482_196_050_520_000),
            ("1996-12-19T16:39:57-08:00", 851_042_397_000_000),
            ("1990-12-31T23:59:60Z", 662_687_999_999_999),
            ("1990-12-31T15:59:60-08:00", 662_687_999_999_999),
            ("1937-01-01T12:00:27.87+00:20", -1_041_337_172_130_000),
        ] {
            assert_eq!(rfc3339(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn cuts_off_what_is_below_microseconds() {
        assert_eq!(rfc3339("2013-01-01T10:00:00.1234567Z"), rfc3339("2013-01-01T10:00:00.123456Z"));
        assert_eq!(
            rfc3339("2013-01-01T10:00:00.123456999999999999Z"),
            rfc3339("2013-01-01T10:00:00.123456Z")
        );
        assert_eq!(rfc3339("1969-12-31T23:59:59.9999999Z"), Some(-1));
    }

    #[test]
    fn accepts_lower_case_and_escapes() {
        assert_eq!(rfc3339("2013-01-01t10:00:00z"), rfc3339("2013-01-01T10:00:00Z"));
        assert_eq!(rfc3339(r"2013-01-01\u005410:00:00Z"), rfc3339("2013-01-01T10:00:00Z"));
    }

    #[test]
    fn refuses_what_names_no_instant() {
        for text in [
            "",
            "2013-01-01",
            "2013-01-01T10:00:00",
            "2013-01-01 10:00",
            "2013-02-29T10:00:00Z",
            "2013-13-01T10:00:00Z",
            "2013-01-01T24:00:00Z",
            "2013-01-01T10:60:00Z",
            "2013-01-01T10:00:61Z",
            "2013-01-01T10:00:60Z",
            "1990-12-30T23:59:60Z",
            "2013-01-01T10:00:00.Z",
            "2013-01-01T10:00:00+24:00",
            "2013-01-01T10:00:00+0100",
            "2013-01-01T10:00:00Z ",
            "02013-01-01T10:00:00Z",
            "0000-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
        assert_eq!(micros("1357034400", TimeFormat::Rfc3339), None);
    }

    #[test]
    fn reads_whole_numbers_of_each_unit() {
        let instant = rfc3339("2013-01-01T10:00:00Z");
        assert_eq!(micros("1357034400", TimeFormat::UnixSeconds), instant);
        assert_eq!(micros("1357034400000", TimeFormat::UnixMillis), instant);
        assert_eq!(micros("1357034400000000", TimeFormat::UnixMicros), instant);
        assert_eq!(micros("1.3570344e9", TimeFormat::UnixSeconds), instant);
        assert_eq!(micros("-1", TimeFormat::UnixMicros), Some(-1));
        for source in
            ["1357034400.5", "\"1357034400\"", "253402300800", "9223372036854775807", "18446744073709551615"]
        {
            assert_eq!(micros(source, TimeFormat::UnixSeconds), None, "{source}");
        }
    }

    proptest! {
        /// Civil time by the days-from-civil algorithm, independent of the library.
        #[test]
        fn agrees_with_civil_arithmetic(
            year in 0i64..10_000, month in 1i64..=12, day in 1i64..=28, hour in 0i64..24, minute in 0i64..60,
            second in 0i64..60, micro in 0i64..1_000_000, offset in -1439i64..1440,
        ) {
            let shifted = if month <= 2 { year - 1 } else { year };
            let era = shifted.div_euclid(400);
            let year_of_era = shifted - era * 400;
            let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
            let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
            let expected = ((days * 24 + hour) * 60 + minute - offset) * 60 + second;
            let expected = expected * 1_000_000 + micro;
            let sign = if offset < 0 { '-' } else { '+' };
            let (offset_hour, offset_minute) = (offset.abs() / 60, offset.abs() % 60);
            let text = format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}{sign}{offset_hour:02}:{offset_minute:02}"
            );
            prop_assert_eq!(rfc3339(&text), RANGE.contains(&expected).then_some(expected));
        }
    }
}
