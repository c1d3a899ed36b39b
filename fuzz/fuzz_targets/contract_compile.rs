//! A contract document. It compiles or every fault is told; what compiles keeps time and has one identity.
#![no_main]

use intelgraph_contract::{Contract, Report, ReportLimits};
use intelgraph_json::{Limits, Parser, Tape};
use libfuzzer_sys::fuzz_target;

/// Records that reach into the schemas of the seeds.
const RECORDS: [&str; 5] = [
    "{}",
    r#"{"id":1,"a":{"a":{"a":{"a":{}}}},"b":[[],[{}],null]}"#,
    r#"{"carrier":"UA","number":1545,"at":"2013-01-01T10:00:00Z","tail":null,"crew":[{"id":"x"}]}"#,
    r#"{"id":"","a":1e308,"b":-0.5,"c":"\u0000\ud83d\ude00","d":[1,1.0],"":true}"#,
    "[]",
];

fuzz_target!(|bytes: &[u8]| {
    let contract = match Contract::compile(bytes) {
        Ok(contract) => contract,
        Err(errors) => {
            assert!(errors.iter().len() > 0);
            assert!(errors.iter().all(|error| !error.rule.is_empty() && !error.fix.is_empty()));
            return;
        }
    };
    let again = Contract::compile(contract.canonical()).expect("the canonical form compiles too");
    assert_eq!(contract.digest(), again.digest());

    let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
    for text in RECORDS {
        tape.clear();
        let root = parser.parse(&mut tape, text.as_bytes(), 0..text.len()).expect("JSON");
        let record = tape.value(text.as_bytes(), root);
        let mut report = Report::new(&contract, ReportLimits::default());
        contract.explain(0, record, &mut report);
        assert_eq!(report.is_empty(), contract.is_valid(record));
        let mut key = Vec::new();
        assert_eq!(contract.entity_key(record, &mut key).is_err(), key.is_empty());
        let _ = contract.event_time(record, 0);
    }
});
