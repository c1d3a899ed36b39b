//! A KMS in a file: the `local` provider.
//!
//! Key-encryption keys (KEKs), versioned per tenant, sealed as a whole by a passphrase or a key file.
//! Bytes in, bytes out: who holds a `LocalKeyring` writes [`LocalKeyring::seal`]'s bytes to the file
//! (mode 0600, replaced atomically) after every change and before relying on it. A KEK of an owner that is no
//! tenant can also [sign](LocalKeyring::sign).
//!
//! It is for development and air-gapped hosts. Whoever has the file and what unlocks it has every
//! key, and an older copy of the file, put back, brings back what was disabled or destroyed since.

mod file;
mod signing;
mod unlock;

pub use signing::{SIGNATURE_LEN, VERIFYING_KEY_LEN};
pub use unlock::Unlock;

use crate::aead::{AeadKey, NONCE_LEN, TAG_LEN};
use crate::error::EnvelopeError;
use crate::fields::Fields;
use crate::ids::TenantId;
use crate::secret::Secret;
use file::Sealer;
use std::collections::BTreeMap;
use std::fmt;

/// What a KEK version may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KekState {
    /// Wraps and unwraps.
    Enabled,
    /// Denies, until enabled again.
    Disabled,
    /// Gone, with all that it wrapped.
    Destroyed,
}

/// One version of a tenant's KEK, without the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KekVersion {
    /// Its number, from 1.
    pub number: u32,
    /// What it may be used for.
    pub state: KekState,
    /// When it was made, microseconds since the Unix epoch.
    pub created_us: i64,
}

struct Kek {
    state: KekState,
    created_us: i64,
    /// None once destroyed.
    secret: Option<Secret<32>>,
}

impl Kek {
    fn enabled_key(&self) -> Result<AeadKey, EnvelopeError> {
        match (self.state, &self.secret) {
            (KekState::Enabled, Some(secret)) => AeadKey::new(secret),
            (KekState::Disabled, _) => Err(EnvelopeError::KekDisabled),
            (KekState::Destroyed, _) | (KekState::Enabled, None) => Err(EnvelopeError::KekDestroyed),
        }
    }
}

/// The keyring, unlocked.
pub struct LocalKeyring {
    sealer: Sealer,
    keks: BTreeMap<(TenantId, u32), Kek>,
}

const WRAP_VERSION: u8 = 1;
const WRAP_HEADER_LEN: usize = 5;
const WRAPPED_LEN: usize = WRAP_HEADER_LEN + NONCE_LEN + 32 + TAG_LEN;

impl LocalKeyring {
    /// An empty keyring that `unlock` will open. A passphrase costs one Argon2id run (64 MiB).
    ///
    /// # Errors
    /// `KeyringUnlockUnfit`, `EntropyUnavailable`, `KeyringMemory`.
    pub fn create(unlock: &Unlock<'_>) -> Result<Self, EnvelopeError> {
        Ok(Self { sealer: Sealer::create(unlock)?, keks: BTreeMap::new() })
    }

    /// Opens a keyring file's bytes.
    ///
    /// # Errors
    /// `KeyringFormatUnknown`, `KeyringVersionUnknown`, `KeyringTruncated`, `KeyringParameters`;
    /// `KeyringUnlockKind`, `KeyringUnlockUnfit` or `KeyringUnlockWrong` for what unlocks it;
    /// `KeyringMemory`; `KeyringCorrupt`.
    pub fn open(sealed: &[u8], unlock: &Unlock<'_>) -> Result<Self, EnvelopeError> {
        let (sealer, keks) = file::open(sealed, unlock)?;
        Ok(Self { sealer, keks })
    }

    /// The bytes of the keyring file, different each time.
    ///
    /// # Errors
    /// [`EnvelopeError::EntropyUnavailable`].
    pub fn seal(&self) -> Result<Vec<u8>, EnvelopeError> {
        self.sealer.seal(&self.keks)
    }

    /// Makes a KEK for the tenant, or a new version of it, enabled; new keys are wrapped by it from
    /// now on, and what earlier versions wrapped stays theirs.
    ///
    /// # Errors
    /// [`EnvelopeError::EntropyUnavailable`].
    pub fn create_kek(&mut self, tenant: TenantId, created_us: i64) -> Result<u32, EnvelopeError> {
        let number = self.newest(tenant).map_or(1, |(number, _)| number + 1);
        let secret = Some(Secret::generate()?);
        self.keks.insert((tenant, number), Kek { state: KekState::Enabled, created_us, secret });
        Ok(number)
    }

    /// The tenant's KEK versions, oldest first; empty if it has none.
    pub fn versions(&self, tenant: TenantId) -> impl Iterator<Item = KekVersion> {
        self.keks.range((tenant, 0)..=(tenant, u32::MAX)).map(|(&(_, number), kek)| KekVersion {
            number,
            state: kek.state,
            created_us: kek.created_us,
        })
    }

    /// Lets a disabled version work again.
    ///
    /// # Errors
    /// `KekUnknown`, `KekDestroyed`.
    pub fn enable(&mut self, tenant: TenantId, version: u32) -> Result<(), EnvelopeError> {
        self.set_state(tenant, version, KekState::Enabled)
    }

