//! The keyring file, format 1.
//!
//! ```text
//! header:  "IGKEYRNG"(8) | format(1)=1 | method(1) | memory KiB(4) | passes(4) | lanes(4)
//!          | salt(32) | check(32) | content length(4)
//! then:    nonce(12) | sealed content | tag(16)
//! content: per key version: tenant(16) | version(4) | state(1) | created, µs(8) | key(32)
//! ```
//!
//! Integers are big-endian. Method 1 is a passphrase (Argon2id with these costs), 2 a key file (costs
//! are 0). The content is sealed with AES-256-GCM, the header is its AAD. Entries ascend by tenant and
//! version; states are 1 enabled, 2 disabled, 3 destroyed, whose key is zeros.

use super::unlock::{Costs, Method, Unlock, file_keys};
use super::{Kek, KekState};
use crate::aead::{AeadKey, NONCE_LEN, TAG_LEN};
use crate::error::EnvelopeError;
use crate::ids::TenantId;
use crate::secret::Secret;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"IGKEYRNG";
const FORMAT: u8 = 1;
const METHOD_AT: usize = 9;
const SALT_AT: usize = 22;
const CHECK_AT: usize = 54;
const LENGTH_AT: usize = 86;
const HEADER_LEN: usize = 90;
const ENTRY_LEN: usize = 16 + 4 + 1 + 8 + 32;

pub(super) type Keks = BTreeMap<(TenantId, u32), Kek>;

/// Seals keyrings that one passphrase or key file opens, without asking for it again.
pub(super) struct Sealer {
    /// All but the content length.
    header: [u8; LENGTH_AT],
    key: AeadKey,
}

impl Sealer {
    pub(super) fn create(unlock: &Unlock<'_>) -> Result<Self, EnvelopeError> {
        let mut salt = [0; 32];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| EnvelopeError::EntropyUnavailable)?;
        let method = Method::for_new(unlock);
        let (sealing, check) = file_keys(&method.root(unlock, &salt)?, &salt)?;

        let (number, costs) = match method {
            Method::Passphrase(costs) => (1, [costs.memory_kib, costs.passes, costs.lanes]),
            Method::KeyFile => (2, [0; 3]),
        };
        let mut header = [0; LENGTH_AT];
        header[..8].copy_from_slice(MAGIC);
        header[8] = FORMAT;
        header[METHOD_AT] = number;
        for (at, cost) in costs.into_iter().enumerate() {
            header[METHOD_AT + 1 + 4 * at..][..4].copy_from_slice(&cost.to_be_bytes());
        }
        header[SALT_AT..CHECK_AT].copy_from_slice(&salt);
        header[CHECK_AT..].copy_from_slice(&check);
        Ok(Self { header, key: AeadKey::new(&sealing)? })
    }

    pub(super) fn seal(&self, keks: &Keks) -> Result<Vec<u8>, EnvelopeError> {
        let content_len = keks.len() * ENTRY_LEN;
        // Sized at once: growing it would leave copies of the keys behind.
        let mut sealed = Vec::with_capacity(HEADER_LEN + NONCE_LEN + content_len + TAG_LEN);
        let length = u32::try_from(content_len).map_err(|_| EnvelopeError::TooLong)?;
        sealed.extend_from_slice(&self.header);
        sealed.extend_from_slice(&length.to_be_bytes());
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| EnvelopeError::EntropyUnavailable)?;
        sealed.extend_from_slice(&nonce);
        for (&(tenant, version), kek) in keks {
            write_entry(tenant, version, kek, &mut sealed);
        }
        let (header, content) = sealed.split_at_mut(HEADER_LEN);
        let tag = self.key.seal(nonce, header, &mut content[NONCE_LEN..])?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }
}

