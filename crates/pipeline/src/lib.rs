//! The batch, from the bytes of a gRPC message to the bytes of PostgreSQL's COPY.
//!
//! A batch crosses into this crate a fixed number of times:
//! - [`Engine::prepare`]: decode, parse, entity key, event time, contract. Fields that equal those of a head
//!   which passed the same contract are not validated again. A record that breaks it is put aside, or goes on with a
//!   warning where the tenant's contracts only warn;
//! - [`Engine::plan_fetch`]: which heads and late look-ups only the database can answer, for one query;
//! - [`Engine::diff`]: a group of batches against the heads as all groups before it leave them; sealed rows;
//! - [`Group::bind`]: under the tenant's clock row: `seq`, times, leaves, frontier;
//! - [`Engine::commit`] or [`Engine::abort`].
//!
//! No I/O and no clock here: the caller moves bytes, awaits, and passes the time in.

#![forbid(unsafe_code)]

mod bind;
pub mod copy;
mod diff;
mod engine;
mod error;
mod fetch;
mod group;
mod heads;
pub mod ledger_check;
pub mod ledger_entries;
pub mod ledger_outbox;
mod log_check;
mod message;
mod opening;
mod prepare;
mod quarantine;
mod read;
mod retention;
mod sealed_messages;
mod stream;
mod warning;
pub mod wire;
mod workbench;

pub use bind::{Bound, Clock, Outcomes};
pub use diff::Diffed;
pub use engine::{Engine, EngineLimits, TenantUsage};
pub use error::PipelineError;
pub use fetch::{FetchPlan, Lookups};
pub use group::Group;
pub use log_check::{Anchor, Fault, Finding, LogCheck, Verdict};
pub use prepare::{BatchLimits, Prepared};
pub use quarantine::open_entry;
pub use read::{Catalogue, Encoded, FeedPart, HistoryPart, LogReader, entity_id, keys_needed};
pub use retention::{
    ANCHOR_COLUMNS, Merged, RANGE_COLUMNS, anchors, chain_keys, merge_ranges, removed_ranges,
};
pub use sealed_messages::{MessagesToOpen, MessagesToSeal, RequestError, TravellingKey};
pub use stream::Stream;
pub use warning::Enforcement;
