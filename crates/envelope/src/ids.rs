//! Identifiers. None is secret; all print in full.

use crate::error::EnvelopeError;
use std::fmt;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $len:literal, $write:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Bytes in an identifier of this kind.
            pub const LEN: usize = $len;

            /// The identifier with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Its bytes, as stored.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = EnvelopeError;

            fn try_from(bytes: &[u8]) -> Result<Self, EnvelopeError> {
                bytes.try_into().map(Self).map_err(|_| EnvelopeError::IdLength { want: $len, got: bytes.len() })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $write(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

identifier! {
    /// A tenant, a UUID.
    TenantId, 16, write_uuid
}
identifier! {
    /// A data key (DEK): the commitment HKDF-SHA256(DEK, "commit" ‖ suite ‖ tenant).
    DekId, 32, write_hex
}
identifier! {
    /// A tenant key: a UUIDv8 (RFC 9562 §5.8) made of the commitment to the key.
    TenantKeyId, 16, write_uuid
}
identifier! {
    /// A tenant's index key: the commitment to it.
    IndexKeyId, 32, write_hex
}
identifier! {
    /// An entity: a UUIDv8 (RFC 9562 §5.8) made of a keyed hash of its type and natural key.
    EntityId, 16, write_uuid
}

/// Makes 16 hash bytes a UUIDv8: version 8 in bits 48–51, variant 10 in bits 64–65 (RFC 9562 §5.8).
pub(crate) fn uuid_v8(hash: &[u8]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    bytes
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn write_uuid(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_uuid_or_hex() {
        let tenant =
            TenantId::from_bytes(*b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff");
        assert_eq!(tenant.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(format!("{tenant:?}"), "TenantId(00112233-4455-6677-8899-aabbccddeeff)");
        assert_eq!(DekId::from_bytes([0xa5; 32]).to_string(), "a5".repeat(32));
    }

    #[test]
    fn refuses_another_length() {
        assert_eq!(TenantId::try_from(&[0; 15][..]), Err(EnvelopeError::IdLength { want: 16, got: 15 }));
        assert_eq!(DekId::try_from(&[7; 32][..]), Ok(DekId::from_bytes([7; 32])));
    }

    #[test]
    fn uuid_v8_sets_version_and_variant_only() {
        for fill in [0x00, 0xff] {
            let uuid = uuid_v8(&[fill; 32]);
            assert_eq!(uuid[6], 0x80 | (fill & 0x0f));
            assert_eq!(uuid[8], 0x80 | (fill & 0x3f));
            assert!(uuid.iter().enumerate().all(|(at, byte)| at == 6 || at == 8 || *byte == fill));
        }
    }
}
