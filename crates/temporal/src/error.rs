//! Why a diff, a head or a chain was refused. No variant holds a value of a document.

/// A diff that cannot be read or does not fit the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    /// The first byte names no format that this version reads.
    #[error("format {0} is unknown; read it with the version that wrote it")]
    Format(u8),
    /// The bytes end inside a field, or a field says what it cannot.
    #[error("malformed at byte {at}; the stored bytes are damaged")]
    Malformed {
        /// Offset from the start of the diff or the text.
        at: usize,
    },
    /// The root of a document is not an object, or the document exceeds 1 GiB.
    #[error("a document is a JSON object of at most 1 GiB")]
    NotADocument,
    /// A path leads to nothing, or to something that exists already.
    #[error(
        "operation {operation} has no place in the document; apply the diff to the version that it was made from"
    )]
    NoSuchPlace {
        /// Ordinal of the operation in the order in which they are carried out, from 0.
        operation: usize,
    },
    /// The document holds another value than the one that the diff replaces.
    #[error(
        "operation {operation} expects another value; apply the diff to the version that it was made from"
    )]
    OldValueDiffers {
        /// Ordinal of the operation in the order in which they are carried out, from 0.
        operation: usize,
    },
    /// The hash in the diff is not that of the document.
    #[error("the hash of the document is not the one in the diff; a version is missing or was changed")]
    HashDiffers,
    /// The diff asks for more work than [`MAX_WORK`](crate::MAX_WORK).
    #[error("the diff moves more elements than any diff this version writes")]
    TooMuchWork,
}
