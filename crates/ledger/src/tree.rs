//! Merkle trees as in RFC 6962 §2.1 (RFC 9162 §2.1.1): hashes, and a tree grown one leaf at a time.

use sha2::{Digest, Sha256};

use crate::stretch::Stretch;

/// A SHA-256 hash: a leaf, a node or a root.
pub type Hash = [u8; 32];

/// The leaf hash of an entry: SHA-256(0x00 ‖ entry).
pub fn hash_leaf(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// The hash of a node: SHA-256(0x01 ‖ left ‖ right).
pub fn hash_children(left: &Hash, right: &Hash) -> Hash {
    let mut node = [1; 65];
    node[1..33].copy_from_slice(left);
    node[33..].copy_from_slice(right);
    Sha256::digest(node).into()
}

/// The root of a tree of no leaves: the hash of nothing.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The root of a tree of these leaf hashes, in order.
pub fn root_of(leaves: impl IntoIterator<Item = Hash>) -> Hash {
    let mut frontier = Frontier::default();
    leaves.into_iter().for_each(|leaf| frontier.push(leaf));
    frontier.root()
}

/// The right edge of a tree: all that is needed to add leaves and to know the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Roots of the complete subtrees that the tree is made of, the largest first: one for each bit of the size.
    peaks: Vec<Hash>,
}

/// Bytes that are no frontier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored frontier has {length} bytes, which is not 8 and 32 for each bit of its size")]
pub struct FrontierError {
    /// How many bytes there are.
    pub length: usize,
}

impl Frontier {
    /// Leaves in the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, |_, _| ());
    }

    /// Adds the next leaf, and tells of each subtree that it completes, the leaf itself first: height and root.
    pub fn push_with(&mut self, leaf: Hash, completed: impl FnMut(u32, &Hash)) {
        self.push_subtree(0, leaf, completed);
    }

    /// Adds the leaves that a stretch stands for. They must be the next ones; `false`, and nothing is added, if
    /// they are not.
    #[must_use]
    pub fn append(&mut self, stretch: &Stretch) -> bool {
        let follows = stretch.first() == self.size;
        if follows {
            stretch.nodes.iter().for_each(|&(height, node)| self.push_subtree(height, node, |_, _| ()));
        }
        follows
    }

    /// Adds a complete subtree of 2^height leaves; the size is a multiple of that.
    fn push_subtree(&mut self, height: u32, root: Hash, mut completed: impl FnMut(u32, &Hash)) {
        let mut node = root;
        completed(height, &node);
        for above in 1..=(self.size >> height).trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = hash_children(&left, &node);
                completed(height + above, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1 << height;
    }

    /// The root; for no leaves the hash of nothing.
    pub fn root(&self) -> Hash {
        root_of_peaks(&self.peaks)
    }

    /// The frontier of a tree of this size with these subtree roots, the largest first; none where their number is
    /// another than that of the bits of the size.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// The stored form: size (8 bytes, big-endian), then the subtree roots, the largest first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        self.peaks.iter().for_each(|peak| bytes.extend_from_slice(peak));
        bytes
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`FrontierError`] where the length does not fit the size.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let error = FrontierError { length: bytes.len() };
        let (size, peaks) = bytes.split_first_chunk().ok_or(error)?;
        let peaks = peaks.chunks(32).map(Hash::try_from).collect::<Result<Vec<_>, _>>().map_err(|_| error)?;
        Self::from_peaks(u64::from_be_bytes(*size), peaks).ok_or(error)
    }
}

/// The root over adjacent complete subtrees, each smaller than the one on its left.
pub(crate) fn root_of_peaks(peaks: &[Hash]) -> Hash {
    let mut peaks = peaks.iter().rev();
    let Some(&last) = peaks.next() else { return empty_root() };
    peaks.fold(last, |right, left| hash_children(left, &right))
}
