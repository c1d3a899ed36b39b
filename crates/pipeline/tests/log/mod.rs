//! A change log in memory, fed by what the pipeline would COPY, and answering what it would ask PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use intelgraph_contract::Contract;
use intelgraph_envelope::{Context, Envelope, Keystore, KeystoreLimits, Purpose, TenantId, TenantKey, Tick};
use intelgraph_json::Limits;
use intelgraph_pipeline::copy::{HEADER, Reader, timestamp, unix_us};
use intelgraph_pipeline::{BatchLimits, Bound, Clock, Engine, EngineLimits, FetchPlan, Stream};
use intelgraph_temporal::{ChainRow, Frontier, Head, Operation, rebuild};
use uuid::Uuid;

pub const TENANT: TenantId = TenantId::from_bytes([7; 16]);
pub const NOW: Tick = Tick::from_micros(1_000_000);

/// A keystore whose tenant has every key.
pub fn keystore() -> Arc<Keystore> {
    let keystore = Keystore::new(KeystoreLimits::default());
    keystore.renew(TENANT, NOW, Duration::from_secs(300)).expect("a lease");
    keystore.add_tenant_key(TenantKey::generate(TENANT, 0).expect("entropy"), NOW).expect("a lease");
    let pending = keystore.generate_index_key(TENANT, NOW).expect("a tenant key");
    keystore.activate_index_key(pending, NOW).expect("a lease");
    let pending = keystore.generate_dek(TENANT, NOW).expect("a tenant key");
    keystore.activate(pending, NOW).expect("a lease");
    Arc::new(keystore)
}

/// An engine that serves the tenant from `watermark` on.
pub fn engine(keystore: &Arc<Keystore>, cache_bytes: u64, watermark: u64) -> Engine {
    let batch = BatchLimits { records: 1 << 16, report: Default::default() };
    let limits = EngineLimits { cache_bytes, json: Limits::default(), batch };
    let engine = Engine::new(Arc::clone(keystore), limits);
    engine.activate(TENANT, watermark, 100);
    engine
}

/// A stream of `contract`.
pub fn stream(contract: &str) -> Arc<Stream> {
    let contract = Contract::compile(contract.as_bytes()).expect("a contract");
    Arc::new(Stream::new(TENANT, 1, 1, 1, Arc::new(contract)))
}

/// A row of the log, as stored.
#[derive(Clone)]
pub struct Row {
    pub seq: u64,
    pub recorded: i64,
    pub valid_at: i64,
    pub entity: [u8; 16],
    pub version: u32,
    pub op: u16,
    pub since_base: u16,
    pub leaf: [u8; 32],
    pub sealed: Vec<u8>,
    pub snapshot: Option<Vec<u8>>,
}

impl Row {
    pub fn in_chain(&self) -> bool {
        self.op <= 3
    }
}

/// A row of `quarantine`, as far as tests look at it.
pub struct Entry {
    pub id: Uuid,
    pub state: String,
    pub report: Vec<u8>,
    pub changes: Vec<u64>,
}

/// The entries that a transaction writes.
pub fn entries(bound: &Bound) -> Vec<Entry> {
    let mut entries = Vec::new();
    for table in bound.tables.iter().filter(|table| table.name == "quarantine") {
        let bytes = table.parts.concat();
        let mut copy = Reader::new(&bytes);
        while copy.next_row(11).expect("a row or the end") {
            let fields: Vec<&[u8]> =
                (0..11).map(|_| copy.field().expect("a field").expect("a value")).collect();
            entries.push(Entry {
                id: Uuid::from_slice(fields[1]).expect("an identifier"),
                state: String::from_utf8(fields[8].to_vec()).expect("text"),
                report: fields[9].to_vec(),
                changes: fields[10].as_chunks().0.iter().map(|seq| u64::from_be_bytes(*seq)).collect(),
            });
        }
    }
    entries
}

/// A frame of upserts.
pub fn upserts(sequence: u64, records: &[&str]) -> Vec<u8> {
    fn put(tag: u8, body: &[u8], out: &mut Vec<u8>) {
        out.push(tag << 3 | 2);
        prost::encoding::encode_varint(body.len() as u64, out);
        out.extend_from_slice(body);
    }
    let mut body = vec![0x08];
    prost::encoding::encode_varint(sequence, &mut body);
    for document in records {
        let mut record = Vec::new();
        put(1, document.as_bytes(), &mut record);
        put(2, &record, &mut body);
    }
    let mut frame = Vec::new();
    put(2, &body, &mut frame);
    frame
}

