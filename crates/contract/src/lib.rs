//! Data contracts: compiled once, asked for every record, reported without values.
//!
//! Scope: the contract document `ig.contract.v1` (governance header, JSON Schema 2020-12 of a record, mapping to
//! entities and times, placement), the verdict on records that lie on an [`intelgraph_json::Tape`], the typed entity
//! key, the event time, reports, and the counters behind the service levels.
//!
//! Not in scope: storing contracts, comparing versions, residency decisions, I/O.
//!
//! ```
//! use intelgraph_contract::{Contract, Report, ReportLimits};
//! use intelgraph_json::{Limits, Parser, Tape};
//!
//! let contract = Contract::compile(br#"{
//!     "datasetId": "planes", "version": "1.0.0", "tenantId": "acme", "license": "Open-Data-OK",
//!     "purpose": ["operations"], "retention": "standard-365d", "sla": {},
//!     "schema": {"type": "object", "required": ["tailnum"], "properties": {"tailnum": {"type": "string"}}},
//!     "mapping": {"entity": {"type": "aircraft", "key": ["/tailnum"]}},
//!     "placement": {"homeRegion": "eu-west-1", "classification": "internal"}
//! }"#)?;
//!
//! let batch = br#"{"tailnum":"N14228"}{"tailnum":null}"#;
//! let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
//! let good = parser.parse(&mut tape, batch, 0..20)?;
//! let bad = parser.parse(&mut tape, batch, 20..36)?;
//! let (good, bad) = (tape.value(batch, good), tape.value(batch, bad));
//! assert!(contract.is_valid(good) && !contract.is_valid(bad));
//!
//! let mut key = Vec::new();
//! contract.entity_key(good, &mut key).expect("the key is there");
//! assert_eq!(key, b"\x01\x00\x00\x00\x08\"N14228\"");
//!
//! let mut report = Report::new(&contract, ReportLimits::default());
//! contract.explain(1, bad, &mut report);
//! let row = report.rows().next().expect("one row");
//! assert_eq!((row.rule.as_str(), row.instance.as_str(), row.count), ("type", "/tailnum", 1));
//! assert_eq!(row.fix, "send a string instead of null, or let the contract accept null");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod compile;
mod contract;
mod document;
mod error;
mod event_time;
mod explain;
mod fields;
mod fix;
#[cfg(test)]
mod json_schema_test_suite;
mod mapping;
mod record_schema;
mod report;
mod rules;
mod shape;
mod tape_json;
mod violation;
mod visits;

pub use compile::DOCUMENT_SCHEMA;
pub use contract::Contract;
pub use document::{
    Classification, Document, EntityRef, KeyedArray, License, Mapping, Placement, Relation, Retention, Sla,
    TimeFormat, TimeRef,
};
pub use error::{ContractError, ContractErrors};
pub use report::{Found, OtherContract, Report, ReportLimits, Row};
pub use shape::ValueShape;
pub use violation::{Rule, Violation};
