//! Batches of services' messages (`envelope.proto`): sealed and opened item by item, from request to response.
//!
//! A message is bound to the bytes that its caller calls its context, as the entity of an unnamed dataset with the
//! purpose "message": it opens with the same bytes, for the same tenant, and nothing of the log or of quarantine
//! opens as one.

use hashbrown::HashSet;
use intelgraph_envelope::{
    Context, DataKeyRow, DekId, Envelope, EnvelopeError, InlineKeys, Keystore, OVERHEAD, Purpose, SealBatch,
    TenantId, TenantKeyId, Tick, WrappedKey,
};
use prost::Message;
use prost::bytes::Bytes;
use zeroize::Zeroizing;

use crate::error::PipelineError;
use crate::message::{self, Value, delimited_length, put_delimiter};
use crate::read::Encoded;

/// Messages of one request.
pub const MAX_MESSAGES: usize = 4096;
/// Bytes of a context.
pub const MAX_CONTEXT_BYTES: usize = 1024;
/// Bytes of all messages of one request.
pub const MAX_MESSAGE_BYTES: usize = 8 << 20;
/// Bytes of all envelopes of one request: what sealing a full request gives, with keys of up to 1 KiB inside.
pub const MAX_ENVELOPE_BYTES: usize = MAX_MESSAGE_BYTES + MAX_MESSAGES * 1024;

/// Why a request is refused as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The bytes are not the request's message.
    #[error("the request is not the protobuf message that the method takes")]
    Malformed,
    /// There are too many items.
    #[error("the request has {0} items, and may have {MAX_MESSAGES}")]
    TooMany(usize),
    /// The context is too long.
    #[error("the context has {0} bytes, and may have {MAX_CONTEXT_BYTES}")]
    Context(usize),
    /// The items are too long.
    #[error("the items have {0} bytes together, and may have {1}")]
    TooLarge(usize, usize),
}

impl RequestError {
    /// The stable name.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "MALFORMED_MESSAGE",
            Self::TooMany(_) => "TOO_MANY_MESSAGES",
            Self::Context(_) => "CONTEXT_TOO_LONG",
            Self::TooLarge(..) => "MESSAGES_TOO_LARGE",
        }
    }
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct EncryptRequest {
    #[prost(bytes = "bytes", tag = "1")]
    context: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    plaintexts: Vec<Bytes>,
    #[prost(bool, tag = "3")]
    inline_wrapped_key: bool,
    #[prost(string, tag = "4")]
    tenant: String,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct DecryptRequest {
    #[prost(bytes = "bytes", tag = "1")]
    context: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    envelopes: Vec<Bytes>,
    #[prost(string, tag = "3")]
    tenant: String,
}

/// Messages to be sealed. They stay where they were received.
pub struct MessagesToSeal(EncryptRequest);

impl MessagesToSeal {
    /// Takes an `EncryptRequest` apart.
    ///
    /// # Errors
    /// Every [`RequestError`].
    pub fn decode(request: Bytes) -> Result<Self, RequestError> {
        let request = EncryptRequest::decode(request).map_err(|_| RequestError::Malformed)?;
        check(&request.context, &request.plaintexts, MAX_MESSAGE_BYTES)?;
        Ok(Self(request))
    }

    /// The tenant that the request names; empty if none.
    pub fn tenant(&self) -> &str {
        &self.0.tenant
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.plaintexts.len()
    }

    /// Whether each envelope is to carry its wrapped keys.
    pub fn keys_travel(&self) -> bool {
        self.0.inline_wrapped_key
    }

    /// Reserves what sealing them takes.
    ///
    /// # Errors
    /// As [`Keystore::reserve`].
    pub fn reserve(
        &self,
        keystore: &Keystore,
        tenant: TenantId,
        now: Tick,
    ) -> Result<SealBatch, EnvelopeError> {
        keystore.reserve(tenant, self.count() as u64, bytes_of(&self.0.plaintexts) as u64, now)
    }

    /// Seals them: an `EncryptResponse`. `keys` are those of the batch's data key, to be carried.
    ///
    /// # Errors
    /// `LeaseExpired`, `ReservationExceeded`, `InlineTooLong`, `EntropyUnavailable`.
    pub fn seal(
        &self,
        mut batch: SealBatch,
        keys: Option<&InlineKeys<'_>>,
    ) -> Result<Vec<u8>, EnvelopeError> {
        let context = context(batch.key().tenant(), &self.0.context);
        let carried = keys.map_or(0, |keys| 2 + WrappedKey::LEN + keys.tenant_key.len());
        let lengths = self.0.plaintexts.iter().map(|plaintext| plaintext.len() + OVERHEAD + carried);
        // At once: growing while a plaintext is in place would leave a copy of it behind.
        let mut out = Vec::with_capacity(lengths.clone().map(delimited_length).sum());
        for (plaintext, length) in self.0.plaintexts.iter().zip(lengths) {
            put_delimiter(1, length, &mut out);
            match keys {
                Some(keys) => batch.seal_with_keys(&context, keys, plaintext, &mut out)?,
                None => batch.seal(&context, plaintext, &mut out)?,
            }
        }
        Ok(out)
    }
}

/// Envelopes to be opened.
pub struct MessagesToOpen(DecryptRequest);

/// A tenant key that travels in an envelope: its id, and the key as the KMS wrapped it.
pub type TravellingKey<'a> = (TenantKeyId, &'a [u8]);

