//! What a contract costs per record, in thread CPU time.
//!
//!     cargo run --release -p intelgraph-contract --example validate_rate
//!
//! Documents of 20 fields and about 914 bytes, of which 3 change from version to version.

#![allow(clippy::print_stdout, reason = "this is a program for a terminal")]

use std::hint::black_box;
use std::ops::Range;
use std::time::Duration;

use cpu_time::ThreadTime;
use intelgraph_contract::{Contract, Report, ReportLimits};
use intelgraph_json::{Key, Limits, Parser, Root, Tape, Value};
use serde_json::{Value as Tree, json};

/// A batch, small enough to stay in the cache as it does between the stages of the pipeline.
const RECORDS: usize = 512;
const ROUNDS: usize = 301;
const CHANGED: usize = 3;
const NOW_US: i64 = 1_800_000_000_000_000;

fn main() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let documents: Vec<String> = (0..RECORDS).map(|_| document(&mut random)).collect();
    let bytes: usize = documents.iter().map(String::len).sum();
    println!(
        "{RECORDS} records of {} bytes, medians of {ROUNDS} rounds, ns of thread CPU per record",
        bytes / RECORDS
    );

    let contract = Contract::compile(contract_of(&schema()).as_bytes()).expect("the contract compiles");
    assert!(contract.is_decomposable());
    let mut coupled = schema();
    coupled["allOf"] = json!([{}]);
    let coupled = Contract::compile(contract_of(&coupled).as_bytes()).expect("the contract compiles");
    assert!(!coupled.is_decomposable());

    let batch = Batch::of(&documents);
    let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
    measure("parse", || {
        tape.clear();
        batch.parse(&mut parser, &mut tape);
    });
    tape.clear();
    let records: Vec<Value<'_>> =
        batch.parse(&mut parser, &mut tape).into_iter().map(|root| tape.value(&batch.source, root)).collect();
    let changed: Vec<[(Key<'_>, Value<'_>); CHANGED]> = records
        .iter()
        .map(|record| {
            let mut members: Vec<_> = record.members().collect();
            std::array::from_fn(|_| members.swap_remove(random.below(members.len())))
        })
        .collect();
    let each = |what, mut check: Box<dyn FnMut(Value<'_>) + '_>| {
        measure(what, || records.iter().for_each(|record| check(*record)))
    };

    each("is_valid, all 20 fields", Box::new(|record| assert!(contract.is_valid(record))));
    each("is_valid, a schema that couples fields", Box::new(|record| assert!(coupled.is_valid(record))));
    measure("is_valid_changed, 3 fields", || {
        for set in &changed {
            assert_eq!(contract.is_valid_changed(set.iter().copied(), []), Some(true));
        }
    });
    let mut key = Vec::with_capacity(64);
    each(
        "entity_key, 1 part",
        Box::new(|record| {
            key.clear();
            contract.entity_key(record, &mut key).expect("the key is there");
            black_box(&key);
        }),
    );
    each(
        "event_time, rfc3339 with milliseconds",
        Box::new(|record| {
            black_box(contract.event_time(record, NOW_US).expect("a time"));
        }),
    );
    let trees: Vec<Tree> = documents.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect();
    let validator = jsonschema::draft202012::options()
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .should_validate_formats(true)
        .build(&schema())
        .expect("a schema");
    measure("for comparison: jsonschema on serde_json trees", || {
        for tree in &trees {
            assert!(validator.is_valid(tree));
        }
    });

    let broken: Vec<String> =
        documents.iter().map(|text| text.replacen("\"active\":", "\"activ\":", 1)).collect();
    let broken = Batch::of(&broken);
    let mut tape = Tape::default();
    let roots = broken.parse(&mut parser, &mut tape);
    let mut report = Report::new(&contract, ReportLimits::default());
    measure("explain a record with two faults", || {
        for (index, root) in (0..).zip(&roots) {
            contract.explain(index, tape.value(&broken.source, *root), &mut report);
        }
    });
}

/// Documents one after the other, as a batch holds them.
struct Batch {
    source: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Batch {
    fn of(documents: &[String]) -> Self {
        let mut batch = Self { source: Vec::new(), ranges: Vec::new() };
        for document in documents {
            let start = batch.source.len();
            batch.source.extend_from_slice(document.as_bytes());
            batch.ranges.push(start..batch.source.len());
        }
        batch
    }

    fn parse(&self, parser: &mut Parser, tape: &mut Tape) -> Vec<Root> {
        let parse = |range: &Range<usize>| parser.parse(tape, &self.source, range.clone()).expect("JSON");
        self.ranges.iter().map(parse).collect()
    }
}

/// Prints the median over the rounds, per record.
fn measure(what: &str, mut round: impl FnMut()) {
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begun = ThreadTime::now();
            round();
            begun.elapsed()
        })
        .collect();
    rounds.sort();
    println!("{:>8.1}  {what}", rounds[ROUNDS / 2].as_nanos() as f64 / RECORDS as f64);
}

