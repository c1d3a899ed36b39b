//! Foreign bytes where requests of `EnvelopeService` are read: what is read as envelopes is answered, one by one, and
//! opens nothing; what is read as messages is sealed, and opens again.
#![no_main]

use intelgraph_envelope::{EnvelopeError, Keystore, KeystoreLimits, TenantId, TenantKey, Tick};
use intelgraph_pipeline::{MessagesToOpen, MessagesToSeal, PipelineError};
use libfuzzer_sys::fuzz_target;
use prost::Message;
use std::sync::LazyLock;
use std::time::Duration;

const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const NOW: Tick = Tick::from_micros(0);

/// What both requests have in common.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(bytes = "vec", tag = "1")]
    context: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    items: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct EncryptResponse {
    #[prost(bytes = "vec", repeated, tag = "1")]
    envelopes: Vec<Vec<u8>>,
}

static KEYSTORE: LazyLock<Keystore> = LazyLock::new(|| keystore().expect("keys are made"));

fuzz_target!(|bytes: &[u8]| {
    if let Ok(messages) = MessagesToOpen::decode(bytes.to_vec().into()) {
        for id in messages.keys_needed() {
            KEYSTORE.dek_absent(TENANT, id, NOW).expect("a lease");
        }
        messages.travelling_keys(&KEYSTORE, TENANT, NOW).expect("a lease");
        messages.open(&KEYSTORE, TENANT, NOW).expect("each envelope has its answer");
    }
    let Ok(messages) = MessagesToSeal::decode(bytes.to_vec().into()) else { return };
    let batch = match messages.reserve(&KEYSTORE, TENANT, NOW) {
        // Two to the 24 messages later.
        Err(EnvelopeError::BudgetExhausted) => return,
        batch => batch.expect("a key that seals"),
    };
    let sealed = messages.seal(batch, None).expect("the reservation is of this batch");
    let envelopes = EncryptResponse::decode(&sealed[..]).expect("a response").envelopes;
    let request = Request::decode(bytes).expect("it was read as a request before");
    let opening = Request { context: request.context, items: envelopes };
    let messages = MessagesToOpen::decode(opening.encode_to_vec().into()).expect("within the limits");
    match messages.open(&KEYSTORE, TENANT, NOW) {
        Ok(opened) => assert!(opened.len() >= request.items.iter().map(Vec::len).sum::<usize>()),
        Err(PipelineError::Key(error)) => panic!("the key that sealed is at hand: {error}"),
        Err(error) => panic!("{error}"),
    }
});

fn keystore() -> Result<Keystore, EnvelopeError> {
    let keystore = Keystore::new(KeystoreLimits::default());
    keystore.renew(TENANT, NOW, Duration::from_secs(300))?;
    keystore.add_tenant_key(TenantKey::generate(TENANT, 0)?, NOW)?;
    let pending = keystore.generate_dek(TENANT, NOW)?;
    keystore.activate(pending, NOW)?;
    Ok(keystore)
}
