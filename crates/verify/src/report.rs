//! What is told of a check: to a person, or as JSON.

use std::io::{self, Write};

use data_encoding::{BASE64, HEXLOWER};
use intelgraph_ledger::{Checkpoint, KeyKind, VerifiedSignature};
use intelgraph_verify::Findings;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Unusable;

/// Who has signed, and for a witness when.
pub struct Signer {
    name: String,
    kind: &'static str,
    at: Option<String>,
}

impl Signer {
    pub fn of(signature: &VerifiedSignature) -> Self {
        let kind = match signature.kind {
            KeyKind::Ed25519 => "log",
            KeyKind::Cosignature => "witness",
        };
        let at = signature.timestamp.map(|seconds| {
            let time =
                i64::try_from(seconds).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
            time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{seconds} s"))
        });
        Self { name: signature.name.clone(), kind, at }
    }
}

/// The report on one check.
pub struct Report {
    verb: &'static str,
    /// What is wrong.
    pub findings: Findings,
    /// Who has signed the checkpoint.
    pub signers: Vec<Signer>,
    facts: Map<String, Value>,
    lines: Vec<String>,
}

impl Report {
    /// An empty report, of which nothing is wrong.
    pub fn new(verb: &'static str) -> Self {
        Self {
            verb,
            findings: Findings::default(),
            signers: Vec::new(),
            facts: Map::new(),
            lines: Vec::new(),
        }
    }

    /// Adds a fact to the JSON.
    pub fn fact(&mut self, name: &str, value: impl Into<Value>) {
        self.facts.insert(name.to_owned(), value.into());
    }

    /// Adds a line for a person.
    pub fn line(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    /// Says which checkpoint it is.
    pub fn checkpoint(&mut self, checkpoint: &Checkpoint) {
        let root = BASE64.encode(&checkpoint.root);
        self.fact(
            "checkpoint",
            json!({"origin": checkpoint.origin, "size": checkpoint.size, "root": HEXLOWER.encode(&checkpoint.root)}),
        );
        self.line(format!("log      {}", checkpoint.origin));
        self.line(format!("size     {}", grouped(checkpoint.size)));
        self.line(format!("root     {root}"));
        for signer in &self.signers {
            let at = signer.at.as_ref().map(|at| format!(", {at}")).unwrap_or_default();
            self.lines.push(format!("signed   {} ({}{at})", signer.name, signer.kind));
        }
    }

    /// Prints it to the standard output; gives whether all holds.
    ///
    /// # Errors
    /// [`Unusable`] where it cannot be written.
    pub fn print(self, as_json: bool) -> Result<bool, Unusable> {
        let holds = self.findings.is_empty();
        let written = if as_json { self.write_json(holds) } else { self.write_text(holds) };
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Unusable(format!("the report cannot be written: {error}")))
            }
            _ => Ok(holds),
        }
    }

    fn write_json(self, holds: bool) -> io::Result<()> {
        let signers = self.signers.iter().map(|signer| {
            let mut value = json!({"name": signer.name, "kind": signer.kind});
            if let Some(at) = &signer.at {
                value["at"] = json!(at);
            }
            value
        });
        let signers: Vec<_> = signers.collect();
        let (findings, left_out) = self.findings.into_sorted();
        let mut report = json!({
            "verb": self.verb, "verified": holds, "signers": signers, "findings": findings,
            "findings_left_out": left_out,
        });
        if let Value::Object(report) = &mut report {
            report.extend(self.facts);
        }
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
        out.flush()
    }

    fn write_text(self, holds: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for line in &self.lines {
            writeln!(out, "{line}")?;
        }
        let (findings, left_out) = self.findings.into_sorted();
        let count = findings.len() as u64 + left_out;
        for finding in findings {
            let index = finding.index.map(|index| format!(", entry {index}")).unwrap_or_default();
            let reason = serde_json::to_value(finding.reason).ok();
            let reason = reason.as_ref().and_then(Value::as_str).unwrap_or_default();
            writeln!(out, "FOUND    {reason} {}{index}: {}", finding.file, finding.what)?;
        }
        if left_out > 0 {
            writeln!(out, "FOUND    {left_out} more")?;
        }
        match (holds, count) {
            (true, _) => writeln!(out, "verified")?,
            (false, 1) => writeln!(out, "NOT VERIFIED: 1 finding")?,
            (false, _) => writeln!(out, "NOT VERIFIED: {count} findings")?,
        }
        out.flush()
    }
}

/// Prints why nothing was checked.
pub fn print_error(unusable: &Unusable) {
    // Where the standard error is gone too, the exit status says it.
    let _ = writeln!(io::stderr(), "intelgraph-verify: {unusable}");
}

/// A number with its thousands set apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