impl MessagesToOpen {
    /// Takes a `DecryptRequest` apart.
    ///
    /// # Errors
    /// Every [`RequestError`].
    pub fn decode(request: Bytes) -> Result<Self, RequestError> {
        let request = DecryptRequest::decode(request).map_err(|_| RequestError::Malformed)?;
        check(&request.context, &request.envelopes, MAX_ENVELOPE_BYTES)?;
        Ok(Self(request))
    }

    /// The tenant that the request names; empty if none.
    pub fn tenant(&self) -> &str {
        &self.0.tenant
    }

    /// The data keys that the envelopes name, each once.
    pub fn keys_needed(&self) -> Vec<DekId> {
        let ids = self.parsed().map(|envelope| envelope.dek_id());
        ids.collect::<HashSet<_>>().into_iter().collect()
    }

    /// The tenant keys that the KMS has to unwrap so that envelopes open whose data keys were looked for and not
    /// found.
    ///
    /// # Errors
    /// [`EnvelopeError::LeaseExpired`].
    pub fn travelling_keys(
        &self,
        keystore: &Keystore,
        tenant: TenantId,
        now: Tick,
    ) -> Result<Vec<TravellingKey<'_>>, EnvelopeError> {
        let mut keys = HashSet::new();
        for envelope in self.parsed() {
            let Some(inline) = envelope.inline_keys() else { continue };
            if keystore.opening_key(tenant, envelope.dek_id(), now).is_err() {
                keys.insert((inline.data_key.tenant_key_id(), inline.tenant_key));
            }
        }
        let ids: Vec<_> = keys.iter().map(|(id, _)| *id).collect();
        let missing = keystore.missing_tenant_keys(tenant, ids, now)?;
        let wanted = keys.into_iter().filter(|(id, wrapped)| missing.contains(id) && !wrapped.is_empty());
        Ok(wanted.collect())
    }

    /// Opens them: a `DecryptResponse`, with an error in the place of each that does not open.
    ///
    /// # Errors
    /// [`PipelineError::Key`] if keys cannot be had now: load them, and try again.
    pub fn open(&self, keystore: &Keystore, tenant: TenantId, now: Tick) -> Result<Encoded, PipelineError> {
        let context = context(tenant, &self.0.context);
        let room: usize = self.0.envelopes.iter().map(|envelope| delimited_length(envelope.len() + 8)).sum();
        let mut out = Zeroizing::new(Vec::with_capacity(room));
        for envelope in &self.0.envelopes {
            let start = out.len();
            match open_one(keystore, &context, envelope, now, &mut out) {
                Ok(()) => {}
                Err(
                    error @ (EnvelopeError::LeaseExpired
                    | EnvelopeError::DataKeyNotLoaded
                    | EnvelopeError::EntropyUnavailable),
                ) => return Err(error.into()),
                Err(error) => {
                    out.truncate(start);
                    put_error(error, &mut out);
                }
            }
        }
        Ok(out)
    }

    fn parsed(&self) -> impl Iterator<Item = Envelope<'_>> {
        self.0.envelopes.iter().filter_map(|envelope| Envelope::parse(envelope).ok())
    }
}

