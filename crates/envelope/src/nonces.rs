//! Random nonces, drawn from the system's generator in blocks.

use crate::aead::NONCE_LEN;
use crate::error::EnvelopeError;
use std::fmt;
use zeroize::Zeroize;

/// Nonces per refill at most: one call to the generator costs about as much as sealing a record.
const PER_BLOCK: u64 = 256;

/// A stock of 96-bit nonces (SP 800-38D §8.2.2: all bits random). What was handed out, or was never
/// used, is wiped.
///
/// It belongs to one batch: a stock that outlived a `fork` would hand out its nonces twice.
pub(crate) struct Nonces {
    /// A whole number of nonces.
    block: Box<[u8]>,
    next: usize,
}

impl Nonces {
    /// A stock for about `expected` messages; it refills itself when there are more.
    pub(crate) fn for_messages(expected: u64) -> Self {
        let count = expected.clamp(1, PER_BLOCK) as usize;
        let block = vec![0; count * NONCE_LEN].into_boxed_slice();
        Self { next: block.len(), block }
    }

    #[inline]
    pub(crate) fn draw(&mut self) -> Result<[u8; NONCE_LEN], EnvelopeError> {
        if self.next == self.block.len() {
            self.refill()?;
        }
        let mut nonce = [0; NONCE_LEN];
        let slot = &mut self.block[self.next..self.next + NONCE_LEN];
        nonce.copy_from_slice(slot);
        slot.fill(0);
        self.next += NONCE_LEN;
        Ok(nonce)
    }

    #[cold]
    fn refill(&mut self) -> Result<(), EnvelopeError> {
        aws_lc_rs::rand::fill(&mut self.block).map_err(|_| EnvelopeError::EntropyUnavailable)?;
        self.next = 0;
        Ok(())
    }
}

impl Drop for Nonces {
    fn drop(&mut self) {
        self.block.zeroize();
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonces(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn differ_across_refills_and_stocks() {
        let mut seen = HashSet::new();
        for expected in [0, 1, 7, 256, u64::MAX] {
            let mut nonces = Nonces::for_messages(expected);
            for _ in 0..2000 {
                assert!(seen.insert(nonces.draw().unwrap()));
            }
        }
    }

    #[test]
    fn wipe_what_they_hand_out() {
        let mut nonces = Nonces::for_messages(3);
        nonces.draw().unwrap();
        assert_eq!(nonces.block[..NONCE_LEN], [0; NONCE_LEN]);
        assert_ne!(nonces.block[NONCE_LEN..], [0; 2 * NONCE_LEN]);
    }
}
