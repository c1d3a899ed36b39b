//! Diffs pairs of documents for some seconds: `cargo run --release -p intelgraph-temporal --example diff_pairs --
//! PAIRS.ndjson SECONDS`.
//!
//! In the file, the lines are the old and the new version of one entity in turn. Parsing and the old heads are not
//! counted; the diff, the new head and its hash are. Prints `records wall-seconds cpu-seconds`.
#![allow(clippy::print_stdout, reason = "it is what the program is for")]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use intelgraph_json::{Limits, Parser, Tape};
use intelgraph_temporal::{Differ, Head, KeyedArrays, Outcome};

const SEED: u64 = 0x1d;

fn main() -> Result<(), Box<dyn Error>> {
    let [_, pairs, seconds] = &std::env::args().collect::<Vec<_>>()[..] else {
        return Err("usage: diff_pairs PAIRS.ndjson SECONDS".into());
    };
    let (source, seconds) = (std::fs::read(pairs)?, Duration::try_from_secs_f64(seconds.parse()?)?);

    let (mut parser, mut tape, mut roots, mut start) =
        (Parser::new(Limits::default()), Tape::default(), Vec::new(), 0);
    for line in source.split_inclusive(|byte| *byte == b'\n') {
        let range = start..start + line.len();
        start = range.end;
        roots.push(parser.parse(&mut tape, &source, range)?);
    }
    let (mut differ, keyed, mut diff) = (Differ::default(), KeyedArrays::default(), Vec::new());
    let mut heads = Vec::new();
    for pair in roots.chunks_exact(2) {
        match differ.diff(None, tape.value(&source, pair[0]), &keyed, SEED, &mut diff)? {
            Outcome::Changed { head, .. } => heads.push((head, pair[1])),
            Outcome::Unchanged => return Err("a first version is always a change".into()),
        }
    }

    let (mut records, wall, cpu) = (0, Instant::now(), ThreadTime::now());
    while wall.elapsed() < seconds {
        diff.clear();
        for (old, new) in &heads {
            match differ.diff(Some(old), tape.value(&source, *new), &keyed, SEED, &mut diff)? {
                Outcome::Changed { head, .. } => drop(black_box::<Head>(head)),
                Outcome::Unchanged => return Err("a pair does not differ".into()),
            }
        }
        records += black_box(heads.len());
    }
    println!("{records} {} {}", wall.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
    Ok(())
}
