//! Whatever is done to the files of a log is found, and named by file and entry.

use std::fs;

use intelgraph_ledger::{Checkpoint, Hash, Tile, TileKind, hash_leaf};
use intelgraph_verify::{Checked, Directory, Finding, MAX_FINDINGS, Reason, check_log};

use crate::directory::{Log, ORIGIN, entry};

/// 256 × 256 + 256 + 3: full tiles of two levels, partial ones of three, and partial ones from before.
const SIZES: [u64; 5] = [100, 256, 300, 65_700, 65_795];

fn check(log: &Log, live: bool) -> Checked {
    let checkpoint = fs::read(log.path().join("checkpoint")).unwrap();
    let (checkpoint, _) = Checkpoint::open(&checkpoint, &[log.vkey()]).unwrap();
    check_log(&Directory::open(log.path()).unwrap(), &checkpoint, live, &mut |_| ())
}

fn findings(log: &Log) -> Vec<Finding> {
    check(log, false).findings.into_sorted().0
}

/// The only finding.
fn finding(log: &Log) -> Finding {
    let mut found = findings(log);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn a_log_as_it_was_written_has_no_findings() {
    for sizes in [&[][..], &[0], &[1], &[255], &[256], &[257], &[100, 256, 300, 512, 700], &SIZES] {
        let log = Log::of_sizes(sizes);
        let mut progress = 0;
        let (checkpoint, _) = Checkpoint::open(&log.checkpoint(), &[log.vkey()]).unwrap();
        let directory = Directory::open(log.path()).unwrap();
        let checked = check_log(&directory, &checkpoint, false, &mut |done| progress = done);
        assert_eq!(checked.findings.into_sorted().0, []);
        assert_eq!((progress, checked.beyond), (log.writer.size(), 0));
        // All but the checkpoint were read, to the last byte.
        let files = log.files();
        let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        let checkpoint = log.checkpoint().len();
        assert_eq!((checked.files as usize, checked.bytes as usize), (files.len() - 1, bytes - checkpoint));
    }
}

/// The reasons for which a file may be named when it was altered, and where the first entry lies that is told.
fn check_named(path: &str, at: usize, found: &Finding) {
    let tile: Tile = path.parse().unwrap();
    assert_eq!(found.file, path, "byte {at}: {found:?}");
    let index = found.index.unwrap();
    let within = match tile.kind() {
        TileKind::Entries => at as u64 / (2 + entry(0).len() as u64),
        TileKind::Hashes(_) => at as u64 / 32,
    };
    let leaves = match tile.kind() {
        TileKind::Entries => 1,
        TileKind::Hashes(level) => 256_u64.pow(level.into()),
    };
    assert_eq!(index, tile.first_leaf() + within * leaves, "{path}, byte {at}: {found:?}");
}

#[test]
fn every_altered_byte_of_every_file_is_found_and_named() {
    let log = Log::of_sizes(&[3, 7, 256, 258, 261]);
    for (path, bytes) in log.files() {
        if path == "checkpoint" {
            continue;
        }
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1 << (at % 8);
            log.write(&path, &altered);
            check_named(&path, at, &finding(&log));
        }
        log.write(&path, &bytes);
    }
    assert_eq!(findings(&log), []);
}

#[test]
fn every_altered_byte_of_a_checkpoint_is_found() {
    let log = Log::of_sizes(&[3]);
    let genuine = log.checkpoint();
    for at in 0..genuine.len() {
        for bit in 0..8 {
            let mut altered = genuine.clone();
            altered[at] ^= 1 << bit;
            assert!(Checkpoint::open(&altered, &[log.vkey()]).is_err(), "byte {at}, bit {bit}");
        }
        assert!(Checkpoint::open(&genuine[..at], &[log.vkey()]).is_err(), "cut at {at}");
    }
}

#[test]
fn a_file_that_is_cut_or_longer_is_found_and_named() {
    let log = Log::of_sizes(&[3, 7, 256, 258, 261]);
    for (path, bytes) in log.files() {
        if path == "checkpoint" {
            continue;
        }
        for length in (0..bytes.len()).filter(|length| length % 31 < 3 || bytes.len() - length < 3) {
            log.write(&path, &bytes[..length]);
            assert_eq!(finding(&log).file, path, "cut to {length}");
        }
        for more in [&[0][..], &[0, 0], &[0; 32], &bytes] {
            log.write(&path, &[&bytes, more].concat());
            assert_eq!(finding(&log).file, path, "with {} bytes more", more.len());
        }
        log.write(&path, &bytes);
    }
}

