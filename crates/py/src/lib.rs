//! `intelgraph._core`: the Rust boundary. Thin: it converts, releases the GIL, and calls.
//!
//! `python/intelgraph/_core.pyi` types all of it; stubtest holds the two together.

mod contract;
mod engine;
mod envelope;
mod error;
mod frame;
mod json;
mod keyring;
mod keystore;
mod ledger;
mod ledger_entries;
mod log_files;
mod policy;
mod read;
mod retention;
mod tick;

use pyo3::prelude::*;

#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::contract::Contract;
    #[pymodule_export]
    use crate::engine::{BoundGroup, Engine, FetchPlan, Group, Prepared, Stream};
    #[pymodule_export]
    use crate::envelope::{MessagesToOpen, MessagesToSeal, SealReservation};
    #[pymodule_export]
    use crate::error::{
        ContractError, CoreError, CorruptData, EntityKeyInvalid, InvalidFrame, InvalidRequest,
        KeyUnavailable, NotActive, PolicyError, StaleGroup,
    };
    #[pymodule_export]
    use crate::frame::decode_frame;
    #[pymodule_export]
    use crate::json::canonical_json;
    #[pymodule_export]
    use crate::keyring::{KekVersion, LocalKeyring, Secret, Unlock};
    #[pymodule_export]
    use crate::keystore::{DataKeyRow, IndexKeyRow, Keystore, PendingDek, PendingIndexKey, TenantKey};
    #[pymodule_export]
    use crate::ledger::{
        TileWriter, add_cosignature, bundle_commitments, bundle_entries, checkpoint_text, commitment,
        consistency_file, consistency_proof, consistency_tiles, cosign, inclusion_file, inclusion_proof,
        inclusion_tiles, leaf, leaf_hash, open_checkpoint, parse_leaf, signed_note, tree_of_frontier,
        verify_consistency, verify_inclusion, verify_signature, vkey,
    };
    #[pymodule_export]
    use crate::ledger_entries::{
        OutboxReplay, check_ledger_entries, keys_of_ledger_entries, ledger_subject_tag, open_ledger_entry,
        seal_ledger_entries, sequence_ledger_entries,
    };
    #[pymodule_export]
    use crate::log_files::{sync_log_directory, write_log_files};
    #[pymodule_export]
    use crate::policy::{PolicyBundle, PolicyDecider, PolicyDecision, PolicyQuestion};
    #[pymodule_export]
    use crate::read::{
        Catalogue, LogCheck, LogReader, entity_id, keys_of_rows, keys_of_values, open_quarantine,
    };
    #[pymodule_export]
    use crate::retention::{anchors, keys_of_chains, merge_ranges, removed_ranges};
}
