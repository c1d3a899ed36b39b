//! JSON Patch (RFC 6902) from outside, applied to a document.
//!
//! The semantics are those of the `json-patch` crate, which runs one operation at a time here, because what a
//! patch may grow a document to has to be known before it is grown: thirty `copy` operations make gigabytes.

use intelgraph_json::{Limits, ParseError, Parser, Tape, canonical};
use json_patch::{PatchErrorKind, PatchOperation, jsonptr::Pointer};
use serde_json::Value;

/// Why a patch was not applied. No variant holds a value of the document or the patch.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// The document is not one.
    #[error("document: {0}")]
    Document(ParseError),
    /// The patch is not JSON.
    #[error("patch: {0}")]
    Syntax(ParseError),
    /// The patch is JSON but not an array of RFC 6902 operations.
    #[error("operation {operation} is no operation of RFC 6902; see its §4 for the members that each needs")]
    Operation {
        /// Ordinal of the operation within the patch, from 0; 0 also where the patch is no array.
        operation: usize,
    },
    /// A pointer leads to nothing, or past the end of an array.
    #[error("operation {operation} points to nothing in the document")]
    NoSuchPlace {
        /// Ordinal of the operation within the patch, from 0.
        operation: usize,
    },
    /// A `test` failed: the document is another version than the patch was made for.
    #[error("test operation {operation} failed; make the patch from the present version")]
    TestFailed {
        /// Ordinal of the operation within the patch, from 0.
        operation: usize,
    },
    /// A value would be moved into itself.
    #[error("operation {operation} moves a value into itself")]
    MoveIntoItself {
        /// Ordinal of the operation within the patch, from 0.
        operation: usize,
    },
    /// The document would become larger or deeper than the limits allow.
    #[error("operation {operation} makes the document larger or deeper than the limits allow")]
    TooLarge {
        /// Ordinal of the operation within the patch, from 0.
        operation: usize,
    },
}

/// Applies an RFC 6902 patch; gives the document that results in canonical form. Both inputs may be foreign.
///
/// # Errors
/// Every [`PatchError`]; a patch applies as a whole or not at all (RFC 5789 §2).
pub fn apply_json_patch(document: &[u8], patch: &[u8], limits: Limits) -> Result<Vec<u8>, PatchError> {
    let mut document = parse(document, limits).map_err(PatchError::Document)?;
    let Value::Array(operations) = parse(patch, limits).map_err(PatchError::Syntax)? else {
        return Err(PatchError::Operation { operation: 0 });
    };
    let max_depth = usize::from(limits.max_depth.min(Limits::DEEPEST));
    let mut size = Size::of(&document).bytes;
    for (number, operation) in operations.into_iter().enumerate() {
        let operation = serde_json::from_value::<PatchOperation>(operation)
            .map_err(|_| PatchError::Operation { operation: number })?;
        let grown = growth(&document, &operation);
        size = size.saturating_add(grown.bytes);
        if grown.depth > max_depth {
            return Err(PatchError::TooLarge { operation: number });
        }
        if size > limits.max_bytes as usize {
            // The sum counts what was removed again; only now is it worth looking.
            size = Size::of(&document).bytes.saturating_add(grown.bytes);
            if size > limits.max_bytes as usize {
                return Err(PatchError::TooLarge { operation: number });
            }
        }
        json_patch::patch_unsafe(&mut document, std::slice::from_ref(&operation))
            .map_err(|error| refused(&error.kind, number))?;
    }
    canonical(document.to_string().as_bytes(), limits).map_err(PatchError::Document)
}

fn refused(kind: &PatchErrorKind, operation: usize) -> PatchError {
    match kind {
        PatchErrorKind::TestFailed => PatchError::TestFailed { operation },
        PatchErrorKind::CannotMoveInsideItself => PatchError::MoveIntoItself { operation },
        _ => PatchError::NoSuchPlace { operation },
    }
}

fn parse(text: &[u8], limits: Limits) -> Result<Value, ParseError> {
    let mut tape = Tape::default();
    let root = Parser::new(limits).parse(&mut tape, text, 0..text.len())?;
    Ok(tape.value(text, root).to_serde())
}

/// What a value occupies.
#[derive(Clone, Copy, Default)]
struct Size {
    /// At least one byte a value and one a byte of text: numbers count as one, so that this stays a lower
    /// bound of the canonical form.
    bytes: usize,
    /// Containers inside each other.
    depth: usize,
}

impl Size {
    fn of(value: &Value) -> Self {
        let (bytes, inner, is_container) = match value {
            Value::String(text) => (text.len() + 2, Self::default(), false),
            Value::Array(elements) => {
                (2, elements.iter().map(Self::of).fold(Self::default(), Self::with), true)
            }
            Value::Object(members) => {
                let keys = members.keys().map(|key| key.len() + 3).sum::<usize>();
                (2 + keys, members.values().map(Self::of).fold(Self::default(), Self::with), true)
            }
            _ => (1, Self::default(), false),
        };
        Self { bytes: bytes + inner.bytes, depth: inner.depth + usize::from(is_container) }
    }

    fn with(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, depth: self.depth.max(other.depth) }
    }
}

/// What an operation adds to the document, and how deep that comes to lie.
fn growth(document: &Value, operation: &PatchOperation) -> Size {
    let at = |path: &Pointer, size: Size| Size { depth: path.tokens().count() + size.depth, ..size };
    let found = |from: &Pointer| from.resolve(document).map_or(Size::default(), Size::of);
    match operation {
        PatchOperation::Add(add) => at(&add.path, Size::of(&add.value)),
        PatchOperation::Replace(replace) => at(&replace.path, Size::of(&replace.value)),
        PatchOperation::Copy(copy) => at(&copy.path, found(&copy.from)),
        PatchOperation::Move(mov) => Size { bytes: 0, ..at(&mov.path, found(&mov.from)) },
        PatchOperation::Remove(_) | PatchOperation::Test(_) => Size::default(),
    }
}
