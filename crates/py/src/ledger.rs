//! The ledger's tiles, proofs and signed checkpoints.

use std::sync::{Mutex, MutexGuard, PoisonError};

use intelgraph_ledger as core;
use intelgraph_ledger::{Checkpoint, Hash, KeyKind, LedgerError, Note, ProofPlan, TileSet, VerifierKey};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::error::{CorruptData, of_ledger};

type Files<'py> = Vec<(String, Bound<'py, PyBytes>)>;

/// The right edge of a log.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct TileWriter(Mutex<core::TileWriter>);

#[pymethods]
impl TileWriter {
    /// The writer of an empty log.
    #[staticmethod]
    fn empty() -> Self {
        Self(Mutex::default())
    }

    /// Goes on at the end of the log of this size and root.
    #[staticmethod]
    fn resume(py: Python<'_>, size: u64, root: &[u8], read: &Bound<'_, PyAny>) -> PyResult<Self> {
        let root = hash(root)?;
        let found = read_all(core::TileWriter::tiles_to_resume(size), read)?;
        let writer = py.detach(|| core::TileWriter::resume(size, &root, |path| Ok(found.get(path))));
        Ok(Self(Mutex::new(writer.map_err(of_ledger)?)))
    }

    /// The paths that `resume` reads.
    #[staticmethod]
    fn tiles_to_resume(size: u64) -> Vec<String> {
        core::TileWriter::tiles_to_resume(size).map(|tile| tile.to_string()).collect()
    }

    /// Adds entries; gives the files to write.
    fn append<'py>(&self, py: Python<'py>, entries: Vec<PyBackedBytes>) -> PyResult<Files<'py>> {
        self.write(py, |writer| writer.append(&entries))
    }

    /// Adds entries that stand in one buffer, each after its length as a big-endian `u16`.
    fn append_prefixed<'py>(&self, py: Python<'py>, entries: PyBackedBytes) -> PyResult<Files<'py>> {
        self.write(py, |writer| writer.append_prefixed(&entries))
    }

    /// Adds the leaves of these commitments, header and payload in turn.
    fn append_commitments<'py>(&self, py: Python<'py>, commitments: PyBackedBytes) -> PyResult<Files<'py>> {
        let (pairs, rest) = commitments.as_chunks::<64>();
        if !rest.is_empty() {
            return Err(PyValueError::new_err(
                "commitments have 32 bytes each, of header and payload in turn",
            ));
        }
        self.write(py, |writer| {
            let leaves: Vec<_> = pairs
                .iter()
                .map(|pair| {
                    let (header, payload) = pair.split_at(32);
                    core::leaf(&to_hash(header), &to_hash(payload))
                })
                .collect();
            writer.append(&leaves)
        })
    }

    #[getter]
    fn size(&self) -> u64 {
        self.lock().size()
    }

    #[getter]
    fn root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.lock().root())
    }

    /// One that goes on from here by itself.
    fn copy(&self) -> Self {
        Self(Mutex::new(self.lock().clone()))
    }

    fn __repr__(&self) -> String {
        format!("<TileWriter {} entries>", self.size())
    }
}

impl TileWriter {
    fn write<'py>(
        &self,
        py: Python<'py>,
        append: impl Send + FnOnce(&mut core::TileWriter) -> Result<Vec<core::TileFile>, LedgerError>,
    ) -> PyResult<Files<'py>> {
        let files = py.detach(|| append(&mut self.lock())).map_err(of_ledger)?;
        Ok(files.into_iter().map(|file| (file.tile.to_string(), PyBytes::new(py, &file.bytes))).collect())
    }

    fn lock(&self) -> MutexGuard<'_, core::TileWriter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The paths of the tiles that an inclusion proof is made from.
#[pyfunction]
pub fn inclusion_tiles(index: u64, size: u64) -> PyResult<Vec<String>> {
    Ok(paths(&ProofPlan::inclusion(index, size).map_err(of_ledger)?))
}

