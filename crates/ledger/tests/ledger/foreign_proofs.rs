//! The vectors of transparency-dev/merkle: proofs that hold, and many more that must be refused.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use intelgraph_ledger::{
    Hash, hash_leaf, verify_consistency, verify_inclusion, verify_subtree_consistency,
    verify_subtree_inclusion,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector<Place> {
    #[serde(flatten)]
    place: Place,
    proof: Option<Vec<String>>,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inclusion {
    leaf_idx: u64,
    tree_size: u64,
    root: String,
    leaf_hash: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubtreeInclusion {
    leaf_idx: u64,
    start: u64,
    end: u64,
    root: String,
    leaf_hash: Option<String>,
}

#[derive(Deserialize)]
struct Consistency {
    size1: u64,
    size2: u64,
    root1: String,
    root2: String,
}

#[derive(Deserialize)]
struct SubtreeConsistency {
    start: u64,
    end: u64,
    size: u64,
    root1: String,
    root2: String,
}

/// None where the bytes are no hash: refused, as the type says.
fn hash(text: &str) -> Option<Hash> {
    BASE64.decode(text.as_bytes()).unwrap().try_into().ok()
}

/// Some vectors have words in the place of roots, and ask for no more than whether they are the same.
fn root(text: &str) -> Hash {
    hash(text).unwrap_or_else(|| hash_leaf(text.as_bytes()))
}

/// Runs every vector; gives how many there are, and how many of them had to be refused.
fn check<Place: for<'de> Deserialize<'de>>(
    vectors: &str,
    verify: impl Fn(&Place, &[Hash]) -> Option<bool>,
) -> (usize, usize) {
    let vectors: BTreeMap<String, Vector<Place>> = serde_json::from_str(vectors).unwrap();
    for (name, vector) in &vectors {
        let proof: Option<Vec<_>> = vector.proof.iter().flatten().map(|line| hash(line)).collect();
        let verified = proof.and_then(|proof| verify(&vector.place, &proof)).unwrap_or(false);
        assert_eq!(verified, !vector.want_err, "{name}");
    }
    (vectors.len(), vectors.values().filter(|vector| vector.want_err).count())
}

#[test]
fn of_518_vectors_482_are_refused() {
    let inclusion =
        check(include_str!("../vectors/transparency-dev-merkle/inclusion.json"), |at: &Inclusion, proof| {
            let leaf = hash(at.leaf_hash.as_ref()?)?;
            Some(verify_inclusion(at.leaf_idx, at.tree_size, &leaf, proof, &hash(&at.root)?).is_ok())
        });
    let consistency = check(
        include_str!("../vectors/transparency-dev-merkle/consistency.json"),
        |at: &Consistency, proof| {
            let (old, new) = (root(&at.root1), root(&at.root2));
            Some(verify_consistency(at.size1, at.size2, &old, &new, proof).is_ok())
        },
    );
    let subtree_inclusion = check(
        include_str!("../vectors/transparency-dev-merkle/subtreeinclusion.json"),
        |at: &SubtreeInclusion, proof| {
            let leaf = hash(at.leaf_hash.as_ref()?)?;
            let subtree = (at.start, at.end);
            Some(verify_subtree_inclusion(at.leaf_idx, subtree, &leaf, proof, &hash(&at.root)?).is_ok())
        },
    );
    let subtree_consistency = check(
        include_str!("../vectors/transparency-dev-merkle/subtreeconsistency.json"),
        |at: &SubtreeConsistency, proof| {
            let (subtree, tree) = (root(&at.root1), root(&at.root2));
            Some(verify_subtree_consistency(at.start, at.end, at.size, &subtree, &tree, proof).is_ok())
        },
    );
    let all = [inclusion, consistency, subtree_inclusion, subtree_consistency];
    assert_eq!(all, [(98, 92), (98, 92), (204, 192), (118, 106)]);
    assert_eq!(all.iter().fold((0, 0), |(all, bad), (a, b)| (all + a, bad + b)), (518, 482));
}
