//! How long a diff takes: `cargo run --release -p intelgraph-temporal --example diff_rate`.
//!
//! Documents of 20 fields and about 914 bytes, 3 of them changed, as the benchmark of the whole path has them.
//! Parsing is not counted. Nanoseconds of thread CPU time a record (the machine may be shared), the median of
//! nine runs and their range; 512 records are one batch and stay in the cache, 32,768 do not.
#![allow(clippy::print_stdout, reason = "it is what the program is for")]

use std::hint::black_box;

use cpu_time::ThreadTime;
use intelgraph_json::{Limits, Parser, Root, Tape};
use intelgraph_temporal::{
    Differ, Frontier, Head, KeyedArrays, LogEntry, Operation, Outcome, apply, changed_members, commitment,
    revert,
};

const SEED: u64 = 0x1d;

/// Numbers without a pattern, the same in every run (xorshift, G. Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn words(&mut self, count: u64) -> String {
        let words =
            ["runway", "naïve", "gate", "taxi", "holding", "東京", "crosswind", "ceiling", "vector", "café"];
        let words = (0..count).map(|_| words[self.below(words.len() as u64) as usize]);
        words.collect::<Vec<_>>().join(" ")
    }

    fn field(&mut self, index: usize) -> (&'static str, String) {
        let number = self.below(1_000_000);
        match index {
            0 => ("id", format!("\"{:08x}-7d3c-4f12-8a55-{:012x}\"", number, self.below(1 << 40))),
            1 => ("email", format!("\"user{number}@example.com\"")),
            2 => ("full_name", format!("\"{}\"", self.words(3))),
            3 => ("status", ["\"new\"", "\"active\"", "\"closed\""][number as usize % 3].into()),
            4 => ("created_at", format!("\"2024-03-{:02}T11:22:33.{:03}Z\"", 1 + number % 28, number % 1000)),
            5 => ("updated_at", format!("\"2025-07-{:02}T04:05:06.{:03}Z\"", 1 + number % 28, number % 1000)),
            6 => ("phone", format!("\"+44{number:010}\"")),
            7 => ("locale", ["\"en-GB\"", "\"de-DE\"", "\"ja-JP\""][number as usize % 3].into()),
            8 => ("balance", format!("{}.{}", number, 1 + number % 9)),
            9 => ("credit_limit", (number % 50 * 500).to_string()),
            10 => ("order_count", (number % 2000).to_string()),
            11 => ("risk_score", format!("0.{number}1")),
            12 => ("active", (number.is_multiple_of(2)).to_string()),
            13 => ("description", format!("\"{}\"", self.words(34))),
            14 => ("notes", format!("\"{}\"", self.words(8))),
            15 => {
                let (street, city) = (self.words(2), self.words(1));
                let residential = number.is_multiple_of(2);
                let zip = number % 100_000;
                let address = format!(
                    r#"{{"street":"{street}","city":"{city}","zip":"{zip:05}","country":"GB","residential":{residential}}}"#
                );
                ("address", address)
            }
            16 => ("tags", format!("[\"{}\",\"{}\",\"{}\"]", self.words(1), self.words(1), self.words(1))),
            17 => ("external_ref", format!("\"EXT-{number:016x}\"")),
            18 => ("currency", ["\"GBP\"", "\"EUR\"", "\"JPY\""][number as usize % 3].into()),
            _ => (
                "last_login_at",
                format!("\"2025-08-{:02}T17:18:19.{:03}Z\"", 1 + number % 28, number % 1000),
            ),
        }
    }
}

