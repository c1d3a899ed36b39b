//! Applying and reverting encoded diffs.

use crate::document::Document;
use crate::encoded::EncodedDiff;
use crate::error::DiffError;
use crate::head::Head;

/// Applies a diff to the head that it was made from; `None` is the absence of a document, on either side.
///
/// # Errors
/// Every [`DiffError`]: the bytes may be foreign. What the diff replaces must be what the head holds, and the
/// document that results must have the hash that the diff names.
pub fn apply(head: Option<&Head>, diff: &[u8], seed: u64) -> Result<Option<Head>, DiffError> {
    let diff = EncodedDiff::parse(diff)?;
    let mut document = Document::of_head(head);
    forward(&mut document, diff)?;
    check_hash(document.head()?, diff, seed)
}

/// Reverts a diff: from the head that it results in back to the one that it was made from.
///
/// # Errors
/// As [`apply`]. The hash is that of the given head; what results is vouched for by the next older diff.
pub fn revert(head: Option<&Head>, diff: &[u8], seed: u64) -> Result<Option<Head>, DiffError> {
    let diff = EncodedDiff::parse(diff)?;
    if head.map_or(0, |head| head.hash(seed)) != diff.resulting_hash() {
        return Err(DiffError::HashDiffers);
    }
    let mut document = Document::of_head(head);
    document.begin_diff();
    for (number, operation) in diff.operations_reversed()?.enumerate() {
        document.apply(number, &operation.inverted())?;
    }
    document.head()
}

pub(crate) fn forward<'a>(document: &mut Document<'a>, diff: EncodedDiff<'a>) -> Result<(), DiffError> {
    document.begin_diff();
    for (number, operation) in diff.operations().enumerate() {
        document.apply(number, &operation?)?;
    }
    Ok(())
}

/// Lets a document pass that has the hash of the diff that led to it.
pub(crate) fn check_hash(
    head: Option<Head>,
    diff: EncodedDiff<'_>,
    seed: u64,
) -> Result<Option<Head>, DiffError> {
    let hash = head.as_ref().map_or(0, |head| head.hash(seed));
    if hash == diff.resulting_hash() { Ok(head) } else { Err(DiffError::HashDiffers) }
}
