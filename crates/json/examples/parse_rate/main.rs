//! What each stage costs: nanoseconds per record, thread CPU time, median of the rounds.
//!
//!     cargo run --release -p intelgraph-json --example parse_rate
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod documents;

use std::hint::black_box;

use cpu_time::ThreadTime;
use documents::{Batch, Spelling};
use intelgraph_json::{Limits, Parser, Root, Tape, write_canonical};

const RECORDS: usize = 512;
const ROUNDS: usize = 301;

fn main() {
    let compact = Batch::records(RECORDS, 1, Spelling::Compact);
    println!("{RECORDS} records of {} bytes and 20 fields a batch, {ROUNDS} rounds", compact.mean_len());
    println!("{:<58} {:>6} {:>6}", "stage", "ns", "MB/s");

    report("UTF-8 check alone", &compact, |batch| {
        batch
            .ranges
            .iter()
            .filter(|range| simdutf8::basic::from_utf8(&batch.bytes[range.start..range.end]).is_ok())
            .count()
    });
    for (name, batch) in [
        ("parse, one shape", compact.clone()),
        ("parse, 4 shapes interleaved", Batch::records(RECORDS, 4, Spelling::Compact)),
        ("parse, 32 shapes interleaved", Batch::records(RECORDS, 32, Spelling::Compact)),
        ("parse, every record another shape", Batch::records(RECORDS, RECORDS, Spelling::Compact)),
        ("parse, ASCII only", Batch::records(RECORDS, 1, Spelling::Ascii)),
        (
            "parse, as Python's json.dumps writes (\\u escapes, spaces)",
            Batch::records(RECORDS, 1, Spelling::Python),
        ),
        ("parse, pretty-printed", Batch::records(RECORDS, 1, Spelling::Pretty)),
    ] {
        parse(name, &batch);
    }
    let mut parser = Parser::new(Limits::default());
    report("parse, first sight of a shape (new parser per record)", &compact, |batch| {
        let mut tape = Tape::default();
        batch
            .ranges
            .iter()
            .filter(|range| {
                Parser::new(Limits::default()).parse(&mut tape, &batch.bytes, (*range).clone()).is_ok()
            })
            .count()
    });

    let mut tape = Tape::default();
    let roots = parse_all(&mut parser, &mut tape, &compact);
    let values = || roots.iter().map(|&root| tape.value(&compact.bytes, root));
    report("sorted_members: prefix and value bytes", &compact, |_| {
        values()
            .flat_map(|root| root.sorted_members())
            .map(|(key, value)| key.prefix().len() + value.raw().len())
            .sum()
    });
    report("members: name and value bytes", &compact, |_| {
        values()
            .flat_map(|root| root.members())
            .map(|(key, value)| key.as_str().len() + value.raw().len())
            .sum()
    });
    report("get of all 20 fields by name", &compact, |_| {
        values().map(|root| documents::FIELDS.iter().filter(|name| root.get(name).is_some()).count()).sum()
    });
    let mut out = Vec::new();
    report("write_canonical", &compact, |_| {
        values().for_each(|root| {
            out.clear();
            write_canonical(root, &mut out);
        });
        out.len()
    });
    report("serde_json::Value, for comparison (no duplicate check)", &compact, |batch| {
        batch
            .ranges
            .iter()
            .filter(|range| {
                serde_json::from_slice::<serde_json::Value>(&batch.bytes[range.start..range.end]).is_ok()
            })
            .count()
    });
}

fn parse(name: &str, batch: &Batch) {
    let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
    report(name, batch, |batch| {
        tape.clear();
        parse_all(&mut parser, &mut tape, batch).len()
    });
}

fn parse_all(parser: &mut Parser, tape: &mut Tape, batch: &Batch) -> Vec<Root> {
    let parsed = batch.ranges.iter().map(|range| parser.parse(tape, &batch.bytes, range.clone()));
    parsed.collect::<Result<_, _>>().expect("the generated documents are valid")
}

/// Times `stage` on the batch and prints the median.
fn report(name: &str, batch: &Batch, mut stage: impl FnMut(&Batch) -> usize) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = ThreadTime::now();
            black_box(stage(black_box(batch)));
            start.elapsed().as_nanos() as f64 / batch.ranges.len() as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let median = rounds[ROUNDS / 2];
    println!("{name:<58} {median:>6.0} {:>6.0}", batch.mean_len() as f64 / median * 1e3);
}
