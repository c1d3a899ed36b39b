//! Every file of a log against its checkpoint.
//!
//! The checkpoint's root is what is trusted. The tiles at the right edge are trusted where they lead to that root; a
//! tile below where its hashes lead to the one that a trusted tile holds for it; an entry where its leaf hash is the
//! one in a trusted tile. So of a tile and an entry that disagree it is known which was altered. Below a tile that is
//! not trusted, hashes are computed from the entries upwards until they meet trust again.
//!
//! Tiles are visited in the order of the entries, and one of each level is in memory.

use intelgraph_ledger::{
    Checkpoint, FULL_WIDTH, Hash, Tile, TileKind, entries, frontier_of_levels, hash_leaf, root_of,
};

use crate::directory::Directory;
use crate::finding::{Findings, Reason};

/// What a check has looked at, and found.
#[derive(Debug, Default)]
pub struct Checked {
    /// What is wrong.
    pub findings: Findings,
    /// Files that were read.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Files of a larger tree than the checkpoint's, which are not looked into.
    pub beyond: u64,
    /// Whether the entries were not looked at to the end, since more findings would not be kept: a checkpoint may
    /// speak of more entries than can be missed one by one.
    pub ended_early: bool,
}

/// Checks that a directory holds the log of this checkpoint, and nothing else.
///
/// `live` is for the directory of a log that is being written: files of a tree that has no checkpoint yet, and those
/// whose name begins with a dot, are counted only, and a partial tile may have been replaced by the full one. `progress` is told how many entries are done.
pub fn check_log(
    directory: &Directory,
    checkpoint: &Checkpoint,
    live: bool,
    progress: &mut dyn FnMut(u64),
) -> Checked {
    let mut check = Check { directory, size: checkpoint.size, live, progress, checked: Checked::default() };
    check.tree(&checkpoint.root);
    check.names();
    check.checked
}

struct Check<'a> {
    directory: &'a Directory,
    size: u64,
    live: bool,
    progress: &'a mut dyn FnMut(u64),
    checked: Checked,
}

/// The hashes that a tile should have, each where it is known.
type Below = Vec<Option<Hash>>;