#[test]
fn altered_files_of_a_log_of_three_levels_are_named() {
    let log = Log::of_sizes(&SIZES);
    for path in [
        "tile/1/000",
        "tile/1/001.p/1",
        "tile/2/000.p/1",
        "tile/0/000",
        "tile/0/255",
        "tile/0/256",
        "tile/0/257.p/3",
        "tile/entries/000",
        "tile/entries/200",
        "tile/entries/257.p/3",
        "tile/0/000.p/100",
        "tile/entries/000.p/100",
        "tile/0/256.p/164",
        "tile/entries/256.p/164",
        "tile/1/000.p/1",
    ] {
        let bytes = fs::read(log.path().join(path)).unwrap();
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut altered = bytes.clone();
            altered[at] ^= 0x40;
            log.write(path, &altered);
            check_named(path, at, &finding(&log));
        }
        log.write(path, &bytes);
    }
}

#[test]
fn a_missing_file_is_found() {
    let log = Log::of_sizes(&SIZES);
    for path in
        ["tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1", "tile/0/007", "tile/0/257.p/3", "tile/entries/007"]
    {
        let bytes = fs::read(log.path().join(path)).unwrap();
        fs::remove_file(log.path().join(path)).unwrap();
        let tile: Tile = path.parse().unwrap();
        let found = finding(&log);
        assert_eq!((found.reason, found.file.as_str()), (Reason::FileMissing, path));
        assert_eq!(found.index, Some(tile.first_leaf()));
        log.write(path, &bytes);
    }
    // What a log may delete is not missed.
    fs::remove_file(log.path().join("tile/0/000.p/100")).unwrap();
    fs::remove_dir_all(log.path().join("tile/1/000.p")).unwrap();
    assert_eq!(findings(&log), []);
}

#[test]
fn a_file_too_many_is_found() {
    let log = Log::of_sizes(&[300]);
    let strange = [
        ("tile/0/002", Reason::FileBeyondCheckpoint),
        ("tile/0/001", Reason::FileBeyondCheckpoint),
        ("tile/0/001.p/45", Reason::FileBeyondCheckpoint),
        ("tile/entries/001.p/45", Reason::FileBeyondCheckpoint),
        ("tile/1/000.p/2", Reason::FileBeyondCheckpoint),
        ("tile/2/000.p/1", Reason::FileBeyondCheckpoint),
        ("tile/63/000", Reason::FileBeyondCheckpoint),
        ("tile/0/000.p/256", Reason::FileUnexpected),
        ("tile/0/000.p/0", Reason::FileUnexpected),
        ("tile/0/000.p/07", Reason::FileUnexpected),
        ("tile/0/0000", Reason::FileUnexpected),
        ("tile/64/000", Reason::FileUnexpected),
        ("tile/entries/000.tmp", Reason::FileUnexpected),
        ("checkpoint.old", Reason::FileUnexpected),
        ("more/checkpoint", Reason::FileUnexpected),
    ];
    for (path, reason) in strange {
        log.write(path, b"x");
        let found = finding(&log);
        assert_eq!((found.reason, found.file.as_str()), (reason, path));
        fs::remove_file(log.path().join(path)).unwrap();
    }
    std::os::unix::fs::symlink("checkpoint", log.path().join("link")).unwrap();
    assert_eq!((finding(&log).reason, finding(&log).file.as_str()), (Reason::FileUnexpected, "link"));
}

#[test]
fn a_tile_in_another_ones_place_is_found() {
    let log = Log::of_sizes(&[600]);
    for kind in ["0", "entries"] {
        let [one, other] = ["000", "001"].map(|index| format!("tile/{kind}/{index}"));
        let [first, second] = [&one, &other].map(|path| fs::read(log.path().join(path)).unwrap());
        log.write(&one, &second);
        log.write(&other, &first);
        let found: Vec<_> = findings(&log).into_iter().map(|finding| finding.file).collect();
        assert_eq!(found, [one.as_str(), other.as_str()]);
        log.write(&one, &first);
        log.write(&other, &second);
    }
}

#[test]
fn a_forger_who_makes_all_tiles_agree_is_found_by_the_checkpoint() {
    let log = Log::of_sizes(&[600]);
    let genuine = fs::read(log.path().join("checkpoint")).unwrap();
    // Another log of that size, under this log's signed checkpoint.
    let mut forged = Log::of_sizes(&[]);
    let new: Vec<_> =
        (0..600).map(|index| if index == 7 { b"forged".to_vec() } else { entry(index) }).collect();
    for file in forged.writer.append(&new).unwrap() {
        forged.write(&file.tile.to_string(), &file.bytes);
    }
    forged.write("checkpoint", &genuine);
    let found = finding(&forged);
    assert_eq!((found.reason, found.file.as_str()), (Reason::RootDiffers, "checkpoint"));

    // With the genuine right edge back in its place, what is wrong is known more closely.
    for path in ["tile/1/000.p/2", "tile/0/002.p/88"] {
        forged.write(path, &fs::read(log.path().join(path)).unwrap());
    }
    let found = finding(&forged);
    assert_eq!(
        (found.reason, found.file.as_str(), found.index),
        (Reason::TileAltered, "tile/0/000", Some(0))
    );
    forged.write("tile/0/000", &fs::read(log.path().join("tile/0/000")).unwrap());
    let found = finding(&forged);
    assert_eq!((found.reason, found.file.as_str()), (Reason::EntryAltered, "tile/entries/000"));
    assert_eq!(found.index, Some(7));
}

