//! What a leaf says of an entry: two salted commitments, and nothing else.
//!
//! ```text
//! commitment = HMAC-SHA-256(salt, length(1) ‖ domain ‖ canonical bytes)
//! leaf       = {"header":"<64 hexadecimal digits>","payload":"<64 hexadecimal digits>"}
//! ```
//! The leaf is canonical JSON (RFC 8785). A salt is 32 random bytes, of one commitment only, and is kept with what it
//! commits to: who has neither can find out nothing about an entry from its leaf, and once both are erased nobody can.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::error::LedgerError;
use crate::tree::Hash;

/// Bytes of a salt.
pub const SALT_LEN: usize = 32;
/// Bytes of a leaf.
pub const LEAF_LEN: usize = BEFORE_HEADER.len() + 64 + BEFORE_PAYLOAD.len() + 64 + END.len();

const BEFORE_HEADER: &str = r#"{"header":""#;
const BEFORE_PAYLOAD: &str = r#"","payload":""#;
const END: &str = r#""}"#;

/// What a commitment is to: the same bytes in another place have another commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Who did what kind of act, when.
    Header,
    /// The facts of the act.
    Payload,
}

impl Domain {
    fn name(self) -> &'static str {
        match self {
            Self::Header => "intelgraph/ledger/header/v1",
            Self::Payload => "intelgraph/ledger/payload/v1",
        }
    }
}

/// Commits to canonical bytes without telling them.
#[must_use]
pub fn commit(salt: &[u8; SALT_LEN], domain: Domain, canonical: &[u8]) -> Hash {
    let name = domain.name();
    let prefix = [name.len() as u8];
    // HMAC takes a key of any length, so that the error cannot occur; an unkeyed hash would still commit.
    match Hmac::<Sha256>::new_from_slice(salt) {
        Ok(mac) => {
            mac.chain_update(prefix).chain_update(name).chain_update(canonical).finalize().into_bytes().into()
        }
        Err(_) => Sha256::new()
            .chain_update(salt)
            .chain_update(prefix)
            .chain_update(name)
            .chain_update(canonical)
            .finalize()
            .into(),
    }
}

/// The leaf of an entry.
#[must_use]
pub fn leaf(header: &Hash, payload: &Hash) -> Vec<u8> {
    let mut leaf = Vec::with_capacity(LEAF_LEN);
    for (before, commitment) in [(BEFORE_HEADER, header), (BEFORE_PAYLOAD, payload)] {
        leaf.extend_from_slice(before.as_bytes());
        leaf.extend_from_slice(HEXLOWER.encode(commitment).as_bytes());
    }
    leaf.extend_from_slice(END.as_bytes());
    leaf
}

/// The commitments to header and payload in a leaf.
///
/// # Errors
/// `Leaf` for any other form, that of other JSON that says the same among them.
pub fn parse_leaf(leaf: &[u8]) -> Result<(Hash, Hash), LedgerError> {
    let digits = |text: &[u8]| HEXLOWER.decode(text).ok()?.try_into().ok();
    let read = || {
        let rest = leaf.strip_prefix(BEFORE_HEADER.as_bytes())?;
        let (header, rest) = rest.split_at_checked(64)?;
        let (payload, end) = rest.strip_prefix(BEFORE_PAYLOAD.as_bytes())?.split_at_checked(64)?;
        if end == END.as_bytes() { Some((digits(header)?, digits(payload)?)) } else { None }
    };
    read().ok_or(LedgerError::Leaf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_read_as_it_is_written_and_no_other_way() {
        let written = leaf(&[0xab; 32], &[0x01; 32]);
        assert_eq!(written.len(), LEAF_LEN);
        let text = String::from_utf8(written.clone()).unwrap();
        assert_eq!(text, format!(r#"{{"header":"{}","payload":"{}"}}"#, "ab".repeat(32), "01".repeat(32)));
        assert_eq!(parse_leaf(&written).unwrap(), ([0xab; 32], [0x01; 32]));
        for other in [
            text.replace("ab", "AB"),
            text.replace("ab", "gb"),
            text.replace(':', ": "),
            text.replace("01\"}", "\"}"),
            format!("{text}\n"),
            format!(" {text}"),
            text.replace("header", "Header"),
            text.replace(r#""}"#, r#"","x":1}"#),
            String::new(),
        ] {
            assert_eq!(parse_leaf(other.as_bytes()), Err(LedgerError::Leaf), "{other}");
        }
    }

    #[test]
    fn salt_domain_and_bytes_all_matter() {
        let first = commit(&[1; 32], Domain::Header, b"{}");
        assert_eq!(first, commit(&[1; 32], Domain::Header, b"{}"));
        assert_ne!(first, commit(&[2; 32], Domain::Header, b"{}"));
        assert_ne!(first, commit(&[1; 32], Domain::Payload, b"{}"));
        assert_ne!(first, commit(&[1; 32], Domain::Header, b"[]"));
    }

    #[test]
    fn a_commitment_is_hmac_as_it_is_documented() {
        // RFC 2104 written out: the salt is shorter than a block.
        let salt = [9; 32];
        let pad = |byte: u8| [&salt.map(|salt| salt ^ byte)[..], &[byte; 32]].concat();
        let message = [&[27][..], b"intelgraph/ledger/header/v1", b"{}"].concat();
        let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
        let mac: Hash = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into();
        assert_eq!(commit(&salt, Domain::Header, b"{}"), mac);
    }
}
