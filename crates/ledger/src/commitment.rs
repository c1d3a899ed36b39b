//! Commitments: what the public log says of an entry, which is nothing without the salt.
//!
//! A commitment is HMAC-SHA-256 under a random salt of 32 bytes over the part's name and its canonical JSON (RFC 8785).
//! HMAC under a key that is revealed with the message is a commitment: binding, as SHA-256 has no known collisions, and
//! hiding for as long as the salt is kept. The leaf of an entry is the canonical JSON of both commitments.

use aws_lc_rs::hmac;

/// Bytes of a salt.
pub const SALT_LEN: usize = 32;

/// Which part of an entry is committed to. The name goes into the commitment, so that none stands for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Kind, tenant, actor, subject, time.
    Header,
    /// What its kind says.
    Payload,
}

impl Part {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Header => b"intelgraph.ledger.header.v1\0",
            Self::Payload => b"intelgraph.ledger.payload.v1\0",
        }
    }
}

/// The random half of a commitment. Who has it and the text can show that they belong to the commitment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; SALT_LEN]);

impl Salt {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SALT_LEN] {
        &self.0
    }
}

impl From<[u8; SALT_LEN]> for Salt {
    fn from(bytes: [u8; SALT_LEN]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for Salt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salt(…)")
    }
}

/// A commitment to a part of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitment([u8; 32]);

impl Commitment {
    /// The commitment to `text`, canonical JSON, under `salt`.
    #[must_use]
    pub fn to(part: Part, salt: &Salt, text: &[u8]) -> Self {
        let mut hash = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &salt.0));
        hash.update(part.name());
        hash.update(text);
        let mut commitment = [0; 32];
        commitment.copy_from_slice(hash.sign().as_ref());
        Self(commitment)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Commitment {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// The leaf of an entry: `{"header":"…","payload":"…"}`, both in lower-case hexadecimal, which is canonical JSON.
#[must_use]
pub fn leaf(header: &Commitment, payload: &Commitment) -> Vec<u8> {
    let mut text = Vec::with_capacity(154);
    text.extend_from_slice(b"{\"header\":\"");
    put_hex(&header.0, &mut text);
    text.extend_from_slice(b"\",\"payload\":\"");
    put_hex(&payload.0, &mut text);
    text.extend_from_slice(b"\"}");
    text
}

fn put_hex(bytes: &[u8], text: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_a_salt_and_a_text_each_make_another_commitment() {
        let salt = Salt::from([7; 32]);
        let one = Commitment::to(Part::Header, &salt, b"{}");
        assert_ne!(one, Commitment::to(Part::Payload, &salt, b"{}"));
        assert_ne!(one, Commitment::to(Part::Header, &Salt::from([8; 32]), b"{}"));
        assert_ne!(one, Commitment::to(Part::Header, &salt, b"[]"));
        assert_eq!(one, Commitment::to(Part::Header, &salt, b"{}"));
    }

    #[test]
    fn a_leaf_is_canonical_json_of_two_commitments() {
        let text = leaf(&Commitment::from([0xAB; 32]), &Commitment::from([0x01; 32]));
        let expected = format!("{{\"header\":\"{}\",\"payload\":\"{}\"}}", "ab".repeat(32), "01".repeat(32));
        assert_eq!(text, expected.as_bytes());
    }

    #[test]
    fn debug_output_shows_no_salt() {
        assert_eq!(format!("{:?}", Salt::from([7; 32])), "Salt(…)");
    }
}
