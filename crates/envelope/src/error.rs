//! Every way an operation on keys or envelopes can fail.

use crate::ids::TenantKeyId;

/// A refusal. Its text names the rule and the fix and never a key byte or a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The bytes end before the envelope does.
    #[error("the envelope is cut short; pass the stored value whole")]
    Truncated,
    /// The first byte names no envelope format known here.
    #[error("envelope version {0} is unknown; this build reads version 1")]
    UnknownVersion(u8),
    /// The second byte names no cipher suite known here.
    #[error("cipher suite {0} is unknown; this build reads suite 1 (AES-256-GCM)")]
    UnknownSuite(u8),
    /// A flag bit is set that version 1 does not define.
    #[error("envelope flags {0:#010b} hold an unknown bit; this build knows bit 0 (inline keys)")]
    UnknownFlags(u8),
    /// The envelope names another data key than the one it was given to.
    #[error("the envelope was sealed under another data key; open it with the key its dek_id names")]
    KeyMismatch,
    /// The context names another tenant than the key's.
    #[error("the context's tenant is not the key's tenant; a key serves one tenant only")]
    WrongTenant,
    /// The tag does not verify: the value was altered, or belongs to another place.
    #[error("the envelope does not open in this context; it was altered or belongs to another row")]
    NotAuthentic,
    /// The position given for the plaintext leaves no room for the header, or lies outside the buffer.
    #[error("the plaintext does not follow a reserved header; start it with reserve_header")]
    PlaintextPlace,
    /// The value is longer than one AES-GCM message may be (2^36 − 32 bytes, SP 800-38D §5.2.1.1).
    #[error("the value is too long for one envelope; split it")]
    TooLong,
    /// The wrapped tenant key is too long to travel inside an envelope (65,458 bytes).
    #[error("the wrapped tenant key is too long to be carried in an envelope")]
    InlineTooLong,
    /// An identifier has the wrong number of bytes.
    #[error("an identifier has {got} bytes and must have {want}")]
    IdLength {
        /// Bytes an identifier of this kind has.
        want: usize,
        /// Bytes that were given.
        got: usize,
    },
    /// A secret has the wrong number of bytes.
    #[error("a secret must have {want} bytes")]
    SecretLength {
        /// Bytes a secret of this kind has.
        want: usize,
    },
    /// The key's bytes do not derive the id they are stored under.
    #[error("the key does not match the id it is stored under; its row was altered or swapped")]
    CommitmentMismatch,
    /// A wrapped key has a length or format number that is not known here.
    #[error("the wrapped key has an unknown form; it was cut or written by a newer version")]
    WrappedKeyMalformed,
    /// A wrapped key does not unwrap for this tenant and id.
    #[error("the wrapped key does not open for this tenant and id; its row was altered or swapped")]
    WrappedKeyNotAuthentic,
    /// The system's random generator failed.
    #[error("the system gives no random bytes; nothing was sealed")]
    EntropyUnavailable,

    /// The tenant holds no lease, or it ran out or was revoked.
    #[error("the tenant's KMS authorisation has ended; renew the lease with a KMS decrypt")]
    LeaseExpired,
    /// The authorisation is older than a denial that came after it.
    #[error("the authorisation is older than the tenant's last denial; ask the KMS again")]
    AuthorisationStale,
    /// A tenant key that is needed is not loaded.
    #[error("tenant key {0} is not loaded; unwrap it with the KMS and add it")]
    TenantKeyMissing(TenantKeyId),
    /// The tenant has no tenant key loaded at all.
    #[error("the tenant has no tenant key loaded; create or unwrap one")]
    NoTenantKey,
    /// The tenant has no data key to seal with.
    #[error("the tenant has no data key to seal with; generate one, commit its row, activate it")]
    SealKeyMissing,
    /// The sealing data key has reached its age.
    #[error("the tenant's data key is too old to seal with; generate and activate a new one")]
    SealKeyExpired,
    /// The sealing data key has not enough messages or bytes left.
    #[error("the tenant's data key has no budget left for this batch; generate and activate a new one")]
    BudgetExhausted,
    /// More was sealed than was reserved.
    #[error("the batch seals more than it reserved; reserve again for the rest")]
    ReservationExceeded,
    /// A limit on data keys is zero or beyond what AES-GCM with random nonces allows.
    #[error("a data key may seal 1..=2^24 messages and 1..=2^38 bytes, for longer than no time")]
    LimitOutOfRange,
    /// The data key is not loaded.
    #[error("the data key is not loaded; ask for what is missing and load it")]
    DataKeyNotLoaded,
    /// The data key was looked for lately and does not exist.
    #[error("the data key does not exist for this tenant")]
    DataKeyNotFound,
    /// The tenant's index key is not loaded.
    #[error("the tenant's index key is not loaded; create or load it")]
    IndexKeyMissing,

    /// The bytes are no keyring file.
    #[error("the file is not a keyring; point to the one `intelgraph` made")]
    KeyringFormatUnknown,
    /// The keyring was written by a newer version.
    #[error("keyring format {0} is unknown; this build reads format 1")]
    KeyringVersionUnknown(u8),
    /// The keyring file ends too early or goes on too long.
    #[error("the keyring file is cut short or has bytes after its end; restore it from a backup")]
    KeyringTruncated,
    /// The keyring is unlocked by a passphrase and a key file was given, or the other way round.
    #[error("the keyring is unlocked by the other kind (passphrase or key file) than was given")]
    KeyringUnlockKind,
    /// The passphrase or key file is not this keyring's.
    #[error("the passphrase or key file does not unlock this keyring")]
    KeyringUnlockWrong,
    /// An empty passphrase, or a key file that has not 32 bytes.
    #[error("a passphrase may not be empty and a key file holds exactly 32 bytes")]
    KeyringUnlockUnfit,
    /// The Argon2id parameters in the header are not ones this build accepts.
    #[error("the keyring's Argon2id parameters are out of bounds; the header was altered")]
    KeyringParameters,
    /// The passphrase needs more memory than there is.
    #[error("not enough memory to derive the keyring's key; free some and try again")]
    KeyringMemory,
    /// The key unlocks, the content does not verify.
    #[error("the keyring file was altered; restore it from a backup")]
    KeyringCorrupt,
    /// No such key-encryption key (KEK), or version of it.
    #[error("the keyring holds no such key for this tenant; create one")]
    KekUnknown,
    /// The KEK version is disabled.
    #[error("the tenant's key in the keyring is disabled; its owner can enable it")]
    KekDisabled,
    /// The KEK version is destroyed.
    #[error("the tenant's key in the keyring is destroyed; what it wrapped is gone")]
    KekDestroyed,
    /// AWS-LC could not make the key pair or the signature.
    #[error("signing with the keyring's key failed; nothing was signed")]
    SigningFailed,
}