/// The paths of the tiles that a consistency proof is made from.
#[pyfunction]
pub fn consistency_tiles(from_size: u64, to_size: u64) -> PyResult<Vec<String>> {
    Ok(paths(&ProofPlan::consistency(from_size, to_size).map_err(of_ledger)?))
}

/// The proof that an entry is in a tree.
#[pyfunction]
pub fn inclusion_proof<'py>(
    py: Python<'py>,
    index: u64,
    size: u64,
    read: &Bound<'py, PyAny>,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    prove(py, &ProofPlan::inclusion(index, size).map_err(of_ledger)?, read)
}

/// The proof that a tree begins with a smaller one.
#[pyfunction]
pub fn consistency_proof<'py>(
    py: Python<'py>,
    from_size: u64,
    to_size: u64,
    read: &Bound<'py, PyAny>,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    prove(py, &ProofPlan::consistency(from_size, to_size).map_err(of_ledger)?, read)
}

/// Verifies that a leaf is in a tree.
#[pyfunction]
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf_hash: &[u8],
    proof: Vec<PyBackedBytes>,
    root: &[u8],
) -> PyResult<()> {
    core::verify_inclusion(index, size, &hash(leaf_hash)?, &hashes(&proof)?, &hash(root)?).map_err(of_ledger)
}

/// Verifies that a tree begins with a smaller one.
#[pyfunction]
pub fn verify_consistency(
    from_size: u64,
    to_size: u64,
    from_root: &[u8],
    to_root: &[u8],
    proof: Vec<PyBackedBytes>,
) -> PyResult<()> {
    let (from_root, to_root) = (hash(from_root)?, hash(to_root)?);
    core::verify_consistency(from_size, to_size, &from_root, &to_root, &hashes(&proof)?).map_err(of_ledger)
}

/// An inclusion proof as a file.
#[pyfunction]
#[pyo3(signature = (index, proof, checkpoint, extra = None))]
pub fn inclusion_file<'py>(
    py: Python<'py>,
    index: u64,
    proof: Vec<PyBackedBytes>,
    checkpoint: &[u8],
    extra: Option<&[u8]>,
) -> PyResult<Bound<'py, PyBytes>> {
    let (extra, checkpoint) = (extra.map(<[u8]>::to_vec), checkpoint.to_vec());
    let file = core::InclusionFile { extra, index, proof: hashes(&proof)?, checkpoint };
    Ok(PyBytes::new(py, &file.to_bytes()))
}

/// A consistency proof as a file.
#[pyfunction]
pub fn consistency_file<'py>(
    py: Python<'py>,
    old_size: u64,
    proof: Vec<PyBackedBytes>,
    checkpoint: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let file = core::ConsistencyFile { old_size, proof: hashes(&proof)?, checkpoint: checkpoint.to_vec() };
    Ok(PyBytes::new(py, &file.to_bytes()))
}

/// The leaf hash of an entry.
#[pyfunction]
pub fn leaf_hash<'py>(py: Python<'py>, entry: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &core::hash_leaf(entry))
}

/// Size and root of the tree whose frontier is stored so.
#[pyfunction]
pub fn tree_of_frontier<'py>(py: Python<'py>, frontier: &[u8]) -> PyResult<(u64, Bound<'py, PyBytes>)> {
    let frontier = match frontier {
        [] => core::Frontier::default(),
        bytes => core::Frontier::from_bytes(bytes)
            .map_err(|error| CorruptData::new_err((error.to_string(), "DATA_CORRUPT")))?,
    };
    Ok((frontier.size(), PyBytes::new(py, &frontier.root())))
}

/// The entries of a bundle.
#[pyfunction]
pub fn bundle_entries<'py>(py: Python<'py>, bundle: &[u8]) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    core::entries(bundle).map(|entry| Ok(PyBytes::new(py, entry.map_err(of_ledger)?))).collect()
}

/// The commitments in the leaves of a bundle, 64 bytes each.
#[pyfunction]
pub fn bundle_commitments<'py>(py: Python<'py>, bundle: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let mut commitments = Vec::with_capacity(bundle.len() / 2);
    for entry in core::entries(bundle) {
        let (header, payload) = entry.and_then(core::parse_leaf).map_err(of_ledger)?;
        commitments.extend_from_slice(&header);
        commitments.extend_from_slice(&payload);
    }
    Ok(PyBytes::new(py, &commitments))
}

