//! The tile writer against the tree of all entries at once.

use std::collections::BTreeMap;

use intelgraph_ledger::{
    FULL_WIDTH, LedgerError, MAX_ENTRY_LEN, Tile, TileFile, TileKind, TileWriter, entries_of_width,
};
use proptest::prelude::*;

use crate::reference::{entry, leaf_hash, leaves, tree_head};

/// A log's directory.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Writes entries up to these sizes, one append each.
pub fn write(sizes: &[usize]) -> (TileWriter, Files) {
    let (mut writer, mut files) = (TileWriter::new(), Files::new());
    let mut at = 0;
    for &size in sizes {
        let new: Vec<_> = (at..size).map(entry).collect();
        store(&mut files, writer.append(&new).unwrap());
        at = size;
    }
    (writer, files)
}

fn store(files: &mut Files, new: Vec<TileFile>) {
    for TileFile { tile, bytes } in new {
        let before = files.insert(tile.to_string(), bytes);
        assert_eq!(before, None, "{tile} was written before");
    }
}

pub fn reader(files: &Files) -> impl FnMut(&str) -> Result<Option<Vec<u8>>, LedgerError> {
    |path| Ok(files.get(path).cloned())
}

/// The files of a log written in one go: tlog-tiles, "Merkle Tree", written down as it stands there.
fn tiles_of(size: usize) -> Files {
    let all = leaves(size);
    let mut files = Files::new();
    for level in 0.. {
        let below = 1 << (8 * level);
        let hashes: Vec<_> = all.chunks_exact(below).map(tree_head).collect();
        if hashes.is_empty() {
            break;
        }
        for (index, hashes) in (0..).zip(hashes.chunks(256)) {
            let tile = Tile::of_tree(TileKind::Hashes(level as u8), index, size as u64).unwrap();
            assert_eq!(usize::from(tile.width()), hashes.len());
            files.insert(tile.to_string(), hashes.concat());
        }
    }
    for (index, first) in (0..).zip((0..size).step_by(256)) {
        let tile = Tile::of_tree(TileKind::Entries, index, size as u64).unwrap();
        let mut bundle = Vec::new();
        for entry in (first..size.min(first + 256)).map(entry) {
            bundle.extend_from_slice(&(entry.len() as u16).to_be_bytes());
            bundle.extend_from_slice(&entry);
        }
        files.insert(tile.to_string(), bundle);
    }
    files
}

fn is_of_tree(path: &str, size: u64) -> bool {
    let tile: Tile = path.parse().unwrap();
    Tile::of_tree(tile.kind(), tile.index(), size) == Some(tile)
}

#[test]
fn one_append_writes_the_whole_tree() {
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 1000, 65_535, 65_536, 65_537, 70_000] {
        let (writer, files) = write(&[size]);
        assert_eq!(files, tiles_of(size), "{size}");
        assert_eq!((writer.size(), writer.root()), (size as u64, tree_head(&leaves(size))), "{size}");
    }
}

#[test]
fn a_level_is_written_where_it_grew() {
    let (mut writer, _) = write(&[300]);
    let written: Vec<_> =
        writer.append(&[entry(300)]).unwrap().iter().map(|file| file.tile.to_string()).collect();
    assert_eq!(written, ["tile/entries/001.p/45", "tile/0/001.p/45"]);
    let (mut writer, _) = write(&[511]);
    let written: Vec<_> =
        writer.append(&[entry(511)]).unwrap().iter().map(|file| file.tile.to_string()).collect();
    assert_eq!(written, ["tile/entries/001", "tile/0/001", "tile/1/000.p/2"]);
    assert_eq!(writer.append::<Vec<u8>>(&[]).unwrap(), []);
}

#[test]
fn what_was_refused_was_not_added() {
    let (mut writer, _) = write(&[300]);
    let (size, root) = (writer.size(), writer.root());
    let refused = writer.append(&[vec![], vec![7; MAX_ENTRY_LEN + 1]]).unwrap_err();
    assert_eq!(refused, LedgerError::EntryTooLong { at: 1, length: MAX_ENTRY_LEN + 1 });
    let refused = writer.append_prefixed(&[0, 1, 7, 0, 2, 7]).unwrap_err();
    assert_eq!(refused, LedgerError::BundleCutShort { entries: 1 });
    assert_eq!((writer.size(), writer.root()), (size, root));
    writer.append(&[vec![7; MAX_ENTRY_LEN]]).unwrap();
}

#[test]
fn a_clone_goes_on_by_itself() {
    let (writer, _) = write(&[300]);
    let mut clone = writer.clone();
    clone.append(&[entry(300)]).unwrap();
    assert_eq!((writer.size(), clone.size()), (300, 301));
    assert_eq!(writer.root(), tree_head(&leaves(300)));
}

