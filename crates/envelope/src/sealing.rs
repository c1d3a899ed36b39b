//! Sealing.

use crate::aead::{AeadKey, NONCE_LEN, TAG_LEN};
use crate::budget::Budget;
use crate::context::Context;
use crate::envelope::{
    HEADER_LEN, InlineKeys, OVERHEAD, PREFIX_LEN, Suite, header, reserve_header, write_header_with_keys,
};
use crate::error::EnvelopeError;
use crate::ids::{DekId, TenantId};
use crate::lease::LeaseEnd;
use crate::nonces::Nonces;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroize;

/// A key that seals and cannot open, shared by all threads. It seals only through a [`SealBatch`],
/// which the keystore gives out against its budget and age.
pub struct SealingKey {
    tenant: TenantId,
    suite: Suite,
    id: DekId,
    header: [u8; HEADER_LEN],
    aead: AeadKey,
    budget: Budget,
    lease_end: LeaseEnd,
}

impl SealingKey {
    pub(crate) fn new(
        tenant: TenantId,
        id: DekId,
        suite: Suite,
        aead: AeadKey,
        budget: Budget,
        lease_end: LeaseEnd,
    ) -> Self {
        Self { tenant, suite, id, header: header(suite, &id), aead, budget, lease_end }
    }

    /// The id that its envelopes carry.
    #[must_use]
    pub fn id(&self) -> DekId {
        self.id
    }

    /// Whose key it is.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    pub(crate) fn reserve(self: &Arc<Self>, messages: u64, bytes: u64) -> Result<SealBatch, EnvelopeError> {
        self.lease_end.refuse_if_ended()?;
        self.budget.reserve(messages, bytes)?;
        Ok(SealBatch { key: Arc::clone(self), messages, bytes, nonces: Nonces::for_messages(messages) })
    }

    pub(crate) fn used_permille(&self) -> u64 {
        self.budget.used_permille()
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.id)
    }
}

/// The right to seal a number of messages and bytes, and the nonces to do it with. One thread's.
///
/// # Examples
/// In place, for a value written straight into a larger buffer:
/// ```
/// # use intelgraph_envelope::*;
/// # fn write(batch: &mut SealBatch, context: &Context<'_>) -> Result<Vec<u8>, EnvelopeError> {
/// let mut out = Vec::with_capacity(4096);
/// let start = reserve_header(&mut out);
/// out.extend_from_slice(b"the plaintext");
/// batch.seal_in_place(context, &mut out, start)?;
/// # Ok(out)
/// # }
/// ```
pub struct SealBatch {
    key: Arc<SealingKey>,
    messages: u64,
    bytes: u64,
    nonces: Nonces,
}

impl SealBatch {
    /// The key it seals with.
    #[must_use]
    pub fn key(&self) -> &SealingKey {
        &self.key
    }

    /// Messages it may still seal.
    #[must_use]
    pub fn messages_left(&self) -> u64 {
        self.messages
    }

    /// Appends the envelope of `plaintext` to `out`; on failure `out` is as before.
    ///
    /// # Errors
    /// As [`seal_in_place`](Self::seal_in_place).
    pub fn seal(
        &mut self,
        context: &Context<'_>,
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), EnvelopeError> {
        // Grown here, at once: growing after the plaintext is in would leave a copy of it behind.
        out.reserve(OVERHEAD + plaintext.len());
        let start = reserve_header(out);
        out.extend_from_slice(plaintext);
        self.seal_in_place(context, out, start)
    }

    /// Makes an envelope of the end of `out`, from the place that [`reserve_header`] gave: the
    /// plaintext is `out[plaintext_start..]`. The tag needs 16 bytes more; give `out` the capacity, or
    /// growing it copies everything before.
    ///
    /// On failure the plaintext is wiped and `out` ends where the header would have begun; only if
    /// `plaintext_start` makes no sense is `out` left as it is.
    ///
    /// # Errors
    /// `ReservationExceeded`, `LeaseExpired`, `WrongTenant`, `PlaintextPlace`, `TooLong`,
    /// `EntropyUnavailable`.
    #[inline]
    pub fn seal_in_place(
        &mut self,
        context: &Context<'_>,
        out: &mut Vec<u8>,
        plaintext_start: usize,
    ) -> Result<(), EnvelopeError> {
        let header_start = plaintext_start.checked_sub(PREFIX_LEN).ok_or(EnvelopeError::PlaintextPlace)?;
        if plaintext_start > out.len() {
            return Err(EnvelopeError::PlaintextPlace);
        }
        let header = self.key.header;
        out[header_start..header_start + HEADER_LEN].copy_from_slice(&header);
        self.finish(context, out, header_start, plaintext_start)
    }

    /// Appends an envelope of `plaintext` that carries its own wrapped keys, for a message that leaves
    /// this system; on failure `out` is as before.
    ///
    /// # Errors
    /// As [`seal_in_place`](Self::seal_in_place); `InlineTooLong`.
    pub fn seal_with_keys(
        &mut self,
        context: &Context<'_>,
        keys: &InlineKeys<'_>,
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), EnvelopeError> {
        let header_start = out.len();
        write_header_with_keys(self.key.suite, &self.key.id, keys, out)?;
        out.reserve(NONCE_LEN + plaintext.len() + TAG_LEN);
        out.extend_from_slice(&[0; NONCE_LEN]);
        let plaintext_start = out.len();
        out.extend_from_slice(plaintext);
        self.finish(context, out, header_start, plaintext_start)
    }

    /// Seals `out[plaintext_start..]` behind the header that is in place, or takes all of it away.
    #[inline]
    fn finish(
        &mut self,
        context: &Context<'_>,
        out: &mut Vec<u8>,
        header_start: usize,
        plaintext_start: usize,
    ) -> Result<(), EnvelopeError> {
        match self.encipher(context, &mut out[header_start..], plaintext_start - header_start) {
            Ok(tag) => {
                out.extend_from_slice(&tag);
                Ok(())
            }
            Err(error) => {
                out[header_start..].zeroize();
                out.truncate(header_start);
                Err(error)
            }
        }
    }

    #[inline]
    fn encipher(
        &mut self,
        context: &Context<'_>,
        envelope: &mut [u8],
        plaintext_start: usize,
    ) -> Result<[u8; TAG_LEN], EnvelopeError> {
        if context.tenant != self.key.tenant {
            return Err(EnvelopeError::WrongTenant);
        }
        self.key.lease_end.refuse_if_ended()?;
        let (prefix, plaintext) = envelope.split_at_mut(plaintext_start);
        let messages = self.messages.checked_sub(1).ok_or(EnvelopeError::ReservationExceeded)?;
        let bytes =
            self.bytes.checked_sub(plaintext.len() as u64).ok_or(EnvelopeError::ReservationExceeded)?;

        let (header, nonce_place) = prefix.split_at_mut(plaintext_start - NONCE_LEN);
        let nonce = self.nonces.draw()?;
        nonce_place.copy_from_slice(&nonce);
        // Spent even if sealing fails: the nonce may have been used.
        (self.messages, self.bytes) = (messages, bytes);
        self.key.aead.seal(nonce, context.authenticated(header).as_slice(), plaintext)
    }
}

impl Drop for SealBatch {
    fn drop(&mut self) {
        self.key.budget.give_back(self.messages, self.bytes);
    }
}

impl fmt::Debug for SealBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealBatch({}, {} messages and {} bytes left)", self.key.id, self.messages, self.bytes)
    }
}
