//! Envelope encryption: seal and open values, hold the keys that do it.
//!
//! Three levels. A tenant's key in the KMS wraps [tenant keys](TenantKey); a tenant key wraps data
//! keys (DEKs) locally; data keys seal values. So the KMS is asked once per tenant key and lease, and
//! never per batch.
//!
//! - [`Envelope`] is the sealed form, [`Context`] the place a value belongs to.
//! - [`Keystore`] holds all keys of a process under leases and gives out [`SealBatch`]es and
//!   [`OpeningKey`]s.
//! - [`IndexKey`] names entities without revealing their natural keys.
//! - [`LocalKeyring`] is a KMS in a file, for development and air-gapped hosts.
//!
//! The crate does no I/O and reads no clock. It knows nothing of Python.
//!
//! # Wiping
//! [`Secret`]s are wiped when dropped. Expanded AES keys and HMAC states live in AWS-LC, which
//! overwrites them when they are freed (`OPENSSL_free` and `HMAC_CTX_cleanup` cleanse). A key that a
//! caller still holds when its lease ends refuses to work at once, and is wiped when it is let go.
//! Registers, swap and core dumps are beyond this crate.

#![forbid(unsafe_code)]

mod aead;
mod budget;
mod context;
mod data_key;
mod derive;
mod envelope;
mod error;
mod fields;
mod ids;
mod index_key;
mod keyring;
mod keystore;
mod lease;
mod nonces;
mod opening;
mod sealing;
mod secret;
#[cfg(test)]
mod tests;
mod tick;
mod wrap;

pub use budget::DataKeyLimits;
pub use context::{Context, Purpose};
pub use envelope::{
    Envelope, FLAG_INLINE_KEYS, InlineKeys, OVERHEAD, PREFIX_LEN, Suite, VERSION, reserve_header,
};
pub use error::EnvelopeError;
pub use ids::{DekId, EntityId, IndexKeyId, TenantId, TenantKeyId};
pub use index_key::IndexKey;
pub use keyring::{KekState, KekVersion, LocalKeyring, SIGNATURE_LEN, Unlock, VERIFYING_KEY_LEN};
pub use keystore::{DataKeyRow, IndexKeyRow, Keystore, KeystoreLimits, PendingDek, PendingIndexKey};
pub use lease::LeaseId;
pub use opening::OpeningKey;
pub use sealing::{SealBatch, SealingKey};
pub use secret::Secret;
pub use tick::Tick;
pub use wrap::{TenantKey, WrappedKey};
