//! Sealing entries of the ledger, opening and checking them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use intelgraph_envelope::TenantId;
use intelgraph_pipeline::ledger_outbox::{Replay, sequence};
use intelgraph_pipeline::{ledger_check, ledger_entries as core};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;
use uuid::Uuid;

use crate::error::of_pipeline;
use crate::keystore::{Keystore, tenant};
use crate::read::ids_as_bytes;
use crate::tick::now;

/// An entry as Python gives it: tenant (id, name), kind (number, name), subject, actor (subject, method), payload.
type NewEntry = (
    Option<([u8; 16], PyBackedStr)>,
    (i16, PyBackedStr),
    PyBackedStr,
    (PyBackedStr, PyBackedStr),
    PyBackedBytes,
);

/// Seals entries: their ids, 16 bytes each, and the entries packed for a row of the outbox.
#[pyfunction]
pub fn seal_ledger_entries<'py>(
    py: Python<'py>,
    keystore: &Keystore,
    owner_id: &[u8],
    at_us: i64,
    entries: Vec<NewEntry>,
) -> PyResult<(Vec<Bound<'py, PyBytes>>, Bound<'py, PyBytes>)> {
    let owner = tenant(owner_id)?;
    let sealed = py.detach(|| {
        let entries: Vec<_> = entries
            .iter()
            .map(|(tenant, kind, subject, actor, payload)| core::NewEntry {
                tenant: tenant.as_ref().map(|(id, name)| (TenantId::from_bytes(*id), &**name)),
                kind: (kind.0, &kind.1),
                subject,
                actor: (&actor.0, &actor.1),
                payload,
            })
            .collect();
        core::seal_entries(&keystore.0, owner, at_us, &entries, now())
    });
    let sealed = sealed.map_err(of_pipeline)?;
    let ids = sealed.ids.iter().map(|id| PyBytes::new(py, id.as_bytes())).collect();
    Ok((ids, PyBytes::new(py, &sealed.packed)))
}

/// Gives packed entries their indexes: commitments, 64 bytes each, and a binary COPY stream for the log's table.
#[pyfunction]
pub fn sequence_ledger_entries<'py>(
    py: Python<'py>,
    packed: PyBackedBytes,
    first_index: u64,
    sequenced_us: i64,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let sequenced = py.detach(|| sequence(&packed, first_index, sequenced_us)).map_err(of_pipeline)?;
    Ok((PyBytes::new(py, &sequenced.commitments), PyBytes::new(py, &sequenced.rows)))
}

/// What the outbox of a restored database still holds of entries that come back from the log's tiles.
#[pyclass(module = "intelgraph._core")]
pub struct OutboxReplay(Mutex<Replay>);

#[pymethods]
impl OutboxReplay {
    #[new]
    fn new(py: Python<'_>, outbox: Vec<(i64, PyBackedBytes)>) -> PyResult<Self> {
        let replay = py.detach(|| Replay::new(outbox.iter().map(|(id, packed)| (*id, &**packed))));
        Ok(Self(Mutex::new(replay.map_err(of_pipeline)?)))
    }

    /// A binary COPY stream for the log's table, of entries with these commitments.
    fn rows<'py>(
        &self,
        py: Python<'py>,
        commitments: PyBackedBytes,
        first_index: u64,
        sequenced_us: i64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (pairs, rest) = commitments.as_chunks::<64>();
        if !rest.is_empty() {
            return Err(PyValueError::new_err("commitments have 64 bytes for an entry"));
        }
        let rows = py.detach(|| self.lock().rows(pairs, first_index, sequenced_us));
        Ok(PyBytes::new(py, &rows))
    }

    /// How many of them the outbox had.
    #[getter]
    fn found(&self) -> usize {
        self.lock().found()
    }

    /// Ids of the rows that were replayed; None where one was in part.
    fn emptied(&self) -> Option<Vec<i64>> {
        self.lock().emptied()
    }
}

impl OutboxReplay {
    fn lock(&self) -> MutexGuard<'_, Replay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens an entry: header and its salt, payload and its salt.
#[pyfunction]
#[allow(clippy::type_complexity, reason = "the shape of the answer, named in the stub")]
pub fn open_ledger_entry<'py>(
    py: Python<'py>,
    keystore: &Keystore,
    owner_id: &[u8],
    entry_id: [u8; 16],
    commitments: PyBackedBytes,
    header: PyBackedBytes,
    payload: PyBackedBytes,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let owner = tenant(owner_id)?;
    let id = Uuid::from_bytes(entry_id);
    let opened =
        py.detach(|| core::open_entry(&keystore.0, owner, id, &commitments, &header, &payload, now()));
    let opened = opened.map_err(of_pipeline)?;
    Ok((
        PyBytes::new(py, &opened.header),
        PyBytes::new(py, &opened.header_salt),
        PyBytes::new(py, &opened.payload),
        PyBytes::new(py, &opened.payload_salt),
    ))
}

/// What finds a subject's entries without naming it.
#[pyfunction]
pub fn ledger_subject_tag(
    keystore: &Keystore,
    owner_id: &[u8],
    tenant_id: Option<[u8; 16]>,
    subject: &str,
) -> PyResult<i64> {
    let tenant_id = tenant_id.map(TenantId::from_bytes);
    core::subject_tag(&keystore.0, tenant(owner_id)?, tenant_id, subject, now()).map_err(of_pipeline)
}

/// The data keys that rows of entries need, 32 bytes each.
#[pyfunction]
pub fn keys_of_ledger_entries<'py>(py: Python<'py>, rows: PyBackedBytes) -> PyResult<Bound<'py, PyBytes>> {
    let ids = py.detach(|| ledger_check::keys_needed(&rows)).map_err(of_pipeline)?;
    Ok(ids_as_bytes(py, &ids))
}

/// What is wrong with rows of entries: index and message.
#[pyfunction]
pub fn check_ledger_entries(
    py: Python<'_>,
    keystore: &Keystore,
    owner_id: &[u8],
    rows: PyBackedBytes,
    kinds: HashMap<i16, String>,
) -> PyResult<Vec<(i64, String)>> {
    let owner = tenant(owner_id)?;
    let kinds = kinds.into_iter().collect();
    let findings = py.detach(|| ledger_check::check_entries(&keystore.0, owner, &rows, &kinds, now()));
    let findings = findings.map_err(of_pipeline)?;
    Ok(findings.into_iter().map(|found| (found.index, found.message)).collect())
}
