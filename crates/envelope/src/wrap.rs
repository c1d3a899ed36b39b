//! Tenant keys: what stands between the KMS and the data keys.
//!
//! A tenant key is made here, wrapped by the tenant's KMS key, and wraps DEKs (and the index key)
//! locally. So one KMS call opens whatever a tenant key covers.

use crate::aead::{AeadKey, NONCE_LEN, TAG_LEN};
use crate::derive::{Label, derive};
use crate::error::EnvelopeError;
use crate::ids::{TenantId, TenantKeyId, uuid_v8};
use crate::secret::Secret;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::fmt;

const WRAP_VERSION: u8 = 1;
const KEY_LEN: usize = 32;
const NONCE_AT: usize = 1 + TenantKeyId::LEN;
const CIPHERTEXT_AT: usize = NONCE_AT + NONCE_LEN;
const TAG_AT: usize = CIPHERTEXT_AT + KEY_LEN;

/// A 32-byte key wrapped by a tenant key:
/// `version(1)=1 | tenant_key_id(16) | nonce(12) | ciphertext(32) | tag(16)`.
///
/// AES-256-GCM; AAD = tenant ‖ the wrapped key's id. The tenant key's id is not in the AAD: it says
/// which key to try, and only that key opens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WrappedKey([u8; Self::LEN]);

