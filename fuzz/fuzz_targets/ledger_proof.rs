//! Foreign bytes as proof files, and as proofs. A proof that verifies against a genuine root is the genuine proof.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use intelgraph_ledger::{
    ConsistencyFile, Hash, InclusionFile, LedgerError, ProofPlan, TileSet, TileWriter, hash_leaf,
    verify_consistency, verify_inclusion, verify_subtree_consistency, verify_subtree_inclusion,
};
use libfuzzer_sys::fuzz_target;

const SIZE: u64 = 300;

struct Log {
    /// The root of each size.
    roots: Vec<Hash>,
    files: BTreeMap<String, Vec<u8>>,
}

static LOG: LazyLock<Log> = LazyLock::new(|| {
    let (mut writer, mut roots, mut files) = (TileWriter::new(), Vec::new(), BTreeMap::new());
    for number in 0..SIZE {
        roots.push(writer.root());
        let written = writer.append(&[entry(number)]).expect("short entries");
        files.extend(written.into_iter().map(|file| (file.tile.to_string(), file.bytes)));
    }
    roots.push(writer.root());
    Log { roots, files }
});

fn entry(number: u64) -> String {
    number.to_string()
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = InclusionFile::parse(bytes) {
        assert_eq!(file.to_bytes(), bytes);
    }
    if let Ok(file) = ConsistencyFile::parse(bytes) {
        assert_eq!(file.to_bytes(), bytes);
    }
    let Some((numbers, hashes)) = bytes.split_first_chunk::<24>() else { return };
    let [first, second, third] = [0, 8, 16].map(|at| {
        u64::from_be_bytes(numbers[at..at + 8].try_into().expect("eight bytes"))
    });
    let (proof, rest) = hashes.as_chunks::<32>();
    holds_anywhere(first, second, third, proof);
    if rest.is_empty() {
        holds_if_genuine(first, second, third, proof);
    }
});

/// Any numbers, any hashes: an answer.
fn holds_anywhere(first: u64, second: u64, third: u64, proof: &[Hash]) {
    let hash = proof.first().copied().unwrap_or([7; 32]);
    let _ = verify_inclusion(first, second, &hash, proof, &hash);
    let _ = verify_consistency(first, second, &hash, &hash, proof);
    let _ = verify_subtree_inclusion(first, (second, third), &hash, proof, &hash);
    let _ = verify_subtree_consistency(first, second, third, &hash, &hash, proof);
}

/// In a genuine log, a proof is changed by what was given: `proof` is XORed over the genuine one, and cut or extended.
fn holds_if_genuine(first: u64, second: u64, third: u64, change: &[Hash]) {
    let log = &*LOG;
    let size = first % SIZE + 1;
    let (index, from) = (second % size, second % size + 1);
    let root = &log.roots[size as usize];
    for (plan, is_inclusion) in
        [(ProofPlan::inclusion(index, size), true), (ProofPlan::consistency(from, size), false)]
    {
        let plan = plan.expect("within the size");
        let read = |path: &str| Ok::<_, LedgerError>(log.files.get(path).cloned());
        let genuine = plan.prove(&TileSet::read(plan.tiles(), read).expect("tiles")).expect("tiles");
        let mut altered = genuine.clone();
        altered.resize(genuine.len().saturating_add_signed((third % 5) as isize - 2), [0; 32]);
        for (hash, change) in altered.iter_mut().zip(change) {
            hash.iter_mut().zip(change).for_each(|(byte, change)| *byte ^= change);
        }
        let verified = if is_inclusion {
            verify_inclusion(index, size, &hash_leaf(entry(index).as_bytes()), &altered, root)
        } else {
            verify_consistency(from, size, &log.roots[from as usize], root, &altered)
        };
        assert_eq!(verified.is_ok(), altered == genuine, "{index} {from} of {size}");
    }
}
