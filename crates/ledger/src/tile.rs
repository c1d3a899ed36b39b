//! Tiles and entry bundles: where they lie (C2SP tlog-tiles, "Merkle Tree", "Partial Tiles", "Log entries").
//!
//! A tile of level *l* and index *n* holds, one after the other, the roots of the subtrees of 256^*l* leaves from
//! leaf *n* × 256^(*l*+1) on. A full one is 256 hashes wide; the rightmost of a level may be partial.

use std::fmt;
use std::str::FromStr;

use crate::error::LedgerError;
use crate::tree::Hash;

/// Hashes in a full tile, entries in a full bundle.
pub const FULL_WIDTH: u16 = 256;
/// Levels of the tree that a tile spans: 2^8 = 256.
pub const TILE_HEIGHT: u32 = 8;
/// The highest level that a path may name.
pub const MAX_LEVEL: u8 = 63;

const HASH_LEN: usize = 32;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// The entries themselves, as an entry bundle.
    Entries,
    /// Hashes of this level.
    Hashes(u8),
}

/// The coordinates of a tile or an entry bundle; prints as its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    kind: TileKind,
    index: u64,
    width: u16,
}

impl Tile {
    /// The tile of a kind with this index in a tree of `size` leaves; none where that tree has no such tile.
    pub fn of_tree(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let before = index.checked_mul(u64::from(FULL_WIDTH))?;
        let left = width_of_level(kind, size).checked_sub(before)?;
        match left.min(u64::from(FULL_WIDTH)) as u16 {
            0 => None,
            width => Some(Self { kind, index, width }),
        }
    }

    /// Every partial tile of a tree of `size` leaves: entries first, then from the lowest level up.
    pub fn partial_of_tree(size: u64) -> impl Iterator<Item = Self> {
        [TileKind::Entries].into_iter().chain((0..8).map(TileKind::Hashes)).filter_map(move |kind| {
            let index = width_of_level(kind, size) / u64::from(FULL_WIDTH);
            Self::of_tree(kind, index, size)
        })
    }

    /// What it holds.
    pub fn kind(&self) -> TileKind {
        self.kind
    }

    /// Its place within its level.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Hashes or entries in it, 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether more can be added to it.
    pub fn is_partial(&self) -> bool {
        self.width < FULL_WIDTH
    }

    /// The same tile, full.
    pub fn filled(&self) -> Self {
        Self { width: FULL_WIDTH, ..*self }
    }

    /// The first leaf that it reaches; the last `u64` where that is beyond.
    pub fn first_leaf(&self) -> u64 {
        let level = match self.kind {
            TileKind::Entries => 0,
            TileKind::Hashes(level) => u32::from(level),
        };
        1_u64
            .checked_shl(TILE_HEIGHT * (level + 1))
            .map_or(if self.index == 0 { 0 } else { u64::MAX }, |leaves| self.index.saturating_mul(leaves))
    }

    /// The hashes in a tile's bytes.
    ///
    /// # Errors
    /// `TileMalformed` unless there are exactly as many as it is wide.
    pub fn hashes(self, bytes: &[u8]) -> Result<Vec<Hash>, LedgerError> {
        let (hashes, rest) = bytes.as_chunks::<HASH_LEN>();
        if hashes.len() == usize::from(self.width) && rest.is_empty() {
            Ok(hashes.to_vec())
        } else {
            let want = usize::from(self.width) * HASH_LEN;
            Err(LedgerError::TileMalformed { path: self.to_string(), length: bytes.len(), want })
        }
    }
}