/// The log and the tenant's clock.
#[derive(Default, Clone)]
pub struct Log {
    pub rows: Vec<Row>,
    pub recorded_us: i64,
    pub frontier: Frontier,
    pub quarantined: usize,
}

impl Log {
    /// The clock row, with a database clock that is a little further each time.
    pub fn clock(&self) -> Clock {
        let now_us = 1_700_000_000_000_000 + self.rows.len() as i64 / 3;
        Clock {
            seq: self.rows.len() as u64,
            recorded_us: self.recorded_us,
            now_us,
            frontier: self.frontier.clone(),
        }
    }

    /// Stores what one transaction writes.
    pub fn commit(&mut self, bound: &Bound) {
        for table in &bound.tables {
            let bytes = table.parts.concat();
            let mut copy = Reader::new(&bytes);
            match table.name {
                "entity_change_log" => {
                    while copy.next_row(15).expect("a row or the end") {
                        self.rows.push(read_row(&mut copy).expect("fifteen fields"));
                    }
                }
                "quarantine_record" => {
                    while copy.next_row(5).expect("a row or the end") {
                        (0..5).for_each(|_| assert!(copy.field().expect("a field").is_some()));
                        self.quarantined += 1;
                    }
                }
                _ => {}
            }
        }
        self.rows.sort_by_key(|row| row.seq);
        for (index, row) in self.rows.iter().enumerate() {
            assert_eq!(row.seq, index as u64 + 1, "seq has no gaps");
        }
        assert!(self.rows.is_sorted_by(|a, b| a.recorded < b.recorded), "recorded only grows");
        assert_eq!(bound.seq, self.rows.len() as u64);
        self.recorded_us = bound.recorded_us;
        self.frontier = bound.frontier.clone();
    }

    /// What the database answers to a plan.
    pub fn fetch(&self, plan: &FetchPlan) -> Vec<u8> {
        let mut found = Vec::new();
        for entity in plan.entities.as_chunks::<16>().0 {
            let chain: Vec<&Row> =
                self.rows.iter().filter(|row| row.entity == *entity && row.in_chain()).collect();
            let length = chain.last().map_or(0, |head| usize::from(head.since_base) + 1);
            found.extend_from_slice(&chain[chain.len() - length..]);
        }
        for (entity, at) in plan.late_entities.as_chunks::<16>().0.iter().zip(&plan.late_valid_at) {
            found.extend(self.rows.iter().filter(|row| row.entity == *entity && row.valid_at == *at));
        }
        let mut bytes = if found.is_empty() { vec![] } else { HEADER.to_vec() };
        found.into_iter().for_each(|row| write_row(row, Fields::Head, &mut bytes));
        bytes
    }

    /// What the database answers a reader who asks for these changes.
    pub fn versions(&self, seqs: &[u64]) -> Vec<u8> {
        let rows = self.rows.iter().filter(|row| seqs.contains(&row.seq));
        answer(rows, Fields::Version)
    }

    /// What the database answers who checks the tree.
    pub fn leaves(&self) -> Vec<u8> {
        answer(self.rows.iter(), Fields::Leaf)
    }

    /// Seals the change of a row anew, after `altered` has had its way with what it says.
    pub fn reseal(
        &mut self,
        row: usize,
        keystore: &Keystore,
        dataset: &str,
        altered: impl FnOnce(&[u8]) -> Vec<u8>,
    ) {
        let row = &mut self.rows[row];
        let plaintext = altered(&open(keystore, dataset, row, &row.sealed, Purpose::Diff));
        let mut seal = keystore.reserve(TENANT, 1, plaintext.len() as u64, NOW).expect("a budget");
        let mut sealed = Vec::new();
        seal.seal(&context(dataset, row, Purpose::Diff), &plaintext, &mut sealed).expect("sealed");
        row.sealed = sealed;
    }

    /// Dataset and entity of the changes after `seq`.
    pub fn moved_after(&self, seq: u64) -> Vec<u8> {
        let moved = self.rows.iter().filter(|row| row.seq > seq);
        moved.flat_map(|row| [&1i32.to_be_bytes()[..], &row.entity].concat()).collect()
    }

