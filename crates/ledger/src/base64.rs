//! Base64 (RFC 4648 §4) in its one spelling.

use data_encoding::BASE64;

pub(crate) fn encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// The bytes; none for text that is not what [`encode`] gives: the decoder takes padding within the text, where one
/// encoded text ends and another begins.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = BASE64.decode(text.as_bytes()).ok()?;
    (BASE64.encode(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_one_spelling() {
        for (text, bytes) in [("", &b""[..]), ("YQ==", b"a"), ("YWI=", b"ab"), ("YWJj", b"abc")] {
            assert_eq!((encode(bytes).as_str(), decode(text).as_deref()), (text, Some(bytes)));
        }
        for text in
            ["YQ", "YQ=", "YR==", "YQ==YWJj", "YWI=YQ==", "=", "====", "YW Jj", "YWJj\n", "YWJ_", "YWJ-"]
        {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
