//! What retention does to a log: a kept version gets a snapshot where the versions that it leans on go, and the
//! leaves of what goes are kept as subtree hashes.
//!
//! Neither touches a leaf: a snapshot lies beside the change, and a removed row's leaf is a node of the tree still.

use intelgraph_envelope::{Context, DekId, Keystore, Purpose, TenantId, Tick};
use intelgraph_temporal::{Hash, Head, Stretch, write_snapshot};
use zeroize::Zeroizing;

use crate::copy::{self, HEADER, OpenField, Reader, TRAILER};
use crate::error::PipelineError;
use crate::opening::{Fields, Opener, Row, Rows, keys_of, rebuild_chain};

/// Columns of a snapshot that waits to be put beside its change.
pub const ANCHOR_COLUMNS: [&str; 3] = ["tenant_id", "seq", "snapshot"];
/// Columns of a removed range.
pub const RANGE_COLUMNS: [&str; 4] = ["tenant_id", "last_seq", "first_seq", "nodes"];

/// Bytes of a leaf of a removed row: `seq`, then the leaf.
const REMOVED_LEAF: usize = 8 + 32;
/// What sealing a snapshot takes beside the document.
const SEAL_BYTES: usize = 256;

/// The data keys that the chains in `rows`, of ten fields, need to be opened, each once.
///
/// # Errors
/// [`PipelineError::Unreadable`].
pub fn chain_keys(rows: &[u8]) -> Result<Vec<DekId>, PipelineError> {
    Ok(keys_of(&Rows::all(rows, Fields::Head)?))
}