impl EnvelopeError {
    /// The stable name that goes on the wire as `ErrorInfo.reason`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Truncated => "ENVELOPE_TRUNCATED",
            Self::UnknownVersion(_) => "ENVELOPE_VERSION_UNKNOWN",
            Self::UnknownSuite(_) => "ENVELOPE_SUITE_UNKNOWN",
            Self::UnknownFlags(_) => "ENVELOPE_FLAGS_UNKNOWN",
            Self::KeyMismatch => "ENVELOPE_KEY_MISMATCH",
            Self::WrongTenant => "ENVELOPE_WRONG_TENANT",
            Self::NotAuthentic => "ENVELOPE_NOT_AUTHENTIC",
            Self::PlaintextPlace => "ENVELOPE_PLAINTEXT_PLACE",
            Self::TooLong => "ENVELOPE_TOO_LONG",
            Self::InlineTooLong => "ENVELOPE_INLINE_TOO_LONG",
            Self::IdLength { .. } => "KEY_ID_LENGTH",
            Self::SecretLength { .. } => "KEY_SECRET_LENGTH",
            Self::CommitmentMismatch => "KEY_COMMITMENT_MISMATCH",
            Self::WrappedKeyMalformed => "WRAPPED_KEY_MALFORMED",
            Self::WrappedKeyNotAuthentic => "WRAPPED_KEY_NOT_AUTHENTIC",
            Self::EntropyUnavailable => "ENTROPY_UNAVAILABLE",
            Self::LeaseExpired => "LEASE_EXPIRED",
            Self::AuthorisationStale => "LEASE_AUTHORISATION_STALE",
            Self::TenantKeyMissing(_) => "TENANT_KEY_MISSING",
            Self::NoTenantKey => "TENANT_KEY_NONE",
            Self::SealKeyMissing => "SEAL_KEY_MISSING",
            Self::SealKeyExpired => "SEAL_KEY_EXPIRED",
            Self::BudgetExhausted => "SEAL_BUDGET_EXHAUSTED",
            Self::ReservationExceeded => "SEAL_RESERVATION_EXCEEDED",
            Self::LimitOutOfRange => "SEAL_LIMIT_OUT_OF_RANGE",
            Self::DataKeyNotLoaded => "DATA_KEY_NOT_LOADED",
            Self::DataKeyNotFound => "DATA_KEY_NOT_FOUND",
            Self::IndexKeyMissing => "INDEX_KEY_MISSING",
            Self::KeyringFormatUnknown => "KEYRING_FORMAT_UNKNOWN",
            Self::KeyringVersionUnknown(_) => "KEYRING_VERSION_UNKNOWN",
            Self::KeyringTruncated => "KEYRING_TRUNCATED",
            Self::KeyringUnlockKind => "KEYRING_UNLOCK_KIND",
            Self::KeyringUnlockWrong => "KEYRING_UNLOCK_WRONG",
            Self::KeyringUnlockUnfit => "KEYRING_UNLOCK_UNFIT",
            Self::KeyringParameters => "KEYRING_PARAMETERS",
            Self::KeyringMemory => "KEYRING_MEMORY",
            Self::KeyringCorrupt => "KEYRING_CORRUPT",
            Self::KekUnknown => "KEK_UNKNOWN",
            Self::KekDisabled => "KEK_DISABLED",
            Self::KekDestroyed => "KEK_DESTROYED",
            Self::SigningFailed => "SIGNING_FAILED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EnvelopeError::{self, *};
    use super::TenantKeyId;

