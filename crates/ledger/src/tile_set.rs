//! Tiles that were read, and the nodes of the tree in them.
//!
//! A log may have replaced a partial tile by the full one (tlog-tiles, "Partial Tiles"): where a partial one is not
//! there the full one is asked for, and its beginning taken.

use std::collections::HashMap;

use crate::bundle::{entries, entries_of_width};
use crate::error::LedgerError;
use crate::tile::{TILE_HEIGHT, Tile, TileKind};
use crate::tree::{Hash, root_of};

/// A complete subtree: 2^height leaves from leaf index × 2^height on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) height: u32,
    pub(crate) index: u64,
}

impl Node {
    /// The level of the tile that it is computed from, and its first hash there; and how many there are.
    fn place(self) -> (u8, u64, usize) {
        let within = self.height % TILE_HEIGHT;
        ((self.height / TILE_HEIGHT) as u8, self.index << within, 1 << within)
    }

    /// The tile that it is computed from, in a tree of `size` leaves; none where that tree does not have the node.
    pub(crate) fn tile(self, size: u64) -> Option<Tile> {
        let (level, first, _) = self.place();
        Tile::of_tree(TileKind::Hashes(level), first >> TILE_HEIGHT, size)
    }
}

/// Hash tiles of one tree.
#[derive(Clone, Debug, Default)]
pub struct TileSet(HashMap<(TileKind, u64), Vec<Hash>>);

impl TileSet {
    /// Reads hash tiles; `read` gives the bytes at a path, or none where there are none.
    ///
    /// # Errors
    /// `TileMissing`, `TileMalformed`; what `read` says.
    pub fn read<E: From<LedgerError>>(
        tiles: impl IntoIterator<Item = Tile>,
        mut read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Self, E> {
        let mut set = HashMap::new();
        for tile in tiles {
            let (found, bytes) = read_tile(tile, &mut read)?;
            let mut hashes = found.hashes(&bytes)?;
            hashes.truncate(usize::from(tile.width()));
            set.insert((tile.kind(), tile.index()), hashes);
        }
        Ok(Self(set))
    }

    /// The hashes of a tile.
    ///
    /// # Errors
    /// `TileMissing`.
    pub(crate) fn hashes(&self, tile: Tile) -> Result<&[Hash], LedgerError> {
        self.0
            .get(&(tile.kind(), tile.index()))
            .map(Vec::as_slice)
            .ok_or_else(|| LedgerError::TileMissing { path: tile.to_string() })
    }

    /// The hash of a node.
    ///
    /// # Errors
    /// `TileMissing`.
    pub(crate) fn node(&self, node: Node) -> Result<Hash, LedgerError> {
        let (level, first, count) = node.place();
        let tile = self.0.get(&(TileKind::Hashes(level), first >> TILE_HEIGHT));
        let at = (first % 256) as usize;
        let hashes = tile.and_then(|hashes| hashes.get(at..at + count)).ok_or_else(|| {
            LedgerError::TileMissing { path: format!("tile/{level}, hash {first} and {count} on") }
        })?;
        Ok(root_of(hashes.iter().copied()))
    }
}

/// Reads an entry bundle, cut to the width of `tile`.
///
/// # Errors
/// `TileMissing`, `BundleCutShort`, `BundleWidth`; what `read` says.
pub(crate) fn read_bundle<E: From<LedgerError>>(
    tile: Tile,
    read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
) -> Result<Vec<u8>, E> {
    let (found, mut bytes) = read_tile(tile, read)?;
    entries_of_width(&bytes, found.width())?;
    let mut length = 0;
    for entry in entries(&bytes).take(usize::from(tile.width())) {
        length += 2 + entry?.len();
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn read_tile<E: From<LedgerError>>(
    tile: Tile,
    mut read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
) -> Result<(Tile, Vec<u8>), E> {
    if let Some(bytes) = read(&tile.to_string())? {
        return Ok((tile, bytes));
    }
    if tile.is_partial()
        && let Some(bytes) = read(&tile.filled().to_string())?
    {
        return Ok((tile.filled(), bytes));
    }
    Err(LedgerError::TileMissing { path: tile.to_string() }.into())
}
