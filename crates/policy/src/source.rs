//! Files of a bundle: their bounds, which hold before anything is parsed, and their digest.

use sha2::{Digest, Sha256};

use crate::fault::Fault;

/// Files that a bundle, or a tenant's rules, may have.
pub const MAX_FILES: usize = 16;
/// Bytes that one file may have.
pub const MAX_BYTES: usize = 32 * 1024;
/// The interpreter's parser tries a bracket as a comprehension first and as a literal then, so each further level
/// doubles its work: 0.2 ms at 8, 80 ms at 16.
const MAX_BRACKETS: usize = 8;
const MAX_PARENTHESES: usize = 24;
/// Each may nest what precedes it a level deeper, and the tree of a module is taken from the interpreter in time that grows
/// with the square of its depth: 0.5 s at this.
const MAX_OPERATORS: usize = 800;

/// A module in text form; tests have names that end with `_test.rego`, as `opa test` has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Name of the file, for people.
    pub name: String,
    /// Rego v1.
    pub text: String,
}

impl Source {
    /// A module.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Whether it holds nothing but tests: such a file takes no part in decisions.
    pub(crate) fn is_test(&self) -> bool {
        self.name.ends_with("_test.rego")
    }

    /// What makes it unfit to be parsed.
    pub(crate) fn fault(&self) -> Option<Fault> {
        if self.text.len() > MAX_BYTES {
            return Some(Fault::new(
                &self.name,
                0,
                "POLICY_TOO_LARGE",
                format!("the file has {} bytes, and may have {MAX_BYTES}", self.text.len()),
                "say it in fewer rules",
            ));
        }
        let mut scan = Scan::new(&self.text);
        while scan.step() {
            if scan.brackets > MAX_BRACKETS || scan.parentheses > MAX_PARENTHESES {
                return Some(Fault::new(
                    &self.name,
                    scan.line,
                    "POLICY_TOO_DEEP",
                    format!(
                        "brackets are nested more than {MAX_BRACKETS} deep, or parentheses more than {MAX_PARENTHESES}"
                    ),
                    "give the inner parts names of their own",
                ));
            }
            if scan.operators > MAX_OPERATORS {
                return Some(Fault::new(
                    &self.name,
                    scan.line,
                    "POLICY_TOO_LARGE",
                    format!("the file has more than {MAX_OPERATORS} operators"),
                    "divide it into several files",
                ));
            }
        }
        None
    }
}

/// Goes through a text and counts what nests, outside of strings and comments.
struct Scan<'a> {
    rest: &'a [u8],
    line: u32,
    brackets: usize,
    parentheses: usize,
    operators: usize,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.as_bytes(), line: 1, brackets: 0, parentheses: 0, operators: 0 }
    }

    /// Takes one token; false at the end.
    fn step(&mut self) -> bool {
        let Some(&first) = self.rest.first() else { return false };
        let mut length = 1;
        match first {
            b'[' | b'{' => self.brackets += 1,
            b']' | b'}' => self.brackets = self.brackets.saturating_sub(1),
            b'(' => self.parentheses += 1,
            b')' => self.parentheses = self.parentheses.saturating_sub(1),
            b'+' | b'-' | b'*' | b'/' | b'%' | b'&' | b'|' | b'<' | b'>' | b'=' | b'!' => self.operators += 1,
            b'#' => length = self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len()),
            b'`' => {
                let end = self.rest[1..].iter().position(|byte| *byte == b'`');
                length = end.map_or(self.rest.len(), |end| end + 2);
            }
            b'"' => length = quoted(self.rest),
            _ if first.is_ascii_alphanumeric() || first == b'_' => {
                let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
                length = self.rest.iter().position(|byte| !is_part(byte)).unwrap_or(self.rest.len());
                self.operators += usize::from(matches!(&self.rest[..length], b"in" | b"not"));
            }
            _ => {}
        }
        let (token, rest) = self.rest.split_at(length);
        self.line += u32::try_from(token.iter().filter(|byte| **byte == b'\n').count()).unwrap_or(u32::MAX);
        self.rest = rest;
        true
    }
}

/// Length of the string that the text begins with. One that its line does not end is no string: what follows counts again.
fn quoted(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' | b'\n' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// SHA-256 over the files by name: of each, lengths and bytes of name and text.
pub(crate) fn digest(sources: &[Source]) -> [u8; 32] {
    let mut sorted: Vec<&Source> = sources.iter().collect();
    sorted.sort();
    let mut hash = Sha256::new();
    for source in sorted {
        for part in [&source.name, &source.text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Option<(u32, &'static str)> {
        Source::new("a.rego", text).fault().map(|fault| (fault.line, fault.rule))
    }

    #[test]
    fn what_nests_is_counted_outside_of_strings_and_comments() {
        let deep = "[".repeat(MAX_BRACKETS + 1);
        assert_eq!(fault(&format!("package a\nx := {deep}")), Some((2, "POLICY_TOO_DEEP")));
        let hidden = format!("package a # {deep}\nx := \"{deep}\\\"{deep}\"\ny := `{deep}\n{deep}`");
        assert_eq!(fault(&hidden), None);
        assert_eq!(fault(&format!("x := \"\n{deep}")), Some((2, "POLICY_TOO_DEEP")));
        assert_eq!(fault(&format!("x := `\n`{deep}")), Some((2, "POLICY_TOO_DEEP")));
        assert_eq!(fault(&"(".repeat(MAX_PARENTHESES + 1)), Some((1, "POLICY_TOO_DEEP")));
        assert_eq!(fault(&"[]{}()\n".repeat(100)), None);
        assert_eq!(fault(&"1 +\n".repeat(MAX_OPERATORS + 1)), Some((801, "POLICY_TOO_LARGE")));
        assert_eq!(fault(&"1 in\n".repeat(MAX_OPERATORS + 1)), Some((801, "POLICY_TOO_LARGE")));
        assert_eq!(fault("\"\\"), None);
        assert_eq!(fault("\"\\\n"), None);
    }

    #[test]
    fn the_digest_is_of_names_and_texts_and_not_of_their_order() {
        let (one, other) = (Source::new("a", "bc"), Source::new("d", "e"));
        assert_eq!(digest(&[one.clone(), other.clone()]), digest(&[other.clone(), one.clone()]));
        assert_ne!(digest(std::slice::from_ref(&one)), digest(&[Source::new("ab", "c")]));
        assert_ne!(digest(std::slice::from_ref(&one)), digest(&[one.clone(), other]));
    }
}
