//! The keys that are trusted, as the command line gives them, and what they say of a checkpoint.

use std::collections::BTreeSet;
use std::path::PathBuf;

use intelgraph_ledger::{Checkpoint, KeyKind, LedgerError, VerifierKey};
use intelgraph_verify::Reason;

use crate::Unusable;
use crate::report::{Report, Signer};

/// The keys that are trusted
#[derive(clap::Args)]
pub struct Keys {
    /// A verifier key to trust, NAME+ID+KEY: the log's, whose name is the log's origin, or a witness's. Can be repeated
    #[arg(long = "vkey", value_name = "KEY", required_unless_present = "vkey_file")]
    vkey: Vec<String>,
    /// A file of verifier keys to trust, one a line; lines that begin with # are comments. Can be repeated
    #[arg(long, value_name = "FILE")]
    vkey_file: Vec<PathBuf>,
    /// How many of the trusted witnesses must have cosigned
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    witnesses: usize,
}

impl Keys {
    /// The keys, each of which must be one.
    pub fn read(&self) -> Result<TrustedKeys, Unusable> {
        let mut keys = Vec::new();
        for text in &self.vkey {
            keys.push(parse(text, "--vkey")?);
        }
        for path in &self.vkey_file {
            let bytes = crate::command::read_input(path)?;
            let place = path.display().to_string();
            let text = String::from_utf8(bytes).map_err(|_| Unusable(format!("{place} is not UTF-8")))?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            for line in lines {
                keys.push(parse(line, &place)?);
            }
        }
        let names: BTreeSet<_> =
            keys.iter().filter(|key| key.kind() == KeyKind::Cosignature).map(VerifierKey::name).collect();
        if names.len() < self.witnesses {
            let given = names.len();
            return Err(Unusable(format!(
                "--witnesses {} needs as many keys of witnesses; {given} are given",
                self.witnesses
            )));
        }
        if keys.is_empty() {
            return Err(Unusable("no verifier key is given; add the log's with --vkey".to_owned()));
        }
        Ok(TrustedKeys { keys, witnesses: self.witnesses })
    }
}

fn parse(text: &str, place: &str) -> Result<VerifierKey, Unusable> {
    text.parse().map_err(|error: LedgerError| Unusable(format!("{place} {text:?}: {error}")))
}

/// Keys that vouch for checkpoints, and how many witnesses it takes.
pub struct TrustedKeys {
    keys: Vec<VerifierKey>,
    witnesses: usize,
}

impl TrustedKeys {
    /// Opens a checkpoint and reports who signed it; none, and a finding, where its log did not.
    pub fn open(&self, bytes: &[u8], file: &str, report: &mut Report) -> Option<Checkpoint> {
        let (checkpoint, verified) = match Checkpoint::open(bytes, &self.keys) {
            Ok(opened) => opened,
            Err(error) => {
                let what = format!("{} ({})", error, error.reason());
                report.findings.add(Reason::CheckpointRefused, file, None, what);
                return None;
            }
        };
        let witnesses: BTreeSet<_> = verified
            .iter()
            .filter(|signature| signature.kind == KeyKind::Cosignature)
            .map(|signature| signature.name.as_str())
            .collect();
        if witnesses.len() < self.witnesses {
            let what =
                format!("{} witnesses have cosigned it, {} must have", witnesses.len(), self.witnesses);
            report.findings.add(Reason::WitnessesTooFew, file, None, what);
        }
        report.signers = verified.iter().map(Signer::of).collect();
        Some(checkpoint)
    }
}