    /// The entity's document, rebuilt from its chain as a reader would.
    pub fn document(&self, keystore: &Keystore, dataset: &str, entity: &[u8; 16]) -> Option<Vec<u8>> {
        let seed = keystore.index_key(TENANT, NOW).expect("an index key").content_hash_seed();
        let chain = self.rows.iter().filter(|row| row.entity == *entity && row.in_chain());
        let opened: Vec<_> = chain
            .map(|row| {
                let change = open(keystore, dataset, row, &row.sealed, Purpose::Diff);
                let snapshot = row
                    .snapshot
                    .as_ref()
                    .map(|sealed| open(keystore, dataset, row, sealed, Purpose::Snapshot));
                (Operation::from_number(row.op as u8).expect("an operation"), change, snapshot)
            })
            .collect();
        let chain: Vec<ChainRow<'_>> = opened
            .iter()
            .map(|(operation, change, snapshot)| ChainRow {
                operation: *operation,
                change,
                snapshot: snapshot.as_deref(),
            })
            .collect();
        let head: Option<Head> = rebuild(&chain, seed).expect("the chain rebuilds");
        head.map(|head| head.json().to_vec())
    }
}

fn open(keystore: &Keystore, dataset: &str, row: &Row, sealed: &[u8], purpose: Purpose) -> Vec<u8> {
    let envelope = Envelope::parse(sealed).expect("an envelope");
    let key = keystore.opening_key(TENANT, envelope.dek_id(), NOW).expect("its key");
    let mut plaintext = Vec::new();
    key.open(&context(dataset, row, purpose), &envelope, &mut plaintext).expect("it opens in its own place");
    plaintext
}

fn context<'a>(dataset: &'a str, row: &'a Row, purpose: Purpose) -> Context<'a> {
    Context {
        tenant: TENANT,
        dataset,
        entity: &row.entity,
        purpose,
        version: u64::from(row.version),
        op: row.op as u8,
        valid_at: row.valid_at,
    }
}

fn read_row(copy: &mut Reader<'_>) -> Option<Row> {
    assert_eq!(copy.fixed::<16>()?, *TENANT.as_bytes());
    let seq = u64::from_be_bytes(copy.fixed()?);
    let recorded = unix_us(i64::from_be_bytes(copy.fixed()?));
    let valid_at = unix_us(i64::from_be_bytes(copy.fixed()?));
    let entity = copy.fixed()?;
    (0..3).for_each(|_| assert!(copy.fixed::<4>().is_some()));
    copy.fixed::<8>()?;
    let version = u32::from_be_bytes(copy.fixed()?);
    let op = u16::from_be_bytes(copy.fixed()?);
    let since_base = u16::from_be_bytes(copy.fixed()?);
    let leaf = copy.fixed()?;
    let sealed = copy.field()??.to_vec();
    let snapshot = copy.field()?.map(<[u8]>::to_vec);
    Some(Row { seq, recorded, valid_at, entity, version, op, since_base, leaf, sealed, snapshot })
}

/// How many fields the rows of an answer have: those of a head, and the contract, and the leaf.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Fields {
    Head = 10,
    Version = 11,
    Leaf = 12,
}

fn answer<'a>(rows: impl Iterator<Item = &'a Row>, fields: Fields) -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    rows.for_each(|row| write_row(row, fields, &mut bytes));
    bytes
}

fn write_row(row: &Row, wanted: Fields, out: &mut Vec<u8>) {
    let dataset = 1i32.to_be_bytes();
    let fields: [&[u8]; 9] = [
        &row.seq.to_be_bytes(),
        &timestamp(row.recorded),
        &timestamp(row.valid_at),
        &row.entity,
        &dataset,
        &row.version.to_be_bytes(),
        &row.op.to_be_bytes(),
        &row.since_base.to_be_bytes(),
        &row.sealed,
    ];
    out.extend_from_slice(&(wanted as i16).to_be_bytes());
    for field in fields {
        out.extend_from_slice(&(field.len() as u32).to_be_bytes());
        out.extend_from_slice(field);
    }
    match &row.snapshot {
        Some(snapshot) => {
            out.extend_from_slice(&(snapshot.len() as u32).to_be_bytes());
            out.extend_from_slice(snapshot);
        }
        None => out.extend_from_slice(&(-1i32).to_be_bytes()),
    }
    if wanted >= Fields::Version {
        out.extend_from_slice(&4u32.to_be_bytes());
        out.extend_from_slice(&1i32.to_be_bytes());
    }
    if wanted >= Fields::Leaf {
        out.extend_from_slice(&32u32.to_be_bytes());
        out.extend_from_slice(&row.leaf);
    }
}
