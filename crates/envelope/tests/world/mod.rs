//! A keystore with tenants that can seal and open.

use intelgraph_envelope::{
    Context, DataKeyRow, Envelope, EnvelopeError, Keystore, KeystoreLimits, Purpose, TenantId, TenantKey,
    Tick,
};
use std::time::Duration;

pub const TENANT: TenantId = TenantId::from_bytes([1; 16]);
pub const OTHER_TENANT: TenantId = TenantId::from_bytes([2; 16]);
pub const TTL: Duration = Duration::from_secs(300);

/// The moment `seconds` after the tests begin.
pub fn at(seconds: u64) -> Tick {
    Tick::from_micros(1_000_000 * (1_000 + seconds))
}

pub fn keystore() -> Keystore {
    Keystore::new(KeystoreLimits::default())
}

/// Leases the tenant at `now` and gives it a new tenant key.
pub fn lease(keystore: &Keystore, tenant: TenantId, now: Tick) {
    keystore.renew(tenant, now, TTL).unwrap();
    keystore.add_tenant_key(TenantKey::generate(tenant, 0).unwrap(), now).unwrap();
}

/// Gives a leased tenant a sealing key; returns what was stored of it.
pub fn activate(keystore: &Keystore, tenant: TenantId, now: Tick) -> DataKeyRow {
    let pending = keystore.generate_dek(tenant, now).unwrap();
    let row = pending.row();
    keystore.activate(pending, now).unwrap();
    row
}

/// A keystore whose `TENANT` seals and opens from `at(0)` on.
pub fn sealing_keystore() -> Keystore {
    let keystore = keystore();
    lease(&keystore, TENANT, at(0));
    activate(&keystore, TENANT, at(0));
    keystore
}

pub fn context() -> Context<'static> {
    Context {
        tenant: TENANT,
        dataset: "flights",
        entity: &[0xE1; 16],
        purpose: Purpose::Diff,
        version: 7,
        op: 2,
        valid_at: 1_357_034_400_000_000,
    }
}

pub fn seal(keystore: &Keystore, context: &Context<'_>, plaintext: &[u8], now: Tick) -> Vec<u8> {
    let mut out = Vec::new();
    let mut batch = keystore.reserve(context.tenant, 1, plaintext.len() as u64, now).unwrap();
    batch.seal(context, plaintext, &mut out).unwrap();
    out
}

pub fn open(
    keystore: &Keystore,
    context: &Context<'_>,
    sealed: &[u8],
    now: Tick,
) -> Result<Vec<u8>, EnvelopeError> {
    let envelope = Envelope::parse(sealed)?;
    let mut out = Vec::new();
    keystore.opening_key(context.tenant, envelope.dek_id(), now)?.open(context, &envelope, &mut out)?;
    Ok(out)
}
