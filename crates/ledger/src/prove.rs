//! Proofs, computed from tiles (RFC 9162 §2.1.3.1 and §2.1.4.1; RFC 6962 §2.1.1 and §2.1.2).
//!
//! A [`ProofPlan`] is made first and tells which tiles it takes, so that they can be read at once, from wherever they
//! are: at most two a level.

use crate::error::LedgerError;
use crate::tile::Tile;
use crate::tile_set::{Node, TileSet};
use crate::tree::{Hash, root_of_peaks};

/// The hashes that a proof consists of, before they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofPlan {
    size: u64,
    /// Ranges of leaves, first and end, in the order of the proof.
    ranges: Vec<(u64, u64)>,
}

impl ProofPlan {
    /// The proof that leaf `index` is in the tree of `size` leaves.
    ///
    /// # Errors
    /// `IndexBeyondSize`.
    pub fn inclusion(index: u64, size: u64) -> Result<Self, LedgerError> {
        if index >= size {
            return Err(LedgerError::IndexBeyondSize { index, size });
        }
        let (mut begin, mut end, mut ranges) = (0, size, Vec::new());
        while end - begin > 1 {
            let middle = begin + split(end - begin);
            if index < middle {
                ranges.push((middle, end));
                end = middle;
            } else {
                ranges.push((begin, middle));
                begin = middle;
            }
        }
        ranges.reverse();
        Ok(Self { size, ranges })
    }

    /// The proof that the tree of `to` leaves begins with the one of `from` leaves.
    ///
    /// # Errors
    /// `ConsistencyOfEmpty` from no leaves, of which nothing can be proven; `SizesReversed`.
    pub fn consistency(from: u64, to: u64) -> Result<Self, LedgerError> {
        check_sizes(from, to)?;
        let (mut begin, mut end, mut ranges) = (0, to, Vec::new());
        while end != from {
            let middle = begin + split(end - begin);
            if from <= middle {
                ranges.push((middle, end));
                end = middle;
            } else {
                ranges.push((begin, middle));
                begin = middle;
            }
        }
        // What begins at 0 is the old tree itself, whose root the verifier has.
        if begin > 0 {
            ranges.push((begin, end));
        }
        ranges.reverse();
        Ok(Self { size: to, ranges })
    }

    /// The tiles to read, each once.
    pub fn tiles(&self) -> Vec<Tile> {
        let mut tiles: Vec<_> = self
            .ranges
            .iter()
            .flat_map(|range| peaks(*range))
            .filter_map(|node| node.tile(self.size))
            .collect();
        tiles.sort_unstable();
        tiles.dedup();
        tiles
    }

    /// The proof.
    ///
    /// # Errors
    /// `TileMissing`.
    pub fn prove(&self, tiles: &TileSet) -> Result<Vec<Hash>, LedgerError> {
        self.ranges
            .iter()
            .map(|range| {
                let roots = peaks(*range).map(|node| tiles.node(node)).collect::<Result<Vec<_>, _>>()?;
                Ok(root_of_peaks(&roots))
            })
            .collect()
    }
}

/// Refuses sizes between which there is no consistency proof.
pub(crate) fn check_sizes(from: u64, to: u64) -> Result<(), LedgerError> {
    match from {
        _ if from > to => Err(LedgerError::SizesReversed { from, to }),
        0 => Err(LedgerError::ConsistencyOfEmpty),
        _ => Ok(()),
    }
}

/// The largest power of two below `leaves`, which are at least two.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// The complete subtrees that a range consists of, the largest first. A range of a proof begins at a multiple of the
/// largest.
fn peaks((begin, end): (u64, u64)) -> impl Iterator<Item = Node> {
    let leaves = end - begin;
    let heights = (0..u64::BITS).rev().filter(move |height| leaves >> height & 1 == 1);
    heights.scan(begin, |at, height| {
        let node = Node { height, index: *at >> height };
        *at = at.wrapping_add(1 << height);
        Some(node)
    })
}
