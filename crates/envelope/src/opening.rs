//! Opening.

use crate::aead::AeadKey;
use crate::context::Context;
use crate::envelope::Envelope;
use crate::error::EnvelopeError;
use crate::ids::{DekId, TenantId};
use crate::lease::LeaseEnd;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::fmt;
use std::ops::Range;

/// A key that opens and cannot seal, shared by all threads.
///
/// Hold it for a call, not longer: once its lease has ended it refuses, but its bytes are wiped only
/// when the last holder lets go.
pub struct OpeningKey {
    tenant: TenantId,
    id: DekId,
    aead: AeadKey,
    lease_end: LeaseEnd,
}

impl OpeningKey {
    pub(crate) fn new(tenant: TenantId, id: DekId, aead: AeadKey, lease_end: LeaseEnd) -> Self {
        Self { tenant, id, aead, lease_end }
    }

    /// The id of the envelopes it opens.
    #[must_use]
    pub fn id(&self) -> DekId {
        self.id
    }

    /// Whose key it is.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Appends the plaintext to `out` and says where it is; on failure `out` is as before and holds no
    /// trace of the plaintext.
    ///
    /// # Errors
    /// `KeyMismatch` if the envelope names another key, `WrongTenant`, `LeaseExpired`; `NotAuthentic`
    /// if the envelope was altered or was sealed for another context.
    pub fn open(
        &self,
        context: &Context<'_>,
        envelope: &Envelope<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Range<usize>, EnvelopeError> {
        if context.tenant != self.tenant {
            return Err(EnvelopeError::WrongTenant);
        }
        self.lease_end.refuse_if_ended()?;
        // The commitment: checked against the key when it was loaded, so here the ids decide.
        verify_slices_are_equal(envelope.dek_id().as_bytes(), self.id.as_bytes())
            .map_err(|_| EnvelopeError::KeyMismatch)?;

        let start = out.len();
        out.resize(start + envelope.plaintext_len(), 0);
        let aad = context.authenticated(envelope.header);
        let opened = self.aead.open(
            envelope.nonce,
            aad.as_slice(),
            envelope.ciphertext,
            envelope.tag,
            &mut out[start..],
        );
        if opened.is_err() {
            out.truncate(start);
            return Err(EnvelopeError::NotAuthentic);
        }
        Ok(start..out.len())
    }
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpeningKey({})", self.id)
    }
}