/// A binary COPY stream of [`ANCHOR_COLUMNS`]: for each chain in `rows` a sealed snapshot of what its last row led
/// to. Rows have ten fields; a chain is one entity's rows from a base on, and chains follow each other.
///
/// # Errors
/// [`PipelineError::Corrupt`] for a chain that does not rebuild, [`PipelineError::Unreadable`],
/// [`PipelineError::Key`].
pub fn anchors(
    rows: &[u8],
    keystore: &Keystore,
    tenant: TenantId,
    dataset: &str,
    now: Tick,
) -> Result<Vec<u8>, PipelineError> {
    let rows = Rows::all(rows, Fields::Head)?;
    let mut opener = Opener::new(keystore, tenant, now);
    let seed = opener.seed()?;
    let mut kept: Vec<(Row<'_>, Option<Head>)> = Vec::new();
    for chain in rows.chunk_by(|before, row| before.entity == row.entity) {
        let Some(last) = chain.last() else { continue };
        kept.push((*last, rebuild_chain(chain, dataset, &mut opener, seed)?.head));
    }
    let length = |head: &Option<Head>| head.as_ref().map_or(0, |head| head.json().len()) + SEAL_BYTES;
    let bytes: usize = kept.iter().map(|(_, head)| length(head)).sum();
    let mut seal = keystore.reserve(tenant, kept.len() as u64, bytes as u64, now)?;
    let mut out = HEADER.to_vec();
    let mut plaintext = Zeroizing::new(Vec::new());
    for (row, head) in &kept {
        // Emptied and filled within its capacity: growing would leave a copy of a document behind.
        plaintext.clear();
        if plaintext.capacity() < length(head) {
            plaintext = Zeroizing::new(Vec::with_capacity(length(head)));
        }
        write_snapshot(head.as_ref(), &mut plaintext);
        let context = Context {
            tenant,
            dataset,
            entity: &row.entity,
            purpose: Purpose::Snapshot,
            version: u64::from(row.version),
            op: row.operation.number(),
            valid_at: row.valid_at,
        };
        copy::row(&mut out, ANCHOR_COLUMNS.len() as i16);
        copy::field(&mut out, tenant.as_bytes());
        copy::field(&mut out, &row.seq.to_be_bytes());
        let field = OpenField::open(&mut out);
        seal.seal(&context, &plaintext, &mut out)?;
        field.close(&mut out);
    }
    out.extend_from_slice(&TRAILER);
    Ok(out)
}

/// A binary COPY stream of [`RANGE_COLUMNS`]: the removed rows of a tenant, each `seq` and leaf (40 bytes together), in
/// any order, as one range for those that follow each other.
///
/// # Errors
/// [`PipelineError::Unreadable`] if the bytes are not such rows, or one is there twice.
pub fn removed_ranges(tenant: TenantId, leaves: &[u8]) -> Result<Vec<u8>, PipelineError> {
    let (rows, []) = leaves.as_chunks::<REMOVED_LEAF>() else {
        return Err(PipelineError::Unreadable { row: 0 });
    };
    let mut rows: Vec<(u64, Hash)> = rows
        .iter()
        .map(|row| {
            let (seq, leaf) = row.split_at(8);
            let seq = u64::from_be_bytes(seq.try_into().unwrap_or_default());
            (seq, leaf.try_into().unwrap_or_default())
        })
        .collect();
    rows.sort_unstable_by_key(|(seq, _)| *seq);
    let mut ranges: Vec<Stretch> = Vec::new();
    for (number, (seq, leaf)) in rows.iter().enumerate() {
        let index =
            seq.checked_sub(1).filter(|index| ranges.last().is_none_or(|range| range.end() <= *index));
        let index = index.ok_or(PipelineError::Unreadable { row: number as u32 })?;
        if ranges.last().is_none_or(|range| range.end() < index) {
            ranges.push(Stretch::starting_at(index));
        }
        if let Some(range) = ranges.last_mut() {
            range.push(*leaf);
        }
    }
    Ok(copied(tenant, &ranges))
}

/// Ranges, with those that follow each other made one.
#[derive(Debug)]
pub struct Merged {
    /// A binary COPY stream of [`RANGE_COLUMNS`].
    pub rows: Vec<u8>,
    /// How many ranges there were, and how many there are.
    pub counts: (u64, u64),
    /// The last change of the last one; 0 without any.
    pub last_seq: u64,
}

/// Makes one range of those that follow each other. `ranges` are rows of three fields, in order: first and last
/// change, and hashes.
///
/// # Errors
/// [`PipelineError::Unreadable`] if they are not ranges in order.
pub fn merge_ranges(tenant: TenantId, ranges: &[u8]) -> Result<Merged, PipelineError> {
    let mut merged: Vec<Stretch> = Vec::new();
    let mut count = 0;
    for range in RemovedRanges::new(ranges) {
        let unreadable = PipelineError::Unreadable { row: count as u32 };
        let stretch = range?.stretch.ok_or(unreadable)?;
        count += 1;
        if !merged.last_mut().is_some_and(|last| last.append(&stretch)) {
            merged.push(stretch);
        }
    }
    let last_seq = merged.last().map_or(0, Stretch::end);
    Ok(Merged { rows: copied(tenant, &merged), counts: (count, merged.len() as u64), last_seq })
}

fn copied(tenant: TenantId, ranges: &[Stretch]) -> Vec<u8> {
    let mut out = HEADER.to_vec();
    for range in ranges {
        copy::row(&mut out, RANGE_COLUMNS.len() as i16);
        copy::field(&mut out, tenant.as_bytes());
        copy::field(&mut out, &range.end().to_be_bytes());
        copy::field(&mut out, &(range.first() + 1).to_be_bytes());
        copy::field(&mut out, &range.to_bytes());
    }
    out.extend_from_slice(&TRAILER);
    out
}

/// A range of a tenant's log whose rows retention removed.
#[derive(Debug)]
pub(crate) struct RemovedRange {
    pub first_seq: u64,
    pub last_seq: u64,
    /// What stands for the rows; `None` where the hashes are not those of so many leaves.
    pub stretch: Option<Stretch>,
}

/// Reads ranges from rows of three fields: first and last change, and hashes.
pub(crate) struct RemovedRanges<'a> {
    copy: Reader<'a>,
    number: u32,
}

