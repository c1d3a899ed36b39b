//! What appending to a log and proving in it takes, from ten thousand entries to as many as are asked for:
//!
//!     cargo run --release -p intelgraph-ledger --example ledger_rate [entries, default 10000000] [directory to fill]
//!
//! CPU time of one thread. Entries are leaves of 155 bytes, appended a hundred at a time. With a directory, the log is
//! also written there, with its checkpoint, signed by a key that everybody knows: its verifier key is printed.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use cpu_time::ThreadTime;
use intelgraph_ledger::{
    Checkpoint, KeyKind, LedgerError, Note, NoteSignature, ProofPlan, SigningKey, TileFile, TileSet,
    TileWriter, VerifierKey, hash_leaf, leaf, verify_inclusion,
};

const GROUP: u64 = 100;
const ORIGIN: &str = "ledger.example";

/// Hash tiles as the log has them last, and the entries only where there is a directory.
struct Store {
    tiles: HashMap<String, Vec<u8>>,
    directory: Option<PathBuf>,
}

impl Store {
    fn put(&mut self, TileFile { tile, bytes }: TileFile) -> Result<(), Box<dyn Error>> {
        let path = tile.to_string();
        // A directory keeps full tiles, and the last partial ones.
        if let Some(directory) = &self.directory
            && !tile.is_partial()
        {
            write(&directory.join(&path), &bytes)?;
        }
        if !path.starts_with("tile/entries") && !tile.is_partial() {
            self.tiles.insert(path, bytes);
        }
        Ok(())
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(path, bytes)?)
}

fn entry(index: u64) -> Vec<u8> {
    let (mut header, mut payload) = ([1; 32], [2; 32]);
    header[..8].copy_from_slice(&index.to_be_bytes());
    payload[..8].copy_from_slice(&index.to_be_bytes());
    leaf(&header, &payload)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let most: u64 = arguments.next().map_or(Ok(10_000_000), |count| count.parse())?;
    let mut store = Store { tiles: HashMap::new(), directory: arguments.next().map(PathBuf::from) };
    let mut writer = TileWriter::new();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:>12} {:>14} {:>14} {:>16} {:>16}",
        "entries", "append ns", "entries/s", "inclusion µs", "consistency µs"
    )?;

    let mut size = 10_000;
    while size <= most {
        let (mut appending, begun) = (0.0, writer.size());
        while writer.size() < size {
            let new: Vec<_> = (writer.size()..(writer.size() + GROUP).min(size)).map(entry).collect();
            let start = ThreadTime::now();
            let files = writer.append(&new)?;
            appending += start.elapsed().as_secs_f64();
            files.into_iter().try_for_each(|file| store.put(file))?;
        }
        let appended = appending * 1e9 / (size - begun) as f64;
        let [inclusion, consistency] = prove(&store, &writer)?;
        let rate = 1e9 / appended;
        writeln!(out, "{size:>12} {appended:>14.0} {rate:>14.0} {inclusion:>16.1} {consistency:>16.1}")?;
        size *= 10;
    }
    if let Some(directory) = &store.directory {
        let vkey = finish(directory, &writer)?;
        writeln!(out, "{vkey}")?;
    }
    Ok(())
}

/// Microseconds that proofs take, tiles read from memory and checked included; each is verified.
fn prove(store: &Store, writer: &TileWriter) -> Result<[f64; 2], Box<dyn Error>> {
    let size = writer.size();
    let edge: HashMap<_, _> =
        writer.partial_files().into_iter().map(|file| (file.tile.to_string(), file.bytes)).collect();
    let read = |path: &str| Ok::<_, LedgerError>(edge.get(path).or_else(|| store.tiles.get(path)).cloned());
    let rounds = 1000;
    let step = (size / rounds).max(1);
    let start = ThreadTime::now();
    for index in (0..size).step_by(step as usize) {
        let plan = ProofPlan::inclusion(index, size)?;
        let proof = plan.prove(&TileSet::read(plan.tiles(), read)?)?;
        verify_inclusion(index, size, &hash_leaf(&entry(index)), &proof, &writer.root())?;
    }
    let inclusion = start.elapsed().as_secs_f64() * 1e6 / rounds as f64;
    let start = ThreadTime::now();
    for from in (1..=size).step_by(step as usize) {
        let plan = ProofPlan::consistency(from, size)?;
        plan.prove(&TileSet::read(plan.tiles(), read)?)?;
    }
    Ok([inclusion, start.elapsed().as_secs_f64() * 1e6 / rounds as f64])
}

fn finish(directory: &Path, writer: &TileWriter) -> Result<VerifierKey, Box<dyn Error>> {
    let key = SigningKey::from_seed(&[1; 32])?;
    let vkey = VerifierKey::new(ORIGIN, KeyKind::Ed25519, key.public_key())?;
    let text = Checkpoint::new(ORIGIN, writer.size(), writer.root()).text()?;
    let signature = NoteSignature::of_key(&vkey, key.sign(text.as_bytes())?.to_vec());
    write(&directory.join("checkpoint"), &Note::new(&text, signature)?.to_bytes())?;
    for file in writer.partial_files() {
        write(&directory.join(file.tile.to_string()), &file.bytes)?;
    }
    Ok(vkey)
}
