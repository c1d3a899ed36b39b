//! The chain of an entity's versions, from a base forward.
//!
//! A base is where rebuilding can begin: an insert, whose diff carries the document, or a row that carries a
//! snapshot beside its diff; that of a delete says that there is no document. Late rows are outside the chain; each stands for itself and is
//! [applied](crate::apply()) to nothing.

use crate::apply::{check_hash, forward};
use crate::document::Document;
use crate::encoded::EncodedDiff;
use crate::error::DiffError;
use crate::head::Head;
use crate::operation::Operation;
use crate::plaintext::{ChangePlaintext, read_snapshot};

/// Chain rows between two bases, at most.
pub const SNAPSHOT_EVERY: u32 = 32;

/// Whether a version gets a snapshot. `since_base` counts the chain rows since the last base and with this one
/// (0 for an insert, which is a base), `diff_bytes_since_base` is the length of their encoded diffs together,
/// `document_len` that of the canonical document: reading a head back costs at most 32 diffs, and at most about
/// three times its length.
pub fn needs_snapshot(since_base: u32, diff_bytes_since_base: u64, document_len: usize) -> bool {
    since_base >= SNAPSHOT_EVERY || diff_bytes_since_base > document_len as u64
}

/// A row of the chain, opened.
#[derive(Clone, Copy, Debug)]
pub struct ChainRow<'a> {
    /// What the row does.
    pub operation: Operation,
    /// The plaintext of the change.
    pub change: &'a [u8],
    /// The plaintext of the snapshot, where the row carries one.
    pub snapshot: Option<&'a [u8]>,
}

/// Why a chain could not be rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No row is a base.
    #[error("the rows hold neither an insert nor a snapshot; read from the last base on")]
    NoBase,
    /// The operation does not belong at its place: a late one, an insert onto a document, a delete of nothing.
    #[error("row {row} cannot follow the rows before it")]
    OutOfPlace {
        /// Position of the row among those given, from 0.
        row: usize,
    },
    /// A diff or a snapshot does not fit.
    #[error("row {row}: {error}")]
    Row {
        /// Position of the row among those given, from 0.
        row: usize,
        /// What is wrong with it.
        error: DiffError,
    },
}

/// The head after the last of some consecutive rows of a chain; `None` where the last is a delete. Rebuilding
/// begins at the last base among them. `seed` is that of the heads' hash.
///
/// # Errors
/// [`ChainError`]. Each diff must find what it replaces, a snapshot must have the hash of its own row's diff,
/// and the result that of the last diff.
pub fn rebuild(rows: &[ChainRow<'_>], seed: u64) -> Result<Option<Head>, ChainError> {
    let base = rows.iter().rposition(|row| row.snapshot.is_some() || row.operation == Operation::Insert);
    let base = base.ok_or(ChainError::NoBase)?;
    let at = |row: usize| move |error: DiffError| ChainError::Row { row, error };
    let diff = |row: usize| {
        let change = ChangePlaintext::parse(rows[row].change).map_err(at(row))?;
        EncodedDiff::parse(change.diff).map_err(at(row))
    };
    let snapshot = match rows[base].snapshot {
        Some(plaintext) => {
            let head = read_snapshot(plaintext).map_err(at(base))?;
            check_hash(head, diff(base)?, seed).map_err(at(base))?
        }
        None => None,
    };
    let mut document = Document::of_head(snapshot.as_ref());
    let first = if rows[base].snapshot.is_some() { base + 1 } else { base };
    for (row, ChainRow { operation, .. }) in rows.iter().enumerate().skip(first) {
        let follows = match operation {
            Operation::Insert => !document.exists(),
            Operation::Update | Operation::Delete => document.exists(),
            Operation::LateUpsert | Operation::LateDelete => false,
        };
        if !follows {
            return Err(ChainError::OutOfPlace { row });
        }
        forward(&mut document, diff(row)?).map_err(at(row))?;
        if document.exists() == (*operation == Operation::Delete) {
            return Err(ChainError::OutOfPlace { row });
        }
    }
    let last = rows.len() - 1;
    let head = document.head().map_err(at(last))?;
    check_hash(head, diff(last)?, seed).map_err(at(last))
}
