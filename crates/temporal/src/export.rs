//! Encoded diffs as JSON that others read: our list form, and JSON Patch.

use crate::encoded::{EncodedDiff, Kind, Operation, Path, PathStep};
use crate::error::DiffError;
use crate::spans::Spans;

/// Appends the diff as a list: `["r",path,old,new]`, `["a",path,new]`, `["d",path,old]`, with RFC 6901
/// pointers, in order of application.
///
/// # Errors
/// [`DiffError::Format`], [`DiffError::Malformed`]; `out` is then as it was.
pub fn to_list(diff: &[u8], out: &mut Vec<u8>) -> Result<(), DiffError> {
    each_operation(diff, out, |operation, pointer, out| {
        let (start, texts): (&[u8], &[&[u8]]) = match operation.kind {
            Kind::Replace => (b"[\"r\",\"", &[operation.old, operation.new]),
            Kind::Add => (b"[\"a\",\"", &[operation.new]),
            Kind::Remove => (b"[\"d\",\"", &[operation.old]),
        };
        put(out, &[start, pointer, b"\""]);
        texts.iter().for_each(|text| put(out, &[b",", text]));
        out.push(b']');
    })
}

/// Appends the diff as a JSON Patch (RFC 6902). What is replaced or removed is preceded by a `test`, so that
/// the patch fails on any version but the one that the diff was made from.
///
/// # Errors
/// As [`to_list`].
pub fn to_json_patch(diff: &[u8], out: &mut Vec<u8>) -> Result<(), DiffError> {
    each_operation(diff, out, |operation, pointer, out| {
        if operation.kind != Kind::Add {
            put_patch_operation(out, b"test", pointer, operation.old);
            out.push(b',');
        }
        match operation.kind {
            Kind::Replace => put_patch_operation(out, b"replace", pointer, operation.new),
            Kind::Add => put_patch_operation(out, b"add", pointer, operation.new),
            Kind::Remove => put(out, &[b"{\"op\":\"remove\",\"path\":\"", pointer, b"\"}"]),
        }
    })
}

fn put_patch_operation(out: &mut Vec<u8>, name: &[u8], pointer: &[u8], value: &[u8]) {
    put(out, &[b"{\"op\":\"", name, b"\",\"path\":\"", pointer, b"\",\"value\":", value, b"}"]);
}

fn put(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    pieces.iter().for_each(|piece| out.extend_from_slice(piece));
}

/// Writes an array with what `write` makes of each operation and its pointer.
fn each_operation(
    diff: &[u8],
    out: &mut Vec<u8>,
    mut write: impl FnMut(&Operation<'_>, &[u8], &mut Vec<u8>),
) -> Result<(), DiffError> {
    let start = out.len();
    let mut spans = Spans::default();
    let mut write_all = || {
        out.push(b'[');
        for (at, operation) in EncodedDiff::parse(diff)?.operations().enumerate() {
            let operation = operation?;
            check_texts(&operation, &mut spans)?;
            if at > 0 {
                out.push(b',');
            }
            write(&operation, &pointer(operation.path), out);
        }
        out.push(b']');
        Ok(())
    };
    let result = write_all();
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Holds the texts of an operation, which may be foreign, to the canonical form.
pub(crate) fn check_texts(operation: &Operation<'_>, spans: &mut Spans) -> Result<(), DiffError> {
    if operation.kind != Kind::Add {
        spans.check(operation.old)?;
    }
    if operation.kind != Kind::Remove {
        spans.check(operation.new)?;
    }
    Ok(())
}

/// The RFC 6901 pointer as a JSON string holds it. The canonical form escapes neither of the two characters
/// that a pointer does.
fn pointer(path: Path<'_>) -> Vec<u8> {
    let mut pointer = Vec::new();
    for step in path.steps() {
        pointer.push(b'/');
        match step {
            PathStep::Index(index) => pointer.extend_from_slice(index.to_string().as_bytes()),
            PathStep::Key(body) => {
                for &byte in body {
                    match byte {
                        b'~' => pointer.extend_from_slice(b"~0"),
                        b'/' => pointer.extend_from_slice(b"~1"),
                        _ => pointer.push(byte),
                    }
                }
            }
        }
    }
    pointer
}
