//! Verification of proofs: RFC 9162 §2.1.3.2 and §2.1.4.2, and its extension to subtrees
//! (draft-ietf-plants-merkle-tree-certs §4), which C2SP tlog-mirror uses.
//!
//! A proof has exactly one length: one that is shorter or longer is refused, whatever it hashes to.

use crate::error::LedgerError;
use crate::prove::check_sizes;
use crate::tree::{Hash, empty_root, hash_children};

/// Verifies that the leaf with this hash is number `index` in the tree of `size` leaves.
///
/// # Errors
/// `IndexBeyondSize`, `ProofLength`, `ProofMismatch`.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), LedgerError> {
    if index >= size {
        return Err(LedgerError::IndexBeyondSize { index, size });
    }
    // `path` is fn of the RFC, `last` is sn.
    let (mut path, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(LedgerError::ProofLength);
        }
        if path & 1 == 1 || path == last {
            hash = hash_children(sibling, &hash);
            while path & 1 == 0 && path != 0 {
                (path, last) = (path >> 1, last >> 1);
            }
        } else {
            hash = hash_children(&hash, sibling);
        }
        (path, last) = (path >> 1, last >> 1);
    }
    match last {
        0 if hash == *root => Ok(()),
        0 => Err(LedgerError::ProofMismatch),
        _ => Err(LedgerError::ProofLength),
    }
}

/// Verifies that the tree of `to` leaves begins with the tree of `from` leaves. For equal sizes the proof is empty
/// and the roots are the same.
///
/// # Errors
/// `ConsistencyOfEmpty` from no leaves, `SizesReversed`, `ProofLength`, `ProofMismatch`.
pub fn verify_consistency(
    from: u64,
    to: u64,
    from_root: &Hash,
    to_root: &Hash,
    proof: &[Hash],
) -> Result<(), LedgerError> {
    check_sizes(from, to)?;
    verify_subtree_consistency(0, from, to, from_root, to_root, proof)
}

/// Verifies that the leaf with this hash is number `index` of the tree whose leaves `start` to `end` have this root.
///
/// # Errors
/// `SubtreeInvalid`, `IndexBeyondSize`, `ProofLength`, `ProofMismatch`.
pub fn verify_subtree_inclusion(
    index: u64,
    (start, end): (u64, u64),
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), LedgerError> {
    check_subtree(start, end)?;
    let within = index.checked_sub(start).ok_or(LedgerError::IndexBeyondSize { index, size: end })?;
    verify_inclusion(within, end - start, leaf, proof, root)
}

/// Verifies that leaves `start` to `end` of the tree of `size` leaves have this root.
///
/// An empty subtree is in every tree that reaches to it.
///
/// # Errors
/// `SubtreeInvalid`, `SizesReversed`, `ProofLength`, `ProofMismatch`.
pub fn verify_subtree_consistency(
    start: u64,
    end: u64,
    size: u64,
    subtree_root: &Hash,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), LedgerError> {
    if end > size {
        return Err(LedgerError::SizesReversed { from: end, to: size });
    }
    if start == end {
        return match proof {
            [] if *subtree_root == empty_root() => Ok(()),
            [] => Err(LedgerError::ProofMismatch),
            _ => Err(LedgerError::ProofLength),
        };
    }
    check_subtree(start, end)?;

    // The draft's fn, sn and tn: first and last leaf of the subtree and last of the tree, at the height reached.
    let (mut first, mut last, mut end_of_tree) = (start, end - 1, size - 1);
    while first != last && (last == end_of_tree || last & 1 == 1) {
        (first, last, end_of_tree) = (first >> 1, last >> 1, end_of_tree >> 1);
    }
    let (seed, proof) = match proof.split_first() {
        _ if first == last => (subtree_root, proof),
        Some((seed, rest)) => (seed, rest),
        None => return Err(LedgerError::ProofLength),
    };
    let (mut of_subtree, mut of_tree) = (*seed, *seed);
    for sibling in proof {
        if end_of_tree == 0 {
            return Err(LedgerError::ProofLength);
        }
        if last & 1 == 1 || last == end_of_tree {
            if first < last {
                of_subtree = hash_children(sibling, &of_subtree);
            }
            of_tree = hash_children(sibling, &of_tree);
            while last & 1 == 0 {
                (first, last, end_of_tree) = (first >> 1, last >> 1, end_of_tree >> 1);
            }
        } else {
            of_tree = hash_children(&of_tree, sibling);
        }
        (first, last, end_of_tree) = (first >> 1, last >> 1, end_of_tree >> 1);
    }
    match end_of_tree {
        0 if of_subtree == *subtree_root && of_tree == *root => Ok(()),
        0 => Err(LedgerError::ProofMismatch),
        _ => Err(LedgerError::ProofLength),
    }
}

/// A subtree is one whose start is a multiple of the least power of two that is not below its number of leaves.
fn check_subtree(start: u64, end: u64) -> Result<(), LedgerError> {
    let invalid = LedgerError::SubtreeInvalid { start, end };
    let leaves = end.checked_sub(start).filter(|leaves| *leaves > 0).ok_or(invalid)?;
    // Beyond 2^63 leaves only a start at 0 is a multiple.
    let invalid = LedgerError::SubtreeInvalid { start, end };
    let aligned = leaves.checked_next_power_of_two().map_or(start == 0, |width| start.is_multiple_of(width));
    if aligned { Ok(()) } else { Err(invalid) }
}
