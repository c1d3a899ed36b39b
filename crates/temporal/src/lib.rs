//! Heads, reversible diffs, the chain of versions and the tree over the log.
//!
//! Scope: what is kept of an entity's document and how one version becomes the next. A [`Head`] is the current
//! document; a [`Differ`] compares an incoming document with it and writes a diff that [`apply()`] and
//! [`revert`] carry out; [`rebuild`] turns a chain of stored diffs back into a head; [`AsOf`] says which version
//! answers; [`Frontier`] is the RFC 6962 tree over a tenant's changes. Diffs are exported as lists, JSON Patch
//! (RFC 6902) and JSON Merge Patch (RFC 7396).
//!
//! Not in scope: parsing (`intelgraph-json`), sealing (`intelgraph-envelope`), storage, time.
//!
//! ```
//! use intelgraph_json::{Limits, Parser, Tape};
//! use intelgraph_temporal::{Differ, Head, KeyedArrays, Outcome, apply, revert, to_list};
//!
//! let seed = 7;
//! let old = Head::of_canonical(br#"{"seats":149,"tail":"N14228"}"#)?;
//! let record = br#"{"tail": "N14228", "seats": 150.0, "engines": 2}"#;
//! let (mut parser, mut tape) = (Parser::new(Limits::default()), Tape::default());
//! let root = parser.parse(&mut tape, record, 0..record.len()).expect("a JSON document");
//!
//! let (mut differ, mut diff) = (Differ::default(), Vec::new());
//! let document = tape.value(record, root);
//! let Outcome::Changed { head, changed } =
//!     differ.diff(Some(&old), document, &KeyedArrays::default(), seed, &mut diff)?
//! else {
//!     unreachable!("seats and engines differ");
//! };
//! assert_eq!(changed.len(), 2);
//! assert_eq!(apply(Some(&old), &diff, seed)?.as_ref(), Some(&head));
//! assert_eq!(revert(Some(&head), &diff, seed)?, Some(old));
//!
//! let mut list = Vec::new();
//! to_list(&diff, &mut list)?;
//! assert_eq!(list, br#"[["a","/engines",2],["r","/seats",149,150]]"#);
//! # Ok::<(), intelgraph_temporal::DiffError>(())
//! ```
#![forbid(unsafe_code)]

mod apply;
mod as_of;
mod chain;
mod diff;
mod document;
mod encoded;
mod error;
mod export;
mod head;
mod key_order;
mod keyed;
mod leaf;
mod member_table;
mod merge_patch;
mod nested;
mod operation;
mod patch;
mod plaintext;
mod rewrite;
mod sequence;
mod spans;
mod walk;
mod wipe;

pub use apply::{apply, revert};
pub use as_of::{AsOf, VersionTime};
pub use chain::{ChainError, ChainRow, SNAPSHOT_EVERY, needs_snapshot, rebuild};
pub use diff::{Change, ChangedMember, Differ, Outcome, absence};
pub use encoded::{DIFF_FORMAT, EncodedDiff, MAX_WORK};
pub use error::DiffError;
pub use export::{to_json_patch, to_list};
pub use head::{Head, Member, Members};
pub use intelgraph_ledger::{Frontier, FrontierError, Hash, Stretch, root_of};
pub use keyed::KeyedArrays;
pub use leaf::{LEAF_FORMAT, LogEntry, commitment};
pub use merge_patch::to_merge_patch;
pub use operation::Operation;
pub use patch::{PatchError, apply_json_patch};
pub use plaintext::{
    ABSENCE_FORMAT, ChangePlaintext, SALT_LEN, SNAPSHOT_FORMAT, Salt, read_snapshot, write_snapshot,
};
pub use walk::changed_members;
