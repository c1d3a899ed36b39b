//! String tokens: escapes in, canonical escapes out.

use std::borrow::Cow;

use crate::error::ParseErrorKind;
use crate::tape::{ESCAPED, REWRITTEN};

/// The bytes between the quotes.
pub(crate) fn body(token: &[u8]) -> &[u8] {
    &token[1..token.len() - 1]
}

/// The text of a string body that the parser has accepted.
pub(crate) fn text(body: &[u8], escaped: bool) -> Cow<'_, str> {
    if escaped { Cow::Owned(unescape(body)) } else { utf8(body) }
}

/// Bytes that the parser has found to be UTF-8. They are checked again, since nothing but the caller's word ties
/// the tape to its source; a caller who breaks it sees replacement characters.
fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    // Far faster than the lossy conversion, which goes byte by byte.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Checks the escape whose backslash is at `at`. Gives the position behind it and the flags that it sets.
pub(crate) fn check_escape(doc: &[u8], at: usize) -> Result<(usize, u32), ParseErrorKind> {
    match doc.get(at + 1) {
        Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') => Ok((at + 2, ESCAPED)),
        Some(b'/') => Ok((at + 2, ESCAPED | REWRITTEN)),
        Some(b'u') => {
            let (unit, behind) = (code_unit(doc, at)?, at + 6);
            match unit {
                0xD800..0xDC00 => match (doc.get(behind), doc.get(behind + 1)) {
                    (Some(b'\\'), Some(b'u')) if (0xDC00..0xE000).contains(&code_unit(doc, behind)?) => {
                        Ok((behind + 6, ESCAPED | REWRITTEN))
                    }
                    _ => Err(ParseErrorKind::InvalidEscape),
                },
                0xDC00..0xE000 => Err(ParseErrorKind::InvalidEscape),
                _ if is_canonical_unit(unit, &doc[at + 2..behind]) => Ok((behind, ESCAPED)),
                _ => Ok((behind, ESCAPED | REWRITTEN)),
            }
        }
        Some(_) => Err(ParseErrorKind::InvalidEscape),
        None => Err(ParseErrorKind::Syntax),
    }
}

/// RFC 8785 §3.2.2.2 writes only control characters without a short escape as `\u`, in lower case.
fn is_canonical_unit(unit: u16, digits: &[u8]) -> bool {
    unit < 0x20 && !matches!(unit, 8 | 9 | 10 | 12 | 13) && !digits.iter().any(u8::is_ascii_uppercase)
}

/// The code unit of the `\uXXXX` at `at`.
fn code_unit(doc: &[u8], at: usize) -> Result<u16, ParseErrorKind> {
    let digits = doc.get(at + 2..at + 6).ok_or(ParseErrorKind::InvalidEscape)?;
    digits.iter().try_fold(0u16, |unit, &digit| {
        let digit = char::from(digit).to_digit(16).ok_or(ParseErrorKind::InvalidEscape)?;
        Ok(unit << 4 | digit as u16)
    })
}

/// Replaces the escapes of a string body that the parser has accepted.
pub(crate) fn unescape(body: &[u8]) -> String {
    let mut text = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        text.push_str(&utf8(&rest[..at]));
        let escape = &rest[at..];
        let (character, len) = match escape.get(1) {
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'u') => scalar_value(escape),
            Some(&other) => (char::from(other), 2),
            None => (char::REPLACEMENT_CHARACTER, 1),
        };
        text.push(character);
        rest = escape.get(len..).unwrap_or_default();
    }
    text.push_str(&utf8(rest));
    text
}

/// The character of the `\uXXXX` or `\uXXXX\uXXXX` that `escape` begins with, and its length.
fn scalar_value(escape: &[u8]) -> (char, usize) {
    let high = code_unit(escape, 0).unwrap_or(0xFFFD);
    if !(0xD800..0xDC00).contains(&high) {
        return (char::from_u32(u32::from(high)).unwrap_or(char::REPLACEMENT_CHARACTER), 6);
    }
    let low = code_unit(escape, 6).unwrap_or(0xFFFD);
    let pair = char::decode_utf16([high, low]).next().and_then(Result::ok);
    (pair.unwrap_or(char::REPLACEMENT_CHARACTER), 12)
}

/// Writes a text in quotes with the escapes of RFC 8785 §3.2.2.2.
pub(crate) fn write(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut plain = 0;
    for (at, &byte) in text.as_bytes().iter().enumerate() {
        let short = match byte {
            b'"' | b'\\' => byte,
            8 => b'b',
            9 => b't',
            10 => b'n',
            12 => b'f',
            13 => b'r',
            0..0x20 => b'u',
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[plain..at]);
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            out.extend_from_slice(&[
                b'0',
                b'0',
                b'0' + (byte >> 4),
                b"0123456789abcdef"[usize::from(byte & 15)],
            ]);
        }
        plain = at + 1;
    }
    out.extend_from_slice(&text.as_bytes()[plain..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_the_escapes_of_the_rfc() {
        let mut out = Vec::new();
        write("\u{20ac}$\u{F}\nA'B\"\\\\\"/\u{7f}\u{1f}\u{8}\t\u{c}\r", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\\u001f\\b\\t\\f\\r\""
        );
    }

    #[test]
    fn knows_the_canonical_escapes() {
        for (escape, rewritten) in [
            (r"\n", false),
            (r"\/", true),
            (r"\u001f", false),
            (r"\u001F", true),
            (r"\u0009", true),
            (r"\u0041", true),
        ] {
            let (behind, flags) = check_escape(escape.as_bytes(), 0).unwrap();
            assert_eq!((behind, flags & REWRITTEN != 0), (escape.len(), rewritten), "{escape}");
        }
    }

    #[test]
    fn refuses_what_is_no_scalar_value() {
        for escape in [
            r"\ud800",
            r"\udc00",
            r"\ud800\ud800",
            r"\ud800x",
            r"\ud800\n",
            r"\u12",
            r"\u+123",
            r"\x41",
            r"\U0041",
        ] {
            assert_eq!(check_escape(escape.as_bytes(), 0), Err(ParseErrorKind::InvalidEscape), "{escape}");
        }
    }

    proptest! {
        #[test]
        fn unescape_undoes_write(text in any::<String>()) {
            let mut out = Vec::new();
            write(&text, &mut out);
            prop_assert_eq!(unescape(body(&out)), text);
        }
    }
}
