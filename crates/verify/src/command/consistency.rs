//! `intelgraph-verify consistency`: that a log only grew.

use std::path::PathBuf;

use intelgraph_ledger::{Checkpoint, ConsistencyFile, LedgerError, empty_root, verify_consistency};
use intelgraph_verify::Reason;

use crate::Unusable;
use crate::command::read_input;
use crate::keys::Keys;
use crate::report::{Report, grouped};

/// Check that a log only grew from one checkpoint to another
///
/// That the log of the newer one begins with the log of the older one, so that nothing in it was
/// changed or taken away in between.
///
///     intelgraph-verify consistency checkpoint.old proof --vkey 'ledger.example+1a2b3c4d+AXrA…'
///
/// The proof is a file as C2SP tlog-witness defines for add-checkpoint: the line "old" with the
/// older size, hashes, and the newer checkpoint with its signatures.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// The older checkpoint
    older: PathBuf,
    /// The proof, with the newer checkpoint in it; - for the standard input
    proof: PathBuf,
    #[command(flatten)]
    keys: Keys,
}

pub fn run(arguments: &Arguments) -> Result<Report, Unusable> {
    let keys = arguments.keys.read()?;
    let (older, proof) = (read_input(&arguments.older)?, read_input(&arguments.proof)?);
    let (older_name, name) = (arguments.older.display().to_string(), arguments.proof.display().to_string());
    let mut report = Report::new("consistency");

    let older = keys.open(&older, &older_name, &mut report);
    let file = match ConsistencyFile::parse(&proof) {
        Ok(file) => file,
        Err(error) => {
            report.findings.add(Reason::ProofRefused, name, None, error.to_string());
            return Ok(report);
        }
    };
    let newer = keys.open(&file.checkpoint, &name, &mut report);
    let (Some(older), Some(newer)) = (older, newer) else { return Ok(report) };
    report.checkpoint(&newer);
    report.fact("since", older.size);

    if older.origin != newer.origin {
        let what = format!("the checkpoints are of two logs, {} and {}", older.origin, newer.origin);
        report.findings.add(Reason::NotConsistent, name, None, what);
    } else if older.size != file.old_size {
        let what =
            format!("the proof is from {} entries, the older checkpoint has {}", file.old_size, older.size);
        report.findings.add(Reason::ProofRefused, name, None, what);
    } else {
        match holds(&older, &newer, &file) {
            Ok(()) => report.line(format!("since    {} entries, which it begins with", grouped(older.size))),
            Err(error) => report.findings.add(Reason::NotConsistent, name, None, error.to_string()),
        }
    }
    Ok(report)
}

fn holds(older: &Checkpoint, newer: &Checkpoint, file: &ConsistencyFile) -> Result<(), LedgerError> {
    match older.size {
        // Every log begins with the empty one: tlog-witness asks for an empty proof.
        0 if !file.proof.is_empty() => Err(LedgerError::ProofLength),
        0 if older.root != empty_root() => Err(LedgerError::ProofMismatch),
        0 => Ok(()),
        _ => verify_consistency(older.size, newer.size, &older.root, &newer.root, &file.proof),
    }
}
