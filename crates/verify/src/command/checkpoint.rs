//! `intelgraph-verify checkpoint`: the signatures of a checkpoint.

use std::path::PathBuf;

use crate::Unusable;
use crate::command::read_input;
use crate::keys::Keys;
use crate::report::Report;

/// Check the signatures of a checkpoint, and tell what it says
///
///     intelgraph-verify checkpoint ledger/checkpoint --vkey 'ledger.example+1a2b3c4d+AXrA…'
///
/// A checkpoint says that the log had so many entries with this root when it was signed. Witnesses
/// that cosigned it say that they saw no other: give their keys too, and with --witnesses how many
/// of them it takes.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// The checkpoint; - for the standard input
    file: PathBuf,
    #[command(flatten)]
    keys: Keys,
}

pub fn run(arguments: &Arguments) -> Result<Report, Unusable> {
    let keys = arguments.keys.read()?;
    let bytes = read_input(&arguments.file)?;
    let mut report = Report::new("checkpoint");
    if let Some(checkpoint) = keys.open(&bytes, &arguments.file.display().to_string(), &mut report) {
        report.checkpoint(&checkpoint);
    }
    Ok(report)
}
