//! Files of the log on disk. A file that has its name is whole and synced, and its name is on disk, too, when the call
//! returns. In the core because a round writes a hundred of them: in Python each of their system calls would wait for
//! the interpreter to be free again.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::{process, thread};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

/// Threads that write: the file system takes what is synced at the same moment to disk together.
const WRITERS: usize = 4;

/// What could not be used, and why.
struct Fault(PathBuf, io::Error);

/// Writes files, each by its path below `root`.
#[pyfunction]
pub fn write_log_files(py: Python<'_>, root: PathBuf, files: Vec<(String, PyBackedBytes)>) -> PyResult<()> {
    py.detach(|| write_all(&root, &files)).map_err(of_fault)
}

/// Puts the names in a directory on disk, and those of the directories above it up to `root`.
#[pyfunction]
pub fn sync_log_directory(py: Python<'_>, root: PathBuf, directory: PathBuf) -> PyResult<()> {
    py.detach(|| sync_up(&root, [directory])).map_err(of_fault)
}

fn write_all(root: &Path, files: &[(String, PyBackedBytes)]) -> Result<(), Fault> {
    let targets: Vec<_> = files.iter().map(|(path, content)| (root.join(path), content)).collect();
    let directories: BTreeSet<_> =
        targets.iter().map(|(target, _)| target.parent().unwrap_or(root).to_owned()).collect();
    for directory in &directories {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(directory);
        made.map_err(|error| Fault(directory.clone(), error))?;
    }
    let share = targets.len().div_ceil(WRITERS).max(1);
    thread::scope(|scope| {
        let writers: Vec<_> = targets
            .chunks(share)
            .map(|share| {
                scope.spawn(move || share.iter().try_for_each(|(target, content)| replace(target, content)))
            })
            .collect();
        writers.into_iter().try_for_each(|writer| writer.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })?;
    sync_up(root, directories)
}

/// A reader finds the former file or the whole new one, whatever happens on the way.
fn replace(target: &Path, content: &[u8]) -> Result<(), Fault> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let scratch = target.with_file_name(format!(".{name}.{}", process::id()));
    let written = (|| {
        let mut file = File::create(&scratch)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&scratch, target)
    })();
    written.map_err(|error| {
        // What remains of it is swept when the next writer starts.
        let _ = fs::remove_file(&scratch);
        Fault(target.to_owned(), error)
    })
}

/// Each directory once, whoever of those below leads to it.
fn sync_up(root: &Path, directories: impl IntoIterator<Item = PathBuf>) -> Result<(), Fault> {
    let mut synced = BTreeSet::new();
    for directory in directories {
        for above in directory.ancestors().take_while(|above| above.starts_with(root)) {
            if synced.insert(above.to_owned()) {
                let done = File::open(above).and_then(|opened| opened.sync_all());
                done.map_err(|error| Fault(above.to_owned(), error))?;
            }
        }
    }
    Ok(())
}

/// As Python's own calls report it: number, words, path.
fn of_fault(Fault(path, error): Fault) -> PyErr {
    let Some(number) = error.raw_os_error() else { return error.into() };
    let words = error.to_string();
    let words = words.split(" (os error").next().unwrap_or_default().to_owned();
    PyOSError::new_err((number, words, path))
}
