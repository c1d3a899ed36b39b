//! Foreign bytes as paths of tiles, as entry bundles, as leaves, and laid over the files of a log that is gone on with.
//! Each form has one spelling, and a log is gone on with from its own files only.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use intelgraph_ledger::{
    Frontier, Hash, LedgerError, MAX_ENTRY_LEN, Tile, TileWriter, entries, leaf, parse_leaf,
};
use libfuzzer_sys::fuzz_target;

const SIZE: u64 = 700;

static LOG: LazyLock<(Hash, BTreeMap<String, Vec<u8>>)> = LazyLock::new(|| {
    let mut writer = TileWriter::new();
    let new: Vec<_> = (0..SIZE).map(|number| number.to_string().repeat(3)).collect();
    let files = writer.append(&new).expect("short entries");
    let edge: Vec<_> = TileWriter::tiles_to_resume(SIZE).collect();
    let files = files.into_iter().filter(|file| edge.contains(&file.tile));
    (writer.root(), files.map(|file| (file.tile.to_string(), file.bytes)).collect())
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(path) = std::str::from_utf8(bytes)
        && let Ok(tile) = path.parse::<Tile>()
    {
        assert_eq!(tile.to_string(), path);
        assert!(tile.filled().to_string().parse::<Tile>() == Ok(tile.filled()) && tile.width() <= 256);
    }
    if let Ok(read) = entries(bytes).collect::<Result<Vec<_>, _>>() {
        let mut written = Vec::new();
        for entry in &read {
            assert!(entry.len() <= MAX_ENTRY_LEN);
            written.extend_from_slice(&(entry.len() as u16).to_be_bytes());
            written.extend_from_slice(entry);
        }
        assert_eq!(written, bytes);
        // The same entries, one way or the other, are the same log.
        let (mut one, mut other) = (TileWriter::new(), TileWriter::new());
        assert_eq!(one.append(&read).expect("short entries"), other.append_prefixed(bytes).expect("entries"));
        assert_eq!(one.root(), other.root());
    }
    if let Ok((header, payload)) = parse_leaf(bytes) {
        assert_eq!(leaf(&header, &payload), bytes);
    }
    if let Ok(frontier) = Frontier::from_bytes(bytes) {
        assert_eq!(frontier.to_bytes(), bytes);
    }
    resumes_if_genuine(bytes);
});

/// The first byte chooses a file, the second a place in it; the rest is XORed over it.
fn resumes_if_genuine(bytes: &[u8]) {
    let [which, place, patch @ ..] = bytes else { return };
    let (root, genuine) = &*LOG;
    let mut files = genuine.clone();
    let Some(file) = files.values_mut().nth(usize::from(*which) % genuine.len()) else { return };
    let start = usize::from(*place) % file.len();
    file[start..].iter_mut().zip(patch).for_each(|(byte, change)| *byte ^= change);
    let resumed = TileWriter::resume(SIZE, root, |path| Ok::<_, LedgerError>(files.get(path).cloned()));
    assert_eq!(resumed.is_ok(), files == *genuine);
}
