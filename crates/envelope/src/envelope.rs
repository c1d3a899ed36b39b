//! The sealed form of a value, version 1.
//!
//! ```text
//! version(1)=1 | suite(1) | flags(1) | dek_id(32) | [inline keys] | nonce(12) | ciphertext | tag(16)
//! ```
//!
//! 63 bytes over the plaintext, without inline keys. With flag bit 0 the keys travel along:
//!
//! ```text
//! length(2, big-endian) | wrapped DEK(77) | wrapped tenant key(length − 77, as the KMS gave it)
//! ```
//!
//! Everything before the nonce is the *header* and is authenticated as it stands; the nonce is
//! authenticated by the cipher itself.

use crate::aead::{NONCE_LEN, TAG_LEN};
use crate::error::EnvelopeError;
use crate::ids::DekId;
use crate::wrap::WrappedKey;

/// The format's number, the first byte.
pub const VERSION: u8 = 1;
/// Flag bit 0: the wrapped keys follow the `dek_id`.
pub const FLAG_INLINE_KEYS: u8 = 0b0000_0001;
/// Bytes of a header without inline keys.
pub(crate) const HEADER_LEN: usize = 3 + DekId::LEN;
/// Bytes before the ciphertext, without inline keys: what [`reserve_header`] puts down.
pub const PREFIX_LEN: usize = HEADER_LEN + NONCE_LEN;
/// Bytes an envelope has over its plaintext, without inline keys.
pub const OVERHEAD: usize = PREFIX_LEN + TAG_LEN;

const INLINE_LENGTH_LEN: usize = 2;
const INLINE_TENANT_KEY_MAX: usize = u16::MAX as usize - WrappedKey::LEN;

/// How a value is enciphered. Number 2 is kept for XAES-256-GCM (C2SP).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Suite {
    /// AES-256-GCM with a random 96-bit nonce; a key encrypts in one process only.
    Aes256Gcm,
}

impl Suite {
    /// Its number, the second byte.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Aes256Gcm => 1,
        }
    }

    /// The suite with this number.
    ///
    /// # Errors
    /// [`EnvelopeError::UnknownSuite`].
    pub const fn from_number(number: u8) -> Result<Self, EnvelopeError> {
        match number {
            1 => Ok(Self::Aes256Gcm),
            other => Err(EnvelopeError::UnknownSuite(other)),
        }
    }
}

/// The keys that travel in an envelope, both wrapped: the DEK by the tenant key, the tenant key by
/// the KMS. Whoever may use the tenant's KMS key opens such an envelope without any key table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InlineKeys<'a> {
    /// The DEK, wrapped by the tenant key it names.
    pub data_key: WrappedKey,
    /// The tenant key as the KMS wrapped it; empty if only key tables shall supply it.
    pub tenant_key: &'a [u8],
}

/// A parsed, not yet authenticated, envelope.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    pub(crate) header: &'a [u8],
    pub(crate) nonce: [u8; NONCE_LEN],
    pub(crate) ciphertext: &'a [u8],
    pub(crate) tag: &'a [u8; TAG_LEN],
    suite: Suite,
    dek_id: DekId,
    inline_keys: Option<InlineKeys<'a>>,
}

impl<'a> Envelope<'a> {
    /// Takes an envelope apart. Nothing in it is to be believed before [`OpeningKey::open`] says so.
    ///
    /// # Errors
    /// `Truncated`, `UnknownVersion`, `UnknownSuite`, `UnknownFlags`; `WrappedKeyMalformed` if the
    /// inline keys are.
    ///
    /// [`OpeningKey::open`]: crate::OpeningKey::open
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        let mut rest = Reader(bytes);
        let version = rest.byte()?;
        if version != VERSION {
            return Err(EnvelopeError::UnknownVersion(version));
        }
        let suite = Suite::from_number(rest.byte()?)?;
        let flags = rest.byte()?;
        if flags & !FLAG_INLINE_KEYS != 0 {
            return Err(EnvelopeError::UnknownFlags(flags));
        }
        let dek_id = DekId::from_bytes(*rest.array()?);
        let inline_keys = if flags & FLAG_INLINE_KEYS != 0 { Some(rest.inline_keys()?) } else { None };
        let header = &bytes[..bytes.len() - rest.0.len()];
        let nonce = *rest.array()?;
        let (ciphertext, tag) = rest.0.split_last_chunk().ok_or(EnvelopeError::Truncated)?;
        Ok(Self { header, nonce, ciphertext, tag, suite, dek_id, inline_keys })
    }

    /// The cipher suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The data key it claims to be sealed under.
    #[must_use]
    pub fn dek_id(&self) -> DekId {
        self.dek_id
    }

    /// The keys it carries, to be used only if `dek_id` is unknown.
    #[must_use]
    pub fn inline_keys(&self) -> Option<InlineKeys<'a>> {
        self.inline_keys
    }

    /// Bytes in the plaintext.
    #[must_use]
    pub fn plaintext_len(&self) -> usize {
        self.ciphertext.len()
    }
}