impl Check<'_> {
    fn find(&mut self, reason: Reason, file: impl ToString, index: Option<u64>, what: impl Into<String>) {
        self.checked.findings.add(reason, file, index, what);
    }

    /// Finds the files that a log of this size does not have.
    fn names(&mut self) {
        let mut strange = Findings::default();
        let mut beyond = 0;
        let walked = self.directory.walk(&mut |path, is_regular| {
            let tile = path.parse::<Tile>().ok();
            let largest = tile.map(|tile| Tile::of_tree(tile.kind(), tile.index(), self.size));
            match (tile, largest) {
                _ if !is_regular => {
                    strange.add(
                        Reason::FileUnexpected,
                        path,
                        None,
                        "it is no regular file; a log has no others",
                    );
                }
                _ if path == "checkpoint" => (),
                (Some(tile), Some(Some(largest))) if tile.width() <= largest.width() => (),
                (Some(_), _) if self.live => beyond += 1,
                // A file is written under such a name before it gets its own.
                (None, _)
                    if self.live && path.rsplit('/').next().is_some_and(|name| name.starts_with('.')) =>
                {
                    beyond += 1;
                }
                (Some(tile), _) => {
                    let what = format!("a tree of {} entries has no such file; remove it", self.size);
                    strange.add(Reason::FileBeyondCheckpoint, path, Some(tile.first_leaf()), what);
                }
                (None, _) => {
                    strange.add(Reason::FileUnexpected, path, None, "it is no file of a log; remove it");
                }
            }
        });
        self.checked.beyond = beyond;
        self.checked.findings.append(strange);
        if let Err(error) = walked {
            self.find(Reason::FileUnreadable, "", None, format!("a folder cannot be read: {error}"));
        }
    }

    /// Checks the right edge of the tree, and all below it.
    fn tree(&mut self, root: &Hash) {
        let tiles: Vec<_> =
            Tile::partial_of_tree(self.size).filter(|tile| tile.kind() != TileKind::Entries).collect();
        let stored: Vec<_> = tiles.iter().map(|tile| self.hashes(*tile)).collect();
        let complete: Option<Vec<_>> = stored.iter().cloned().collect();
        let trusted = complete.is_some_and(|stored| self.leads_to(&tiles, stored, root));

        // The highest level reaches the first entries.
        let mut below: Vec<_> = Vec::new();
        for (tile, stored) in tiles.iter().zip(&stored).rev() {
            let hashes = self.below(*tile, stored.as_deref(), trusted);
            below.push(if trusted { stored.clone() } else { hashes.into_iter().collect() });
        }
        below.reverse();
        for (tile, good) in tiles.iter().zip(&below) {
            self.partials_before(*tile, good.as_deref());
        }
        if trusted {
            return;
        }
        let known: Option<Vec<_>> = below.iter().cloned().collect();
        let holds = known.is_some_and(|below| self.leads_to(&tiles, below, root));
        for ((tile, stored), below) in tiles.iter().zip(&stored).zip(&below) {
            if let (Some(stored), Some(below)) = (stored, below) {
                self.compare(*tile, stored, below, holds);
            }
        }
        if !holds {
            let what = "the entries are not those that this checkpoint was signed over; compare with a copy of the log";
            self.find(Reason::RootDiffers, "checkpoint", None, what);
        }
    }

    /// Whether partial tiles with these hashes are those of the root.
    fn leads_to(&self, tiles: &[Tile], hashes: Vec<Vec<Hash>>, root: &Hash) -> bool {
        let mut levels = Vec::new();
        for (tile, hashes) in tiles.iter().zip(hashes) {
            let TileKind::Hashes(level) = tile.kind() else { continue };
            levels.resize(usize::from(level) + 1, Vec::new());
            levels[usize::from(level)] = hashes;
        }
        frontier_of_levels(self.size, &levels).is_ok_and(|frontier| frontier.root() == *root)
    }

    /// Checks a full tile and all below it; gives the root of its subtree, where that can be told. `expected` is what a
    /// trusted tile has for it.
    fn full(&mut self, tile: Tile, expected: Option<Hash>) -> Option<Hash> {
        if self.checked.findings.are_full() {
            self.checked.ended_early = true;
            return expected;
        }
        let stored = self.hashes(tile);
        let root = stored.as_ref().map(|hashes| root_of(hashes.iter().copied()));
        let trusted = expected.is_some() && root == expected;
        let below = self.below(tile, stored.as_deref(), trusted);
        if trusted {
            self.partials_before(tile, stored.as_deref());
            return expected;
        }

        let below: Option<Vec<_>> = below.into_iter().collect();
        self.partials_before(tile, below.as_deref());
        let computed = below.as_ref().map(|hashes| root_of(hashes.iter().copied()));
        let holds = computed.is_some() && computed == expected;
        match (&stored, &below) {
            (Some(stored), Some(below)) if stored == below && expected.is_some() => {
                let what =
                    "it and what lies below it are not what the tree was made of; restore them from a copy";
                self.find(Reason::TileAltered, tile, Some(tile.first_leaf()), what);
            }
            (Some(stored), Some(below)) => self.compare(tile, stored, below, holds),
            (Some(_), None) if expected.is_some() => {
                let what = "it is not what the tree was made of, and what lies below it cannot be read";
                self.find(Reason::TileAltered, tile, Some(tile.first_leaf()), what);
            }
            (None, Some(_)) if expected.is_some() && !holds => {
                let what = "it is missing, and what lies below it is not what the tree was made of";
                self.find(Reason::TileDiffers, tile, Some(tile.first_leaf()), what);
            }
            _ => (),
        }
        computed.or(expected)
    }

    /// Compares a tile that is not trusted with what lies below it. `holds` is whether that is trusted.
    fn compare(&mut self, tile: Tile, stored: &[Hash], below: &[Hash], holds: bool) {
        let Some(at) = stored.iter().zip(below).position(|(stored, below)| stored != below) else { return };
        let index = leaves_below(tile, at);
        let (reason, what) = if holds {
            (
                Reason::TileAltered,
                format!("hash {at} in it is not that of what lies below; restore it from a copy"),
            )
        } else {
            (
                Reason::TileDiffers,
                format!("hash {at} in it and what lies below it disagree; compare with a copy"),
            )
        };
        self.find(reason, tile, Some(index), what);
    }

    /// Checks what lies below a tile, and gives the hashes that it should have.
    fn below(&mut self, tile: Tile, stored: Option<&[Hash]>, trusted: bool) -> Below {
        let TileKind::Hashes(level) = tile.kind() else { return Vec::new() };
        let Some(level) = level.checked_sub(1) else { return self.bundle(tile, stored, trusted) };
        let first = tile.index() * u64::from(FULL_WIDTH);
        (0..usize::from(tile.width()))
            .map(|at| {
                let child = Tile::of_tree(TileKind::Hashes(level), first + at as u64, self.size)?;
                let expected = if trusted { stored.map(|stored| stored[at]) } else { None };
                self.full(child, expected)
            })
            .collect()
    }

    /// Checks the bundle of a tile of the lowest level.
    fn bundle(&mut self, tile: Tile, stored: Option<&[Hash]>, trusted: bool) -> Below {
        let first = tile.first_leaf();
        let width = usize::from(tile.width());
        let unknown = || match stored {
            Some(stored) => stored.iter().copied().map(Some).collect(),
            None => vec![None; width],
        };
        let Some(bundle) = Tile::of_tree(TileKind::Entries, tile.index(), self.size) else {
            return unknown();
        };
        let Some((found, bytes)) = self.read(bundle) else { return unknown() };
        let mut hashes: Vec<_> = entries(&bytes).map_while(Result::ok).map(hash_leaf).collect();
        let is_whole =
            entries(&bytes).all(|entry| entry.is_ok()) && hashes.len() == usize::from(found.width());
        let whole = hashes.len();
        hashes.truncate(width);
        (self.progress)(first + width as u64);

        let trusted = stored.filter(|_| trusted);
        let altered =
            trusted.and_then(|stored| hashes.iter().zip(stored).position(|(hash, stored)| hash != stored));
        if let Some(at) = altered {
            let what = "the entry is not the one that the tree was made of; restore the bundle from a copy";
            self.find(Reason::EntryAltered, bundle, Some(first + at as u64), what);
        } else if !is_whole {
            let what =
                format!("it has {whole} whole entries and must have {}, and nothing else", found.width());
            self.find(Reason::BundleMalformed, bundle, Some(first + whole.min(width) as u64), what);
        }
        match trusted {
            Some(stored) => stored.iter().copied().map(Some).collect(),
            None if hashes.len() == width => hashes.into_iter().map(Some).collect(),
            None => unknown(),
        }
    }

    /// Checks the partial tiles, and bundles, that are left from when this one was smaller.
    fn partials_before(&mut self, tile: Tile, good: Option<&[Hash]>) {
        let bundle = Tile::of_tree(TileKind::Entries, tile.index(), self.size)
            .filter(|_| tile.kind() == TileKind::Hashes(0));
        for largest in [Some(tile), bundle].into_iter().flatten() {
            let folder = format!("{}.p", largest.filled());
            let names = match self.directory.names(&folder) {
                Ok(names) => names,
                Err(error) => {
                    self.find(Reason::FileUnreadable, folder, Some(tile.first_leaf()), error.to_string());
                    continue;
                }
            };
            for name in names {
                let Ok(partial) = format!("{folder}/{name}").parse::<Tile>() else { continue };
                if partial.width() < largest.width()
                    && let Some((_, bytes)) = self.read_exactly(partial)
                    && let Some(good) = good
                {
                    self.partial_before(partial, &bytes, &good[..usize::from(partial.width())]);
                }
            }
        }
    }

    fn partial_before(&mut self, partial: Tile, bytes: &[u8], good: &[Hash]) {
        let (hashes, is_whole): (Vec<_>, _) = match partial.kind() {
            TileKind::Entries => (
                entries(bytes).map_while(Result::ok).map(hash_leaf).collect(),
                entries(bytes).all(|entry| entry.is_ok()),
            ),
            TileKind::Hashes(_) => {
                let (hashes, rest) = bytes.as_chunks();
                (hashes.to_vec(), rest.is_empty())
            }
        };
        let differs = hashes.iter().zip(good).position(|(hash, good)| hash != good);
        let differs =
            differs.or((!is_whole || hashes.len() != good.len()).then(|| hashes.len().min(good.len())));
        if let Some(at) = differs {
            let what = format!("from place {at} on it is not the beginning of the later one; remove it");
            self.find(Reason::PartialDiffers, partial, Some(leaves_below(partial, at)), what);
        }
    }

    /// The hashes of a tile; none, and a finding, where it is not one.
    fn hashes(&mut self, tile: Tile) -> Option<Vec<Hash>> {
        let (found, bytes) = self.read(tile)?;
        match found.hashes(&bytes) {
            Ok(mut hashes) => {
                hashes.truncate(usize::from(tile.width()));
                Some(hashes)
            }
            Err(error) => {
                self.find(Reason::TileMalformed, tile, Some(tile.first_leaf()), error.to_string());
                None
            }
        }
    }

    /// The bytes of a file that must be there, or of the full one in its place where the log is live.
    fn read(&mut self, tile: Tile) -> Option<(Tile, Vec<u8>)> {
        let is_there = |tile: Tile| matches!(self.directory.read(&tile.to_string()), Ok(Some(_)));
        if self.live && tile.is_partial() && !is_there(tile) && is_there(tile.filled()) {
            return self.read_exactly(tile.filled());
        }
        self.read_exactly(tile)
    }

    fn read_exactly(&mut self, tile: Tile) -> Option<(Tile, Vec<u8>)> {
        match self.directory.read(&tile.to_string()) {
            Ok(Some(bytes)) => {
                self.checked.files += 1;
                self.checked.bytes += bytes.len() as u64;
                Some((tile, bytes))
            }
            Ok(None) => {
                let what = "it is missing; restore it from a copy";
                self.find(Reason::FileMissing, tile, Some(tile.first_leaf()), what);
                None
            }
            Err(error) => {
                self.find(Reason::FileUnreadable, tile, Some(tile.first_leaf()), error.to_string());
                None
            }
        }
    }
}

/// The first entry below a hash of a tile.
fn leaves_below(tile: Tile, at: usize) -> u64 {
    let leaves = match tile.kind() {
        TileKind::Entries | TileKind::Hashes(0) => 1,
        TileKind::Hashes(level) => 1_u64 << (8 * u32::from(level)),
    };
    tile.first_leaf() + at as u64 * leaves
}