pub(super) fn open(sealed: &[u8], unlock: &Unlock<'_>) -> Result<(Sealer, Keks), EnvelopeError> {
    let (header, body) = split(sealed)?;
    let method = method(header)?;
    let salt: [u8; 32] = part(header, SALT_AT);
    let (sealing, check) = file_keys(&method.root(unlock, &salt)?, &salt)?;
    verify_slices_are_equal(&check, &header[CHECK_AT..LENGTH_AT])
        .map_err(|_| EnvelopeError::KeyringUnlockWrong)?;

    let key = AeadKey::new(&sealing)?;
    let (nonce, body) = body.split_first_chunk().ok_or(EnvelopeError::KeyringTruncated)?;
    let (ciphertext, tag) = body.split_last_chunk().ok_or(EnvelopeError::KeyringTruncated)?;
    let mut content = Zeroizing::new(vec![0; ciphertext.len()]);
    key.open(*nonce, header, ciphertext, tag, &mut content).map_err(|_| EnvelopeError::KeyringCorrupt)?;
    Ok((Sealer { header: part(header, 0), key }, read_entries(&content)?))
}

/// Header and body, if this is a keyring of this format and is whole.
fn split(sealed: &[u8]) -> Result<(&[u8; HEADER_LEN], &[u8]), EnvelopeError> {
    let start = &sealed[..sealed.len().min(MAGIC.len())];
    if !MAGIC.starts_with(start) {
        return Err(EnvelopeError::KeyringFormatUnknown);
    }
    match sealed.get(MAGIC.len()) {
        Some(&FORMAT) => {}
        Some(&other) => return Err(EnvelopeError::KeyringVersionUnknown(other)),
        None => return Err(EnvelopeError::KeyringTruncated),
    }
    let (header, body) = sealed.split_first_chunk().ok_or(EnvelopeError::KeyringTruncated)?;
    let content_len = u32::from_be_bytes(part(header, LENGTH_AT)) as usize;
    if body.len() == NONCE_LEN + content_len + TAG_LEN {
        Ok((header, body))
    } else {
        Err(EnvelopeError::KeyringTruncated)
    }
}

fn method(header: &[u8; HEADER_LEN]) -> Result<Method, EnvelopeError> {
    let cost = |at: usize| u32::from_be_bytes(part(header, METHOD_AT + 1 + 4 * at));
    match (header[METHOD_AT], [cost(0), cost(1), cost(2)]) {
        (1, [memory_kib, passes, lanes]) => Ok(Method::Passphrase(Costs { memory_kib, passes, lanes })),
        (2, [0, 0, 0]) => Ok(Method::KeyFile),
        _ => Err(EnvelopeError::KeyringParameters),
    }
}

fn write_entry(tenant: TenantId, version: u32, kek: &Kek, out: &mut Vec<u8>) {
    out.extend_from_slice(tenant.as_bytes());
    out.extend_from_slice(&version.to_be_bytes());
    out.push(match kek.state {
        KekState::Enabled => 1,
        KekState::Disabled => 2,
        KekState::Destroyed => 3,
    });
    out.extend_from_slice(&kek.created_us.to_be_bytes());
    out.extend_from_slice(kek.secret.as_ref().map_or(&[0; 32], |secret| secret.expose()));
}

/// Reads authenticated content; what it cannot read, a faulty writer wrote.
fn read_entries(content: &[u8]) -> Result<Keks, EnvelopeError> {
    let (entries, rest) = content.as_chunks::<ENTRY_LEN>();
    let mut keks = Keks::new();
    for entry in entries {
        let place = (TenantId::from_bytes(part(entry, 0)), u32::from_be_bytes(part(entry, 16)));
        let state = match entry[20] {
            1 => KekState::Enabled,
            2 => KekState::Disabled,
            3 => KekState::Destroyed,
            _ => return Err(EnvelopeError::KeyringCorrupt),
        };
        let secret = if state == KekState::Destroyed { None } else { Some(Secret::copy_of(&entry[29..])?) };
        let kek = Kek { state, created_us: i64::from_be_bytes(part(entry, 21)), secret };
        if keks.last_key_value().is_some_and(|(last, _)| *last >= place) {
            return Err(EnvelopeError::KeyringCorrupt);
        }
        keks.insert(place, kek);
    }
    if rest.is_empty() { Ok(keks) } else { Err(EnvelopeError::KeyringCorrupt) }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}