/// Makes room at the end of `out` for what precedes a ciphertext and says where its plaintext starts.
/// The caller appends the plaintext there and seals it with `SealBatch::seal_in_place`.
#[inline]
pub fn reserve_header(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; PREFIX_LEN]);
    out.len()
}

/// A header without inline keys.
pub(crate) fn header(suite: Suite, dek_id: &DekId) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..3].copy_from_slice(&[VERSION, suite.number(), 0]);
    header[3..].copy_from_slice(dek_id.as_bytes());
    header
}

/// Appends a header with inline keys to `out`.
pub(crate) fn write_header_with_keys(
    suite: Suite,
    dek_id: &DekId,
    keys: &InlineKeys<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EnvelopeError> {
    if keys.tenant_key.len() > INLINE_TENANT_KEY_MAX {
        return Err(EnvelopeError::InlineTooLong);
    }
    let length = (WrappedKey::LEN + keys.tenant_key.len()) as u16;
    out.extend_from_slice(&[VERSION, suite.number(), FLAG_INLINE_KEYS]);
    out.extend_from_slice(dek_id.as_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(keys.data_key.as_bytes());
    out.extend_from_slice(keys.tenant_key);
    Ok(())
}

/// What is left to parse.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], EnvelopeError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(EnvelopeError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, EnvelopeError> {
        self.array().map(|&[byte]| byte)
    }

    fn inline_keys(&mut self) -> Result<InlineKeys<'a>, EnvelopeError> {
        let length: [u8; INLINE_LENGTH_LEN] = *self.array()?;
        let length = usize::from(u16::from_be_bytes(length));
        let (section, rest) = self.0.split_at_checked(length).ok_or(EnvelopeError::Truncated)?;
        let (data_key, tenant_key) =
            section.split_at_checked(WrappedKey::LEN).ok_or(EnvelopeError::WrappedKeyMalformed)?;
        self.0 = rest;
        Ok(InlineKeys { data_key: WrappedKey::parse(data_key)?, tenant_key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Vec<u8> {
        let mut bytes = header(Suite::Aes256Gcm, &DekId::from_bytes([5; 32])).to_vec();
        bytes.extend([6; NONCE_LEN]);
        bytes.extend(b"value");
        bytes.extend([8; TAG_LEN]);
        bytes
    }

    #[test]
    fn adds_63_bytes() {
        assert_eq!(OVERHEAD, 63);
        assert_eq!(envelope().len(), OVERHEAD + b"value".len());
    }

    #[test]
    fn comes_apart_as_it_was_put_together() {
        let bytes = envelope();
        let parsed = Envelope::parse(&bytes).unwrap();
        assert_eq!(parsed.suite(), Suite::Aes256Gcm);
        assert_eq!(parsed.dek_id(), DekId::from_bytes([5; 32]));
        assert_eq!(parsed.header, &bytes[..35]);
        assert_eq!((parsed.nonce, parsed.ciphertext, parsed.tag), ([6; 12], &b"value"[..], &[8; 16]));
        assert_eq!((parsed.plaintext_len(), parsed.inline_keys()), (5, None));
    }

    #[test]
    fn names_what_it_does_not_know() {
        for (at, value, error) in [
            (0, 0, EnvelopeError::UnknownVersion(0)),
            (0, 2, EnvelopeError::UnknownVersion(2)),
            (1, 0, EnvelopeError::UnknownSuite(0)),
            (1, 2, EnvelopeError::UnknownSuite(2)),
            (2, 0b10, EnvelopeError::UnknownFlags(0b10)),
            (2, 0b1000_0001, EnvelopeError::UnknownFlags(0b1000_0001)),
        ] {
            let mut bytes = envelope();
            bytes[at] = value;
            assert_eq!(Envelope::parse(&bytes).unwrap_err(), error);
            // Named even if nothing follows.
            assert_eq!(Envelope::parse(&bytes[..=at]).unwrap_err(), error);
        }
    }

    #[test]
    fn refuses_every_cut() {
        let bytes = envelope();
        for length in 0..OVERHEAD {
            assert_eq!(Envelope::parse(&bytes[..length]).unwrap_err(), EnvelopeError::Truncated, "{length}");
        }
        assert!(Envelope::parse(&bytes[..OVERHEAD]).is_ok(), "an empty plaintext is a plaintext");
    }
}