    /// Makes a version deny, as a customer does who withdraws a key.
    ///
    /// # Errors
    /// `KekUnknown`, `KekDestroyed`.
    pub fn disable(&mut self, tenant: TenantId, version: u32) -> Result<(), EnvelopeError> {
        self.set_state(tenant, version, KekState::Disabled)
    }

    /// Wipes a version. What it wrapped is lost once no copy of the file from before exists.
    ///
    /// # Errors
    /// `KekUnknown`, `KekDestroyed`.
    pub fn destroy(&mut self, tenant: TenantId, version: u32) -> Result<(), EnvelopeError> {
        self.set_state(tenant, version, KekState::Destroyed)?;
        self.kek_mut(tenant, version)?.secret = None;
        Ok(())
    }

    /// Wraps a secret under the tenant's newest KEK version. `key_id` is the context: unwrapping needs
    /// the same. Never falls back to an older version: a disabled key denies.
    ///
    /// The result is `version(1)=1 | KEK version(4, big-endian) | nonce(12) | ciphertext(32) | tag(16)`,
    /// AES-256-GCM over a context of these first five bytes, tenant and key id.
    ///
    /// # Errors
    /// `KekUnknown`, `KekDisabled`, `KekDestroyed`, `EntropyUnavailable`.
    pub fn wrap(
        &self,
        tenant: TenantId,
        key_id: &[u8],
        secret: &Secret<32>,
    ) -> Result<Vec<u8>, EnvelopeError> {
        let (number, kek) = self.newest(tenant).ok_or(EnvelopeError::KekUnknown)?;
        let key = kek.enabled_key()?;
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| EnvelopeError::EntropyUnavailable)?;

        let mut wrapped = Vec::with_capacity(WRAPPED_LEN);
        wrapped.push(WRAP_VERSION);
        wrapped.extend_from_slice(&number.to_be_bytes());
        let aad = wrap_context(&wrapped, tenant, key_id);
        wrapped.extend_from_slice(&nonce);
        wrapped.extend_from_slice(secret.expose());
        let tag = key.seal(nonce, aad.as_slice(), &mut wrapped[WRAP_HEADER_LEN + NONCE_LEN..])?;
        wrapped.extend_from_slice(&tag);
        Ok(wrapped)
    }

    /// Unwraps what [`wrap`](Self::wrap) gave for the same tenant and key id.
    ///
    /// # Errors
    /// `WrappedKeyMalformed`; `KekUnknown`, `KekDisabled`, `KekDestroyed` for the version it names;
    /// `WrappedKeyNotAuthentic`.
    pub fn unwrap(
        &self,
        tenant: TenantId,
        key_id: &[u8],
        wrapped: &[u8],
    ) -> Result<Secret<32>, EnvelopeError> {
        let wrapped: &[u8; WRAPPED_LEN] =
            wrapped.try_into().map_err(|_| EnvelopeError::WrappedKeyMalformed)?;
        let (header, sealed) = wrapped.split_at(WRAP_HEADER_LEN);
        let &[WRAP_VERSION, a, b, c, d] = header else {
            return Err(EnvelopeError::WrappedKeyMalformed);
        };
        let number = u32::from_be_bytes([a, b, c, d]);
        let key = self.keks.get(&(tenant, number)).ok_or(EnvelopeError::KekUnknown)?.enabled_key()?;

        let malformed = EnvelopeError::WrappedKeyMalformed;
        let (nonce, sealed) = sealed.split_first_chunk().ok_or(malformed)?;
        let (ciphertext, tag) = sealed.split_last_chunk().ok_or(malformed)?;
        let mut secret = Secret::zeroed();
        let aad = wrap_context(header, tenant, key_id);
        key.open(*nonce, aad.as_slice(), ciphertext, tag, secret.expose_mut())
            .map_err(|_| EnvelopeError::WrappedKeyNotAuthentic)?;
        Ok(secret)
    }

    fn set_state(&mut self, tenant: TenantId, version: u32, state: KekState) -> Result<(), EnvelopeError> {
        let kek = self.kek_mut(tenant, version)?;
        if kek.state == KekState::Destroyed {
            return Err(EnvelopeError::KekDestroyed);
        }
        kek.state = state;
        Ok(())
    }

    fn kek_mut(&mut self, tenant: TenantId, version: u32) -> Result<&mut Kek, EnvelopeError> {
        self.keks.get_mut(&(tenant, version)).ok_or(EnvelopeError::KekUnknown)
    }

    fn newest(&self, tenant: TenantId) -> Option<(u32, &Kek)> {
        let (&(_, number), kek) = self.keks.range((tenant, 0)..=(tenant, u32::MAX)).next_back()?;
        Some((number, kek))
    }
}

impl fmt::Debug for LocalKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalKeyring({} key versions)", self.keks.len())
    }
}

fn wrap_context(header: &[u8], tenant: TenantId, key_id: &[u8]) -> Fields {
    let mut aad = Fields::new();
    aad.prefixed(b"intelgraph/keyring/wrap");
    aad.fixed(header);
    aad.fixed(tenant.as_bytes());
    aad.prefixed(key_id);
    aad
}
