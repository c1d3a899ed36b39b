//! Where contracts only warn: everything that can have a place in the log has one, what is said of it is what would
//! have been said in quarantine, and nothing leans on it.

use std::sync::Arc;

use intelgraph_envelope::Keystore;
use intelgraph_pipeline::{
    Bound, Catalogue, Diffed, Enforcement, Engine, Fault, LogCheck, LogReader, Prepared, Stream, open_entry,
    wire::Ack, wire::AckResponse,
};
use proptest::prelude::*;
use prost::Message;

use crate::log::{self, Log, NOW, TENANT};

fn contract(sla: &str) -> String {
    r#"{
  "datasetId": "things", "version": "1.0.0", "tenantId": "t", "license": "MIT-OK", "purpose": ["test"],
  "retention": "standard-365d", "sla": SLA,
  "schema": {"type": "object", "properties": {
    "id": {"type": "integer"}, "at": {"type": "integer"}, "x": {"type": "integer", "maximum": 9},
    "tags": {"type": "array", "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}}},
    "note": {"type": "string", "maxLength": 5}},
    "required": ["id"], "additionalProperties": false},
  "mapping": {"entity": {"type": "thing", "key": ["/id"]}, "eventTime": {"pointer": "/at", "format": "unix-us"},
    "keyedArrays": {"/tags": "k"}},
  "placement": {"homeRegion": "eu", "allowedRegions": ["eu"], "classification": "internal"}
}"#
    .replace("SLA", sla)
}

const RECEIVED_US: i64 = 2_000_000_000_000_000;

/// A gateway, and the log that it writes.
struct Gateway {
    keystore: Arc<Keystore>,
    engine: Engine,
    stream: Arc<Stream>,
    log: Log,
    sequence: u64,
}

/// What came of a batch.
struct Done {
    ack: Ack,
    bound: Bound,
}

impl Gateway {
    fn new(sla: &str) -> Self {
        let keystore = log::keystore();
        let engine = log::engine(&keystore, 1 << 20, 0);
        Self { keystore, engine, stream: log::stream(&contract(sla)), log: Log::default(), sequence: 0 }
    }

    /// Forgets what is in memory.
    fn restart(&mut self) {
        self.engine = log::engine(&self.keystore, 1 << 20, self.log.rows.len() as u64);
    }

    fn send(&mut self, records: &[&str], enforcement: Enforcement) -> Done {
        self.sequence += 1;
        let frame = Arc::new(log::upserts(self.sequence, records));
        let batch = self
            .engine
            .prepare(Arc::clone(&self.stream), frame, enforcement, RECEIVED_US, NOW)
            .expect("a batch");
        let bound = self.commit(&batch);
        let ack = AckResponse::decode(&bound.replies[0][..]).expect("a reply").ack.expect("an ack");
        let answered = ack.accepted + ack.unchanged + ack.duplicate + ack.quarantined;
        assert_eq!(answered as usize, records.len(), "every record is stored, known or quarantined");
        Done { ack, bound }
    }

    fn commit(&mut self, batch: &Arc<Prepared>) -> Bound {
        if let Some(plan) = self.engine.plan_fetch(batch, NOW).expect("a plan") {
            plan.supply(&self.log.fetch(&plan), &self.keystore, NOW).expect("rows that open");
        }
        let group = self.engine.diff(TENANT, std::slice::from_ref(batch), NOW).expect("a diff");
        let Diffed::Ready(mut group) = group else { panic!("a batch that never has enough") };
        let bound = group.bind(&self.log.clock(), &[]).expect("bound");
        self.log.commit(&bound);
        self.engine.commit(&group, &bound).expect("committed");
        bound
    }

    fn catalogue(&self) -> Catalogue {
        Catalogue {
            datasets: [(1, "things".into())].into_iter().collect(),
            contracts: [(1, *self.stream.contract.digest())].into_iter().collect(),
        }
    }

