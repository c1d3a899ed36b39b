//! Services' messages, from request to response, held against what a protobuf library reads and writes.

use std::sync::LazyLock;
use std::time::Duration;

use intelgraph_envelope::{
    Envelope, EnvelopeError, InlineKeys, Keystore, KeystoreLimits, Secret, TenantId, TenantKey, Tick,
    WrappedKey,
};
use intelgraph_pipeline::{MessagesToOpen, MessagesToSeal, PipelineError, RequestError};
use proptest::prelude::*;
use prost::Message;

const TENANT: TenantId = TenantId::from_bytes([7; 16]);
const OTHER: TenantId = TenantId::from_bytes([8; 16]);
const NOW: Tick = Tick::from_micros(1_000_000);

#[derive(Clone, PartialEq, Message)]
struct EncryptRequest {
    #[prost(bytes = "vec", tag = "1")]
    context: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    plaintexts: Vec<Vec<u8>>,
    #[prost(bool, tag = "3")]
    inline_wrapped_key: bool,
    #[prost(string, tag = "4")]
    tenant: String,
}

#[derive(Clone, PartialEq, Message)]
struct EncryptResponse {
    #[prost(bytes = "vec", repeated, tag = "1")]
    envelopes: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct DecryptRequest {
    #[prost(bytes = "vec", tag = "1")]
    context: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    envelopes: Vec<Vec<u8>>,
    #[prost(string, tag = "3")]
    tenant: String,
}

#[derive(Clone, PartialEq, Message)]
struct DecryptResponse {
    #[prost(message, repeated, tag = "1")]
    results: Vec<DecryptResult>,
}

#[derive(Clone, PartialEq, Message)]
struct DecryptResult {
    #[prost(oneof = "Opened", tags = "1, 2")]
    result: Option<Opened>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Opened {
    #[prost(bytes, tag = "1")]
    Plaintext(Vec<u8>),
    #[prost(message, tag = "2")]
    Error(Status),
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.ErrorInfo`, without its metadata.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
}

/// Two tenants with a data key each, and the first one's wrapped keys.
struct World {
    keystore: Keystore,
    data_key: WrappedKey,
    tenant_key_id: intelgraph_envelope::TenantKeyId,
    tenant_key: Secret<32>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let keystore = Keystore::new(KeystoreLimits::default());
    let mut first = None;
    for tenant in [OTHER, TENANT] {
        keystore.renew(tenant, NOW, Duration::from_secs(300)).unwrap();
        let key = TenantKey::generate(tenant, 0).unwrap();
        let (id, secret) = (key.id(), Secret::copy_of(key.secret().expose()).unwrap());
        keystore.add_tenant_key(key, NOW).unwrap();
        let pending = keystore.generate_dek(tenant, NOW).unwrap();
        first = Some((pending.row().wrapped, id, secret));
        keystore.activate(pending, NOW).unwrap();
    }
    let (data_key, tenant_key_id, tenant_key) = first.unwrap();
    World { keystore, data_key, tenant_key_id, tenant_key }
});

fn request(context: &[u8], plaintexts: &[&[u8]]) -> EncryptRequest {
    EncryptRequest {
        context: context.to_vec(),
        plaintexts: plaintexts.iter().map(|plaintext| plaintext.to_vec()).collect(),
        ..EncryptRequest::default()
    }
}

fn seal(request: &EncryptRequest) -> Vec<Vec<u8>> {
    let messages = MessagesToSeal::decode(request.encode_to_vec().into()).unwrap();
    let batch = messages.reserve(&WORLD.keystore, TENANT, NOW).unwrap();
    let keys = InlineKeys { data_key: WORLD.data_key, tenant_key: b"as the KMS wrapped it" };
    let sealed = messages.seal(batch, messages.keys_travel().then_some(&keys)).unwrap();
    EncryptResponse::decode(&sealed[..]).unwrap().envelopes
}

fn open(keystore: &Keystore, tenant: TenantId, context: &[u8], envelopes: Vec<Vec<u8>>) -> Vec<Opened> {
    let request = DecryptRequest { context: context.to_vec(), envelopes, tenant: String::new() };
    let messages = MessagesToOpen::decode(request.encode_to_vec().into()).unwrap();
    // What the caller looks for and does not find, it says so.
    for id in messages.keys_needed() {
        if keystore.opening_key(tenant, id, NOW).is_err() {
            keystore.dek_absent(tenant, id, NOW).unwrap();
        }
    }
    let opened = messages.open(keystore, tenant, NOW).unwrap();
    let results = DecryptResponse::decode(&opened[..]).unwrap().results;
    results.into_iter().map(|result| result.result.unwrap()).collect()
}

fn reason(opened: &Opened) -> (i32, String) {
    let Opened::Error(status) = opened else { panic!("it opened") };
    let [detail] = &status.details[..] else { panic!("one detail says why") };
    assert_eq!(detail.type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    let info = ErrorInfo::decode(&detail.value[..]).unwrap();
    assert_eq!(info.domain, "intelgraph.dev");
    assert!(!status.message.is_empty());
    (status.code, info.reason)
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        context in prop::collection::vec(any::<u8>(), 0..=1024),
        plaintexts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
        inline_wrapped_key: bool,
    ) {
        let request = EncryptRequest { context, plaintexts, inline_wrapped_key, tenant: String::new() };
        let envelopes = seal(&request);
        prop_assert_eq!(envelopes.len(), request.plaintexts.len());
        for envelope in &envelopes {
            prop_assert_eq!(Envelope::parse(envelope).unwrap().inline_keys().is_some(), inline_wrapped_key);
        }
        let opened = open(&WORLD.keystore, TENANT, &request.context, envelopes);
        let expected: Vec<_> = request.plaintexts.into_iter().map(Opened::Plaintext).collect();
        prop_assert_eq!(opened, expected);
    }

    #[test]
    fn nothing_else_opens_and_the_rest_of_the_batch_does(at in 0usize..70, bit in 0u8..8) {
        let mut envelopes = seal(&request(b"context", &[b"first", b"second", b"third"]));
        let place = at % envelopes[1].len();
        envelopes[1][place] ^= 1 << bit;
        let opened = open(&WORLD.keystore, TENANT, b"context", envelopes);
        prop_assert_eq!(&opened[0], &Opened::Plaintext(b"first".to_vec()));
        prop_assert!(matches!(opened[1], Opened::Error(_)), "{:?}", reason(&opened[1]));
        prop_assert_eq!(&opened[2], &Opened::Plaintext(b"third".to_vec()));
    }

    #[test]
    fn any_bytes_are_a_request_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(messages) = MessagesToOpen::decode(bytes.clone().into()) {
            let _ = messages.travelling_keys(&WORLD.keystore, TENANT, NOW).unwrap();
            if let Err(error) = messages.open(&WORLD.keystore, TENANT, NOW) {
                prop_assert!(matches!(error, PipelineError::Key(EnvelopeError::DataKeyNotLoaded)));
            }
        }
        if let Ok(messages) = MessagesToSeal::decode(bytes.into()) {
            let batch = messages.reserve(&WORLD.keystore, TENANT, NOW).unwrap();
            messages.seal(batch, None).unwrap();
        }
    }
}

#[test]
fn another_context_or_tenant_is_refused() {
    let envelopes = seal(&request(b"context", &[b"message"]));
    for other in [&b"Context"[..], b"", b"context "] {
        let opened = open(&WORLD.keystore, TENANT, other, envelopes.clone());
        assert_eq!(reason(&opened[0]), (3, "ENVELOPE_NOT_AUTHENTIC".to_owned()));
    }
    let opened = open(&WORLD.keystore, OTHER, b"context", envelopes);
    assert_eq!(reason(&opened[0]), (5, "DATA_KEY_NOT_FOUND".to_owned()));
}

#[test]
fn a_travelling_key_opens_where_the_kms_unwraps_it() {
    let request = EncryptRequest { inline_wrapped_key: true, ..request(b"context", &[b"one", b"two"]) };
    let envelopes = seal(&request);
    // Another system, which has no key of these and holds a lease of its own.
    let elsewhere = Keystore::new(KeystoreLimits::default());
    elsewhere.renew(TENANT, NOW, Duration::from_secs(300)).unwrap();
    let opened = open(&elsewhere, TENANT, b"context", envelopes.clone());
    assert_eq!(reason(&opened[0]), (9, "TRAVELLING_KEY_REFUSED".to_owned()));

    let request =
        DecryptRequest { context: b"context".to_vec(), envelopes: envelopes.clone(), ..Default::default() };
    let messages = MessagesToOpen::decode(request.encode_to_vec().into()).unwrap();
    let wanted = messages.travelling_keys(&elsewhere, TENANT, NOW).unwrap();
    assert_eq!(wanted, [(WORLD.tenant_key_id, &b"as the KMS wrapped it"[..])]);
    let secret = Secret::copy_of(WORLD.tenant_key.expose()).unwrap();
    let key = TenantKey::load_inline(TENANT, WORLD.tenant_key_id, secret).unwrap();
    elsewhere.add_tenant_key(key, NOW).unwrap();
    assert!(messages.travelling_keys(&elsewhere, TENANT, NOW).unwrap().is_empty());
    let opened = open(&elsewhere, TENANT, b"context", envelopes);
    assert_eq!(opened, [Opened::Plaintext(b"one".to_vec()), Opened::Plaintext(b"two".to_vec())]);
}

#[test]
fn too_much_is_refused_as_a_whole() {
    let decode = |request: EncryptRequest| MessagesToSeal::decode(request.encode_to_vec().into()).err();
    let many = |count: usize, size: usize| vec![vec![0; size]; count];
    let of = |plaintexts| EncryptRequest { plaintexts, ..EncryptRequest::default() };
    assert_eq!(decode(of(many(4096, 0))), None);
    assert_eq!(decode(of(many(4097, 0))), Some(RequestError::TooMany(4097)));
    assert_eq!(decode(of(many(8, 1 << 20))), None);
    let bytes = (8 << 20) + 1;
    assert_eq!(decode(of(many(1, bytes))), Some(RequestError::TooLarge(bytes, 8 << 20)));
    assert_eq!(decode(request(&[0; 1024], &[])), None);
    assert_eq!(decode(request(&[0; 1025], &[])), Some(RequestError::Context(1025)));
    assert_eq!(MessagesToSeal::decode(vec![0x0a].into()).err(), Some(RequestError::Malformed));
    assert_eq!(MessagesToOpen::decode(vec![0x0a].into()).err(), Some(RequestError::Malformed));
}

#[test]
fn what_a_full_request_seals_to_can_be_opened() {
    let plaintexts = vec![vec![1; 2048]; 4096];
    let request = EncryptRequest { plaintexts, inline_wrapped_key: true, ..EncryptRequest::default() };
    let envelopes = seal(&request);
    let opened = open(&WORLD.keystore, TENANT, b"", envelopes);
    assert_eq!(opened.len(), 4096);
    assert!(opened.iter().all(|opened| matches!(opened, Opened::Plaintext(bytes) if bytes.len() == 2048)));
}

#[test]
fn without_a_lease_nothing_is_answered() {
    let envelopes = seal(&request(b"context", &[b"message"]));
    let request = DecryptRequest { context: b"context".to_vec(), envelopes, ..Default::default() };
    let messages = MessagesToOpen::decode(request.encode_to_vec().into()).unwrap();
    let unleased = Keystore::new(KeystoreLimits::default());
    let refused = messages.open(&unleased, TENANT, NOW);
    assert!(matches!(refused, Err(PipelineError::Key(EnvelopeError::LeaseExpired))));
}