impl WrappedKey {
    /// Bytes in a wrapped key.
    pub const LEN: usize = TAG_AT + TAG_LEN;

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`EnvelopeError::WrappedKeyMalformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let bytes: [u8; Self::LEN] = bytes.try_into().map_err(|_| EnvelopeError::WrappedKeyMalformed)?;
        if bytes[0] == WRAP_VERSION { Ok(Self(bytes)) } else { Err(EnvelopeError::WrappedKeyMalformed) }
    }

    /// The stored form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The tenant key that wrapped it.
    #[must_use]
    pub fn tenant_key_id(&self) -> TenantKeyId {
        TenantKeyId::from_bytes(self.part(1))
    }

    fn part<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut part = [0; N];
        part.copy_from_slice(&self.0[at..at + N]);
        part
    }
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrappedKey(by {})", self.tenant_key_id())
    }
}

/// A tenant key with its bytes, on its way to or from the KMS.
///
/// To make one: [`generate`](Self::generate), have the KMS wrap [`secret`](Self::secret) with tenant
/// and id as context, commit the row, and only then add it to the keystore.
pub struct TenantKey {
    secret: Secret<32>,
    wrapping: WrappingKey,
}

impl TenantKey {
    /// A new key, created at `created_us` (microseconds since the Unix epoch).
    ///
    /// # Errors
    /// [`EnvelopeError::EntropyUnavailable`].
    pub fn generate(tenant: TenantId, created_us: i64) -> Result<Self, EnvelopeError> {
        let secret = Secret::generate()?;
        let wrapping = WrappingKey::derive(tenant, &secret, Some(created_us))?;
        Ok(Self { secret, wrapping })
    }

    /// The key that the KMS unwrapped from the row named `id`.
    ///
    /// The id is a commitment to the key, so a KMS that ignores its context (Vault does, on keys
    /// that are not derived) cannot pass off one tenant's key as another's.
    ///
    /// # Errors
    /// [`EnvelopeError::CommitmentMismatch`].
    pub fn load(
        tenant: TenantId,
        id: TenantKeyId,
        created_us: i64,
        secret: Secret<32>,
    ) -> Result<Self, EnvelopeError> {
        Self::committed(id, WrappingKey::derive(tenant, &secret, Some(created_us))?, secret)
    }

    /// The key that the KMS unwrapped from an envelope that carries it. It unwraps, but wraps nothing
    /// new: no row of it need exist here.
    ///
    /// # Errors
    /// [`EnvelopeError::CommitmentMismatch`].
    pub fn load_inline(tenant: TenantId, id: TenantKeyId, secret: Secret<32>) -> Result<Self, EnvelopeError> {
        Self::committed(id, WrappingKey::derive(tenant, &secret, None)?, secret)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> TenantKeyId {
        self.wrapping.id
    }

    /// Whose it is.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.wrapping.tenant
    }

    /// Its bytes, for the KMS to wrap.
    #[must_use]
    pub fn secret(&self) -> &Secret<32> {
        &self.secret
    }

    fn committed(id: TenantKeyId, wrapping: WrappingKey, secret: Secret<32>) -> Result<Self, EnvelopeError> {
        verify_slices_are_equal(wrapping.id.as_bytes(), id.as_bytes())
            .map_err(|_| EnvelopeError::CommitmentMismatch)?;
        Ok(Self { secret, wrapping })
    }

    /// What is left of it once the KMS has had it: enough to wrap with, the bytes are wiped.
    pub(crate) fn into_wrapping(self) -> WrappingKey {
        self.wrapping
    }
}

impl fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantKey({})", self.id())
    }
}

/// A tenant key that wraps.
pub(crate) struct WrappingKey {
    pub(crate) tenant: TenantId,
    pub(crate) id: TenantKeyId,
    /// None: it only unwraps.
    pub(crate) created_us: Option<i64>,
    aead: AeadKey,
}

impl WrappingKey {
    fn derive(tenant: TenantId, secret: &Secret<32>, created_us: Option<i64>) -> Result<Self, EnvelopeError> {
        let commitment: Secret<32> = derive(secret, Label::TenantKeyCommitment, &[], tenant)?;
        let aead = AeadKey::new(&derive(secret, Label::TenantKeyWrapping, &[], tenant)?)?;
        let id = TenantKeyId::from_bytes(uuid_v8(commitment.expose()));
        Ok(Self { tenant, id, created_us, aead })
    }

    /// Wraps the key with this id. (A tenant key wraps a few keys an hour for 30 days: its random
    /// nonces are far from the 2^32 that SP 800-38D §8.3 allows.)
    pub(crate) fn wrap(&self, key_id: &[u8; 32], key: &Secret<32>) -> Result<WrappedKey, EnvelopeError> {
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| EnvelopeError::EntropyUnavailable)?;
        let mut ciphertext = Secret::<KEY_LEN>::copy_of(key.expose())?;
        let tag = self.aead.seal(nonce, &self.aad(key_id), ciphertext.expose_mut())?;

        let mut bytes = [0; WrappedKey::LEN];
        bytes[0] = WRAP_VERSION;
        bytes[1..NONCE_AT].copy_from_slice(self.id.as_bytes());
        bytes[NONCE_AT..CIPHERTEXT_AT].copy_from_slice(&nonce);
        bytes[CIPHERTEXT_AT..TAG_AT].copy_from_slice(ciphertext.expose());
        bytes[TAG_AT..].copy_from_slice(&tag);
        Ok(WrappedKey(bytes))
    }

    /// Unwraps the key with this id.
    pub(crate) fn unwrap(
        &self,
        key_id: &[u8; 32],
        wrapped: &WrappedKey,
    ) -> Result<Secret<32>, EnvelopeError> {
        let mut key = Secret::zeroed();
        let ciphertext: [u8; KEY_LEN] = wrapped.part(CIPHERTEXT_AT);
        self.aead
            .open(
                wrapped.part(NONCE_AT),
                &self.aad(key_id),
                &ciphertext,
                &wrapped.part(TAG_AT),
                key.expose_mut(),
            )
            .map_err(|_| EnvelopeError::WrappedKeyNotAuthentic)?;
        Ok(key)
    }

    fn aad(&self, key_id: &[u8; 32]) -> [u8; TenantId::LEN + 32] {
        let mut aad = [0; TenantId::LEN + 32];
        aad[..TenantId::LEN].copy_from_slice(self.tenant.as_bytes());
        aad[TenantId::LEN..].copy_from_slice(key_id);
        aad
    }
}

impl fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrappingKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantId = TenantId::from_bytes([1; 16]);
    const OTHER: TenantId = TenantId::from_bytes([2; 16]);

    fn twins() -> (WrappingKey, WrappingKey) {
        // The same bytes for two tenants, as a confused KMS would hand them out.
        let secret = Secret::copy_of(&[3; 32]).unwrap();
        (
            WrappingKey::derive(TENANT, &secret, Some(0)).unwrap(),
            WrappingKey::derive(OTHER, &secret, Some(0)).unwrap(),
        )
    }

    #[test]
    fn unwraps_what_it_wrapped() {
        let (key, _) = twins();
        let wrapped = key.wrap(&[4; 32], &Secret::copy_of(&[5; 32]).unwrap()).unwrap();
        let read = WrappedKey::parse(wrapped.as_bytes()).unwrap();
        assert_eq!(read.tenant_key_id(), key.id);
        assert_eq!(key.unwrap(&[4; 32], &read).unwrap().expose(), &[5; 32]);
    }

    #[test]
    fn another_tenant_id_or_byte_does_not_unwrap() {
        let (key, twin) = twins();
        let wrapped = key.wrap(&[4; 32], &Secret::copy_of(&[5; 32]).unwrap()).unwrap();
        assert_ne!(key.id, twin.id);
        assert_eq!(twin.unwrap(&[4; 32], &wrapped).unwrap_err(), EnvelopeError::WrappedKeyNotAuthentic);
        assert_eq!(key.unwrap(&[6; 32], &wrapped).unwrap_err(), EnvelopeError::WrappedKeyNotAuthentic);
        for at in NONCE_AT..WrappedKey::LEN {
            let mut bytes = *wrapped.as_bytes();
            bytes[at] ^= 1;
            let altered = WrappedKey::parse(&bytes).unwrap();
            assert_eq!(
                key.unwrap(&[4; 32], &altered).unwrap_err(),
                EnvelopeError::WrappedKeyNotAuthentic,
                "{at}"
            );
        }
    }

    #[test]
    fn another_form_is_refused() {
        let (key, _) = twins();
        let bytes = *key.wrap(&[4; 32], &Secret::copy_of(&[5; 32]).unwrap()).unwrap().as_bytes();
        let mut newer = bytes;
        newer[0] = 2;
        for form in [&bytes[..76], &[], &newer, &[&bytes[..], &[0]].concat()] {
            assert_eq!(WrappedKey::parse(form).unwrap_err(), EnvelopeError::WrappedKeyMalformed);
        }
    }

    #[test]
    fn loads_only_under_its_own_id_and_tenant() {
        let key = TenantKey::generate(TENANT, 0).unwrap();
        let secret = || Secret::copy_of(key.secret().expose()).unwrap();
        assert_eq!(TenantKey::load(TENANT, key.id(), 0, secret()).unwrap().id(), key.id());
        let wrong_id = TenantKeyId::from_bytes([9; 16]);
        for (tenant, id) in [(OTHER, key.id()), (TENANT, wrong_id)] {
            let refused = TenantKey::load(tenant, id, 0, secret());
            assert_eq!(refused.unwrap_err(), EnvelopeError::CommitmentMismatch);
        }
    }

    #[test]
    fn ids_are_uuid_v8() {
        let id = TenantKey::generate(TENANT, 0).unwrap().id();
        assert_eq!((id.as_bytes()[6] >> 4, id.as_bytes()[8] >> 6), (8, 0b10));
    }
}
