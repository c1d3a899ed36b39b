//! Bytes that are wiped when they are dropped.

use crate::error::EnvelopeError;
use std::fmt;
use zeroize::Zeroize;

/// `N` secret bytes: wiped on drop, never printed, not copyable.
///
/// They live on the heap, so that moving a `Secret` leaves no copy on the stack. They are not locked
/// into memory: swap and core dumps are the operator's to switch off.
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Fresh bytes from the system's generator.
    ///
    /// # Errors
    /// [`EnvelopeError::EntropyUnavailable`].
    pub fn generate() -> Result<Self, EnvelopeError> {
        let mut secret = Self::zeroed();
        aws_lc_rs::rand::fill(&mut secret.0[..]).map_err(|_| EnvelopeError::EntropyUnavailable)?;
        Ok(secret)
    }

    /// A copy of `bytes`. The caller's copy stays the caller's to wipe.
    ///
    /// # Errors
    /// [`EnvelopeError::SecretLength`] unless there are exactly `N`.
    pub fn copy_of(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() != N {
            return Err(EnvelopeError::SecretLength { want: N });
        }
        let mut secret = Self::zeroed();
        secret.0.copy_from_slice(bytes);
        Ok(secret)
    }

    /// The bytes, for a KMS to wrap. They must not be kept, logged or compared.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    pub(crate) fn zeroed() -> Self {
        Self(Box::new([0; N]))
    }

    pub(crate) fn expose_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N}>(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_are_never_alike() {
        let (one, other) = (Secret::<32>::generate().unwrap(), Secret::<32>::generate().unwrap());
        assert_ne!(one.expose(), other.expose());
    }

    #[test]
    fn takes_its_length_only() {
        assert_eq!(Secret::<32>::copy_of(&[1; 31]).unwrap_err(), EnvelopeError::SecretLength { want: 32 });
        assert_eq!(Secret::<4>::copy_of(&[1, 2, 3, 4]).unwrap().expose(), &[1, 2, 3, 4]);
    }
}
