//! Histories never fork: whatever order groups are diffed, committed and aborted in, and whoever else commits, the
//! log is what the same records give one after the other.

mod log;
mod warnings;

use std::collections::BTreeMap;
use std::sync::Arc;

use intelgraph_pipeline::{
    Diffed, Enforcement, Engine, Group, Lookups, Outcomes, Prepared, Stream, wire::AckResponse,
};
use log::{Log, NOW, TENANT};
use proptest::prelude::*;
use prost::Message;

const CONTRACT: &str = r#"{
  "datasetId": "things", "version": "1.0.0", "tenantId": "t", "license": "MIT-OK", "purpose": ["test"],
  "retention": "standard-365d", "sla": {},
  "schema": {"type": "object", "properties": {
    "id": {"type": "integer"}, "at": {"type": "integer"}, "x": {"type": "integer"}, "pad": {"type": "string"}},
    "required": ["id"], "additionalProperties": false},
  "mapping": {"entity": {"type": "thing", "key": ["/id"]}, "eventTime": {"pointer": "/at", "format": "unix-us"}},
  "placement": {"homeRegion": "eu", "allowedRegions": ["eu"], "classification": "internal"}
}"#;

/// What one record says.
#[derive(Debug, Clone)]
enum Said {
    /// Entity, event time, content.
    Is(u32, Option<u8>, u8),
    /// Entity, time.
    Gone(u32, Option<u8>),
    /// A record about entity 1 that breaks the contract in one member, and varies in another.
    Wrong(u8),
}

fn said() -> impl Strategy<Value = Said> {
    let time = || prop_oneof![4 => (0u8..5).prop_map(Some), 1 => Just(None)];
    prop_oneof![
        8 => (0u32..3, time(), 0u8..3).prop_map(|(id, at, x)| Said::Is(id, at, x)),
        2 => (0u32..3, time()).prop_map(|(id, at)| Said::Gone(id, at)),
        2 => (0u8..3).prop_map(Said::Wrong),
    ]
}

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// A batch is diffed on what is in flight.
    Diff(Vec<Said>, Enforcement),
    /// The oldest group in flight commits.
    Commit,
    /// The oldest group's commit fails; all in flight are diffed again, in order.
    Abort,
    /// Another gateway commits a batch.
    Other(Vec<Said>, Enforcement),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let batch = || prop::collection::vec(said(), 1..6);
    let enforcement = || prop_oneof![Just(Enforcement::Enforce), Just(Enforcement::Warn)];
    let step = prop_oneof![
        5 => (batch(), enforcement()).prop_map(|(batch, enforcement)| Step::Diff(batch, enforcement)),
        4 => Just(Step::Commit),
        1 => Just(Step::Abort),
        1 => (batch(), enforcement()).prop_map(|(batch, enforcement)| Step::Other(batch, enforcement)),
    ];
    prop::collection::vec(step, 1..40)
}