/// Commits to the canonical bytes of a header or a payload.
#[pyfunction]
pub fn commitment<'py>(
    py: Python<'py>,
    salt: &[u8],
    domain: &str,
    canonical: PyBackedBytes,
) -> PyResult<Bound<'py, PyBytes>> {
    let salt = salt.try_into().map_err(|_| PyValueError::new_err("a salt has 32 bytes"))?;
    let domain = match domain {
        "header" => core::Domain::Header,
        "payload" => core::Domain::Payload,
        _ => return Err(PyValueError::new_err("a commitment is to a header or a payload")),
    };
    let committed = py.detach(|| core::commit(salt, domain, &canonical));
    Ok(PyBytes::new(py, &committed))
}

/// The leaf of an entry.
#[pyfunction]
pub fn leaf<'py>(py: Python<'py>, header: &[u8], payload: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &core::leaf(&hash(header)?, &hash(payload)?)))
}

/// The commitments to header and payload in a leaf.
#[pyfunction]
pub fn parse_leaf<'py>(py: Python<'py>, leaf: &[u8]) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let (header, payload) = core::parse_leaf(leaf).map_err(of_ledger)?;
    Ok((PyBytes::new(py, &header), PyBytes::new(py, &payload)))
}

/// The text of a checkpoint, to be signed.
#[pyfunction]
pub fn checkpoint_text<'py>(
    py: Python<'py>,
    origin: &str,
    size: u64,
    root: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let text = Checkpoint::new(origin, size, hash(root)?).text().map_err(of_ledger)?;
    Ok(PyBytes::new(py, text.as_bytes()))
}

/// The note of a text and its Ed25519 signature, which is verified.
#[pyfunction]
#[pyo3(signature = (text, name, public_key, signature, existing = None))]
pub fn signed_note<'py>(
    py: Python<'py>,
    text: &[u8],
    name: &str,
    public_key: &[u8],
    signature: &[u8],
    existing: Option<&[u8]>,
) -> PyResult<Bound<'py, PyBytes>> {
    let key = verifier(name, KeyKind::Ed25519, public_key)?;
    let text = std::str::from_utf8(text).map_err(|_| of_ledger(LedgerError::Note("it is not UTF-8")))?;
    let signature = core::NoteSignature::of_key(&key, signature.to_vec());
    let note = match existing {
        None => Note::new(text, signature),
        Some(existing) => Note::parse(existing).and_then(|mut note| {
            let other = LedgerError::Note("it has another text than the one that was signed");
            if note.text() != text {
                return Err(other);
            }
            note.add(signature).map(|()| note)
        }),
    };
    let note = note.map_err(of_ledger)?;
    note.verify(&[key]).map_err(of_ledger)?;
    Ok(PyBytes::new(py, &note.to_bytes()))
}

/// Reads a signed checkpoint, and verifies that its log signed it.
#[pyfunction]
#[allow(clippy::type_complexity, reason = "a tuple is what Python gets")]
pub fn open_checkpoint<'py>(
    py: Python<'py>,
    note: &[u8],
    vkeys: Vec<String>,
) -> PyResult<(String, u64, Bound<'py, PyBytes>, Vec<(String, Option<u64>)>)> {
    let keys = vkeys.iter().map(|key| key.parse()).collect::<Result<Vec<VerifierKey>, _>>();
    let keys = keys.map_err(of_ledger)?;
    let (checkpoint, verified) = py.detach(|| Checkpoint::open(note, &keys)).map_err(of_ledger)?;
    let signers = verified.into_iter().map(|signature| (signature.name, signature.timestamp)).collect();
    Ok((checkpoint.origin, checkpoint.size, PyBytes::new(py, &checkpoint.root), signers))
}

/// Adds a witness's signature line to a checkpoint.
#[pyfunction]
pub fn add_cosignature<'py>(
    py: Python<'py>,
    note: &[u8],
    line: &str,
    vkey: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let witness = vkey.parse().map_err(of_ledger)?;
    Ok(PyBytes::new(py, &core::add_cosignature(note, line, &witness).map_err(of_ledger)?))
}

