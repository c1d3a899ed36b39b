//! Proofs as files: inclusion as C2SP tlog-proof has it, consistency as C2SP tlog-witness has it in the body of
//! `add-checkpoint`. Both end with the signed checkpoint that the proof leads to, byte for byte.
//!
//! ```text
//! c2sp.org/tlog-proof@v1                 old 20852014
//! extra <base64, optional>               <base64 of a hash>
//! index 73894                            …
//! <base64 of a hash>
//! …                                      <checkpoint>
//!
//! <checkpoint>
//! ```

use crate::base64;
use crate::checkpoint::decimal;
use crate::error::LedgerError;
use crate::note::MAX_NOTE_LEN;
use crate::tree::Hash;

/// Hashes that a proof can have: at most one a level.
const MAX_HASHES: usize = 64;
/// Bytes of the longest file that is read: a note, extra data of 64 KiB, and the hashes.
const MAX_FILE_LEN: usize = MAX_NOTE_LEN + 128 * 1024;

const MAGIC: &str = "c2sp.org/tlog-proof@v1";

/// That an entry is in the tree of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionFile {
    /// Data of the application; nothing vouches for it.
    pub extra: Option<Vec<u8>>,
    /// Index of the entry.
    pub index: u64,
    /// From the leaf's sibling upwards.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: Vec<u8>,
}

impl InclusionFile {
    /// The file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{MAGIC}\n");
        if let Some(extra) = &self.extra {
            text.extend(["extra ", &base64::encode(extra), "\n"]);
        }
        text.push_str(&format!("index {}\n", self.index));
        with_proof(text, &self.proof, &self.checkpoint)
    }

    /// Reads a file. The checkpoint in it is not looked into.
    ///
    /// # Errors
    /// `ProofFile`.
    pub fn parse(file: &[u8]) -> Result<Self, LedgerError> {
        let (head, checkpoint) = split(file)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(MAGIC) {
            return Err(LedgerError::ProofFile("its first line is not c2sp.org/tlog-proof@v1"));
        }
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            None => None,
            Some(extra) => {
                lines.next();
                let extra = base64::decode(extra);
                Some(extra.ok_or(LedgerError::ProofFile("the extra data is not base64"))?)
            }
        };
        let index = lines.next().and_then(|line| decimal(line.strip_prefix("index ")?));
        let index = index.ok_or(LedgerError::ProofFile("it has no line \"index\" with a decimal number"))?;
        Ok(Self { extra, index, proof: hashes(lines)?, checkpoint: checkpoint.to_vec() })
    }
}

/// That the tree of a checkpoint begins with an older one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyFile {
    /// Size of the older tree.
    pub old_size: u64,
    /// The proof, in the order of RFC 9162 §2.1.4.
    pub proof: Vec<Hash>,
    /// The newer tree's signed checkpoint.
    pub checkpoint: Vec<u8>,
}

impl ConsistencyFile {
    /// The file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        with_proof(format!("old {}\n", self.old_size), &self.proof, &self.checkpoint)
    }

    /// Reads a file. The checkpoint in it is not looked into.
    ///
    /// # Errors
    /// `ProofFile`.
    pub fn parse(file: &[u8]) -> Result<Self, LedgerError> {
        let (head, checkpoint) = split(file)?;
        let mut lines = head.split('\n');
        let old_size = lines.next().and_then(|line| decimal(line.strip_prefix("old ")?));
        let old_size =
            old_size.ok_or(LedgerError::ProofFile("its first line is not \"old\" and a decimal number"))?;
        Ok(Self { old_size, proof: hashes(lines)?, checkpoint: checkpoint.to_vec() })
    }
}

fn with_proof(mut text: String, proof: &[Hash], checkpoint: &[u8]) -> Vec<u8> {
    proof.iter().for_each(|hash| text.extend([base64::encode(hash).as_str(), "\n"]));
    text.push('\n');
    [text.as_bytes(), checkpoint].concat()
}

/// What stands before the first empty line, and what after it.
fn split(file: &[u8]) -> Result<(&str, &[u8]), LedgerError> {
    if file.len() > MAX_FILE_LEN {
        return Err(LedgerError::ProofFile("it is longer than a proof can be"));
    }
    let at = file.windows(2).position(|pair| pair == b"\n\n");
    let at = at.ok_or(LedgerError::ProofFile("no empty line stands before a checkpoint"))?;
    let head = std::str::from_utf8(&file[..at]).map_err(|_| LedgerError::ProofFile("it is not UTF-8"))?;
    Ok((head, &file[at + 2..]))
}

fn hashes<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Hash>, LedgerError> {
    let hash = |line: &str| base64::decode(line)?.try_into().ok();
    let hashes = lines.take(MAX_HASHES + 1).map(hash).collect::<Option<Vec<Hash>>>();
    let hashes = hashes.ok_or(LedgerError::ProofFile("a line of the proof is not 32 bytes in base64"))?;
    if hashes.len() > MAX_HASHES {
        return Err(LedgerError::ProofFile("it has more than 64 hashes, which no proof has"));
    }
    Ok(hashes)
}