fn frame(sequence: u64, batch: &[Said]) -> Vec<u8> {
    fn put(tag: u8, body: &[u8], out: &mut Vec<u8>) {
        out.push(tag << 3 | 2);
        prost::encoding::encode_varint(body.len() as u64, out);
        out.extend_from_slice(body);
    }
    let mut body = vec![0x08];
    prost::encoding::encode_varint(sequence, &mut body);
    for said in batch {
        let mut record = Vec::new();
        match said {
            Said::Is(id, at, x) => {
                let at = at.map(|at| format!(r#""at":{at},"#)).unwrap_or_default();
                put(
                    1,
                    format!(r#"{{"id":{id},{at}"x":{x},"pad":"{}"}}"#, "-".repeat(90)).as_bytes(),
                    &mut record,
                );
            }
            Said::Gone(id, at) => {
                let mut delete = Vec::new();
                put(1, id.to_string().as_bytes(), &mut delete);
                if let Some(at) = at {
                    delete.extend_from_slice(&[0x10, *at]);
                }
                put(2, &delete, &mut record);
            }
            Said::Wrong(pad) => {
                put(1, format!(r#"{{"id":1,"x":"one","pad":"{pad}"}}"#).as_bytes(), &mut record);
            }
        }
        put(2, &record, &mut body);
    }
    let mut frame = Vec::new();
    put(2, &body, &mut frame);
    frame
}

/// Valid time, content (nothing after a delete), whether it moved the head.
type Version = (i64, Option<(Option<u8>, u8)>, bool);

/// Stands in the place of `x` for content that breaks the contract; what varies in it is added.
const WRONG: u8 = 100;

/// What a document says, by the model.
fn said_by(document: &[u8]) -> u8 {
    let text = str::from_utf8(document).expect("JSON");
    let digit_at = |at: usize| document[at] - b'0';
    match text.find(r#""x":"one""#) {
        Some(_) => WRONG + digit_at(text.find(r#""pad":""#).expect("it has one") + 7),
        None => digit_at(document.len() - 2),
    }
}

/// The same, one record after the other.
#[derive(Default)]
struct Model {
    entities: BTreeMap<u32, Vec<Version>>,
}

impl Model {
    /// Accepted, unchanged, duplicate, quarantined, and how many of the first are in breach of the contract. `times` are
    /// the valid times of what the log accepted.
    fn take(
        &mut self,
        batch: &[Said],
        enforcement: Enforcement,
        mut times: impl Iterator<Item = i64>,
    ) -> [u32; 5] {
        let mut counts = [0; 5];
        for said in batch {
            let (id, at, content) = match said {
                Said::Is(id, at, x) => (*id, at.map(i64::from), Some((*at, *x))),
                Said::Gone(id, at) => (*id, at.map(i64::from), None),
                Said::Wrong(pad) if enforcement == Enforcement::Warn => (1, None, Some((None, WRONG + pad))),
                Said::Wrong(_) => {
                    counts[3] += 1;
                    continue;
                }
            };
            let versions = self.entities.entry(id).or_default();
            let head = versions.iter().rfind(|version| version.2).copied();
            let repeats = |at| versions.iter().any(|version| version.0 == at && version.1 == content);
            let verdict = match (head, at) {
                (None, _) => usize::from(content.is_none()),
                (Some(head), Some(at)) if at <= head.0 => 2 * usize::from(repeats(at)),
                (Some(head), _) => usize::from(head.1 == content),
            };
            counts[verdict] += 1;
            if verdict == 0 {
                counts[4] += u32::from(matches!(said, Said::Wrong(_)));
                let valid_at = times.next().expect("the log accepted it too");
                let in_chain = head.is_none_or(|head| valid_at >= head.0);
                assert!(at.is_none_or(|at| at == valid_at), "an event time is kept");
                versions.push((valid_at, content, in_chain));
            }
        }
        assert_eq!(times.next(), None, "the log accepted no more");
        counts
    }
}

struct Flight {
    batch: Arc<Prepared>,
    said: Vec<Said>,
    enforcement: Enforcement,
    group: Group,
}

struct World {
    keystore: Arc<intelgraph_envelope::Keystore>,
    engine: Engine,
    cache_bytes: u64,
    stream: Arc<Stream>,
    log: Log,
    model: Model,
    sequence: u64,
    in_flight: Vec<Flight>,
}

impl World {
    fn new(cache_bytes: u64) -> Self {
        let keystore = log::keystore();
        Self {
            engine: log::engine(&keystore, cache_bytes, 0),
            keystore,
            cache_bytes,
            stream: log::stream(CONTRACT),
            log: Log::default(),
            model: Model::default(),
            sequence: 0,
            in_flight: vec![],
        }
    }

    fn prepare(&mut self, engine: &Engine, said: &[Said], enforcement: Enforcement) -> Arc<Prepared> {
        self.sequence += 1;
        let frame = Arc::new(frame(self.sequence, said));
        engine
            .prepare(Arc::clone(&self.stream), frame, enforcement, 2_000_000_000_000_000, NOW)
            .expect("a batch")
    }

    fn diff(&self, engine: &Engine, batch: &Arc<Prepared>) -> Group {
        for _ in 0..10 {
            match engine.diff(TENANT, std::slice::from_ref(batch), NOW).expect("a diff") {
                Diffed::Ready(group) => return *group,
                Diffed::Missing(_) => {
                    let plan = engine.plan_fetch(batch, NOW).expect("a plan").expect("something is missing");
                    plan.supply(&self.log.fetch(&plan), &self.keystore, NOW).expect("rows that open");
                }
            }
        }
        panic!("a batch that never has enough");
    }

    fn diff_again(&mut self) {
        self.engine.abort(TENANT);
        let mut in_flight = std::mem::take(&mut self.in_flight);
        for flight in &mut in_flight {
            flight.group = self.diff(&self.engine, &flight.batch);
        }
        self.in_flight = in_flight;
    }

    fn settle(&mut self, engine: &Engine, mut group: Group, said: &[Said], enforcement: Enforcement) {
        let (before, waiting) = (self.log.rows.len(), self.log.quarantined);
        let bound = group.bind(&self.log.clock(), &[]).expect("bound");
        self.log.commit(&bound);
        engine.commit(&group, &bound).expect("committed");
        let ack = AckResponse::decode(&bound.replies[0][..]).expect("a reply").ack.expect("an ack");
        let times: Vec<i64> = self.log.rows[before..].iter().map(|row| row.valid_at).collect();
        let counts = self.model.take(said, enforcement, times.into_iter());
        assert_eq!([ack.accepted, ack.unchanged, ack.duplicate, ack.quarantined, ack.warned], counts);
        let [accepted, unchanged, duplicate, quarantined, warned] = counts.map(u64::from);
        assert_eq!(bound.outcomes, Outcomes { accepted, unchanged, duplicate, quarantined, warned });
        assert_eq!(bound.quarantining, [(self.log.quarantined - waiting) as u32]);
        assert_eq!(counts[..4].iter().sum::<u32>() as usize, said.len());
        assert_eq!(ack.stored_id.is_empty(), warned == 0);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Diff(said, enforcement) => {
                let engine = std::mem::replace(&mut self.engine, log::engine(&self.keystore, 1, 0));
                let batch = self.prepare(&engine, &said, enforcement);
                let group = self.diff(&engine, &batch);
                self.engine = engine;
                self.in_flight.push(Flight { batch, said, enforcement, group });
            }
            Step::Commit if !self.in_flight.is_empty() => {
                if self.engine.usage(TENANT).expect("active").watermark != self.log.rows.len() as u64 {
                    let seen = self.engine.usage(TENANT).expect("active").watermark;
                    let moved = self.log.moved_after(seen);
                    self.engine.catch_up(TENANT, &moved, self.log.rows.len() as u64).expect("active");
                }
                if self.engine.is_stale(&self.in_flight[0].group) {
                    self.diff_again();
                }
                let flight = self.in_flight.remove(0);
                let engine = std::mem::replace(&mut self.engine, log::engine(&self.keystore, 1, 0));
                self.settle(&engine, flight.group, &flight.said, flight.enforcement);
                self.engine = engine;
            }
            Step::Commit => {}
            Step::Abort => self.diff_again(),
            Step::Other(said, enforcement) => {
                let other = log::engine(&self.keystore, self.cache_bytes, self.log.rows.len() as u64);
                let batch = self.prepare(&other, &said, enforcement);
                let group = self.diff(&other, &batch);
                self.settle(&other, group, &said, enforcement);
            }
        }
    }

    /// Every entity's log is the model's, and its chain rebuilds to the model's head.
    fn check(&self) {
        let index_key = self.keystore.index_key(TENANT, NOW).expect("an index key");
        let mut rows = 0;
        for (id, versions) in &self.model.entities {
            let id = id.to_string();
            let key = [&[2u8][..], &(id.len() as u32).to_be_bytes(), id.as_bytes()].concat();
            let entity = *index_key.entity_id("thing", &key).as_bytes();
            let stored: Vec<_> = self.log.rows.iter().filter(|row| row.entity == entity).collect();
            rows += stored.len();
            let times: Vec<_> = stored.iter().map(|row| (row.valid_at, row.in_chain())).collect();
            assert_eq!(times, versions.iter().map(|version| (version.0, version.2)).collect::<Vec<_>>());
            let chain: Vec<_> = stored.iter().filter(|row| row.in_chain()).collect();
            assert!(chain.iter().zip(1..).all(|(row, version)| row.version == version), "versions count up");
            assert!(chain.is_sorted_by_key(|row| row.valid_at), "a chain is in order of valid time");
            assert!(chain.iter().all(|row| row.since_base <= 32));
            if let Some(head) = versions.iter().rfind(|version| version.2) {
                let document = self.log.document(&self.keystore, "things", &entity);
                assert_eq!(document.as_deref().map(said_by), head.1.map(|content| content.1));
            }
        }
        assert_eq!(rows, self.log.rows.len());
        assert_eq!(self.log.frontier.size(), rows as u64);
        let usage = self.engine.usage(TENANT).expect("active");
        assert_eq!(
            self.engine.cached(),
            (usage.heads as u64, usage.bytes),
            "the totals are the only tenant's"
        );
    }
}

/// A batch of a tenant whose contracts are enforced.
fn enforced(said: Vec<Said>) -> Step {
    Step::Diff(said, Enforcement::Enforce)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_log_is_what_the_records_give_one_after_the_other(
        steps in steps(), cache_bytes in prop_oneof![Just(1u64), Just(2_000), Just(1 << 20)],
    ) {
        let mut world = World::new(cache_bytes);
        for step in steps {
            world.step(step);
        }
        while !world.in_flight.is_empty() {
            world.step(Step::Commit);
        }
        world.check();
    }
}

#[test]
fn a_lease_that_ends_takes_heads_and_groups_with_it() {
    let mut world = World::new(1 << 20);
    world.step(enforced(vec![Said::Is(0, Some(1), 1)]));
    world.step(Step::Commit);
    assert_eq!(world.engine.usage(TENANT).expect("active").heads, 1);
    world.step(enforced(vec![Said::Is(0, Some(2), 2)]));
    world.keystore.revoke(TENANT, NOW);
    world.engine.forget_unleased(NOW);
    assert_eq!(world.engine.usage(TENANT).expect("active").heads, 0);
    assert!(world.engine.is_stale(&world.in_flight[0].group));
    let batch = world.in_flight[0].batch.clone();
    assert!(world.engine.diff(TENANT, &[batch], NOW).is_err());
}

#[test]
fn heads_are_counted_by_where_they_came_from() {
    let is = |id| Said::Is(id, Some(1), 1);
    let mut world = World::new(1 << 20);
    world.step(enforced((0..3).map(is).collect()));
    world.step(Step::Commit);

    let another = log::engine(&world.keystore, 1 << 20, 3);
    let said =
        vec![Said::Is(0, Some(2), 2), Said::Is(0, Some(3), 3), Said::Is(1, Some(2), 2), Said::Wrong(0)];
    let batch = world.prepare(&another, &said, Enforcement::Enforce);
    let plan = another.plan_fetch(&batch, NOW).expect("a plan").expect("it knows nothing");
    assert_eq!(another.lookups(), Lookups { held: 0, fetched: 3 }, "what breaks the contract needs no head");
    plan.supply(&world.log.fetch(&plan), &world.keystore, NOW).expect("rows that open");
    let group = world.diff(&another, &batch);
    world.settle(&another, group, &said, Enforcement::Enforce);
    let (heads, bytes) = another.cached();
    assert!(heads == 2 && bytes > 2 * 90, "{heads} heads, {bytes} bytes");

    let batch = world.prepare(&another, &[is(0), is(1), is(2), is(2)], Enforcement::Enforce);
    for fetched in [5, 7] {
        assert!(another.plan_fetch(&batch, NOW).expect("a plan").is_some());
        assert_eq!(another.lookups(), Lookups { held: 2, fetched }, "what is held is counted once");
    }
    another.deactivate(TENANT);
    assert_eq!(another.cached(), (0, 0));
}

#[test]
fn a_smaller_share_of_the_cache_holds_at_once() {
    let mut world = World::new(1 << 20);
    world.step(enforced((0..100).map(|id| Said::Is(id, Some(1), 1)).collect()));
    world.step(Step::Commit);
    let before = world.engine.usage(TENANT).expect("active");
    assert_eq!(before.heads, 100);
    world.engine.set_share(TENANT, 1).expect("active");
    let after = world.engine.usage(TENANT).expect("active");
    assert!(after.heads < before.heads && after.bytes <= (1 << 20) / 100, "{after:?}");
    world.step(enforced((0..100).map(|id| Said::Is(id, Some(2), 2)).collect()));
    world.step(Step::Commit);
    assert!(world.engine.usage(TENANT).expect("active").bytes <= (1 << 20) / 100);
    world.engine.set_share(TENANT, 100).expect("active");
    world.step(enforced((0..100).map(|id| Said::Is(id, Some(3), 3)).collect()));
    world.step(Step::Commit);
    assert_eq!(world.engine.usage(TENANT).expect("active").heads, 100);
    world.check();
    world.engine.deactivate(TENANT);
    assert!(world.engine.set_share(TENANT, 1).is_err());
}

#[test]
fn a_long_chain_has_a_snapshot_at_least_every_32_versions() {
    let mut world = World::new(1 << 20);
    for round in 0..120u8 {
        world.step(enforced(vec![Said::Is(0, Some(round), round % 7)]));
        world.step(Step::Commit);
    }
    world.check();
    assert!(world.log.rows.iter().any(|row| row.snapshot.is_some()));
}

#[test]
fn a_new_entity_is_never_taken_for_a_known_one() {
    // More than the filter's first layers hold: within a group, its own keys make false positives of later ones.
    let mut world = World::new(1 << 24);
    for batch in 0..40 {
        world.step(enforced((0..500).map(|index| Said::Is(batch * 500 + index, Some(1), 1)).collect()));
        world.step(Step::Commit);
    }
    assert_eq!(world.log.rows.len(), 40 * 500);
}
