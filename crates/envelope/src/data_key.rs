//! A data key (DEK) and the two keys that come of it: one seals, the other opens.

use crate::aead::AeadKey;
use crate::budget::{Budget, DataKeyLimits};
use crate::derive::{Label, derive};
use crate::envelope::Suite;
use crate::error::EnvelopeError;
use crate::ids::{DekId, TenantId};
use crate::lease::LeaseEnd;
use crate::opening::OpeningKey;
use crate::sealing::SealingKey;
use crate::secret::Secret;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::fmt;

/// A DEK. Its id commits to it, so a ciphertext can be opened under one key only, though AES-GCM
/// alone would let two keys open it.
pub(crate) struct DataKey {
    pub(crate) tenant: TenantId,
    pub(crate) id: DekId,
    pub(crate) suite: Suite,
    pub(crate) secret: Secret<32>,
}

impl DataKey {
    pub(crate) fn generate(tenant: TenantId) -> Result<Self, EnvelopeError> {
        Self::of(tenant, Suite::Aes256Gcm, Secret::generate()?)
    }

    /// The key that was unwrapped from the row named `id`.
    pub(crate) fn load(
        tenant: TenantId,
        id: DekId,
        suite: Suite,
        secret: Secret<32>,
    ) -> Result<Self, EnvelopeError> {
        let key = Self::of(tenant, suite, secret)?;
        verify_slices_are_equal(key.id.as_bytes(), id.as_bytes())
            .map_err(|_| EnvelopeError::CommitmentMismatch)?;
        Ok(key)
    }

    pub(crate) fn opening_key(&self, lease_end: LeaseEnd) -> Result<OpeningKey, EnvelopeError> {
        Ok(OpeningKey::new(self.tenant, self.id, self.aead()?, lease_end))
    }

    /// The one sealing key of this DEK. Only the process that generated it may ask, once: nonces are
    /// drawn at random and the budget is counted here.
    pub(crate) fn into_sealing_key(
        self,
        limits: &DataKeyLimits,
        lease_end: LeaseEnd,
    ) -> Result<SealingKey, EnvelopeError> {
        Ok(SealingKey::new(self.tenant, self.id, self.suite, self.aead()?, Budget::new(limits), lease_end))
    }

    fn of(tenant: TenantId, suite: Suite, secret: Secret<32>) -> Result<Self, EnvelopeError> {
        let commitment = derive(&secret, Label::DataKeyCommitment, &[suite.number()], tenant)?;
        Ok(Self { tenant, id: DekId::from_bytes(*commitment.expose()), suite, secret })
    }

    fn aead(&self) -> Result<AeadKey, EnvelopeError> {
        AeadKey::new(&derive(&self.secret, Label::DataKeyEncryption, &[self.suite.number()], self.tenant)?)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_depends_on_key_and_tenant() {
        let secret = |fill| Secret::copy_of(&[fill; 32]).unwrap();
        let id = |tenant, fill| {
            DataKey::of(TenantId::from_bytes([tenant; 16]), Suite::Aes256Gcm, secret(fill)).unwrap().id
        };
        assert_eq!(id(1, 1), id(1, 1));
        assert_ne!(id(1, 1), id(2, 1));
        assert_ne!(id(1, 1), id(1, 2));
    }

    #[test]
    fn loads_only_under_its_own_id() {
        let tenant = TenantId::from_bytes([1; 16]);
        let key = DataKey::generate(tenant).unwrap();
        let load = |id| {
            DataKey::load(tenant, id, key.suite, Secret::copy_of(key.secret.expose()).unwrap())
                .map(|key| key.id)
        };
        assert_eq!(load(key.id), Ok(key.id));
        let mut other = *key.id.as_bytes();
        other[31] ^= 1;
        assert_eq!(load(DekId::from_bytes(other)), Err(EnvelopeError::CommitmentMismatch));
    }
}
