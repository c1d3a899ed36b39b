//! Checks of what a gateway signed and wrote, with nothing but public keys.
//!
//! Scope: a log's directory ([`check_log`]). The command line, `intelgraph-verify`, is one file for each verb beside it.
//!
//! Not in scope: networks, databases, what an entry means. Memory is bounded, however long a log is.
#![forbid(unsafe_code)]

mod directory;
mod finding;
mod log_check;

pub use directory::Directory;
pub use finding::{Finding, Findings, MAX_FINDINGS, Reason};
pub use log_check::{Checked, check_log};