fn check(context: &Bytes, items: &[Bytes], most_bytes: usize) -> Result<(), RequestError> {
    if items.len() > MAX_MESSAGES {
        return Err(RequestError::TooMany(items.len()));
    }
    if context.len() > MAX_CONTEXT_BYTES {
        return Err(RequestError::Context(context.len()));
    }
    match bytes_of(items) {
        bytes if bytes > most_bytes => Err(RequestError::TooLarge(bytes, most_bytes)),
        _ => Ok(()),
    }
}

fn bytes_of(items: &[Bytes]) -> usize {
    items.iter().map(Bytes::len).sum()
}

fn context(tenant: TenantId, bytes: &[u8]) -> Context<'_> {
    Context { tenant, dataset: "", entity: bytes, purpose: Purpose::Message, version: 0, op: 0, valid_at: 0 }
}

/// Appends a `DecryptResult` with a plaintext.
fn open_one(
    keystore: &Keystore,
    context: &Context<'_>,
    bytes: &[u8],
    now: Tick,
    out: &mut Vec<u8>,
) -> Result<(), EnvelopeError> {
    let envelope = Envelope::parse(bytes)?;
    let id = envelope.dek_id();
    let key = match (keystore.opening_key(context.tenant, id, now), envelope.inline_keys()) {
        (Err(EnvelopeError::DataKeyNotFound), Some(inline)) => {
            let row =
                DataKeyRow { tenant: context.tenant, id, suite: envelope.suite(), wrapped: inline.data_key };
            keystore.load_dek(&row, now)?
        }
        (key, _) => key?,
    };
    let length = envelope.plaintext_len();
    put_delimiter(1, delimited_length(length), out);
    put_delimiter(1, length, out);
    key.open(context, &envelope, out).map(|_| ())
}

/// Codes of `google.rpc.Code`.
const INVALID_ARGUMENT: u64 = 3;
const NOT_FOUND: u64 = 5;
const FAILED_PRECONDITION: u64 = 9;

const TRAVELLING_KEY_REFUSED: &str =
    "the data key is unknown here, and the tenant's KMS did not unwrap the key that the envelope carries";

/// Appends a `DecryptResult` with a `google.rpc.Status` that carries an `ErrorInfo`.
fn put_error(error: EnvelopeError, out: &mut Vec<u8>) {
    let (code, text) = match error {
        EnvelopeError::DataKeyNotFound => (NOT_FOUND, error.to_string()),
        EnvelopeError::TenantKeyMissing(_) => (FAILED_PRECONDITION, TRAVELLING_KEY_REFUSED.to_owned()),
        _ => (INVALID_ARGUMENT, error.to_string()),
    };
    let reason = match error {
        EnvelopeError::TenantKeyMissing(_) => "TRAVELLING_KEY_REFUSED",
        _ => error.reason(),
    };
    let mut info = Vec::new();
    let fields = [(1, Value::Bytes(reason.as_bytes())), (2, Value::Bytes(b"intelgraph.dev"))];
    message::write(&fields, &mut info);
    let any = [(1, Value::Bytes(b"type.googleapis.com/google.rpc.ErrorInfo")), (2, Value::Bytes(&info))];
    let status = [(1, Value::Number(code)), (2, Value::Bytes(text.as_bytes())), (3, Value::Message(&any))];
    message::write(&[(1, Value::Message(&[(2, Value::Message(&status))]))], out);
}
