//! Checks a file of records against a contract, without a gateway.
//!
//!     cargo run --release -p intelgraph-contract --example check_records -- contract.json records.ndjson
//!
//! Prints the counts and the report. Exit code 1 where a record broke the contract.

#![allow(clippy::print_stdout, reason = "this is a program for a terminal")]

use std::collections::HashSet;
use std::error::Error;
use std::process::ExitCode;

use intelgraph_contract::{Contract, Report, ReportLimits, Violation};
use intelgraph_json::{Limits, Parser, Tape};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let [_, contract, records] = &std::env::args().collect::<Vec<_>>()[..] else {
        return Err("usage: check_records CONTRACT RECORDS.ndjson".into());
    };
    let contract = Contract::compile(&std::fs::read(contract)?)?;
    let source = std::fs::read(records)?;
    let now_us = i64::try_from(std::time::UNIX_EPOCH.elapsed()?.as_micros())?;

    let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
    let mut report = Report::new(&contract, ReportLimits::default());
    let (mut entities, mut key, mut start, mut records) = (HashSet::new(), Vec::new(), 0, 0);
    for (index, line) in (0u64..).zip(source.split_inclusive(|byte| *byte == b'\n')) {
        let range = start..start + line.len();
        start = range.end;
        records += 1;
        tape.clear();
        let record = match parser.parse(&mut tape, &source, range) {
            Ok(root) => tape.value(&source, root),
            Err(error) => {
                report.add(index, Violation::from(error));
                continue;
            }
        };
        key.clear();
        let identified =
            contract.entity_key(record, &mut key).and_then(|()| contract.event_time(record, now_us));
        match identified {
            Ok(_) => {
                if !contract.is_valid(record) {
                    contract.explain(index, record, &mut report);
                }
                entities.insert(key.clone());
            }
            Err(violation) => report.add(index, violation),
        }
    }

    println!("records {records}, broken {}, entities {}", report.records(), entities.len());
    println!("{}", String::from_utf8(report.to_json())?);
    Ok(if report.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
