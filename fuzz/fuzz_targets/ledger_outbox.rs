//! Foreign bytes as what the ledger's outbox holds. What is taken becomes rows that hold exactly those bytes, each behind
//! its index and time; a replay of the same commitments gives the same rows.
#![no_main]

use intelgraph_pipeline::ledger_outbox::{Replay, sequence};
use libfuzzer_sys::fuzz_target;

/// Count, index and time with their lengths: what stands before an entry's own fields, in place of its count.
const BEFORE: usize = 2 + 4 + 8 + 4 + 8;
const HEADER: usize = 19;

fuzz_target!(|packed: &[u8]| {
    let Ok(sequenced) = sequence(packed, 7, 1) else {
        assert!(Replay::new([(1, packed)]).is_err());
        return;
    };
    let (commitments, rest) = sequenced.commitments.as_chunks::<64>();
    assert!(rest.is_empty());
    let written = sequenced.rows.len() - HEADER - 2;
    assert_eq!(written, packed.len() + commitments.len() * (BEFORE - 2));

    let mut sorted = commitments.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    // Of two entries with the same commitments only one can be found again.
    if sorted.len() == commitments.len() {
        let mut replay = Replay::new([(1, packed)]).expect("it was sequenced");
        assert_eq!(replay.rows(commitments, 7, 1), sequenced.rows);
        assert_eq!(replay.emptied(), Some(if packed.is_empty() { vec![] } else { vec![1] }));
    }
});