/// Hashes (or entries) that a whole level has in a tree of `size` leaves.
fn width_of_level(kind: TileKind, size: u64) -> u64 {
    match kind {
        TileKind::Entries => size,
        TileKind::Hashes(level) => size.checked_shr(TILE_HEIGHT * u32::from(level)).unwrap_or(0),
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Entries => f.write_str("tile/entries/")?,
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
        }
        let mut divisor = 1;
        while self.index / divisor >= 1000 {
            divisor *= 1000;
        }
        while divisor > 1 {
            write!(f, "x{:03}/", self.index / divisor % 1000)?;
            divisor /= 1000;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.is_partial() { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for Tile {
    type Err = LedgerError;

    /// Reads a path; only the one form that this tile is written in is taken.
    fn from_str(path: &str) -> Result<Self, LedgerError> {
        let tile = parse(path).ok_or_else(|| LedgerError::tile_path(path))?;
        // Whatever has a second spelling (a leading zero, an element too many) prints otherwise.
        if tile.to_string() == path { Ok(tile) } else { Err(LedgerError::tile_path(path)) }
    }
}

fn parse(path: &str) -> Option<Tile> {
    let (kind, place) = path.strip_prefix("tile/")?.split_once('/')?;
    let kind = match kind {
        "entries" => TileKind::Entries,
        level => TileKind::Hashes(level.parse().ok().filter(|level| *level <= MAX_LEVEL)?),
    };
    let (place, width) = match place.split_once(".p/") {
        None => (place, FULL_WIDTH),
        Some((place, width)) => (place, width.parse().ok().filter(|width| (1..FULL_WIDTH).contains(width))?),
    };
    let mut index = 0_u64;
    for element in place.split('/') {
        let digits = element.strip_prefix('x').unwrap_or(element);
        if digits.len() != 3 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Some(Tile { kind, index, width })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(kind: TileKind, index: u64, width: u16) -> Tile {
        Tile { kind, index, width }
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        for (path, want) in [
            ("tile/0/x001/x234/067", tile(TileKind::Hashes(0), 1_234_067, 256)),
            ("tile/0/273.p/112", tile(TileKind::Hashes(0), 273, 112)),
            ("tile/63/000.p/1", tile(TileKind::Hashes(63), 0, 1)),
            ("tile/entries/x001/000.p/255", tile(TileKind::Entries, 1000, 255)),
            ("tile/entries/999", tile(TileKind::Entries, 999, 256)),
            ("tile/1/x018/x446/x744/x073/x709/x551/615", tile(TileKind::Hashes(1), u64::MAX, 256)),
        ] {
            assert_eq!(path.parse::<Tile>().unwrap(), want);
            assert_eq!(want.to_string(), path);
        }
    }

    #[test]
    fn no_other_spelling_is_a_path() {
        for path in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/64/000",
            "tile/00/000",
            "tile/+1/000",
            "tile/-1/000",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/000",
            "tile/0/x001",
            "tile/0/001/000",
            "tile/0/x001/x000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/+1",
            "tile/0/000.p/",
            "tile/0/000.p/1.p/1",
            "tile/0/000/",
            "/tile/0/000",
            "tile/0/000 ",
            "tile/0/00\u{661}",
            "tile/entry/000",
            "tile/entries/",
            "tile/Entries/000",
            "tile//000",
            "tile/0//000",
            "tile/0/../000",
            "tile/256/000",
            "tile/1/x018/x446/x744/x073/x709/x551/616",
        ] {
            assert_eq!(path.parse::<Tile>(), Err(LedgerError::tile_path(path)), "{path}");
        }
    }

    #[test]
    fn a_tree_has_the_tiles_that_the_specification_counts() {
        // "A tree of size 70,000 will be represented by 273 full level 0 tiles, one partial level 0 tile of width
        // 112, one full level 1 tile, one partial level 1 tile of width 17, and one partial level 2 tile of width 1."
        let size = 70_000;
        let of_tree = |level, index| Tile::of_tree(TileKind::Hashes(level), index, size);
        assert_eq!(of_tree(0, 272).unwrap().width(), 256);
        assert_eq!(of_tree(0, 273).unwrap().width(), 112);
        assert_eq!(of_tree(0, 274), None);
        assert_eq!(of_tree(1, 0).unwrap().width(), 256);
        assert_eq!(of_tree(1, 1).unwrap().width(), 17);
        assert_eq!(of_tree(1, 2), None);
        assert_eq!(of_tree(2, 0).unwrap().width(), 1);
        assert_eq!(of_tree(3, 0), None);
        assert_eq!(of_tree(63, 0), None);
        assert_eq!(of_tree(0, u64::MAX), None);
        let partial: Vec<_> = Tile::partial_of_tree(size).map(|tile| tile.to_string()).collect();
        assert_eq!(
            partial,
            ["tile/entries/273.p/112", "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
        );
        // "A tree of size 256 will be represented by a full level 0 tile and a partial level 1 tile of width 1."
        let partial: Vec<_> = Tile::partial_of_tree(256).map(|tile| tile.to_string()).collect();
        assert_eq!(partial, ["tile/1/000.p/1"]);
        assert_eq!(Tile::of_tree(TileKind::Hashes(0), 0, 256).unwrap().to_string(), "tile/0/000");
        assert_eq!(Tile::partial_of_tree(0).count(), 0);
    }

    #[test]
    fn a_tile_knows_its_first_leaf() {
        assert_eq!(tile(TileKind::Entries, 3, 256).first_leaf(), 768);
        assert_eq!(tile(TileKind::Hashes(1), 3, 1).first_leaf(), 3 * 65_536);
        assert_eq!(tile(TileKind::Hashes(63), 0, 1).first_leaf(), 0);
        assert_eq!(tile(TileKind::Hashes(63), 1, 1).first_leaf(), u64::MAX);
    }

    #[test]
    fn bytes_are_as_many_as_it_is_wide() {
        let two = tile(TileKind::Hashes(0), 0, 2);
        assert_eq!(two.hashes(&[7; 64]).unwrap(), [[7; 32]; 2]);
        for length in [0, 32, 63, 65, 96] {
            assert!(two.hashes(&vec![7; length]).is_err());
        }
    }
}
