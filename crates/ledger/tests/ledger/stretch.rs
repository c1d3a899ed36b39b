//! A tree some of whose leaves are gone is the same tree.

use intelgraph_ledger::{Frontier, Hash, Stretch, StretchError};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_tree_with_stretches_in_place_of_leaves_has_the_same_frontier(
        leaves in proptest::collection::vec(any::<Hash>(), 1..80), cuts in proptest::collection::vec(any::<bool>(), 80),
    ) {
        let mut whole = Frontier::default();
        leaves.iter().for_each(|leaf| whole.push(*leaf));
        // Every other piece between the cuts is a stretch, put together of smaller ones.
        let (mut with_gaps, mut at, mut gone) = (Frontier::default(), 0, false);
        while at < leaves.len() {
            let end = (at + 1..leaves.len()).find(|end| cuts[*end]).unwrap_or(leaves.len());
            if gone {
                let middle = at + (end - at) / 2;
                let mut stretch = Stretch::starting_at(at as u64);
                leaves[at..middle].iter().for_each(|leaf| stretch.push(*leaf));
                let mut rest = Stretch::starting_at(middle as u64);
                leaves[middle..end].iter().for_each(|leaf| rest.push(*leaf));
                prop_assert!(stretch.append(&rest));
                let (first, end) = (stretch.first(), stretch.end());
                prop_assert!(stretch.to_bytes().len() <= 64 * (1 + (end - first).ilog2() as usize) * 2);
                prop_assert_eq!(&Stretch::from_bytes(first, end, &stretch.to_bytes()).unwrap(), &stretch);
                prop_assert!(with_gaps.append(&stretch));
                prop_assert!(!with_gaps.append(&stretch), "it does not follow itself");
            } else {
                leaves[at..end].iter().for_each(|leaf| with_gaps.push(*leaf));
            }
            (at, gone) = (end, !gone);
        }
        prop_assert_eq!(with_gaps.root(), whole.root());
        prop_assert_eq!(with_gaps, whole);
    }
}

#[test]
fn hashes_that_do_not_make_up_a_stretch_are_refused() {
    let hashes = |count: usize| vec![7; 32 * count];
    assert!(Stretch::from_bytes(1, 8, &hashes(3)).is_ok(), "1, then 2 and 3, then 4 to 7");
    for (first, end, length) in [(1, 8, 64), (1, 8, 128), (1, 8, 95), (5, 5, 0), (6, 5, 32)] {
        let refused = Stretch::from_bytes(first, end, &hashes(4)[..length]);
        assert_eq!(refused, Err(StretchError { first, end, length }));
    }
}
