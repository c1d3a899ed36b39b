//! JSON Patch (RFC 6902) from outside, applied to a document.
//!
//! The semantics are those of the `json-patch` crate, which runs one operation at a time here, because what an
//! operation makes of a document has to be known before it is made: thirty `copy` operations are gigabytes.

use intelgraph_json::{Limits, ParseError, Parser, Tape, canonical};
use json_patch::jsonptr::{Pointer, PointerBuf};
use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchErrorKind, PatchOperation, RemoveOperation,
    ReplaceOperation, TestOperation,
};
use serde_json::Value;

use crate::encoded::MAX_WORK;

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
    /// The patch copies and moves more than [`MAX_WORK`] bytes and elements.
    #[error("operation {operation} is more work than a patch may be; send it in parts")]
    TooMuchWork {
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
    let (mut bytes, mut work) = (Size::of(&document).bytes, 0);
    for (number, operation) in operations.into_iter().enumerate() {
        let operation = read(operation).ok_or(PatchError::Operation { operation: number })?;
        let effect = Effect::of(&operation, &document);
        bytes = (bytes + effect.written.bytes).saturating_sub(effect.freed);
        if bytes > limits.max_bytes as usize || effect.written.depth > max_depth {
            return Err(PatchError::TooLarge { operation: number });
        }
        work += effect.work();
        if work > MAX_WORK as usize {
            return Err(PatchError::TooMuchWork { operation: number });
        }
        json_patch::patch_unsafe(&mut document, std::slice::from_ref(&operation))
            .map_err(|error| refused(&error.kind, number))?;
    }
    canonical(document.to_string().as_bytes(), limits).map_err(PatchError::Document)
}

/// Reads an operation (RFC 6902 §4). Not by way of serde, which takes some keys of the value for its own: a
/// member `$serde_json::private::RawValue` would not arrive.
fn read(operation: Value) -> Option<PatchOperation> {
    let Value::Object(mut members) = operation else { return None };
    let pointer = |name| PointerBuf::parse(members.get(name)?.as_str()?).ok();
    let (path, from) = (pointer("path")?, pointer("from"));
    let value = members.remove("value");
    Some(match members.get("op")?.as_str()? {
        "add" => PatchOperation::Add(AddOperation { path, value: value? }),
        "remove" => PatchOperation::Remove(RemoveOperation { path }),
        "replace" => PatchOperation::Replace(ReplaceOperation { path, value: value? }),
        "move" => PatchOperation::Move(MoveOperation { from: from?, path }),
        "copy" => PatchOperation::Copy(CopyOperation { from: from?, path }),
        "test" => PatchOperation::Test(TestOperation { path, value: value? }),
        _ => return None,
    })
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

/// What an operation does to the size of the document, and what that costs.
#[derive(Default)]
struct Effect {
    /// What it writes, and how deep that comes to lie.
    written: Size,
    /// Bytes of what it takes out or overwrites.
    freed: usize,
    /// Elements of the arrays that it inserts into or removes from.
    shifted: usize,
}

impl Effect {
    fn of(operation: &PatchOperation, document: &Value) -> Self {
        let mut effect = Self::default();
        match operation {
            PatchOperation::Add(add) => effect.put(document, &add.path, Size::of(&add.value)),
            PatchOperation::Copy(copy) => effect.put(document, &copy.path, size_at(document, &copy.from)),
            PatchOperation::Move(mov) => {
                effect.take(document, &mov.from);
                effect.put(document, &mov.path, size_at(document, &mov.from));
            }
            PatchOperation::Remove(remove) => effect.take(document, &remove.path),
            PatchOperation::Replace(replace) => {
                effect.freed = size_at(document, &replace.path).bytes;
                let size = Size::of(&replace.value);
                effect.written = Size { depth: replace.path.count() + size.depth, ..size };
            }
            PatchOperation::Test(_) => {}
        }
        effect
    }

    fn put(&mut self, document: &Value, path: &Pointer, size: Size) {
        let (name, shifted) = (name_len(document, path), elements_around(document, path));
        self.written = Size { bytes: size.bytes + name, depth: path.count() + size.depth };
        self.shifted += shifted;
        // In an object it takes the place of what is there.
        if shifted == 0 && path.resolve(document).is_ok() {
            self.freed += size_at(document, path).bytes + name;
        }
    }

    fn take(&mut self, document: &Value, path: &Pointer) {
        self.freed += size_at(document, path).bytes + name_len(document, path);
        self.shifted += elements_around(document, path);
    }

    /// In the units of [`MAX_WORK`].
    fn work(&self) -> usize {
        1 + self.written.bytes + self.freed + self.shifted
    }
}

fn size_at(document: &Value, path: &Pointer) -> Size {
    path.resolve(document).map_or(Size::default(), Size::of)
}

fn container<'d>(document: &'d Value, path: &Pointer) -> Option<&'d Value> {
    path.parent()?.resolve(document).ok()
}

/// Bytes of the member's name, as [`Size`] counts it; an element has none.
fn name_len(document: &Value, path: &Pointer) -> usize {
    match (container(document, path), path.last()) {
        (Some(Value::Object(_)), Some(name)) => name.decoded().len() + 3,
        _ => 0,
    }
}

/// Elements of the array that the path leads into.
fn elements_around(document: &Value, path: &Pointer) -> usize {
    match container(document, path) {
        Some(Value::Array(elements)) => elements.len(),
        _ => 0,
    }
}
