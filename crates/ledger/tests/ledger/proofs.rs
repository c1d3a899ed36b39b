//! Proofs against RFC 9162 §2.1.3 and §2.1.4 as they stand there.

use intelgraph_ledger::{
    Hash, LedgerError, ProofPlan, TileSet, verify_consistency, verify_inclusion, verify_subtree_consistency,
    verify_subtree_inclusion,
};
use proptest::prelude::*;

use crate::reference::{leaves, path, proof, tree_head};
use crate::writer::{Files, reader, write};

const SIZES: usize = 300;

fn prove(plan: &ProofPlan, files: &Files) -> Vec<Hash> {
    plan.prove(&TileSet::read(plan.tiles(), reader(files)).unwrap()).unwrap()
}

#[test]
fn every_inclusion_proof_is_the_one_of_the_rfc_and_verifies() {
    let (_, files) = write(&(0..=SIZES).collect::<Vec<_>>());
    let all = leaves(SIZES);
    for size in 1..=SIZES {
        let root = tree_head(&all[..size]);
        for index in 0..size {
            // Every index of every size is 45,000 trees to walk by the book: the edges, and a sample.
            if size > 70 && index % 13 != size % 13 && index + 3 < size && index > 2 {
                continue;
            }
            let plan = ProofPlan::inclusion(index as u64, size as u64).unwrap();
            let proof = prove(&plan, &files);
            assert_eq!(proof, path(index, &all[..size]), "{index} of {size}");
            verify_inclusion(index as u64, size as u64, &all[index], &proof, &root).unwrap();
        }
    }
}

#[test]
fn every_consistency_proof_is_the_one_of_the_rfc_and_verifies() {
    let (_, files) = write(&(0..=SIZES).collect::<Vec<_>>());
    let all = leaves(SIZES);
    for to in 1..=SIZES {
        let root = tree_head(&all[..to]);
        for from in 1..=to {
            if to > 70 && from % 13 != to % 13 && from + 3 < to && from > 2 {
                continue;
            }
            let plan = ProofPlan::consistency(from as u64, to as u64).unwrap();
            let computed = prove(&plan, &files);
            assert_eq!(computed, proof(from, &all[..to]), "{from} of {to}");
            let old = tree_head(&all[..from]);
            verify_consistency(from as u64, to as u64, &old, &root, &computed).unwrap();
        }
    }
}

#[test]
fn proofs_reach_over_levels_and_full_tiles() {
    // 2^16 + 2^9 + 3 leaves: three levels. Nothing but the last, full or partial, tile of each place is there.
    let size = 66_051;
    let (_, files) = write(&[size]);
    let all = leaves(size);
    let root = tree_head(&all);
    for index in [0, 1, 255, 256, 40_000, 65_535, 65_536, 65_791, 65_792, 66_047, 66_048, 66_050] {
        let plan = ProofPlan::inclusion(index, size as u64).unwrap();
        assert!(plan.tiles().len() <= 5, "{:?}", plan.tiles());
        let proof = prove(&plan, &files);
        assert_eq!(proof, path(index as usize, &all));
        verify_inclusion(index, size as u64, &all[index as usize], &proof, &root).unwrap();
    }
    for from in [1, 255, 256, 257, 300, 65_535, 65_536, 65_537, 66_000, 66_049, 66_050, 66_051] {
        // The tiles of the newer tree do for the proof from the older one.
        let computed = prove(&ProofPlan::consistency(from, size as u64).unwrap(), &files);
        assert_eq!(computed, proof(from as usize, &all), "{from}");
        let old = tree_head(&all[..from as usize]);
        verify_consistency(from, size as u64, &old, &root, &computed).unwrap();
    }
    // An older tree's proof is made from tiles that have become full since.
    let plan = ProofPlan::inclusion(290, 300).unwrap();
    let proof = prove(&plan, &files);
    assert_eq!(proof, path(290, &all[..300]));
}

#[test]
fn what_cannot_be_proven_is_refused() {
    let beyond = |index, size| Err(LedgerError::IndexBeyondSize { index, size });
    assert_eq!(ProofPlan::inclusion(0, 0), beyond(0, 0));
    assert_eq!(ProofPlan::inclusion(7, 7), beyond(7, 7));
    assert_eq!(ProofPlan::consistency(0, 7), Err(LedgerError::ConsistencyOfEmpty));
    assert_eq!(ProofPlan::consistency(0, 0), Err(LedgerError::ConsistencyOfEmpty));
    assert_eq!(ProofPlan::consistency(8, 7), Err(LedgerError::SizesReversed { from: 8, to: 7 }));
    let (a, b) = ([1; 32], [2; 32]);
    assert_eq!(verify_inclusion(7, 7, &a, &[], &a), Err(LedgerError::IndexBeyondSize { index: 7, size: 7 }));
    assert_eq!(verify_inclusion(0, 1, &a, &[], &a), Ok(()));
    assert_eq!(verify_inclusion(0, 1, &a, &[b], &a), Err(LedgerError::ProofLength));
    assert_eq!(verify_inclusion(0, 1, &a, &[], &b), Err(LedgerError::ProofMismatch));
    assert_eq!(verify_consistency(7, 7, &a, &a, &[]), Ok(()));
    assert_eq!(verify_consistency(7, 7, &a, &b, &[]), Err(LedgerError::ProofMismatch));
    assert_eq!(verify_consistency(7, 7, &a, &a, &[a]), Err(LedgerError::ProofLength));
    assert_eq!(verify_consistency(8, 7, &a, &a, &[]), Err(LedgerError::SizesReversed { from: 8, to: 7 }));
    assert_eq!(verify_consistency(0, 7, &a, &a, &[]), Err(LedgerError::ConsistencyOfEmpty));
    assert_eq!(verify_consistency(0, 0, &a, &a, &[]), Err(LedgerError::ConsistencyOfEmpty));
}

