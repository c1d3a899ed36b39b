//! Hashes and the frontier against RFC 6962 §2.1 and known answers.

use intelgraph_ledger::{Frontier, FrontierError, Hash, empty_root, hash_leaf, root_of};
use proptest::prelude::*;

use crate::reference::tree_head;

fn hex(hash: Hash) -> String {
    data_encoding::HEXLOWER.encode(&hash)
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
    assert_eq!(hex(empty_root()), roots[0]);
    for (entry, root) in entries.iter().zip(&roots[1..]) {
        frontier.push(hash_leaf(entry));
        assert_eq!(hex(frontier.root()), *root, "{} leaves", frontier.size());
    }
}

#[test]
fn a_frontier_tells_of_every_subtree_that_is_complete() {
    let leaves = crate::reference::leaves(21);
    let (mut frontier, mut told) = (Frontier::default(), Vec::new());
    for leaf in &leaves {
        frontier.push_with(*leaf, |height, root| told.push((frontier_end(&told, height), height, *root)));
    }
    // 21 leaves, 10 pairs, 5 fours, 2 eights, 1 sixteen.
    assert_eq!(told.len(), 21 + 10 + 5 + 2 + 1);
    for (end, height, root) in told {
        assert_eq!(root, tree_head(&leaves[end - (1 << height)..end]));
    }
}

/// Where a subtree ends that is told of next: those of one height follow one another.
fn frontier_end(told: &[(usize, u32, Hash)], height: u32) -> usize {
    (told.iter().filter(|(_, other, _)| *other == height).count() + 1) << height
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
