//! Encoded diffs as JSON Merge Patch (RFC 7396), where that can say the same.
//!
//! A merge patch cannot set a member to `null`, cannot name an element of an array and cannot end a document.

use crate::encoded::{EncodedDiff, Kind, Operation, PathStep};
use crate::error::DiffError;
use crate::export::check_texts;
use crate::key_order::key_order;
use crate::spans::Spans;

/// The diff as a merge patch; `None` where a merge patch cannot express it.
///
/// # Errors
/// [`DiffError::Format`], [`DiffError::Malformed`].
pub fn to_merge_patch(diff: &[u8]) -> Result<Option<Vec<u8>>, DiffError> {
    let mut patch = Patch::Members(Vec::new());
    let mut spans = Spans::default();
    let diff = EncodedDiff::parse(diff)?;
    for operation in diff.operations() {
        let operation = operation?;
        check_texts(&operation, &mut spans)?;
        if value(&operation)?.and_then(|value| patch.set(&operation, value)).is_none() {
            return Ok(None);
        }
    }
    let mut out = Vec::new();
    patch.write(&mut out);
    Ok((diff.resulting_hash() != 0).then_some(out))
}

/// What the patch holds at the path of an operation.
fn value(operation: &Operation<'_>) -> Result<Option<Vec<u8>>, DiffError> {
    if operation.kind == Kind::Remove {
        return Ok(Some(b"null".to_vec()));
    }
    let new = Text::scan(operation.new)?;
    let mut out = Vec::new();
    let expressible = match operation.kind {
        Kind::Replace => new.merge_onto(&Text::scan(operation.old)?, 0, 0, &mut out),
        _ => new.set(0, &mut out),
    };
    Ok(expressible.map(|()| out))
}

/// A patch in the making: values at the ends of paths.
enum Patch<'a> {
    Members(Vec<(&'a [u8], Patch<'a>)>),
    Value(Vec<u8>),
}

impl<'a> Patch<'a> {
    /// Sets the value at the operation's path; `None` where the path leads through an array or a value.
    fn set(&mut self, operation: &Operation<'a>, value: Vec<u8>) -> Option<()> {
        let mut at = self;
        for step in operation.path.steps() {
            let (PathStep::Key(body), Self::Members(members)) = (step, at) else { return None };
            let place = members.iter().rposition(|(other, _)| *other == body);
            let place = place.unwrap_or_else(|| {
                members.push((body, Self::Members(Vec::new())));
                members.len() - 1
            });
            at = &mut members[place].1;
        }
        let is_free = matches!(at, Self::Members(members) if members.is_empty());
        is_free.then(|| *at = Self::Value(value))
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Value(value) => out.extend_from_slice(value),
            Self::Members(members) => {
                out.push(b'{');
                for (at, (body, patch)) in members.iter().enumerate() {
                    put_key(body, at == 0, out);
                    patch.write(out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Writes the separator and the key of a member.
fn put_key(body: &[u8], first: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if first { b"\"" } else { b",\"" });
    out.extend_from_slice(body);
    out.extend_from_slice(b"\":");
}

/// A canonical text and its spans.
struct Text<'t> {
    text: &'t [u8],
    spans: Spans,
}

impl<'t> Text<'t> {
    fn scan(text: &'t [u8]) -> Result<Self, DiffError> {
        let mut spans = Spans::default();
        spans.scan(text)?;
        Ok(Self { text, spans })
    }

    fn at(&self, index: u32) -> &'t [u8] {
        self.spans.text(self.text, index)
    }

    fn is_object(&self, index: u32) -> bool {
        self.at(index)[0] == b'{'
    }

    fn body(&self, key: u32) -> &'t [u8] {
        let quoted = self.at(key);
        &quoted[1..quoted.len() - 1]
    }

    /// Writes the value as a patch that sets it where no object is; `None` if that would drop a `null`.
    fn set(&self, index: u32, out: &mut Vec<u8>) -> Option<()> {
        self.is_free_of_null(index).then(|| out.extend_from_slice(self.at(index)))
    }

    /// Whether merging would keep the value whole: arrays are taken as they stand.
    fn is_free_of_null(&self, index: u32) -> bool {
        if !self.is_object(index) {
            return self.at(index) != b"null";
        }
        self.spans.children(self.text, index).all(|key| self.is_free_of_null(key + 1))
    }

    /// Writes the patch that turns the old value into this one.
    fn merge_onto(&self, old: &Text<'_>, old_index: u32, index: u32, out: &mut Vec<u8>) -> Option<()> {
        if !old.is_object(old_index) || !self.is_object(index) {
            return self.set(index, out);
        }
        let mut olds = old.spans.children(old.text, old_index).peekable();
        let mut first = true;
        out.push(b'{');
        for key in self.spans.children(self.text, index) {
            let body = self.body(key);
            while let Some(gone) = olds.next_if(|&other| key_order(old.body(other), body).is_lt()) {
                put_key(old.body(gone), std::mem::take(&mut first), out);
                out.extend_from_slice(b"null");
            }
            match olds.next_if(|&other| old.body(other) == body) {
                Some(other) if old.at(other + 1) == self.at(key + 1) => {}
                Some(other) => {
                    put_key(body, std::mem::take(&mut first), out);
                    self.merge_onto(old, other + 1, key + 1, out)?;
                }
                None => {
                    put_key(body, std::mem::take(&mut first), out);
                    self.set(key + 1, out)?;
                }
            }
        }
        for gone in olds {
            put_key(old.body(gone), std::mem::take(&mut first), out);
            out.extend_from_slice(b"null");
        }
        out.push(b'}');
        Some(())
    }
}