fn text(fields: &[(&str, String)]) -> String {
    let members = fields.iter().map(|(key, value)| format!("\"{key}\":{value}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// The documents of both versions, parsed, in one buffer each.
#[derive(Default)]
struct Batch {
    source: Vec<u8>,
    tape: Tape,
    roots: Vec<Root>,
}

impl Batch {
    fn parse(texts: &[String]) -> Self {
        let (mut parser, mut batch) = (Parser::new(Limits::default()), Self::default());
        batch.source = texts.concat().into_bytes();
        let mut start = 0;
        for text in texts {
            let range = start..start + text.len();
            start = range.end;
            batch.roots.push(parser.parse(&mut batch.tape, &batch.source, range).expect("a JSON document"));
        }
        batch
    }

    fn value(&self, record: usize) -> intelgraph_json::Value<'_> {
        self.tape.value(&self.source, self.roots[record])
    }
}

fn measure(records: usize, name: &str, mut record: impl FnMut(usize)) {
    let mut runs = (0..10)
        .map(|_| {
            let start = ThreadTime::now();
            (0..records).for_each(&mut record);
            start.elapsed().as_nanos() as f64 / records as f64
        })
        .skip(1)
        .collect::<Vec<_>>();
    runs.sort_by(f64::total_cmp);
    println!("{name:<50} {:>6.0} ns   [{:.0} .. {:.0}]", runs[4], runs[0], runs[8]);
}

fn main() {
    [512, 32_768].into_iter().for_each(run);
}

fn run(records: usize) {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for _ in 0..records {
        let mut fields = (0..20).map(|index| random.field(index)).collect::<Vec<_>>();
        old.push(text(&fields));
        let first = random.below(18) as usize;
        for index in [1 + first, 1 + (first + 5) % 19, 1 + (first + 11) % 19] {
            let before = fields[index].1.clone();
            while fields[index].1 == before {
                fields[index] = random.field(index);
            }
        }
        new.push(text(&fields));
    }
    let bytes = new.iter().map(String::len).sum::<usize>() / records;
    let (old, new) = (Batch::parse(&old), Batch::parse(&new));
    let heads =
        (0..records).map(|record| Head::of_value(old.value(record)).expect("an object")).collect::<Vec<_>>();
    let keyed = KeyedArrays::default();
    let (mut differ, mut out) = (Differ::default(), Vec::new());
    let (mut diffs, mut next) = (Vec::new(), Vec::new());
    for (record, head) in heads.iter().enumerate() {
        let mut diff = Vec::new();
        match differ.diff(Some(head), new.value(record), &keyed, SEED, &mut diff) {
            Ok(Outcome::Changed { head, .. }) => next.push(head),
            _ => unreachable!("three fields differ"),
        }
        diffs.push(diff);
    }
    let diff_bytes = diffs.iter().map(Vec::len).sum::<usize>() / records;
    let weight = heads.iter().map(Head::weight).sum::<usize>() / records;
    println!("\n{records} records, mean document {bytes} B, diff {diff_bytes} B, head {weight} B");

    measure(records, "hash of a head", |record| {
        black_box(heads[record].hash(SEED));
    });
    let (mut scratch, mut members) = (Vec::new(), Vec::new());
    measure(records, "changed members", |record| {
        black_box(changed_members(&heads[record], new.value(record), &mut scratch, &mut members));
    });
    measure(records, "diff, unchanged", |record| {
        black_box(differ.diff(Some(&heads[record]), old.value(record), &keyed, SEED, &mut out).is_ok());
    });
    measure(records, "diff, 3 of 20 changed, with new head and hash", |record| {
        out.clear();
        black_box(differ.diff(Some(&heads[record]), new.value(record), &keyed, SEED, &mut out).is_ok());
    });
    measure(records, "diff, first version, with head and hash", |record| {
        out.clear();
        black_box(differ.diff(None, new.value(record), &keyed, SEED, &mut out).is_ok());
    });
    measure(records, "apply", |record| {
        black_box(apply(Some(&heads[record]), &diffs[record], SEED).is_ok());
    });
    measure(records, "revert", |record| {
        black_box(revert(Some(&next[record]), &diffs[record], SEED).is_ok());
    });
    let mut leaves = vec![[0; 32]; records];
    measure(records, "commitment of a diff", |record| {
        leaves[record] = commitment(&[record as u8; 16], &diffs[record]);
    });
    let (tenant, mut frontier) = ([7; 16], Frontier::default());
    measure(records, "leaf and push", |record| {
        let entry = LogEntry {
            tenant: &tenant,
            dataset: "customers",
            entity_id: &[record as u8; 16],
            operation: Operation::Update,
            valid_at_us: record as i64,
        };
        frontier.push(entry.leaf(&leaves[record]));
    });
    black_box(frontier.root());
}