/// Cosigns a checkpoint, as a witness does: the signature line.
#[pyfunction]
pub fn cosign(note: &[u8], name: &str, seed: &[u8], timestamp: u64) -> PyResult<String> {
    let seed = seed.try_into().map_err(|_| of_ledger(LedgerError::SigningKey))?;
    let signed = core::SigningKey::from_seed(seed)
        .and_then(|key| core::cosign(&Note::parse(note)?, name, &key, timestamp));
    Ok(signed.map_err(of_ledger)?.line())
}

/// The verifier key of an Ed25519 public key: a log's, or a witness's.
#[pyfunction]
#[pyo3(signature = (name, public_key, *, cosigner = false))]
pub fn vkey(name: &str, public_key: &[u8], cosigner: bool) -> PyResult<String> {
    let kind = if cosigner { KeyKind::Cosignature } else { KeyKind::Ed25519 };
    Ok(verifier(name, kind, public_key)?.to_string())
}

/// Whether the holder of a public key has signed a message.
#[pyfunction]
pub fn verify_signature(
    py: Python<'_>,
    algorithm: &str,
    public_key: &[u8],
    message: PyBackedBytes,
    signature: &[u8],
) -> PyResult<bool> {
    match algorithm {
        "Ed25519" => Ok(py.detach(|| core::verifies_ed25519(public_key, &message, signature))),
        "ES256" => Ok(py.detach(|| core::verifies_es256(public_key, &message, signature))),
        _ => Err(PyValueError::new_err("the algorithm is Ed25519 or ES256")),
    }
}

fn verifier(name: &str, kind: KeyKind, public_key: &[u8]) -> PyResult<VerifierKey> {
    let malformed = || LedgerError::VerifierKey("the public key has not 32 bytes");
    let public_key = public_key.try_into().map_err(|_| of_ledger(malformed()))?;
    VerifierKey::new(name, kind, public_key).map_err(of_ledger)
}

fn prove<'py>(
    py: Python<'py>,
    plan: &ProofPlan,
    read: &Bound<'py, PyAny>,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let found = read_all(plan.tiles(), read)?;
    let proof = py.detach(|| {
        let tiles = TileSet::read(plan.tiles(), |path| Ok::<_, LedgerError>(found.get(path)))?;
        plan.prove(&tiles)
    });
    Ok(proof.map_err(of_ledger)?.iter().map(|hash| PyBytes::new(py, hash)).collect())
}

fn paths(plan: &ProofPlan) -> Vec<String> {
    plan.tiles().iter().map(ToString::to_string).collect()
}

/// What Python's `read` gave, so that the rest runs without the GIL.
struct Found(Vec<(String, PyBackedBytes)>);

impl Found {
    fn get(&self, path: &str) -> Option<Vec<u8>> {
        self.0.iter().find(|(at, _)| at == path).map(|(_, bytes)| bytes.to_vec())
    }
}

fn read_all(tiles: impl IntoIterator<Item = core::Tile>, read: &Bound<'_, PyAny>) -> PyResult<Found> {
    let mut found = Vec::new();
    for tile in tiles {
        // A log may keep the full tile only.
        for place in [Some(tile), tile.is_partial().then(|| tile.filled())].into_iter().flatten() {
            let path = place.to_string();
            let answer: Option<PyBackedBytes> = read.call1((&path,))?.extract()?;
            if let Some(bytes) = answer {
                found.push((path, bytes));
                break;
            }
        }
    }
    Ok(Found(found))
}

fn hashes(bytes: &[PyBackedBytes]) -> PyResult<Vec<Hash>> {
    bytes.iter().map(|hash_bytes| hash(hash_bytes)).collect()
}

fn hash(bytes: &[u8]) -> PyResult<Hash> {
    bytes.try_into().map_err(|_| PyValueError::new_err(format!("a hash has 32 bytes, not {}", bytes.len())))
}

fn to_hash(half: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(half);
    hash
}
