//! Ed25519 keys derived from the keyring: what an operator signs with.
//!
//! The seed of a version is HKDF-SHA256 of its key, under a label of its own: who has signatures learns nothing about
//! what the key wraps, and the file's format stays as it is. Seeds are derived for each signature and wiped after it.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

use super::{Kek, KekState, LocalKeyring};
use crate::derive::{Label, derive};
use crate::error::EnvelopeError;
use crate::ids::TenantId;
use crate::secret::Secret;

/// Bytes of an Ed25519 public key.
pub const VERIFYING_KEY_LEN: usize = 32;
/// Bytes of an Ed25519 signature.
pub const SIGNATURE_LEN: usize = 64;

impl LocalKeyring {
    /// The public Ed25519 key of a version of `owner`'s key; of the one that [`sign`](Self::sign) takes when no version
    /// is named. That of a disabled version is given: what it has signed remains to be verified.
    ///
    /// # Errors
    /// `KekUnknown`, `KekDestroyed`; `KekDisabled` where no version is named and none is enabled.
    pub fn verifying_key(
        &self,
        owner: TenantId,
        version: Option<u32>,
    ) -> Result<(u32, [u8; VERIFYING_KEY_LEN]), EnvelopeError> {
        let (number, kek) = match version {
            Some(number) => (number, self.keks.get(&(owner, number)).ok_or(EnvelopeError::KekUnknown)?),
            None => self.newest_enabled(owner)?,
        };
        let mut public_key = [0; VERIFYING_KEY_LEN];
        public_key.copy_from_slice(key_pair(kek, owner)?.public_key().as_ref());
        Ok((number, public_key))
    }

    /// Signs under the newest enabled version of `owner`'s key, and says which that is.
    ///
    /// # Errors
    /// `KekUnknown`, `KekDisabled`, `KekDestroyed`.
    pub fn sign(&self, owner: TenantId, message: &[u8]) -> Result<(u32, [u8; SIGNATURE_LEN]), EnvelopeError> {
        let (number, kek) = self.newest_enabled(owner)?;
        let signed = key_pair(kek, owner)?.try_sign(message).map_err(|_| EnvelopeError::SigningFailed)?;
        let mut signature = [0; SIGNATURE_LEN];
        signature.copy_from_slice(signed.as_ref());
        Ok((number, signature))
    }

    fn newest_enabled(&self, owner: TenantId) -> Result<(u32, &Kek), EnvelopeError> {
        let (number, newest) = self.newest(owner).ok_or(EnvelopeError::KekUnknown)?;
        let enabled = self.keks.range((owner, 0)..=(owner, number));
        match enabled.rev().find(|(_, kek)| kek.state == KekState::Enabled) {
            Some((&(_, number), kek)) => Ok((number, kek)),
            None => newest.enabled_key().and(Err(EnvelopeError::KekDisabled)),
        }
    }
}

fn key_pair(kek: &Kek, owner: TenantId) -> Result<Ed25519KeyPair, EnvelopeError> {
    let key = kek.secret.as_ref().ok_or(EnvelopeError::KekDestroyed)?;
    let seed: Secret<32> = derive(key, Label::KeyringSigning, &[], owner)?;
    Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| EnvelopeError::SigningFailed)
}
