//! `intelgraph-verify inclusion`: that an entry is in a log.

use std::path::PathBuf;

use data_encoding::HEXLOWER_PERMISSIVE;
use intelgraph_ledger::{Hash, InclusionFile, hash_leaf, verify_inclusion};
use intelgraph_verify::Reason;

use crate::Unusable;
use crate::command::read_input;
use crate::keys::Keys;
use crate::report::{Report, grouped};

/// Checks that an entry is in the log of a signed checkpoint, at the index that the proof names.
///
///     intelgraph-verify inclusion 7.tlog-proof --entry 7.json --vkey 'ledger.example+1a2b3c4d+AXrA…'
///
/// The proof is a file as C2SP tlog-proof defines: index, hashes, and the checkpoint with its
/// signatures. The entry is the leaf, byte for byte, as it is in the log:
/// {"header":"…","payload":"…"}.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// The proof; - for the standard input
    proof: PathBuf,
    /// The entry, byte for byte
    #[arg(long, value_name = "FILE", required_unless_present = "leaf_hash", conflicts_with = "leaf_hash")]
    entry: Option<PathBuf>,
    /// The leaf hash of the entry, 64 hexadecimal digits, in place of the entry
    #[arg(long, value_name = "HEX")]
    leaf_hash: Option<String>,
    #[command(flatten)]
    keys: Keys,
}

pub fn run(arguments: &Arguments) -> Result<Report, Unusable> {
    let keys = arguments.keys.read()?;
    let leaf = leaf(arguments)?;
    let bytes = read_input(&arguments.proof)?;
    let name = arguments.proof.display().to_string();
    let mut report = Report::new("inclusion");

    let file = match InclusionFile::parse(&bytes) {
        Ok(file) => file,
        Err(error) => {
            report.findings.add(Reason::ProofRefused, name, None, error.to_string());
            return Ok(report);
        }
    };
    report.fact("index", file.index);
    let Some(checkpoint) = keys.open(&file.checkpoint, &name, &mut report) else { return Ok(report) };
    report.checkpoint(&checkpoint);
    match verify_inclusion(file.index, checkpoint.size, &leaf, &file.proof, &checkpoint.root) {
        Ok(()) => report.line(format!("entry    is number {}", grouped(file.index))),
        Err(error) => {
            report.findings.add(Reason::ProofRefused, name, Some(file.index), error.to_string());
        }
    }
    Ok(report)
}

fn leaf(arguments: &Arguments) -> Result<Hash, Unusable> {
    match (&arguments.entry, &arguments.leaf_hash) {
        (Some(path), _) => Ok(hash_leaf(&read_input(path)?)),
        (None, Some(digits)) => HEXLOWER_PERMISSIVE
            .decode(digits.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| Unusable("--leaf-hash has 64 hexadecimal digits".to_owned())),
        (None, None) => Err(Unusable("give the entry with --entry, or its --leaf-hash".to_owned())),
    }
}
