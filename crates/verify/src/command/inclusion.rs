//! `intelgraph-verify inclusion`: that an entry is in a log.

use std::path::PathBuf;

use data_encoding::HEXLOWER_PERMISSIVE;
use intelgraph_ledger::{Hash, InclusionFile, hash_leaf, verify_inclusion};
use intelgraph_verify::Reason;

use crate::Unusable;
use crate::command::read_input;
use crate::keys::Keys;
use crate::report::{Report, grouped};
use crate::shown_entry::ShownEntry;

/// Check that an entry is in the log of a signed checkpoint
///
///     intelgraph --json ledger show 7 > 7.json
///     intelgraph ledger proof 7 -o 7.tlog-proof
///     intelgraph-verify inclusion 7.tlog-proof --shown 7.json --vkey 'ledger.example+1a2b3c4d+AXrA…'
///
/// The proof is a file as C2SP tlog-proof defines: index, hashes, and the checkpoint with its
/// signatures. The log holds commitments only. With --shown it is also checked that header and
/// payload are what was committed to; with --entry, the leaf itself is given.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// The proof; - for the standard input
    proof: PathBuf,
    #[command(flatten)]
    entry: Entry,
    #[command(flatten)]
    keys: Keys,
}

/// The entry, in one of these forms
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Entry {
    /// The entry as `intelgraph --json ledger show` tells it, with header, payload and salts
    #[arg(long, value_name = "FILE")]
    shown: Option<PathBuf>,
    /// The entry as it is in the log, byte for byte: {"header":"…","payload":"…"}
    #[arg(long, value_name = "FILE")]
    entry: Option<PathBuf>,
    /// The leaf hash of the entry, 64 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    leaf_hash: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<Report, Unusable> {
    let keys = arguments.keys.read()?;
    let mut report = Report::new("inclusion");
    let (leaf, shown) = arguments.entry.leaf_hash(&mut report)?;
    let bytes = read_input(&arguments.proof)?;
    let name = arguments.proof.display().to_string();

    let file = match InclusionFile::parse(&bytes) {
        Ok(file) => file,
        Err(error) => {
            report.findings.add(Reason::ProofRefused, name, None, error.to_string());
            return Ok(report);
        }
    };
    report.fact("index", file.index);
    if let Some((shown, told_in)) = shown {
        shown.hold(file.index, &told_in, &mut report);
    }
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

impl Entry {
    /// The leaf hash, and the entry that is told with the file that tells it.
    fn leaf_hash(&self, report: &mut Report) -> Result<(Hash, Option<(ShownEntry, String)>), Unusable> {
        if let Some(path) = &self.shown {
            let file = path.display().to_string();
            let shown = ShownEntry::parse(&read_input(path)?).map_err(|error| {
                Unusable(format!("{file} is no entry as `ledger show` tells it: {error}"))
            })?;
            let leaf = hash_leaf(&shown.leaf(&file, report));
            return Ok((leaf, Some((shown, file))));
        }
        if let Some(path) = &self.entry {
            return Ok((hash_leaf(&read_input(path)?), None));
        }
        let digits = self.leaf_hash.as_deref().unwrap_or_default();
        let hash = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        hash.map(|hash| (hash, None))
            .ok_or_else(|| Unusable("--leaf-hash has 64 hexadecimal digits".to_owned()))
    }
}
