//! Foreign bytes where envelopes, wrapped keys and keyring files are read: as they come, and laid over
//! genuine ones. Nothing opens but what was sealed, bit for bit.
#![no_main]

use intelgraph_envelope::{
    Context, DataKeyRow, Envelope, EnvelopeError, InlineKeys, Keystore, KeystoreLimits, LocalKeyring,
    OVERHEAD, Purpose, Secret, TenantId, TenantKey, Tick, Unlock, WrappedKey,
};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use std::time::Duration;

const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const NOW: Tick = Tick::from_micros(0);
const KEY_FILE: Unlock<'_> = Unlock::KeyFile(&[7; 32]);

struct Genuine {
    keystore: Keystore,
    row: DataKeyRow,
    envelopes: Vec<Vec<u8>>,
    keyring: LocalKeyring,
    keyring_file: Vec<u8>,
    kek_wrapped: Vec<u8>,
}

static GENUINE: LazyLock<Genuine> = LazyLock::new(|| genuine().expect("keys are made"));

fuzz_target!(|bytes: &[u8]| {
    let genuine = &*GENUINE;
    opens_if_genuine(genuine, bytes);
    let stored: [&[u8]; 3] = [genuine.row.wrapped.as_bytes(), &genuine.keyring_file, &genuine.kek_wrapped];
    for value in genuine.envelopes.iter().map(Vec::as_slice).chain(stored) {
        opens_if_genuine(genuine, &lay_over(bytes, value));
    }
});

/// Whoever reads these bytes, they open only if they are what was sealed. (That may happen: the
/// fuzzer sees what they are compared with and tries that too.)
fn opens_if_genuine(genuine: &Genuine, bytes: &[u8]) {
    assert_eq!(open(genuine, bytes).is_ok(), genuine.envelopes.iter().any(|sealed| sealed == bytes));
    assert_eq!(load(genuine, bytes).is_ok(), bytes == genuine.row.wrapped.as_bytes());
    assert_eq!(LocalKeyring::open(bytes, &KEY_FILE).is_ok(), bytes == genuine.keyring_file);
    assert_eq!(genuine.keyring.unwrap(TENANT, b"id", bytes).is_ok(), bytes == genuine.kek_wrapped);
}

/// `value` with the bytes after the first XORed over it, from a place the first one chooses.
fn lay_over(bytes: &[u8], value: &[u8]) -> Vec<u8> {
    let mut laid_over = value.to_vec();
    if let Some((&place, patch)) = bytes.split_first() {
        let start = usize::from(place) % value.len();
        laid_over[start..].iter_mut().zip(patch).for_each(|(byte, change)| *byte ^= change);
    }
    laid_over
}

fn context() -> Context<'static> {
    Context {
        tenant: TENANT,
        dataset: "flights",
        entity: &[3; 16],
        purpose: Purpose::Diff,
        version: 1,
        op: 1,
        valid_at: 0,
    }
}

fn open(genuine: &Genuine, sealed: &[u8]) -> Result<(), EnvelopeError> {
    let envelope = Envelope::parse(sealed)?;
    assert!(envelope.plaintext_len() + OVERHEAD <= sealed.len());
    // Opened with the key at hand, whatever it names: the key itself must refuse.
    let key = genuine.keystore.opening_key(TENANT, genuine.row.id, NOW)?;
    let mut out = Vec::new();
    let opened = key.open(&context(), &envelope, &mut out).map(drop);
    assert_eq!(out.is_empty(), opened.is_err());
    opened
}

fn load(genuine: &Genuine, wrapped: &[u8]) -> Result<(), EnvelopeError> {
    let row = DataKeyRow { wrapped: WrappedKey::parse(wrapped)?, ..genuine.row };
    genuine.keystore.load_dek(&row, NOW).map(drop)
}

fn genuine() -> Result<Genuine, EnvelopeError> {
    let keystore = Keystore::new(KeystoreLimits::default());
    keystore.renew(TENANT, NOW, Duration::from_secs(300))?;
    keystore.add_tenant_key(TenantKey::generate(TENANT, 0)?, NOW)?;
    let pending = keystore.generate_dek(TENANT, NOW)?;
    let row = pending.row();
    keystore.activate(pending, NOW)?;

    let mut batch = keystore.reserve(TENANT, 2, 100, NOW)?;
    let mut envelopes = vec![Vec::new(), Vec::new()];
    batch.seal(&context(), b"a diff", &mut envelopes[0])?;
    let keys = InlineKeys { data_key: row.wrapped, tenant_key: b"wrapped elsewhere" };
    batch.seal_with_keys(&context(), &keys, b"a message", &mut envelopes[1])?;

    let mut keyring = LocalKeyring::create(&KEY_FILE)?;
    keyring.create_kek(TENANT, 0)?;
    let keyring_file = keyring.seal()?;
    let kek_wrapped = keyring.wrap(TENANT, b"id", &Secret::generate()?)?;
    Ok(Genuine { keystore, row, envelopes, keyring, keyring_file, kek_wrapped })
}
