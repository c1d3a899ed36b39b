//! `intelgraph-verify log`: a log's directory.

use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use intelgraph_ledger::{Checkpoint, LedgerError, ProofPlan, TileSet, verify_consistency};
use intelgraph_verify::{Directory, MAX_FINDINGS, Reason, check_log};

use crate::Unusable;
use crate::command::read_input;
use crate::keys::{Keys, TrustedKeys};
use crate::report::{Report, grouped};

/// Check a log's directory, every byte of every file
///
/// That its checkpoint is signed, that every tile is what the entries make it, that the tree has
/// the signed root, and that there is nothing else. Each fault is named by file and by the index
/// of the first entry that it concerns.
///
///     intelgraph-verify log ledger/ --vkey 'ledger.example+1a2b3c4d+AXrA…'
///
/// A directory that is being written may have files that no checkpoint covers yet: add --live, or
/// check a copy. With --since it is also checked that the log only grew since a checkpoint that
/// you kept.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// The log's directory: the file `checkpoint` and the folder `tile` are in it
    directory: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// The log is being written: files of a larger tree than the checkpoint's are counted, not found fault with
    #[arg(long)]
    live: bool,
    /// A checkpoint from before, that this log must begin with
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<Report, Unusable> {
    let keys = arguments.keys.read()?;
    let unusable = |error| Unusable(format!("{} cannot be read: {error}", arguments.directory.display()));
    let directory = Directory::open(&arguments.directory).map_err(unusable)?;
    let mut report = Report::new("log");
    report.fact("directory", arguments.directory.display().to_string());

    let Some(bytes) = directory.read("checkpoint").map_err(unusable)? else {
        let what = "it is missing: nothing says what the log should be";
        report.findings.add(Reason::CheckpointRefused, "checkpoint", None, what);
        return Ok(report);
    };
    let Some(checkpoint) = keys.open(&bytes, "checkpoint", &mut report) else { return Ok(report) };
    report.checkpoint(&checkpoint);

    let bar = ProgressBar::new(checkpoint.size);
    let style = "{bar:40} {human_pos} of {human_len} entries, {eta} left";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let begun = Instant::now();
    let checked = check_log(&directory, &checkpoint, arguments.live, &mut |done| bar.set_position(done));
    bar.finish_and_clear();
    let seconds = begun.elapsed().as_secs_f64();

    report.fact("files", checked.files);
    report.fact("bytes", checked.bytes);
    report.fact("files_beyond_checkpoint", checked.beyond);
    report.fact("ended_early", checked.ended_early);
    report.fact("seconds", (seconds * 1000.0).round() / 1000.0);
    let rate = (checkpoint.size as f64 / seconds.max(0.001)) as u64;
    report.line(format!(
        "read     {} files, {} bytes, in {seconds:.1} s: {} entries/s",
        grouped(checked.files),
        grouped(checked.bytes),
        grouped(rate)
    ));
    if checked.beyond > 0 {
        report.line(format!("beyond   {} files that no checkpoint covers yet", grouped(checked.beyond)));
    }
    if checked.ended_early {
        report.line(format!("ended    early: more than {MAX_FINDINGS} findings are not told"));
    }
    report.findings.append(checked.findings);

    if let Some(since) = &arguments.since {
        check_since(since, &directory, &checkpoint, &keys, &mut report)?;
    }
    Ok(report)
}

/// Checks that the log begins with the tree of an older checkpoint.
fn check_since(
    path: &Path,
    directory: &Directory,
    checkpoint: &Checkpoint,
    keys: &TrustedKeys,
    report: &mut Report,
) -> Result<(), Unusable> {
    let bytes = read_input(path)?;
    let file = path.display().to_string();
    // Who signed the newer one is what the report tells.
    let mut of_older = Report::new("log");
    let Some(older) = keys.open(&bytes, &file, &mut of_older) else {
        report.findings.append(of_older.findings);
        return Ok(());
    };
    if older.origin != checkpoint.origin {
        let what = format!("it is of another log, {}", older.origin);
        report.findings.add(Reason::NotConsistent, file, None, what);
        return Ok(());
    }
    report.fact("since", older.size);
    match is_beginning(directory, &older, checkpoint) {
        Ok(()) => {
            report.line(format!("since    {} entries, which this log begins with", grouped(older.size)))
        }
        Err(error) => {
            let what = format!("this log does not begin with the {} entries of it: {error}", older.size);
            report.findings.add(Reason::NotConsistent, file, None, what);
        }
    }
    Ok(())
}

fn is_beginning(directory: &Directory, older: &Checkpoint, newer: &Checkpoint) -> Result<(), LedgerError> {
    if older.size == 0 {
        return Ok(());
    }
    let plan = ProofPlan::consistency(older.size, newer.size)?;
    let tiles =
        TileSet::read(plan.tiles(), |path| Ok::<_, LedgerError>(directory.read(path).ok().flatten()))?;
    verify_consistency(older.size, newer.size, &older.root, &newer.root, &plan.prove(&tiles)?)
}
