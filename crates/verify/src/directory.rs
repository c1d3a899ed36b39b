//! The directory of a log, as C2SP tlog-tiles lays it out.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Bytes of the longest file of a log: a bundle of 256 entries of 65,535 bytes, each after its length.
const MAX_FILE_LEN: u64 = 256 * (2 + 65_535);

/// A directory that is read and never written.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The directory at this place.
    ///
    /// # Errors
    /// What the system says; `NotADirectory` for anything else.
    pub fn open(root: &Path) -> io::Result<Self> {
        if fs::metadata(root)?.is_dir() {
            Ok(Self { root: root.to_owned() })
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// The bytes of a file; none where there is none. A file longer than any of a log is read as far as one byte
    /// beyond that: enough to be refused.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.root.join(path)) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len().min(MAX_FILE_LEN + 1);
        let mut bytes = Vec::with_capacity(length as usize);
        file.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// The names in a folder, none where there is no folder.
    ///
    /// # Errors
    /// What the system says.
    pub fn names(&self, folder: &str) -> io::Result<Vec<String>> {
        match fs::read_dir(self.root.join(folder)) {
            Ok(found) => found.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Tells of every file by its path, and whether it is a regular one. Links are not followed. Holds one folder's
    /// names at a time for each level of folders.
    ///
    /// # Errors
    /// What the system says.
    pub fn walk(&self, found: &mut dyn FnMut(&str, bool)) -> io::Result<()> {
        self.walk_from(&self.root, "", found)
    }

    fn walk_from(&self, folder: &Path, prefix: &str, found: &mut dyn FnMut(&str, bool)) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.walk_from(&entry.path(), &format!("{path}/"), found)?;
            } else {
                found(&path, kind.is_file());
            }
        }
        Ok(())
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