    /// The report that lies in a change.
    fn report(&self, seq: u64) -> Option<Vec<u8>> {
        let catalogue = self.catalogue();
        let mut reader = LogReader::new(&self.keystore, TENANT, &catalogue, NOW).expect("keys");
        let rows = self.log.versions(&[seq]);
        reader.report(&rows).expect("a change that opens").map(|report| report.to_vec())
    }

    /// Report, state and changes of each entry that a batch made.
    fn entries(&self, bound: &Bound) -> Vec<(Vec<u8>, String, Vec<u64>)> {
        let entries = log::entries(bound).into_iter();
        entries
            .map(|entry| {
                let opened = open_entry(&self.keystore, TENANT, "things", entry.id, &entry.report, &[], NOW)
                    .expect("a report that opens");
                (opened[0].to_vec(), entry.state, entry.changes)
            })
            .collect()
    }
}

/// The report on `records`, had none of them been stored.
fn judged(records: &[&str]) -> Vec<u8> {
    let mut enforcing = Gateway::new("{}");
    let done = enforcing.send(records, Enforcement::Enforce);
    enforcing.entries(&done.bound).pop().map(|entry| entry.0).unwrap_or_default()
}

fn json(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// Rows of reports, by place and rule, with counts and indexes added up.
fn added_up(reports: &[Vec<u8>]) -> Vec<(String, String, u64, Vec<u64>)> {
    let mut rows = std::collections::BTreeMap::<_, (u64, Vec<u64>)>::new();
    for report in reports.iter().map(|report| json(report)) {
        for row in report["rows"].as_array().expect("rows") {
            let text = |name: &str| row[name].as_str().expect("text").to_owned();
            let sum = rows.entry((text("instance"), text("rule"))).or_default();
            sum.0 += row["count"].as_u64().expect("a count");
            sum.1.extend(
                row["records"].as_array().expect("indexes").iter().filter_map(|index| index.as_u64()),
            );
            sum.1.sort_unstable();
        }
    }
    rows.into_iter().map(|((instance, rule), (count, records))| (instance, rule, count, records)).collect()
}

/// A record that is right, or wrong in one way or another.
fn record() -> impl Strategy<Value = String> {
    let member = |name: &'static str, values: &'static [&'static str]| {
        prop::sample::select(values).prop_map(move |value| format!(r#""{name}":{value}"#))
    };
    let members = (
        member("x", &["1", "10", "\"one\"", "null", "1.5"]),
        member("note", &["\"short\"", "\"far too long\"", "7"]),
        member(
            "tags",
            &["[]", r#"[{"k":"a"},{"k":"b"}]"#, r#"[{"k":1},{}]"#, r#"[{"k":"a"},{"k":"a"},3]"#, "{}"],
        ),
        prop_oneof![3 => Just(None), 1 => member("more", &["1", "{}"]).prop_map(Some)],
        prop_oneof![
            6 => (0i64..3).prop_map(|at| Some(at.to_string())),
            2 => Just(None),
            1 => Just(Some("\"noon\"".to_owned())),
            1 => Just(Some((RECEIVED_US * 2).to_string()))],
    );
    (members, any::<bool>(), 0..20u8).prop_map(|((x, note, tags, more, at), keyed, broken)| {
        let at = at.map(|at| format!(r#""at":{at}"#));
        let body = [Some(x), Some(note), Some(tags), more, at];
        let body: Vec<String> = body.into_iter().flatten().collect();
        let id = if keyed || broken % 4 > 0 { r#""id":ID,"# } else { "" };
        match broken {
            0 => "[1]".to_owned(),
            1 => r#"{"id":"#.to_owned(),
            _ => format!("{{{id}{}}}", body.join(",")),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_of_a_record_does_not_depend_on_whether_it_is_stored(
        records in prop::collection::vec(record(), 1..12),
    ) {
        // Each is of another entity, so that no verdict depends on what the records before it left.
        let records: Vec<String> =
            records.iter().enumerate().map(|(id, record)| record.replace("ID", &id.to_string())).collect();
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        let mut warning = Gateway::new("{}");
        let done = warning.send(&records, Enforcement::Warn);
        let entries = warning.entries(&done.bound);
        let all: Vec<_> = entries.iter().map(|entry| entry.0.clone()).collect();
        let expected = judged(&records);
        prop_assert_eq!(added_up(&all), added_up(if expected.is_empty() { &[] } else { std::slice::from_ref(&expected) }));

        let stored = entries.iter().find(|entry| entry.1 == "stored");
        let changes = stored.map(|entry| entry.2.clone()).unwrap_or_default();
        prop_assert_eq!(changes.len() as u32, done.ack.warned);
        prop_assert_eq!(done.ack.accepted + done.ack.quarantined, records.len() as u32);
        let mut of_changes = vec![];
        for seq in 1..=u64::from(done.ack.accepted) {
            let report = warning.report(seq);
            prop_assert_eq!(report.is_some(), changes.contains(&seq), "the changes of the entry are those with a report");
            of_changes.extend(report);
        }
        let of_entry: Vec<_> = stored.map(|entry| entry.0.clone()).into_iter().collect();
        prop_assert_eq!(added_up(&of_changes), added_up(&of_entry));
        for report in &of_changes {
            // One report is of one record, and says of it what a batch of its own would have been told.
            let index = json(report)["rows"][0]["records"][0].as_u64().expect("an index") as usize;
            let mut alone = json(&judged(&[records[index]]));
            for row in alone["rows"].as_array_mut().expect("rows") {
                row["records"] = serde_json::json!([index]);
            }
            prop_assert_eq!(json(report), alone);
        }
    }
}

#[test]
fn nothing_leans_on_a_head_that_was_stored_with_a_warning() {
    let wrong = r#"{"id":1,"x":"one","note":"a"}"#;
    let wrong_still = r#"{"id":1,"x":"one","note":"b"}"#;
    for restarts in [false, true] {
        let mut gateway = Gateway::new("{}");
        assert_eq!(gateway.send(&[wrong], Enforcement::Warn).ack.warned, 1);
        if restarts {
            gateway.restart();
        }
        // Only the note has changed, and the note is right: what was not checked is `x`.
        let ack = gateway.send(&[wrong_still], Enforcement::Enforce).ack;
        assert_eq!((ack.accepted, ack.quarantined, ack.warned), (0, 1, 0));
        let ack = gateway.send(&[wrong_still], Enforcement::Warn).ack;
        assert_eq!((ack.accepted, ack.quarantined, ack.warned), (1, 0, 1));
        let ack = gateway.send(&[r#"{"id":1,"x":1,"note":"b"}"#], Enforcement::Enforce).ack;
        assert_eq!((ack.accepted, ack.warned), (1, 0));
        // From here on the head has passed, and vouches again.
        let ack = gateway.send(&[r#"{"id":1,"x":1,"note":"c"}"#], Enforcement::Enforce).ack;
        assert_eq!((ack.accepted, ack.warned), (1, 0));
        let reports: Vec<bool> = (1..=4).map(|seq| gateway.report(seq).is_some()).collect();
        assert_eq!(reports, [true, true, false, false]);
    }
}

#[test]
fn within_one_batch_nothing_leans_on_what_was_stored_with_a_warning_either() {
    let mut gateway = Gateway::new("{}");
    let ack = gateway
        .send(
            &[r#"{"id":1,"x":"one"}"#, r#"{"id":1,"x":"one","note":"b"}"#, r#"{"id":1,"x":2}"#],
            Enforcement::Warn,
        )
        .ack;
    assert_eq!((ack.accepted, ack.warned), (3, 2));
}

#[test]
fn what_is_sent_again_is_known() {
    let mut gateway = Gateway::new("{}");
    let wrong = r#"{"id":1,"at":5,"x":"one"}"#;
    let late = r#"{"id":1,"at":3,"x":"none"}"#;
    let ack = gateway.send(&[wrong, late], Enforcement::Warn).ack;
    assert_eq!((ack.accepted, ack.warned), (2, 2));
    for restarts in [false, true] {
        if restarts {
            gateway.restart();
        }
        let done = gateway.send(&[wrong, late, wrong], Enforcement::Warn);
        assert_eq!((done.ack.accepted, done.ack.duplicate, done.ack.warned), (0, 3, 0));
        assert!(done.ack.stored_id.is_empty() && done.bound.tables.is_empty(), "nothing is stored again");
    }
    let ack = gateway.send(&[wrong], Enforcement::Enforce).ack;
    assert_eq!((ack.duplicate, ack.quarantined), (0, 1), "enforced, it is judged before it is compared");
}

#[test]
fn a_conflict_is_stored_as_a_correction() {
    let first = r#"{"id":1,"at":5,"x":1}"#;
    let other = r#"{"id":1,"at":5,"x":2}"#;
    let worse = r#"{"id":1,"at":5,"x":"two"}"#;
    let mut gateway = Gateway::new(r#"{"dedupe":true}"#);
    assert_eq!(gateway.send(&[first, other], Enforcement::Enforce).ack.quarantined, 1);
    let done = gateway
        .send(&[other, worse, r#"{"id":1,"at":9,"x":3}"#, r#"{"id":1,"at":5,"x":4}"#], Enforcement::Warn);
    assert_eq!((done.ack.accepted, done.ack.warned, done.ack.quarantined), (4, 3, 0));
    let rules = |seq| {
        let report = json(&gateway.report(seq).unwrap_or_else(|| br#"{"rows":[]}"#.to_vec()));
        let rows = report["rows"].as_array().expect("rows").clone();
        rows.iter().map(|row| row["rule"].as_str().expect("a rule").to_owned()).collect::<Vec<_>>()
    };
    let conflict = "DEDUPE_CONFLICT";
    let found: Vec<_> = (1..=5).map(rules).collect();
    assert_eq!(found, [vec![], vec![conflict], vec![conflict, "type"], vec![], vec![conflict]]);
}

#[test]
fn the_tree_over_the_log_covers_the_report() {
    let mut gateway = Gateway::new("{}");
    gateway.send(
        &[r#"{"id":1,"at":1,"x":"one"}"#, r#"{"id":2,"x":"two"}"#, r#"{"id":3,"x":3}"#],
        Enforcement::Warn,
    );
    let verdict = |log: &Log| {
        let mut check = LogCheck::new(TENANT, Vec::new());
        let catalogue = gateway.catalogue();
        check.take(&log.leaves(), &[], &gateway.keystore, &catalogue, NOW).expect("rows");
        let verdict = check.finish(3, &log.frontier.to_bytes(), 3);
        verdict.findings.iter().map(|finding| (finding.fault, finding.first_seq)).collect::<Vec<_>>()
    };
    assert_eq!(verdict(&gateway.log), []);
    // The same change without its report, sealed by somebody who has the keys.
    let mut forged = gateway.log.clone();
    forged.reseal(0, &gateway.keystore, "things", |plaintext| {
        let report = u32::from_be_bytes(plaintext[17..21].try_into().expect("a length")) as usize;
        [&plaintext[..16], &plaintext[21 + report..]].concat()
    });
    assert_eq!(verdict(&forged), [(Fault::Leaf, 1), (Fault::Root, 1)]);
}

#[test]
fn reports_of_many_records_fit_what_is_reserved() {
    let records: Vec<String> = (0..2000)
        .map(|id| {
            format!(r#"{{"id":{id},"at":1,"x":"one","note":"far too long","more":1,"tags":[{{}},{{}}]}}"#)
        })
        .collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let mut gateway = Gateway::new(r#"{"dedupe":true}"#);
    assert_eq!(gateway.send(&records, Enforcement::Warn).ack.warned, 2000);
    let changed: Vec<String> = records.iter().map(|record| record.replace("one", "two")).collect();
    let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
    assert_eq!(gateway.send(&changed, Enforcement::Warn).ack.warned, 2000);
}
