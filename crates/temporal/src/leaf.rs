//! Leaves of the tree over a tenant's log.
//!
//! ```text
//! commitment = HMAC-SHA-256(salt, [report ‖] encoded diff), which is all that follows the salt in a change
//! entry = format(1) ‖ tenant(16) ‖ length(2) ‖ dataset ‖ entity_id(16) ‖ op(1) ‖ valid_at(8) ‖ commitment(32)
//! leaf  = SHA-256(0x00 ‖ entry)
//! ```
//! The leading zero is that of RFC 6962 §2.1: the leaf is the leaf hash of the entry, and any verifier of such
//! trees can check it. Integers are big-endian; the dataset is the only field whose length varies. Diff and
//! salt are in it only by way of the commitment: a log whose values were erased still has its leaves checked
//! against the tree, and re-encryption changes none.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use intelgraph_ledger::Hash;

use crate::operation::Operation;
use crate::plaintext::Salt;

/// The leaf format that this version writes.
pub const LEAF_FORMAT: u8 = 1;

/// Commits to what a change says, its diff and its report if it has one, without telling it. This is the part of a
/// leaf that reads them; it needs no time and no sequence number, and so is done before the tenant's clock row is held.
pub fn commitment(salt: &Salt, said: &[u8]) -> Hash {
    // HMAC takes a key of any length, so that the error cannot occur; an unkeyed hash would still commit.
    match Hmac::<Sha256>::new_from_slice(salt) {
        Ok(mac) => mac.chain_update(said).finalize().into_bytes().into(),
        Err(_) => Sha256::new().chain_update(salt).chain_update(said).finalize().into(),
    }
}

/// What of a change stands in the log in clear.
#[derive(Clone, Copy, Debug)]
pub struct LogEntry<'a> {
    /// The tenant's UUID.
    pub tenant: &'a [u8; 16],
    /// The dataset's name, at most 65,535 bytes.
    pub dataset: &'a str,
    /// The entity's id.
    pub entity_id: &'a [u8; 16],
    /// What the change does.
    pub operation: Operation,
    /// Valid time in microseconds since the Unix epoch.
    pub valid_at_us: i64,
}

impl LogEntry<'_> {
    /// The leaf of the change.
    pub fn leaf(&self, commitment: &Hash) -> Hash {
        debug_assert!(self.dataset.len() <= usize::from(u16::MAX), "names of datasets are short");
        let mut start = [0; 20];
        start[1] = LEAF_FORMAT;
        start[2..18].copy_from_slice(self.tenant);
        start[18..].copy_from_slice(&(self.dataset.len() as u16).to_be_bytes());
        let mut end = [0; 57];
        end[..16].copy_from_slice(self.entity_id);
        end[16] = self.operation.number();
        end[17..25].copy_from_slice(&self.valid_at_us.to_be_bytes());
        end[25..].copy_from_slice(commitment);
        Sha256::new().chain_update(start).chain_update(self.dataset).chain_update(end).finalize().into()
    }
}
