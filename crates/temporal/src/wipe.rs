//! Overwriting buffers.

use zeroize::Zeroize;

/// Overwrites a buffer over its whole capacity and empties it. `Vec` does the same byte by byte, which takes
/// longer than comparing a document.
pub(crate) fn wipe(buffer: &mut Vec<u8>) {
    buffer.resize(buffer.capacity(), 0);
    buffer.as_mut_slice().zeroize();
    buffer.clear();
}
