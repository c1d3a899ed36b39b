//! The verbs, one file each: its arguments, and what it does.

use std::io::Read;
use std::path::Path;

use crate::Unusable;

pub mod checkpoint;
pub mod consistency;
pub mod inclusion;
pub mod log;

/// Bytes that a checkpoint, proof or entry on the command line may have.
const MAX_INPUT_LEN: u64 = 1 << 20;

/// Reads a file that the command line names; `-` is the standard input.
pub fn read_input(path: &Path) -> Result<Vec<u8>, Unusable> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(MAX_INPUT_LEN + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_INPUT_LEN + 1).read_to_end(&mut bytes))
    };
    match read {
        Ok(_) if bytes.len() as u64 <= MAX_INPUT_LEN => Ok(bytes),
        Ok(_) => {
            Err(Unusable(format!("{} is longer than 1 MiB, which nothing of its kind is", path.display())))
        }
        Err(error) => Err(Unusable(format!("{} cannot be read: {error}", path.display()))),
    }
}