#[test]
fn missing_tiles_are_named() {
    let plan = ProofPlan::inclusion(3, 300).unwrap();
    let missing = LedgerError::TileMissing { path: "tile/0/000".to_owned() };
    assert_eq!(TileSet::read(plan.tiles(), reader(&Files::new())).unwrap_err(), missing);
    assert!(matches!(plan.prove(&TileSet::default()), Err(LedgerError::TileMissing { .. })));
    let short = Files::from([("tile/0/000".to_owned(), vec![0; 32])]);
    let malformed = LedgerError::TileMalformed { path: "tile/0/000".to_owned(), length: 32, want: 8192 };
    assert_eq!(TileSet::read(plan.tiles(), reader(&short)).unwrap_err(), malformed);
}

#[test]
fn sizes_at_the_end_of_u64_end() {
    let (a, proof) = ([1; 32], [[2; 32]; 64]);
    for size in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) + 1] {
        for index in [0, size / 2, size - 1] {
            assert!(verify_inclusion(index, size, &a, &proof, &a).is_err());
            let plan = ProofPlan::inclusion(index, size).unwrap();
            assert!(plan.tiles().len() <= 16 && plan.prove(&TileSet::default()).is_err());
        }
        for from in [1, size / 2, size - 1, size] {
            assert!(verify_consistency(from, size, &a, &a, &proof).is_err());
            assert!(ProofPlan::consistency(from, size).unwrap().tiles().len() <= 16);
        }
        assert!(verify_subtree_consistency(1, size, size, &a, &a, &proof).is_err());
        assert!(verify_subtree_inclusion(1, (0, size), &a, &proof, &a).is_err());
    }
}

/// A proof with one thing wrong with it.
fn altered(proof: &[Hash], at: usize, bit: usize) -> Vec<Vec<Hash>> {
    let mut wrong = Vec::new();
    if !proof.is_empty() {
        let mut flipped = proof.to_vec();
        flipped[at % proof.len()][bit / 8 % 32] ^= 1 << (bit % 8);
        let mut shorter = proof.to_vec();
        shorter.remove(at % proof.len());
        wrong.extend([flipped, shorter]);
    }
    for place in [0, at % (proof.len() + 1), proof.len()] {
        let mut longer = proof.to_vec();
        longer.insert(place, [7; 32]);
        wrong.push(longer);
    }
    wrong
}

proptest! {
    #[test]
    fn an_altered_inclusion_proof_is_refused(
        size in 1_usize..400, index in any::<prop::sample::Index>(), at in 0_usize..16, bit in 0_usize..256,
    ) {
        let all = leaves(size);
        let (index, root) = (index.index(size), tree_head(&all));
        let proof = path(index, &all);
        let verify = |index: usize, size: usize, leaf: &Hash, proof: &[Hash], root: &Hash| {
            verify_inclusion(index as u64, size as u64, leaf, proof, root)
        };
        prop_assert!(verify(index, size, &all[index], &proof, &root).is_ok());
        for wrong in altered(&proof, at, bit) {
            prop_assert!(verify(index, size, &all[index], &wrong, &root).is_err());
        }
        let (mut leaf, mut other_root) = (all[index], root);
        leaf[bit / 8] ^= 1 << (bit % 8);
        other_root[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify(index, size, &leaf, &proof, &root).is_err());
        prop_assert!(verify(index, size, &all[index], &proof, &other_root).is_err());
        for other in (0..size).filter(|other| *other != index) {
            prop_assert!(verify(other, size, &all[index], &proof, &root).is_err());
        }
    }

    #[test]
    fn an_altered_consistency_proof_is_refused(
        to in 1_usize..400, from in any::<prop::sample::Index>(), at in 0_usize..16, bit in 0_usize..256,
    ) {
        let all = leaves(to);
        let from = from.index(to) + 1;
        let (old, new) = (tree_head(&all[..from]), tree_head(&all));
        let proof = proof(from, &all);
        let verify = |from: usize, old: &Hash, new: &Hash, proof: &[Hash]| {
            verify_consistency(from as u64, to as u64, old, new, proof)
        };
        prop_assert!(verify(from, &old, &new, &proof).is_ok());
        for wrong in altered(&proof, at, bit) {
            prop_assert!(verify(from, &old, &new, &wrong).is_err());
        }
        let (mut other_old, mut other_new) = (old, new);
        other_old[bit / 8] ^= 1 << (bit % 8);
        other_new[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify(from, &other_old, &new, &proof).is_err());
        prop_assert!(verify(from, &old, &other_new, &proof).is_err());
    }
}