#[test]
fn a_log_is_gone_on_with_at_any_size() {
    let (_, whole) = write(&[1030]);
    let all = leaves(1030);
    for size in (0..=1030).filter(|size| size % 7 == 0 || (size + 3) % 256 < 6) {
        let root = tree_head(&all[..size]);
        let files = tiles_of(size);
        let mut resumed = TileWriter::resume(size as u64, &root, reader(&files)).unwrap();
        // Partial tiles may have been replaced by full ones.
        let from_full = TileWriter::resume(size as u64, &root, |path| {
            Ok::<_, LedgerError>(whole.get(path).or_else(|| files.get(path)).cloned())
        })
        .unwrap();
        assert_eq!((resumed.size(), resumed.root()), (size as u64, root));
        assert_eq!(from_full.root(), root);

        let rest: Vec<_> = (size..1030).map(entry).collect();
        let written = resumed.append(&rest).unwrap();
        for file in written {
            assert_eq!(whole[&file.tile.to_string()], file.bytes, "{} from {size}", file.tile);
        }
        assert_eq!(resumed.root(), tree_head(&all));
        let read: Vec<_> = TileWriter::tiles_to_resume(size as u64).map(|tile| tile.to_string()).collect();
        assert!(read.iter().all(|path| files.contains_key(path)) && read.len() <= 3, "{read:?}");
    }
}

#[test]
fn a_log_is_not_gone_on_with_from_altered_tiles() {
    // 256² + 3 × 256 + 2: a partial tile at each of three levels.
    let size = 66_306;
    let files = tiles_of(size);
    let root = tree_head(&leaves(size));
    let resume = |files: &Files| TileWriter::resume(size as u64, &root, reader(files));
    assert!(resume(&files).is_ok());
    for tile in TileWriter::tiles_to_resume(size as u64) {
        let path = tile.to_string();
        let mut missing = files.clone();
        missing.remove(&path);
        assert_eq!(resume(&missing).unwrap_err(), LedgerError::TileMissing { path: path.clone() });
        for at in 0..files[&path].len() {
            let mut altered = files.clone();
            altered.get_mut(&path).unwrap()[at] ^= 1;
            let refused = resume(&altered).unwrap_err();
            assert!(
                matches!(
                    (tile.kind(), &refused),
                    (TileKind::Hashes(_), LedgerError::RootMismatch { .. })
                        | (
                            TileKind::Entries,
                            LedgerError::EntryMismatch { .. }
                                | LedgerError::BundleCutShort { .. }
                                | LedgerError::BundleWidth { .. }
                        )
                ),
                "{path} {at}: {refused}"
            );
        }
        for length in [0, files[&path].len() - 1, files[&path].len() + 1] {
            let mut altered = files.clone();
            altered.get_mut(&path).unwrap().resize(length, 0);
            assert!(resume(&altered).is_err(), "{path} of {length}");
        }
    }
    let refused = TileWriter::resume(size as u64, &[0; 32], reader(&files)).unwrap_err();
    assert_eq!(refused, LedgerError::RootMismatch { size: size as u64 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn in_any_parts_the_log_is_the_same(
        mut sizes in prop::collection::vec(0_usize..1500, 1..8),
        prefixed in any::<bool>(),
    ) {
        sizes.sort_unstable();
        let size = sizes[sizes.len() - 1];
        let (mut writer, mut files) = (TileWriter::new(), Files::new());
        let mut at = 0;
        for &size in &sizes {
            let new: Vec<_> = (at..size).map(entry).collect();
            let written = if prefixed {
                let mut buffer = Vec::new();
                for entry in &new {
                    buffer.extend_from_slice(&(entry.len() as u16).to_be_bytes());
                    buffer.extend_from_slice(entry);
                }
                writer.append_prefixed(&buffer).unwrap()
            } else {
                writer.append(&new).unwrap()
            };
            store(&mut files, written);
            at = size;
            prop_assert_eq!(writer.root(), tree_head(&leaves(size)));
            // Whoever has the checkpoint of this size finds all of its tiles.
            let expected = tiles_of(size);
            for (path, bytes) in &expected {
                prop_assert_eq!(files.get(path), Some(bytes), "{}", path);
            }
        }
        // The rest are partial tiles of the sizes before.
        let expected = tiles_of(size);
        for path in files.keys().filter(|path| !expected.contains_key(*path)) {
            prop_assert!(sizes.iter().any(|size| is_of_tree(path, *size as u64)), "{}", path);
        }
    }

    #[test]
    fn bundles_hold_the_entries(size in 1_usize..600) {
        let (_, files) = write(&[size]);
        for (path, bytes) in files.iter().filter(|(path, _)| path.starts_with("tile/entries")) {
            let tile: Tile = path.parse().unwrap();
            let first = tile.index() * u64::from(FULL_WIDTH);
            for (at, read) in (first as usize..).zip(entries_of_width(bytes, tile.width()).unwrap()) {
                prop_assert_eq!(leaf_hash(read), leaf_hash(&entry(at)));
            }
        }
    }
}
