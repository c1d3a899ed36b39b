//! The tree over the log against RFC 6962 §2.1 written down as it stands there.

use intelgraph_temporal::{Frontier, FrontierError, Hash, LogEntry, Operation, commitment, root_of};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// MTH of §2.1, over leaf hashes.
fn tree_head(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let k = leaves.len().next_power_of_two() / 2;
            let (left, right) = (tree_head(&leaves[..k]), tree_head(&leaves[k..]));
            Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
        }
    }
}

fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

fn hex(hash: Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn roots_are_those_of_certificate_transparency() {
    // The entries and roots of the reference test of certificate-transparency-go, merkletree/merkle_tree_test.go.
    let entries: [&[u8]; 8] = [
        b"",
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::default();
    assert_eq!(hex(frontier.root()), roots[0]);
    for (entry, root) in entries.iter().zip(&roots[1..]) {
        frontier.push(leaf_hash(entry));
        assert_eq!(hex(frontier.root()), *root, "{} leaves", frontier.size());
    }
}

proptest! {
    #[test]
    fn a_frontier_has_the_root_of_the_whole_tree(
        leaves in prop::collection::vec(any::<Hash>(), 0..200),
        stored_at in any::<prop::sample::Index>(),
    ) {
        let mut frontier = Frontier::default();
        let stored_at = stored_at.index(leaves.len() + 1);
        for (at, leaf) in leaves.iter().enumerate() {
            if at == stored_at {
                frontier = Frontier::from_bytes(&frontier.to_bytes()).unwrap();
            }
            prop_assert_eq!(frontier.size(), at as u64);
            frontier.push(*leaf);
        }
        prop_assert_eq!(frontier.root(), tree_head(&leaves));
        prop_assert_eq!(root_of(leaves.iter().copied()), frontier.root());
    }

    #[test]
    fn foreign_bytes_are_a_frontier_only_where_they_fit(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        match Frontier::from_bytes(&bytes) {
            Ok(frontier) => prop_assert_eq!(frontier.to_bytes(), bytes),
            Err(error) => prop_assert_eq!(error, FrontierError { length: bytes.len() }),
        }
    }
}

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
    assert_eq!(entry.leaf(&mac), leaf_hash(&bytes.concat()));
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