    const ALL: [EnvelopeError; 41] = [
        Truncated,
        UnknownVersion(7),
        UnknownSuite(7),
        UnknownFlags(7),
        KeyMismatch,
        WrongTenant,
        NotAuthentic,
        PlaintextPlace,
        TooLong,
        InlineTooLong,
        IdLength { want: 16, got: 7 },
        SecretLength { want: 32 },
        CommitmentMismatch,
        WrappedKeyMalformed,
        WrappedKeyNotAuthentic,
        EntropyUnavailable,
        LeaseExpired,
        AuthorisationStale,
        TenantKeyMissing(TenantKeyId::from_bytes([7; 16])),
        NoTenantKey,
        SealKeyMissing,
        SealKeyExpired,
        BudgetExhausted,
        ReservationExceeded,
        LimitOutOfRange,
        DataKeyNotLoaded,
        DataKeyNotFound,
        IndexKeyMissing,
        KeyringFormatUnknown,
        KeyringVersionUnknown(7),
        KeyringTruncated,
        KeyringUnlockKind,
        KeyringUnlockWrong,
        KeyringUnlockUnfit,
        KeyringParameters,
        KeyringMemory,
        KeyringCorrupt,
        KekUnknown,
        KekDisabled,
        KekDestroyed,
        SigningFailed,
    ];

    #[test]
    fn every_kind_has_its_own_reason_and_says_what_to_do() {
        let mut reasons = std::collections::BTreeSet::new();
        for error in ALL {
            let reason = error.reason();
            assert!(reason.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{reason}");
            assert!(reasons.insert(reason), "{reason} stands for two kinds");
            let text = error.to_string();
            assert!(text.len() > 20 && !text.ends_with('.'), "{text}");
        }
        assert_eq!(reasons.len(), ALL.len());
    }
}
