//! Verifier keys (C2SP signed-note, "Verifier keys" and "Signature types").
//!
//! Types 0x01 (Ed25519) and 0x04 (timestamped Ed25519 cosignature of a checkpoint) are known here and no others.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::base64;
use crate::cosignature::{self, COSIGNATURE_LEN};
use crate::error::LedgerError;
use crate::signature::{ED25519_PUBLIC_KEY_LEN, verifies_ed25519};

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// The text of a note, with Ed25519.
    Ed25519,
    /// A checkpoint that its holder, a witness, saw at a time: cosignature/v1.
    Cosignature,
}

impl KeyKind {
    /// The signature type identifier byte.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Cosignature => 0x04,
        }
    }

    fn of_number(number: u8) -> Option<Self> {
        [Self::Ed25519, Self::Cosignature].into_iter().find(|kind| kind.number() == number)
    }
}

/// A public key with the name that its signatures bear; prints as a vkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: u32,
    kind: KeyKind,
    public_key: [u8; ED25519_PUBLIC_KEY_LEN],
}

impl VerifierKey {
    /// The verifier key of a public key.
    ///
    /// # Errors
    /// `VerifierKey` for a name that no key may have.
    pub fn new(
        name: &str,
        kind: KeyKind,
        public_key: [u8; ED25519_PUBLIC_KEY_LEN],
    ) -> Result<Self, LedgerError> {
        if !is_key_name(name) {
            return Err(LedgerError::VerifierKey("the name is empty or has a space or plus sign in it"));
        }
        let hash = Sha256::new()
            .chain_update(name)
            .chain_update([b'\n', kind.number()])
            .chain_update(public_key)
            .finalize();
        let id = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        Ok(Self { name: name.to_owned(), id, kind, public_key })
    }

    /// The name that its signatures bear.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id that its signatures bear: the beginning of a hash of name, kind and key.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What it signs.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The Ed25519 public key.
    #[must_use]
    pub fn public_key(&self) -> &[u8; ED25519_PUBLIC_KEY_LEN] {
        &self.public_key
    }

    /// Whether it made this signature (without the key id) of a note's text.
    pub(crate) fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        match self.kind {
            KeyKind::Ed25519 => verifies_ed25519(&self.public_key, text.as_bytes(), signature),
            KeyKind::Cosignature => signature.first_chunk::<8>().is_some_and(|timestamp| {
                signature.len() == COSIGNATURE_LEN
                    && cosignature::message(u64::from_be_bytes(*timestamp), text)
                        .is_ok_and(|message| verifies_ed25519(&self.public_key, &message, &signature[8..]))
            }),
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut material = [self.kind.number(); 1 + ED25519_PUBLIC_KEY_LEN];
        material[1..].copy_from_slice(&self.public_key);
        write!(f, "{}+{:08x}+{}", self.name, self.id, base64::encode(&material))
    }
}

impl FromStr for VerifierKey {
    type Err = LedgerError;

    fn from_str(text: &str) -> Result<Self, LedgerError> {
        let malformed = LedgerError::VerifierKey("it has not the form name+id+key");
        // The key may have plus signs in its base64.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(material)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed);
        };
        let material =
            base64::decode(material).ok_or(LedgerError::VerifierKey("the last part is not base64"))?;
        let Some((&number, public_key)) = material.split_first() else { return Err(malformed) };
        let kind = KeyKind::of_number(number).ok_or(LedgerError::VerifierKey(
            "its type is not known here; Ed25519 (1) and cosignature/v1 (4) are",
        ))?;
        let public_key =
            public_key.try_into().map_err(|_| LedgerError::VerifierKey("the public key has not 32 bytes"))?;
        let key = Self::new(name, kind, public_key)?;
        if id == format!("{:08x}", key.id) {
            Ok(key)
        } else {
            Err(LedgerError::VerifierKey("the id is not that of the name and the key; it was altered"))
        }
    }
}

/// Whether a key may have this name: not empty, no space of Unicode, no plus sign, no control character.
pub(crate) fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+' || c < ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C2SP signed-note, "Example".
    const EXAMPLE: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

    #[test]
    fn the_example_of_the_specification_is_read_and_written() {
        let key: VerifierKey = EXAMPLE.parse().unwrap();
        assert_eq!((key.name(), key.id(), key.kind()), ("example.com/foo", 0x530d_903a, KeyKind::Ed25519));
        assert_eq!(key.to_string(), EXAMPLE);
        let cosigner = VerifierKey::new(key.name(), KeyKind::Cosignature, *key.public_key()).unwrap();
        assert_ne!(cosigner.id(), key.id(), "each kind has its own id");
        assert_eq!(cosigner.to_string().parse::<VerifierKey>().unwrap(), cosigner);
    }

    #[test]
    fn another_form_is_no_key() {
        let altered = [
            "".to_owned(),
            "example.com/foo".to_owned(),
            "example.com/foo+530d903a".to_owned(),
            EXAMPLE.replace("530d903a", "530D903A"),
            EXAMPLE.replace("530d903a", "530d903b"),
            EXAMPLE.replace("530d903a", "0530d903a"),
            EXAMPLE.replace("/foo", "/bar"),
            EXAMPLE.replace("/foo", "/f oo"),
            EXAMPLE.replace("example.com/foo", ""),
            EXAMPLE.replace("AekyeRrm", "AukyeRrm"),
            EXAMPLE.replace("AekyeRrm", "BekyeRrm"),
            EXAMPLE.replace("v3U2k", "v3U2l"),
            EXAMPLE.replace("v3U2k", "v3U="),
            format!("{EXAMPLE}="),
            format!("{EXAMPLE}\n"),
            format!(" {EXAMPLE}"),
        ];
        for text in altered {
            assert!(text.parse::<VerifierKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_have_no_spaces_or_plus_signs() {
        assert!(is_key_name("ledger.example/42") && is_key_name("größe"));
        for name in ["", "a b", "a+b", "a\tb", "a\u{a0}b", "a\u{2003}b", "a\nb", "a\u{1}b"] {
            assert!(!is_key_name(name), "{name:?}");
        }
    }
}
