//! JSON Pointer, RFC 6901.

use std::fmt;

/// A parsed JSON pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pointer(Vec<String>);

/// Why a text is no JSON pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// RFC 6901 §3: a pointer is empty, or begins with `/`.
    #[error("a JSON pointer is empty or begins with '/'")]
    NoSlash,
    /// RFC 6901 §3: `~` is followed by `0` or `1`.
    #[error("'~' at byte {offset} of a JSON pointer must be followed by 0 or 1; write '~0' for '~'")]
    Tilde {
        /// Byte offset of the `~` in the pointer.
        offset: usize,
    },
}

impl Pointer {
    /// Parses the string form (not the URI fragment form).
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let tokens = text.strip_prefix('/').ok_or(PointerError::NoSlash)?;
        for (offset, _) in text.match_indices('~') {
            if !matches!(text.as_bytes().get(offset + 1), Some(b'0' | b'1')) {
                return Err(PointerError::Tilde { offset });
            }
        }
        // RFC 6901 §4: first ~1, then ~0, so that "~01" becomes "~1".
        Ok(Self(tokens.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect()))
    }

    /// The unescaped reference tokens from the root on.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The array index that a reference token stands for (RFC 6901 §4).
    pub(crate) fn index(token: &str) -> Option<usize> {
        let digits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit());
        (digits && (token == "0" || !token.starts_with('0'))).then(|| token.parse().ok()).flatten()
    }
}

/// Adds reference tokens from the root on, unescaped.
impl<T: Into<String>> FromIterator<T> for Pointer {
    fn from_iter<I: IntoIterator<Item = T>>(tokens: I) -> Self {
        Self(tokens.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_shows_what_the_rfc_lists() {
        for text in
            ["", "/foo", "/foo/0", "/", "/a~1b", "/c%d", "/e^f", "/g|h", "/i\\j", "/k\"l", "/ ", "/m~0n"]
        {
            assert_eq!(Pointer::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Pointer::parse("/~01").unwrap().tokens().collect::<Vec<_>>(), ["~1"]);
        assert_eq!(["a/b", "~"].into_iter().collect::<Pointer>().to_string(), "/a~1b/~0");
    }

    #[test]
    fn names_what_is_wrong() {
        assert_eq!(Pointer::parse("foo"), Err(PointerError::NoSlash));
        assert_eq!(Pointer::parse("/a/~2"), Err(PointerError::Tilde { offset: 3 }));
        assert_eq!(Pointer::parse("/~"), Err(PointerError::Tilde { offset: 1 }));
    }

    #[test]
    fn only_plain_digits_index_an_array() {
        assert_eq!(Pointer::index("0"), Some(0));
        assert_eq!(Pointer::index("10"), Some(10));
        for token in ["", "-", "01", "+1", "1.0", "99999999999999999999999"] {
            assert_eq!(Pointer::index(token), None, "{token}");
        }
    }
}
