//! From a passphrase or a key file to the key that seals the keyring.

use crate::derive::hkdf_sha256;
use crate::error::EnvelopeError;
use crate::secret::Secret;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use std::fmt;
use zeroize::Zeroize;

/// What unlocks a keyring.
#[derive(Clone, Copy)]
pub enum Unlock<'a> {
    /// A passphrase, any bytes but none.
    Passphrase(&'a [u8]),
    /// The content of a key file: 32 bytes, from a random generator.
    KeyFile(&'a [u8]),
}

impl fmt::Debug for Unlock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase(_) => "Passphrase(hidden)",
            Self::KeyFile(_) => "KeyFile(hidden)",
        })
    }
}

/// Argon2id's costs, kept in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Costs {
    pub(super) memory_kib: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
}

impl Costs {
    /// The second recommended option of RFC 9106 §4: 64 MiB, three passes, four lanes.
    const RECOMMENDED: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 };

    /// A header is foreign until it verifies, and verifying it takes these costs: more than a GiB or
    /// 64 passes is an attack, not a setting.
    fn parameters(self) -> Result<Params, EnvelopeError> {
        let bounded = self.memory_kib <= 1024 * 1024 && self.passes <= 64 && self.lanes <= 64;
        bounded
            .then(|| Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).ok())
            .flatten()
            .ok_or(EnvelopeError::KeyringParameters)
    }
}

/// How a keyring is unlocked; its public part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Passphrase(Costs),
    KeyFile,
}

impl Method {
    pub(super) fn for_new(unlock: &Unlock<'_>) -> Self {
        match unlock {
            Unlock::Passphrase(_) => Self::Passphrase(Costs::RECOMMENDED),
            Unlock::KeyFile(_) => Self::KeyFile,
        }
    }

    /// The root key. An Argon2id run for a passphrase; a key file is one already.
    pub(super) fn root(self, unlock: &Unlock<'_>, salt: &[u8; 32]) -> Result<Secret<32>, EnvelopeError> {
        match (self, unlock) {
            (Self::Passphrase(_), Unlock::Passphrase([])) => Err(EnvelopeError::KeyringUnlockUnfit),
            (Self::Passphrase(costs), Unlock::Passphrase(passphrase)) => argon2id(passphrase, salt, costs),
            (Self::KeyFile, Unlock::KeyFile(bytes)) => {
                Secret::copy_of(bytes).map_err(|_| EnvelopeError::KeyringUnlockUnfit)
            }
            _ => Err(EnvelopeError::KeyringUnlockKind),
        }
    }
}

/// The key that seals the file, and a value that tells a wrong passphrase from a damaged file.
/// Keeping it costs nothing: whoever guesses can check a guess on the tag as well.
pub(super) fn file_keys(root: &Secret<32>, salt: &[u8; 32]) -> Result<(Secret<32>, [u8; 32]), EnvelopeError> {
    let (mut sealing, mut check) = (Secret::zeroed(), [0; 32]);
    hkdf_sha256(salt, root.expose(), &[b"intelgraph/keyring/seal"], sealing.expose_mut())
        .and_then(|()| hkdf_sha256(salt, root.expose(), &[b"intelgraph/keyring/check"], &mut check))
        .map_err(|_| EnvelopeError::SecretLength { want: 32 })?;
    Ok((sealing, check))
}

fn argon2id(passphrase: &[u8], salt: &[u8; 32], costs: Costs) -> Result<Secret<32>, EnvelopeError> {
    let parameters = costs.parameters()?;
    let mut memory: Vec<Block> = Vec::new();
    memory.try_reserve_exact(parameters.block_count()).map_err(|_| EnvelopeError::KeyringMemory)?;
    memory.resize(parameters.block_count(), Block::new());

    let mut root = Secret::zeroed();
    let hashed = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters).hash_password_into_with_memory(
        passphrase,
        salt,
        root.expose_mut(),
        &mut memory[..],
    );
    memory.zeroize();
    // What is left to fail is a passphrase of 4 GiB.
    hashed.map_err(|_| EnvelopeError::KeyringUnlockUnfit)?;
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_beyond_reason_are_refused_before_they_are_paid() {
        for costs in [
            Costs { memory_kib: 1024 * 1024 + 1, ..Costs::RECOMMENDED },
            Costs { memory_kib: 31, ..Costs::RECOMMENDED },
            Costs { passes: 65, ..Costs::RECOMMENDED },
            Costs { passes: 0, ..Costs::RECOMMENDED },
            Costs { lanes: 65, ..Costs::RECOMMENDED },
            Costs { lanes: 0, ..Costs::RECOMMENDED },
        ] {
            let refused = argon2id(b"passphrase", &[0; 32], costs).unwrap_err();
            assert_eq!(refused, EnvelopeError::KeyringParameters, "{costs:?}");
        }
    }

    #[test]
    fn salt_passphrase_and_costs_all_matter() {
        let low = Costs { memory_kib: 64, passes: 1, lanes: 1 };
        let root =
            |passphrase: &[u8], salt, costs| *argon2id(passphrase, &[salt; 32], costs).unwrap().expose();
        let first = root(b"one", 1, low);
        assert_eq!(first, root(b"one", 1, low));
        assert_ne!(first, root(b"two", 1, low));
        assert_ne!(first, root(b"one", 2, low));
        assert_ne!(first, root(b"one", 1, Costs { passes: 2, ..low }));
    }
}