impl<'a> RemovedRanges<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { copy: Reader::new(bytes), number: 0 }
    }

    fn range(&mut self) -> Option<Option<RemovedRange>> {
        if !self.copy.next_row(3)? {
            return Some(None);
        }
        let first_seq = u64::from_be_bytes(self.copy.fixed()?);
        let last_seq = u64::from_be_bytes(self.copy.fixed()?);
        let nodes = self.copy.field()??;
        self.number += 1;
        let first = first_seq.checked_sub(1)?;
        let stretch = Stretch::from_bytes(first, last_seq, nodes).ok();
        Some(Some(RemovedRange { first_seq, last_seq, stretch }))
    }
}

impl Iterator for RemovedRanges<'_> {
    type Item = Result<RemovedRange, PipelineError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.range() {
            Some(range) => range.map(Ok),
            None => Some(Err(PipelineError::Unreadable { row: self.number })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantId = TenantId::from_bytes([7; 16]);

    fn leaves(seqs: &[u64]) -> Vec<u8> {
        seqs.iter().flat_map(|seq| [&seq.to_be_bytes()[..], &[*seq as u8; 32]].concat()).collect()
    }

    /// First and last change of each range in a COPY stream, and its rows as a query answers them.
    fn read_back(copied: &[u8]) -> (Vec<(u64, u64)>, Vec<u8>) {
        let (mut ranges, mut answer) = (vec![], HEADER.to_vec());
        let mut copy = Reader::new(copied);
        while copy.next_row(4).expect("a row or the end") {
            assert_eq!(copy.fixed::<16>(), Some(*TENANT.as_bytes()));
            let last: [u8; 8] = copy.fixed().expect("last_seq");
            let first: [u8; 8] = copy.fixed().expect("first_seq");
            let nodes = copy.field().expect("a field").expect("nodes");
            ranges.push((u64::from_be_bytes(first), u64::from_be_bytes(last)));
            copy::row(&mut answer, 3);
            [&first[..], &last, nodes].iter().for_each(|field| copy::field(&mut answer, field));
        }
        (ranges, answer)
    }

    #[test]
    fn rows_in_any_order_make_ranges_and_ranges_that_meet_make_one() {
        let removed = removed_ranges(TENANT, &leaves(&[9, 2, 3, 1, 7, 6])).expect("rows");
        let (ranges, answer) = read_back(&removed);
        assert_eq!(ranges, [(1, 3), (6, 7), (9, 9)]);
        let merged = merge_ranges(TENANT, &answer).expect("ranges");
        assert_eq!((merged.counts, merged.last_seq), ((3, 3), 9), "none follows another");

        let (_, between) = read_back(&removed_ranges(TENANT, &leaves(&[4, 5])).expect("rows"));
        let split = HEADER.len() + (answer.len() - HEADER.len()) - row_bytes(1) - row_bytes(2);
        let all = [&answer[..split], &between[HEADER.len()..], &answer[split..]].concat();
        let merged = merge_ranges(TENANT, &all).expect("ranges");
        let whole = removed_ranges(TENANT, &leaves(&[1, 2, 3, 4, 5, 6, 7, 9])).expect("rows");
        assert_eq!((merged.counts, merged.rows), ((4, 2), whole));
    }

    /// Bytes of a row of three fields of a range with so many subtrees.
    fn row_bytes(nodes: usize) -> usize {
        2 + 3 * 4 + 2 * 8 + 32 * nodes
    }

    #[test]
    fn what_is_no_row_or_no_range_is_refused() {
        for bytes in [leaves(&[1, 1]), leaves(&[0]), leaves(&[1])[1..].to_vec()] {
            assert!(matches!(removed_ranges(TENANT, &bytes), Err(PipelineError::Unreadable { .. })));
        }
        let (_, mut answer) = read_back(&removed_ranges(TENANT, &leaves(&[1, 2])).expect("rows"));
        answer.truncate(answer.len() - 1);
        assert!(matches!(merge_ranges(TENANT, &answer), Err(PipelineError::Unreadable { row: 0 })));
        assert!(merge_ranges(TENANT, b"").expect("no ranges").rows.ends_with(&TRAILER));
    }
}
