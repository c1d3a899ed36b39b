//! RFC 9162 §2.1 (RFC 6962 §2.1) written down as it stands there: slow, and with nothing to get wrong.

use intelgraph_ledger::Hash;
use sha2::{Digest, Sha256};

/// MTH({d[0]}) of §2.1.1.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// MTH(D_n) of §2.1.1, over leaf hashes.
pub fn tree_head(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            let (left, right) = (tree_head(left), tree_head(right));
            Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
        }
    }
}

/// PATH(m, D_n) of §2.1.3.1.
pub fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, sibling) = match index.checked_sub(left.len()) {
        None => (path(index, left), tree_head(right)),
        Some(index) => (path(index, right), tree_head(left)),
    };
    path.push(sibling);
    path
}

/// PROOF(m, D_n) of §2.1.4.1.
pub fn proof(from: usize, leaves: &[Hash]) -> Vec<Hash> {
    subproof(from, leaves, true)
}

fn subproof(from: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if from == leaves.len() {
        return if known { Vec::new() } else { vec![tree_head(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, other) = match from.checked_sub(left.len()) {
        None | Some(0) => (subproof(from, left, known), tree_head(right)),
        Some(from) => (subproof(from, right, false), tree_head(left)),
    };
    proof.push(other);
    proof
}

/// The largest power of two below the number of leaves.
fn split(leaves: usize) -> usize {
    leaves.next_power_of_two() / 2
}

/// As many different leaf hashes.
pub fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|number| leaf_hash(&entry(number))).collect()
}

/// The entry with that leaf hash in [`leaves`]; of various lengths, none among them.
pub fn entry(number: usize) -> Vec<u8> {
    number.to_string().repeat(number % 5).into_bytes()
}