/// Xorshift: the same documents on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 11) as usize % bound
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn text(&mut self, least: usize) -> String {
        const WORDS: [&str; 12] = [
            "river", "naïve", "harbour", "signal", "東京", "north", "ledger", "café", "window", "paper",
            "stone", "of",
        ];
        let mut text = String::new();
        while text.len() < least {
            text += self.of(&WORDS);
            text.push(' ');
        }
        text.trim_end().to_owned()
    }

    fn time(&mut self) -> String {
        let mut below = |bound| self.below(bound);
        format!(
            "20{:02}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            20 + below(6),
            1 + below(12),
            1 + below(28),
            below(24),
            below(60),
            below(60),
            below(1000)
        )
    }
}

fn document(random: &mut Random) -> String {
    let (a, b) = (random.next(), random.next());
    let members = [
        (
            "id",
            json!(format!(
                "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                a >> 32,
                a >> 16 & 0xFFFF,
                a & 0xFFFF,
                b >> 48,
                b & 0xFFFF_FFFF_FFFF
            )),
        ),
        ("email", json!(format!("user{}@example{}.com", random.below(1_000_000), random.below(100)))),
        ("full_name", json!(random.text(18))),
        ("status", json!(random.of(&["new", "active", "suspended", "closed"]))),
        ("created_at", json!(random.time())),
        ("updated_at", json!(random.time())),
        ("phone", json!(format!("+44{:010}", random.below(10_000_000_000)))),
        ("locale", json!(random.of(&["en-GB", "de-DE", "fr-FR", "ja-JP"]))),
        ("balance", json!(random.below(10_000_000) as f64 / 100.0)),
        ("credit_limit", json!(random.below(50) * 500)),
        ("order_count", json!(random.below(2_000))),
        ("risk_score", json!(random.below(1_000_000) as f64 / 1_000_000.0)),
        ("active", json!(random.below(2) == 0)),
        ("description", json!(random.text(240))),
        ("notes", if random.below(10) == 0 { Tree::Null } else { json!(random.text(50)) }),
        (
            "address",
            json!({
                "street": random.text(14), "city": random.text(6), "zip": format!("{:05}", random.below(100_000)),
                "country": random.of(&["GB", "DE", "FR", "JP"]), "residential": random.below(2) == 0,
            }),
        ),
        ("tags", json!((0..2 + random.below(4)).map(|_| random.text(3)).collect::<Vec<_>>())),
        ("external_ref", json!(format!("EXT-{:016x}", random.next()))),
        ("currency", json!(random.of(&["GBP", "EUR", "USD", "JPY"]))),
        ("last_login_at", json!(random.time())),
    ];
    // As a producer writes it, not in the order of the keys.
    let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn schema() -> Tree {
    let time = json!({"type": "string", "format": "date-time"});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": [
            "id", "email", "full_name", "status", "created_at", "updated_at", "phone", "locale", "balance",
            "credit_limit", "order_count", "risk_score", "active", "description",
        ],
        "properties": {
            "id": {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
            "email": {"type": "string", "maxLength": 254, "pattern": "^[^@\\s]+@[^@\\s]+\\.[a-z]+$"},
            "full_name": {"type": "string", "minLength": 1, "maxLength": 120},
            "status": {"type": "string", "enum": ["new", "active", "suspended", "closed"]},
            "created_at": time, "updated_at": time,
            "last_login_at": {"type": ["string", "null"], "format": "date-time"},
            "phone": {"type": "string", "pattern": "^\\+[0-9]{7,15}$"},
            "locale": {"enum": ["en-GB", "de-DE", "fr-FR", "ja-JP"]},
            "balance": {"type": "number"},
            "credit_limit": {"type": "integer", "minimum": 0},
            "order_count": {"type": "integer", "minimum": 0, "maximum": 1_000_000},
            "risk_score": {"type": "number", "minimum": 0, "maximum": 1},
            "active": {"type": "boolean"},
            "description": {"type": "string", "maxLength": 2000},
            "notes": {"type": ["string", "null"], "maxLength": 500},
            "address": {
                "type": "object",
                "required": ["street", "city", "country"],
                "properties": {
                    "street": {"type": "string", "maxLength": 100}, "city": {"type": "string", "maxLength": 60},
                    "zip": {"type": "string", "pattern": "^[0-9]{5}$"}, "country": {"enum": ["GB", "DE", "FR", "JP"]},
                    "residential": {"type": "boolean"},
                },
            },
            "tags": {"type": "array", "maxItems": 16, "items": {"type": "string", "maxLength": 32}},
            "external_ref": {"type": "string", "pattern": "^EXT-[0-9a-f]{16}$"},
            "currency": {"type": "string", "enum": ["GBP", "EUR", "USD", "JPY"]},
        },
    })
}

fn contract_of(schema: &Tree) -> String {
    json!({
        "datasetId": "customers", "version": "1.0.0", "tenantId": "acme", "license": "Proprietary-Client",
        "purpose": ["benchmark"], "retention": "short-30d", "sla": {"ingestLatencyMs": 1000, "completenessPct": 99},
        "schema": schema,
        "mapping": {
            "entity": {"type": "customer", "key": ["/id"]},
            "eventTime": {"pointer": "/updated_at", "format": "rfc3339"},
            "completeness": ["/email", "/phone"],
        },
        "placement": {"homeRegion": "eu-west-1", "classification": "confidential"},
    })
    .to_string()
}
