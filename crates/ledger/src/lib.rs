//! A tiled transparency log: what it is made of, and how it is proven.
//!
//! Scope, one file each:
//!
//! | module | specification |
//! |-|-|
//! | `tree`, `verify`, `prove` | RFC 6962 §2.1, RFC 9162 §2.1: hashes, proofs and their verification |
//! | `tile`, `bundle`, `tile_set`, `writer` | C2SP tlog-tiles: paths, tiles, entry bundles |
//! | `note`, `verifier_key`, `signature` | C2SP signed-note: Ed25519 (0x01) |
//! | `checkpoint` | C2SP tlog-checkpoint |
//! | `cosignature` | C2SP tlog-cosignature: cosignature/v1 (0x04); not the ML-DSA-44 type |
//! | `proof_file` | C2SP tlog-proof; C2SP tlog-witness, the body of `add-checkpoint` |
//! | `commitment` | our own: the leaf of an entry |
//! | `stretch` | RFC 6962 §2.1: what stays of leaves that are gone |
//!
//! Not in scope: storage, sequencing, what an entry means, pruning (the ledger is kept whole). The crate does no I/O and
//! reads no clock.
//!
//! ```
//! use intelgraph_ledger::{ProofPlan, TileSet, TileWriter, hash_leaf, verify_inclusion};
//! use std::collections::HashMap;
//!
//! let mut writer = TileWriter::new();
//! let entries: Vec<String> = (0..1000).map(|number| format!("entry {number}")).collect();
//! let files: HashMap<String, Vec<u8>> =
//!     writer.append(&entries)?.into_iter().map(|file| (file.tile.to_string(), file.bytes)).collect();
//! assert!(files.contains_key("tile/0/003.p/232"));
//!
//! let plan = ProofPlan::inclusion(7, writer.size())?;
//! let tiles = TileSet::read(plan.tiles(), |path| Ok(files.get(path).cloned()))?;
//! let proof = plan.prove(&tiles)?;
//! verify_inclusion(7, writer.size(), &hash_leaf(b"entry 7"), &proof, &writer.root())?;
//! # Ok::<(), intelgraph_ledger::LedgerError>(())
//! ```
#![forbid(unsafe_code)]

mod base64;
mod bundle;
mod checkpoint;
mod commitment;
mod cosignature;
mod error;
mod note;
mod proof_file;
mod prove;
mod signature;
mod stretch;
mod tile;
mod tile_set;
mod tree;
mod verifier_key;
mod verify;
mod writer;

pub use bundle::{Entries, MAX_ENTRY_LEN, entries, entries_of_width};
pub use checkpoint::Checkpoint;
pub use commitment::{Domain, LEAF_LEN, SALT_LEN, commit, leaf, parse_leaf};
pub use cosignature::{COSIGNATURE_LEN, add_cosignature, cosign};
pub use error::LedgerError;
pub use note::{MAX_NOTE_LEN, MAX_SIGNATURES, Note, NoteSignature, VerifiedSignature};
pub use proof_file::{ConsistencyFile, InclusionFile};
pub use prove::ProofPlan;
pub use signature::{ED25519_PUBLIC_KEY_LEN, SIGNATURE_LEN, SigningKey, verifies_ed25519, verifies_es256};
pub use stretch::{Stretch, StretchError};
pub use tile::{FULL_WIDTH, MAX_LEVEL, TILE_HEIGHT, Tile, TileKind};
pub use tile_set::TileSet;
pub use tree::{Frontier, FrontierError, Hash, empty_root, hash_children, hash_leaf, root_of};
pub use verifier_key::{KeyKind, VerifierKey};
pub use verify::{
    verify_consistency, verify_inclusion, verify_subtree_consistency, verify_subtree_inclusion,
};
pub use writer::{TileFile, TileWriter, frontier_of_levels};
