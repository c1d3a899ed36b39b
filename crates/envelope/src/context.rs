//! Where a value belongs: what is authenticated beside it.

use crate::fields::Fields;
use crate::ids::TenantId;

/// What a sealed value is. The name is authenticated, so it never changes once used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// A reversible diff in the change log.
    Diff,
    /// A whole document beside a diff in the change log.
    Snapshot,
    /// A record in quarantine.
    Quarantine,
    /// The report on a record in quarantine.
    QuarantineReport,
    /// A message of a service, through `EnvelopeService`.
    Message,
    /// Who did what, when: the header of a ledger entry.
    LedgerHeader,
    /// What the kind of a ledger entry says.
    LedgerPayload,
}

impl Purpose {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Diff => "diff",
            Self::Snapshot => "snapshot",
            Self::Quarantine => "quarantine",
            Self::QuarantineReport => "quarantine-report",
            Self::Message => "message",
            Self::LedgerHeader => "ledger-header",
            Self::LedgerPayload => "ledger-payload",
        }
    }
}

/// The one place a value opens in. Any field that differs makes opening fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context<'a> {
    /// Whose value it is; must be the key's tenant.
    pub tenant: TenantId,
    /// The dataset's name.
    pub dataset: &'a str,
    /// The entity's id, or whatever names the thing the value belongs to.
    pub entity: &'a [u8],
    /// What the value is.
    pub purpose: Purpose,
    /// Its version among the entity's; 0 where there are none.
    pub version: u64,
    /// The operation it records (1 insert … 5 late delete); 0 where there is none.
    pub op: u8,
    /// Valid time, microseconds since the Unix epoch; 0 where there is none.
    pub valid_at: i64,
}

impl Context<'_> {
    /// The AAD: header ‖ tenant ‖ dataset ‖ entity ‖ purpose, each but the header with its length
    /// (u32) before it, ‖ version (u64) ‖ op (u8) ‖ valid time (i64), all big-endian. The header's length
    /// follows from its own flags, so the whole is unambiguous.
    #[inline]
    pub(crate) fn authenticated(&self, header: &[u8]) -> Fields {
        let mut aad = Fields::new();
        aad.fixed(header);
        aad.prefixed(self.tenant.as_bytes());
        aad.prefixed(self.dataset.as_bytes());
        aad.prefixed(self.entity);
        aad.prefixed(self.purpose.name().as_bytes());
        aad.fixed(&self.version.to_be_bytes());
        aad.fixed(&[self.op]);
        aad.fixed(&self.valid_at.to_be_bytes());
        aad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [u8; 35] = [9; 35];

    fn context<'a>(dataset: &'a str, entity: &'a [u8]) -> Context<'a> {
        Context {
            tenant: TenantId::from_bytes([7; 16]),
            dataset,
            entity,
            purpose: Purpose::Diff,
            version: 0x0102,
            op: 3,
            valid_at: -2,
        }
    }

    #[test]
    fn lays_out_every_field_as_documented() {
        let aad = context("ab", &[0xE1; 3]).authenticated(&HEADER);
        let mut expected = HEADER.to_vec();
        expected.extend([0, 0, 0, 16]);
        expected.extend([7; 16]);
        expected.extend(b"\0\0\0\x02ab\0\0\0\x03\xE1\xE1\xE1\0\0\0\x04diff");
        expected.extend([0, 0, 0, 0, 0, 0, 1, 2, 3]);
        expected.extend([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE]);
        assert_eq!(aad.as_slice(), expected);
    }

    #[test]
    fn bytes_moved_between_fields_are_another_context() {
        let one = context("ab", b"cd").authenticated(&HEADER);
        let other = context("abc", b"d").authenticated(&HEADER);
        assert_ne!(one.as_slice(), other.as_slice());
    }

    #[test]
    fn a_context_too_long_for_the_stack_is_the_same_message() {
        for length in 0..600 {
            let entity = vec![0xE1; length];
            let aad = context("flights", &entity).authenticated(&HEADER);
            let mut expected = HEADER.to_vec();
            for field in [&[7; 16][..], b"flights", &entity, b"diff"] {
                expected.extend((field.len() as u32).to_be_bytes());
                expected.extend(field);
            }
            expected.extend(0x0102_u64.to_be_bytes());
            expected.push(3);
            expected.extend((-2_i64).to_be_bytes());
            assert_eq!(aad.as_slice(), expected, "{length}");
        }
    }
}
