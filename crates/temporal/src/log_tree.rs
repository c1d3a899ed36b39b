//! The tree over a tenant's log: RFC 6962 §2.1, grown one leaf at a time.

use sha2::{Digest, Sha256};

use crate::leaf::Hash;

/// The right edge of a tree: all that is needed to add leaves and to know the root.
///
/// The index of a leaf is its row's `seq` less one; the frontier stands in the tenant's clock row.
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

    /// Adds the leaf of the next row.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = parent(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root; for no leaves the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(&last) = peaks.next() else { return Sha256::digest([]).into() };
        peaks.fold(last, |right, left| parent(left, &right))
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
        let size = u64::from_be_bytes(*size);
        let peaks = peaks.chunks(32).map(Hash::try_from).collect::<Result<Vec<_>, _>>().map_err(|_| error)?;
        if peaks.len() == size.count_ones() as usize { Ok(Self { size, peaks }) } else { Err(error) }
    }
}

/// The root of a tree of these leaves, in order.
pub fn root_of(leaves: impl IntoIterator<Item = Hash>) -> Hash {
    let mut frontier = Frontier::default();
    leaves.into_iter().for_each(|leaf| frontier.push(leaf));
    frontier.root()
}

fn parent(left: &Hash, right: &Hash) -> Hash {
    let mut node = [1; 65];
    node[1..33].copy_from_slice(left);
    node[33..].copy_from_slice(right);
    Sha256::digest(node).into()
}
