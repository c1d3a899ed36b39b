//! The tiles that entries add to a log.

use crate::bundle::{MAX_ENTRY_LEN, entries, push_entry};
use crate::error::LedgerError;
use crate::tile::{FULL_WIDTH, TILE_HEIGHT, Tile, TileKind};
use crate::tile_set::{TileSet, read_bundle};
use crate::tree::{Frontier, Hash, hash_leaf, root_of};

/// A file of the log directory: its path and its bytes. It never changes once its tree has a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileFile {
    /// Where it lies.
    pub tile: Tile,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// The right edge of a log: the tree's frontier, and what of the partial tiles is there so far.
///
/// It holds at most 256 hashes a level and 256 entries. A clone is the place to return to when what was written from
/// it did not commit.
#[derive(Clone, Debug, Default)]
pub struct TileWriter {
    frontier: Frontier,
    /// The hashes of the partial tile of each level, the lowest first.
    levels: Vec<Vec<Hash>>,
    /// The partial entry bundle.
    bundle: Vec<u8>,
}

impl TileWriter {
    /// The writer of an empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tiles that [`resume`](Self::resume) reads for a tree of this size.
    pub fn tiles_to_resume(size: u64) -> impl Iterator<Item = Tile> {
        Tile::partial_of_tree(size)
    }

    /// Goes on at the end of the log whose tree has this size and root. `read` gives the bytes at a path, or none
    /// where there are none; a partial tile may have been replaced by the full one.
    ///
    /// # Errors
    /// `TileMissing`, `TileMalformed`, `BundleCutShort`, `BundleWidth`; `RootMismatch` where the tiles are not those
    /// of the root, `EntryMismatch` where an entry is not that of its leaf; what `read` says.
    pub fn resume<E: From<LedgerError>>(
        size: u64,
        root: &Hash,
        mut read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Self, E> {
        let (bundles, tiles): (Vec<_>, Vec<_>) =
            Tile::partial_of_tree(size).partition(|tile| tile.kind() == TileKind::Entries);
        let tiles_read = TileSet::read(tiles.iter().copied(), &mut read)?;
        let mut levels = Vec::new();
        for tile in &tiles {
            let TileKind::Hashes(level) = tile.kind() else { continue };
            levels.resize(usize::from(level) + 1, Vec::new());
            levels[usize::from(level)] = tiles_read.hashes(*tile)?.to_vec();
        }
        let frontier = frontier_of_levels(size, &levels)?;
        if frontier.root() != *root {
            return Err(LedgerError::RootMismatch { size }.into());
        }

        let bundle = match bundles.first() {
            Some(tile) => read_bundle(*tile, &mut read)?,
            None => Vec::new(),
        };
        let first = size - size % u64::from(FULL_WIDTH);
        for ((entry, leaf), index) in entries(&bundle).zip(levels.first().into_iter().flatten()).zip(first..)
        {
            if hash_leaf(entry?) != *leaf {
                return Err(LedgerError::EntryMismatch { index }.into());
            }
        }
        Ok(Self { frontier, levels, bundle })
    }

    /// Entries in the log.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root of its tree.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Adds entries. Gives the files to write: each tile and bundle that became full, then the partial ones that
    /// grew. They are in the order in which a reader may find them: no tile before what it was made of.
    ///
    /// # Errors
    /// `EntryTooLong`; then nothing was added.
    pub fn append<E: AsRef<[u8]>>(&mut self, new: &[E]) -> Result<Vec<TileFile>, LedgerError> {
        let too_long = new.iter().position(|entry| entry.as_ref().len() > MAX_ENTRY_LEN);
        if let Some(at) = too_long {
            return Err(LedgerError::EntryTooLong { at: at as u64, length: new[at].as_ref().len() });
        }
        Ok(self.append_checked(new.iter().map(E::as_ref)))
    }

    /// Adds entries that stand in one buffer, each after its length as a big-endian `u16`: the form of a bundle,
    /// with any number of them.
    ///
    /// # Errors
    /// `BundleCutShort`; then nothing was added.
    pub fn append_prefixed(&mut self, new: &[u8]) -> Result<Vec<TileFile>, LedgerError> {
        let new = entries(new).collect::<Result<Vec<_>, _>>()?;
        Ok(self.append_checked(new.into_iter()))
    }

    fn append_checked<'a>(&mut self, new: impl Iterator<Item = &'a [u8]>) -> Vec<TileFile> {
        let Self { frontier, levels, bundle } = self;
        let mut files = Vec::new();
        let mut grown = 0;
        for entry in new {
            push_entry(bundle, entry);
            let size = frontier.size() + 1;
            if size.is_multiple_of(u64::from(FULL_WIDTH)) {
                files.extend(file(TileKind::Entries, size, std::mem::take(bundle)));
            }
            frontier.push_with(hash_leaf(entry), |height, root| {
                if !height.is_multiple_of(TILE_HEIGHT) {
                    return;
                }
                let level = (height / TILE_HEIGHT) as usize;
                if levels.len() == level {
                    levels.push(Vec::with_capacity(usize::from(FULL_WIDTH)));
                }
                grown = grown.max(level + 1);
                let hashes = &mut levels[level];
                hashes.push(*root);
                if hashes.len() == usize::from(FULL_WIDTH) {
                    files.extend(file(TileKind::Hashes(level as u8), size, hashes.concat()));
                    hashes.clear();
                }
            });
        }
        if grown > 0 {
            files.extend(self.edge(grown));
        }
        files
    }

    /// The partial tiles and the partial bundle as they are now: with the full ones, all that the tree consists of.
    pub fn partial_files(&self) -> Vec<TileFile> {
        self.edge(self.levels.len()).collect()
    }

    /// The partial bundle, and the partial tiles of so many levels.
    fn edge(&self, levels: usize) -> impl Iterator<Item = TileFile> {
        let size = self.size();
        let hashes = (0..).zip(&self.levels[..levels]);
        file(TileKind::Entries, size, self.bundle.clone()).into_iter().chain(
            hashes.filter_map(move |(level, hashes)| file(TileKind::Hashes(level), size, hashes.concat())),
        )
    }
}

/// The last tile of a kind in a tree of `size` leaves; none for no bytes, since there are no empty tiles.
fn file(kind: TileKind, size: u64, bytes: Vec<u8>) -> Option<TileFile> {
    let level = match kind {
        TileKind::Entries => 0,
        TileKind::Hashes(level) => u32::from(level),
    };
    let last = (size >> (TILE_HEIGHT * level)).checked_sub(1)? / u64::from(FULL_WIDTH);
    if bytes.is_empty() { None } else { Some(TileFile { tile: Tile::of_tree(kind, last, size)?, bytes }) }
}

/// The frontier of the tree whose partial tiles have these hashes, the lowest level first; a level that has no partial
/// tile has none.
///
/// # Errors
/// `RootMismatch` where no tree of `size` leaves has as many.
pub fn frontier_of_levels(size: u64, levels: &[Vec<Hash>]) -> Result<Frontier, LedgerError> {
    let mut peaks = Vec::new();
    for hashes in levels.iter().rev() {
        let mut hashes = hashes.as_slice();
        while !hashes.is_empty() {
            let (complete, rest) = hashes.split_at(1 << hashes.len().ilog2());
            peaks.push(root_of(complete.iter().copied()));
            hashes = rest;
        }
    }
    Frontier::from_peaks(size, peaks).ok_or(LedgerError::RootMismatch { size })
}