#[test]
fn two_faults_are_both_told() {
    let log = Log::of_sizes(&SIZES);
    let alter = |path: &str, at: usize| {
        let mut bytes = fs::read(log.path().join(path)).unwrap();
        bytes[at] ^= 1;
        log.write(path, &bytes);
    };
    alter("tile/0/003", 7 * 32);
    alter("tile/entries/200", 2);
    let told: Vec<_> =
        findings(&log).into_iter().map(|found| (found.reason, found.file, found.index)).collect();
    assert_eq!(
        told,
        [
            (Reason::TileAltered, "tile/0/003".to_owned(), Some(3 * 256 + 7)),
            (Reason::EntryAltered, "tile/entries/200".to_owned(), Some(200 * 256)),
        ]
    );
    // Where an altered tile hides which of two below it is right, they are told to disagree.
    alter("tile/1/000", 0);
    let told = findings(&log);
    let differs = |file: &str, index| {
        told.iter().any(|found| {
            found.reason == Reason::TileDiffers && found.file == file && found.index == Some(index)
        })
    };
    assert!(differs("tile/0/003", 3 * 256 + 7) && differs("tile/0/200", 200 * 256), "{told:?}");
    // Where nothing vouches for either, both are suspects.
    let log = Log::of_sizes(&[300]);
    for path in ["tile/0/001.p/44", "tile/entries/001.p/44"] {
        let mut bytes = fs::read(log.path().join(path)).unwrap();
        bytes[2] ^= 1;
        log.write(path, &bytes);
    }
    let found: Vec<_> = findings(&log).into_iter().map(|finding| (finding.file, finding.reason)).collect();
    assert_eq!(
        found,
        [("checkpoint".to_owned(), Reason::RootDiffers), ("tile/0/001.p/44".to_owned(), Reason::TileDiffers),]
    );
}

#[test]
fn a_live_log_may_be_ahead_of_its_checkpoint() {
    let mut log = Log::of_sizes(&[300]);
    log.append_to(700);
    assert!(findings(&log).iter().all(|finding| finding.reason == Reason::FileBeyondCheckpoint));
    // Full tiles may have taken the place of the partial ones.
    fs::remove_file(log.path().join("tile/0/001.p/44")).unwrap();
    fs::remove_file(log.path().join("tile/entries/001.p/44")).unwrap();
    log.write("tile/0/.002.4711", b"half");
    let checked = check(&log, true);
    assert_eq!(checked.findings.into_sorted().0, []);
    assert!(checked.beyond >= 6);

    let mut bundle = fs::read(log.path().join("tile/entries/001")).unwrap();
    bundle[2] ^= 1;
    log.write("tile/entries/001", &bundle);
    let found = check(&log, true).findings.into_sorted().0;
    assert_eq!((found[0].reason, found[0].index, found.len()), (Reason::EntryAltered, Some(256), 1));
}

#[test]
fn findings_are_bounded() {
    let log = Log::of_sizes(&[3]);
    for number in 0..MAX_FINDINGS + 7 {
        log.write(&format!("strange/{number}"), b"");
    }
    let (kept, left_out) = check(&log, false).findings.into_sorted();
    assert_eq!((kept.len(), left_out), (MAX_FINDINGS, 7));
}

#[test]
fn a_checkpoint_of_more_entries_than_there_can_be_is_done_with_soon() {
    let log = Log::of_sizes(&[3]);
    for size in [1 << 40, u64::MAX] {
        log.write("checkpoint", &log.sign(&Checkpoint::new(ORIGIN, size, [7; 32])));
        let checked = check(&log, false);
        assert!(checked.ended_early && checked.findings.are_full());
    }
}

#[test]
fn a_bundle_of_other_entries_with_the_same_bytes_is_found() {
    // Moving a length: [2][ab][1][c] for [1][a][2][bc].
    let mut log = Log::of_sizes(&[]);
    for file in log.writer.append(&[b"a".as_slice(), b"bc"]).unwrap() {
        log.write(&file.tile.to_string(), &file.bytes);
    }
    log.write("checkpoint", &log.checkpoint());
    assert_eq!(findings(&log), []);
    log.write("tile/entries/000.p/2", b"\x00\x02ab\x00\x01c");
    assert_eq!((finding(&log).reason, finding(&log).index), (Reason::EntryAltered, Some(0)));
    let hashes: [Hash; 2] = [hash_leaf(b"ab"), hash_leaf(b"c")];
    log.write("tile/0/000.p/2", hashes.concat().as_slice());
    assert_eq!(finding(&log).reason, Reason::RootDiffers);
}
