//! What stays of leaves that are gone: the roots of the subtrees that they make up.

use crate::tree::{Hash, hash_children};

/// Consecutive leaves, as the roots of the largest complete subtrees of the tree that they make up: what stays of
/// rows that are gone, so that the tree still verifies. Of n leaves these are at most 2 log₂ n hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Index of the first leaf.
    first: u64,
    /// Index after the last one.
    end: u64,
    /// Level and root of each subtree, from left to right.
    pub(crate) nodes: Vec<(u32, Hash)>,
}

/// Bytes that are not the hashes of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes are not the subtrees of the leaves from {first} to {end}")]
pub struct StretchError {
    /// Index of the first leaf.
    pub first: u64,
    /// Index after the last one.
    pub end: u64,
    /// How many bytes there are.
    pub length: usize,
}

impl Stretch {
    /// No leaves yet; the next one has this index.
    pub fn starting_at(index: u64) -> Self {
        Self { first: index, end: index, nodes: vec![] }
    }

    /// Index of the first leaf.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Index after the last leaf.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Adds the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_subtree(0, leaf);
    }

    /// Adds the leaves that follow; `false`, and nothing is added, if they do not follow.
    #[must_use]
    pub fn append(&mut self, next: &Self) -> bool {
        let follows = next.first == self.end;
        if follows {
            next.nodes.iter().for_each(|&(level, node)| self.push_subtree(level, node));
        }
        follows
    }

    fn push_subtree(&mut self, level: u32, root: Hash) {
        let (mut level, mut node) = (level, root);
        self.end += 1 << level;
        while let Some(&(below, left)) = self.nodes.last()
            && below == level
            && self.end.trailing_zeros() > level
        {
            self.nodes.pop();
            node = hash_children(&left, &node);
            level += 1;
        }
        self.nodes.push((level, node));
    }

    /// The stored form: the roots, from left to right. Which subtrees they are the two indexes say.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.nodes.iter().flat_map(|(_, node)| *node).collect()
    }

    /// Reads the stored form of the leaves from `first` to before `end`.
    ///
    /// # Errors
    /// [`StretchError`] where there is no leaf, or not a hash for each subtree.
    pub fn from_bytes(first: u64, end: u64, bytes: &[u8]) -> Result<Self, StretchError> {
        let error = StretchError { first, end, length: bytes.len() };
        let (hashes, []) = bytes.as_chunks::<32>() else { return Err(error) };
        let mut nodes = Vec::with_capacity(hashes.len());
        let mut at = first;
        for hash in hashes {
            if at >= end {
                return Err(error);
            }
            // The largest subtree that begins here and does not go beyond the end.
            let level = at.trailing_zeros().min((end - at).ilog2());
            nodes.push((level, *hash));
            at += 1 << level;
        }
        if at == end && !nodes.is_empty() { Ok(Self { first, end, nodes }) } else { Err(error) }
    }
}
