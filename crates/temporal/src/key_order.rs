//! The order of keys in canonical text, compared without unescaping wherever that gives the same answer.

use std::borrow::Cow;
use std::cmp::Ordering;

/// Compares two keys, each as canonical text writes it between its quotes, by the UTF-16 code units of the
/// unescaped text (RFC 8785 §3.2.3).
pub(crate) fn key_order(a: &[u8], b: &[u8]) -> Ordering {
    let mut escaped = false;
    let differs = a.iter().zip(b).position(|(x, y)| {
        escaped |= *x == b'\\' || *y == b'\\';
        x != y
    });
    match differs {
        None => a.len().cmp(&b.len()),
        // The bytes before are the same; without an escape among them the two that differ decide.
        Some(at) if !escaped => utf16_order(&a[at..], &b[at..]),
        Some(_) => utf16_order(unescape(a).as_bytes(), unescape(b).as_bytes()),
    }
}

/// UTF-8 sorts like UTF-16 except that the characters above U+FFFF (lead bytes F0 and up) come before
/// U+E000–U+FFFF (lead bytes EE and EF), because surrogates do.
fn utf16_order(a: &[u8], b: &[u8]) -> Ordering {
    match a.iter().zip(b).find(|(x, y)| x != y) {
        Some((&x, &y)) if x.min(y) >= 0xEE && (x >= 0xF0) != (y >= 0xF0) => y.cmp(&x),
        Some((x, y)) => x.cmp(y),
        None => a.len().cmp(&b.len()),
    }
}

/// The text of a key written between its quotes. What is no canonical key is taken as it stands: it then
/// merely sorts somewhere.
pub(crate) fn unescape(body: &[u8]) -> Cow<'_, str> {
    let plain = String::from_utf8_lossy(body);
    if !body.contains(&b'\\') {
        return plain;
    }
    serde_json::from_slice::<String>(&[b"\"", body, b"\""].concat()).map_or(plain, Cow::Owned)
}

/// A text as canonical JSON writes it between its quotes. serde_json escapes exactly what RFC 8785 §3.2.2.2
/// escapes; a property test holds the two together.
pub(crate) fn escape(text: &str) -> Vec<u8> {
    let quoted = serde_json::Value::from(text).to_string().into_bytes();
    quoted[1..quoted.len() - 1].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use intelgraph_json::{Limits, canonical};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn order_is_that_of_utf16_code_units(a in any::<String>(), b in any::<String>()) {
            prop_assert_eq!(key_order(&escape(&a), &escape(&b)), a.encode_utf16().cmp(b.encode_utf16()));
        }

        #[test]
        fn escapes_are_the_canonical_ones(text in any::<String>()) {
            let body = escape(&text);
            let quoted = [b"\"", &body[..], b"\""].concat();
            prop_assert_eq!(&canonical(&quoted, Limits::default()).unwrap(), &quoted);
            prop_assert_eq!(unescape(&body), text);
        }
    }

    #[test]
    fn an_escape_sorts_as_what_it_stands_for() {
        assert_eq!(key_order(br"\n", b"A"), Ordering::Less);
        assert_eq!(key_order(br#"\""#, b"#"), Ordering::Less);
        assert_eq!(key_order("😀".as_bytes(), "\u{FB33}".as_bytes()), Ordering::Less);
    }
}
