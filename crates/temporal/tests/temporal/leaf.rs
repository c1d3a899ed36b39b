//! Leaves against their documented form.

use intelgraph_ledger::hash_leaf;
use intelgraph_temporal::{Hash, LogEntry, Operation, commitment};
use sha2::{Digest, Sha256};

#[test]
fn a_leaf_is_the_hash_of_its_entry() {
    let salt = [9; 16];
    // RFC 2104 written out: the salt is shorter than a block.
    let pad = |byte: u8| [&salt.map(|salt| salt ^ byte)[..], &[byte; 48]].concat();
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(b"diff").finalize();
    let mac: Hash = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into();
    assert_eq!(commitment(&salt, b"diff"), mac);

    let entry = LogEntry {
        tenant: &[1; 16],
        dataset: "flights",
        entity_id: &[2; 16],
        operation: Operation::Delete,
        valid_at_us: -2,
    };
    let bytes: &[&[u8]] = &[
        &[1],
        &[1; 16],
        &[0, 7],
        b"flights",
        &[2; 16],
        &[3],
        &[255, 255, 255, 255, 255, 255, 255, 254],
        &mac,
    ];
    assert_eq!(entry.leaf(&mac), hash_leaf(&bytes.concat()));
}

#[test]
fn every_field_is_in_the_leaf() {
    let mac = [5; 32];
    let entry = LogEntry {
        tenant: &[1; 16],
        dataset: "flights",
        entity_id: &[2; 16],
        operation: Operation::Update,
        valid_at_us: 7,
    };
    let others = [
        LogEntry { tenant: &[3; 16], ..entry },
        LogEntry { dataset: "flight", ..entry },
        LogEntry { entity_id: &[3; 16], ..entry },
        LogEntry { operation: Operation::LateUpsert, ..entry },
        LogEntry { valid_at_us: 8, ..entry },
    ];
    assert!(others.iter().all(|other| other.leaf(&mac) != entry.leaf(&mac)));
    assert_ne!(entry.leaf(&[6; 32]), entry.leaf(&mac));
    assert_ne!(commitment(&[1; 16], b"diff"), commitment(&[2; 16], b"diff"));
    assert_ne!(commitment(&[1; 16], b"diff"), commitment(&[1; 16], b"diffs"));
}
