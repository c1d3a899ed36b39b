//! The index key: names without meaning for entities and records.
//!
//! Natural keys (a passport, an e-mail, a tail number) appear in sealed values only. What is stored
//! in clear to find them again is a keyed hash. The index key is never rotated: that would rename
//! every entity.

use crate::derive::{Label, derive};
use crate::error::EnvelopeError;
use crate::fields::Fields;
use crate::ids::{EntityId, IndexKeyId, TenantId, uuid_v8};
use crate::secret::Secret;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use std::fmt;

/// A tenant's index key, ready for use by all threads. Hold it for a call, not longer.
///
/// AWS-LC wipes the HMAC states when this is dropped, and the copy that each hash works on; moving
/// them here when the key is made may leave a copy on the stack.
pub struct IndexKey {
    id: IndexKeyId,
    entity_ids: Box<hmac::Key>,
    fingerprints: Box<hmac::Key>,
    content_hash_seed: u64,
}

impl IndexKey {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> IndexKeyId {
        self.id
    }

    /// The id of the entity of this type with this typed key: a UUIDv8 of HMAC-SHA-256 over both, each
    /// with its length (u32) before it. `typed_key` is the encoding that a contract's mapping writes, in
    /// which the text `"1"` and the number `1` differ.
    #[inline]
    #[must_use]
    pub fn entity_id(&self, entity_type: &str, typed_key: &[u8]) -> EntityId {
        let mut message = Fields::new();
        message.prefixed(entity_type.as_bytes());
        message.prefixed(typed_key);
        let hash = hmac::sign(&self.entity_ids, message.as_slice());
        EntityId::from_bytes(uuid_v8(hash.as_ref()))
    }

    /// Tells whether a record of this dataset was seen before, without saying what it is:
    /// HMAC-SHA-256 over the dataset, its length before it, and the record's bytes.
    #[must_use]
    pub fn fingerprint(&self, dataset: &str, record: &[u8]) -> [u8; 32] {
        let mut hash = hmac::Context::with_key(&self.fingerprints);
        hash.update(&(dataset.len() as u64).to_be_bytes());
        hash.update(dataset.as_bytes());
        hash.update(record);
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(hash.sign().as_ref());
        fingerprint
    }

    /// The seed under which the tenant's content hashes (xxh3) are computed, so that equal hashes say
    /// nothing across tenants.
    #[must_use]
    pub fn content_hash_seed(&self) -> u64 {
        self.content_hash_seed
    }
}

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IndexKey({})", self.id)
    }
}

/// The bytes of an index key, to be wrapped, or just unwrapped.
pub(crate) struct IndexKeySecret {
    tenant: TenantId,
    id: IndexKeyId,
    secret: Secret<32>,
}

impl IndexKeySecret {
    pub(crate) fn generate(tenant: TenantId) -> Result<Self, EnvelopeError> {
        Self::of(tenant, Secret::generate()?)
    }

    /// The key that was unwrapped from the row named `id`.
    pub(crate) fn load(tenant: TenantId, id: IndexKeyId, secret: Secret<32>) -> Result<Self, EnvelopeError> {
        let key = Self::of(tenant, secret)?;
        verify_slices_are_equal(key.id.as_bytes(), id.as_bytes())
            .map_err(|_| EnvelopeError::CommitmentMismatch)?;
        Ok(key)
    }

    pub(crate) fn tenant(&self) -> TenantId {
        self.tenant
    }

    pub(crate) fn id(&self) -> IndexKeyId {
        self.id
    }

    pub(crate) fn secret(&self) -> &Secret<32> {
        &self.secret
    }

    pub(crate) fn index_key(&self) -> Result<IndexKey, EnvelopeError> {
        let seed: Secret<8> = derive(&self.secret, Label::ContentHash, &[], self.tenant)?;
        Ok(IndexKey {
            id: self.id,
            entity_ids: self.hmac_key(Label::EntityId)?,
            fingerprints: self.hmac_key(Label::Fingerprint)?,
            content_hash_seed: u64::from_be_bytes(*seed.expose()),
        })
    }

    fn of(tenant: TenantId, secret: Secret<32>) -> Result<Self, EnvelopeError> {
        let commitment = derive(&secret, Label::IndexKeyCommitment, &[], tenant)?;
        Ok(Self { tenant, id: IndexKeyId::from_bytes(*commitment.expose()), secret })
    }

    fn hmac_key(&self, label: Label) -> Result<Box<hmac::Key>, EnvelopeError> {
        let key: Secret<32> = derive(&self.secret, label, &[], self.tenant)?;
        Ok(Box::new(hmac::Key::new(hmac::HMAC_SHA256, key.expose())))
    }
}

impl fmt::Debug for IndexKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IndexKeySecret({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(tenant: u8, fill: u8) -> IndexKey {
        let secret = Secret::copy_of(&[fill; 32]).unwrap();
        IndexKeySecret::of(TenantId::from_bytes([tenant; 16]), secret).unwrap().index_key().unwrap()
    }

    #[test]
    fn entity_ids_are_stable_uuid_v8() {
        let id = key(1, 1).entity_id("aircraft", b"N10156");
        assert_eq!(id, key(1, 1).entity_id("aircraft", b"N10156"));
        assert_eq!((id.as_bytes()[6] >> 4, id.as_bytes()[8] >> 6), (8, 0b10));
    }

    #[test]
    fn whatever_differs_makes_another_entity() {
        let mut seen = std::collections::HashSet::new();
        for index_key in [key(1, 1), key(1, 2), key(2, 1)] {
            for entity_type in ["", "a", "ab"] {
                for typed_key in ["", "a", "ab", "ba", "abb"] {
                    assert!(seen.insert(index_key.entity_id(entity_type, typed_key.as_bytes())));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn bytes_moved_from_key_to_type_make_another_entity(text in "[a-z]{1,700}", cut in any::<prop::sample::Index>()) {
            let index_key = key(1, 1);
            let cut = cut.index(text.len());
            let id = |at| {
                let (entity_type, typed_key) = text.split_at(at);
                index_key.entity_id(entity_type, typed_key.as_bytes())
            };
            prop_assert_ne!(id(cut), id(cut + 1));
        }

        #[test]
        fn fingerprints_tell_datasets_and_records_apart(a in ".{0,40}", b in ".{0,40}", c in ".{0,40}", d in ".{0,40}") {
            let index_key = key(1, 1);
            let same = (&a, &b) == (&c, &d);
            let equal = index_key.fingerprint(&a, b.as_bytes()) == index_key.fingerprint(&c, d.as_bytes());
            prop_assert_eq!(same, equal);
        }
    }

    #[test]
    fn fingerprints_and_seeds_are_the_keys_own() {
        let (one, twin, other) = (key(1, 1), key(2, 1), key(1, 2));
        assert_ne!(one.fingerprint("d", b"r"), twin.fingerprint("d", b"r"));
        assert_ne!(one.fingerprint("d", b"r"), other.fingerprint("d", b"r"));
        assert_ne!(one.content_hash_seed(), twin.content_hash_seed());
        assert_ne!(one.content_hash_seed(), other.content_hash_seed());
    }
}
