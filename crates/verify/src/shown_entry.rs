//! An entry as `intelgraph --json ledger show` tells it, and whether it is what was committed to.

use data_encoding::HEXLOWER;
use intelgraph_ledger::{Domain, Hash, SALT_LEN, commit, leaf, parse_leaf};
use intelgraph_verify::Reason;
use serde::Deserialize;

use crate::report::Report;

/// What of an entry the check takes; header and payload are canonical JSON, in text.
#[derive(Deserialize)]
pub struct ShownEntry {
    leaf: String,
    header: Option<String>,
    payload: Option<String>,
    header_salt: Option<String>,
    payload_salt: Option<String>,
}

impl ShownEntry {
    /// Reads the JSON.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// The leaf: of what header and payload commit to where they are told, else the one that is told. A header or
    /// payload that is not what the told leaf says is a finding.
    pub fn leaf(&self, file: &str, report: &mut Report) -> Vec<u8> {
        let Ok(told) = parse_leaf(self.leaf.as_bytes()) else {
            report.findings.add(Reason::EntryAltered, file, None, "its leaf has not the form of one");
            return self.leaf.clone().into_bytes();
        };
        let header =
            Part { name: "header", domain: Domain::Header, text: &self.header, salt: &self.header_salt };
        let payload =
            Part { name: "payload", domain: Domain::Payload, text: &self.payload, salt: &self.payload_salt };
        leaf(&header.commitment(told.0, file, report), &payload.commitment(told.1, file, report))
    }
}

/// Header or payload.
struct Part<'a> {
    name: &'static str,
    domain: Domain,
    text: &'a Option<String>,
    salt: &'a Option<String>,
}

impl Part<'_> {
    fn commitment(&self, told: Hash, file: &str, report: &mut Report) -> Hash {
        let Self { name, domain, .. } = *self;
        let (Some(text), Some(salt)) = (self.text, self.salt) else {
            report.line(format!("{name:<8} is not told: it was erased, or left out"));
            return told;
        };
        let salt =
            HEXLOWER.decode(salt.as_bytes()).ok().and_then(|salt| <[u8; SALT_LEN]>::try_from(salt).ok());
        let committed = salt.map(|salt| commit(&salt, domain, text.as_bytes()));
        if committed == Some(told) {
            report.line(format!("{name:<8} {text}"));
        } else {
            let what = format!("its {name} is not the one that was committed to");
            report.findings.add(Reason::EntryAltered, file, None, what);
        }
        committed.unwrap_or(told)
    }
}
