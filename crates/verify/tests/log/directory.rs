//! Logs in directories of their own.

use std::fs;
use std::path::{Path, PathBuf};

use intelgraph_ledger::{
    Checkpoint, KeyKind, Note, NoteSignature, SigningKey, TileFile, TileWriter, VerifierKey,
};
use tempfile::TempDir;

pub const ORIGIN: &str = "ledger.example/42";

/// A log that is written to a directory.
pub struct Log {
    pub directory: TempDir,
    pub writer: TileWriter,
    key: SigningKey,
}

/// The entry that a log has at an index: short, so that a log is checked once for each byte in little time.
pub fn entry(index: u64) -> Vec<u8> {
    vec![(index % 251) as u8, 0x7f]
}

impl Log {
    /// A log that was appended to up to each of these sizes; the last has a checkpoint.
    pub fn of_sizes(sizes: &[u64]) -> Self {
        let mut log = Self {
            directory: tempfile::tempdir().unwrap(),
            writer: TileWriter::new(),
            key: SigningKey::from_seed(&[1; 32]).unwrap(),
        };
        for &size in sizes {
            log.append_to(size);
        }
        log.write("checkpoint", &log.checkpoint());
        log
    }

    /// Appends entries, without a checkpoint.
    pub fn append_to(&mut self, size: u64) {
        let new: Vec<_> = (self.writer.size()..size).map(entry).collect();
        for TileFile { tile, bytes } in self.writer.append(&new).unwrap() {
            self.write(&tile.to_string(), &bytes);
        }
    }

    /// The signed checkpoint of all entries.
    pub fn checkpoint(&self) -> Vec<u8> {
        self.sign(&Checkpoint::new(ORIGIN, self.writer.size(), self.writer.root()))
    }

    pub fn sign(&self, checkpoint: &Checkpoint) -> Vec<u8> {
        let text = checkpoint.text().unwrap();
        let signature = self.key.sign(text.as_bytes()).unwrap().to_vec();
        Note::new(&text, NoteSignature::of_key(&self.vkey(), signature)).unwrap().to_bytes()
    }

    pub fn vkey(&self) -> VerifierKey {
        VerifierKey::new(ORIGIN, KeyKind::Ed25519, self.key.public_key()).unwrap()
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Every file, by its path.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let (mut found, mut folders): (Vec<_>, Vec<PathBuf>) = (Vec::new(), vec![self.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.path()).unwrap().to_str().unwrap().to_owned();
                    found.push((name, fs::read(&path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }
}
