//! `intelgraph-verify`: the command line.

mod command;
mod keys;
mod report;
mod shown_entry;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::command::{checkpoint, consistency, inclusion, log};
use crate::report::Report;

/// Checks what an IntelGraph gateway signed, with nothing but public keys: no network, no
/// database, no gateway.
///
/// Start with the log's verifier key, which its operator publishes, and a copy of the log's directory:
///
///     intelgraph-verify log ledger/ --vkey 'ledger.example+1a2b3c4d+AXrA…'
///
/// Exit status:
///     0  what was checked holds
///     1  it does not; each finding is told
///     2  the command line, or a file that it names, cannot be used
#[derive(Parser)]
#[command(version, verbatim_doc_comment, arg_required_else_help = true)]
struct CommandLine {
    /// Write the report as JSON, to the standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Log(log::Arguments),
    Checkpoint(checkpoint::Arguments),
    Inclusion(inclusion::Arguments),
    Consistency(consistency::Arguments),
}

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unusable(String);

fn main() -> ExitCode {
    let CommandLine { json, verb } = CommandLine::parse();
    let checked = match verb {
        Verb::Log(arguments) => log::run(&arguments),
        Verb::Checkpoint(arguments) => checkpoint::run(&arguments),
        Verb::Inclusion(arguments) => inclusion::run(&arguments),
        Verb::Consistency(arguments) => consistency::run(&arguments),
    };
    match checked.and_then(|report: Report| report.print(json)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(unusable) => {
            report::print_error(&unusable);
            ExitCode::from(2)
        }
    }
}
