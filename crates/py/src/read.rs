//! What readers of the log ask for. Each call releases the GIL for all of its work.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use intelgraph_envelope::{DekId, Envelope, TenantId};
use intelgraph_pipeline as core;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use uuid::Uuid;

use crate::contract::Contract;
use crate::error::{EntityKeyInvalid, of_pipeline};
use crate::keystore::{Keystore, tenant};
use crate::tick::now;

/// The names that numbers in rows stand for, of one tenant.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct Catalogue(Arc<core::Catalogue>);

#[pymethods]
impl Catalogue {
    #[new]
    fn new(datasets: HashMap<i32, String>, contracts: HashMap<i32, [u8; 32]>) -> Self {
        let datasets = datasets.into_iter().map(|(number, name)| (number, name.into())).collect();
        let contracts = contracts.into_iter().collect();
        Self(Arc::new(core::Catalogue { datasets, contracts }))
    }

    /// Whether it has a name for every number in `rows`.
    fn covers(&self, py: Python<'_>, rows: PyBackedBytes) -> PyResult<bool> {
        py.detach(|| self.0.covers(&rows)).map_err(of_pipeline)
    }
}

/// Reads rows of one tenant's log.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct LogReader {
    keystore: Arc<intelgraph_envelope::Keystore>,
    tenant: TenantId,
    catalogue: Arc<core::Catalogue>,
}

#[pymethods]
impl LogReader {
    #[new]
    fn new(keystore: &Keystore, tenant_id: &[u8], catalogue: &Catalogue) -> PyResult<Self> {
        let (keystore, catalogue) = (Arc::clone(&keystore.0), Arc::clone(&catalogue.0));
        Ok(Self { keystore, tenant: tenant(tenant_id)?, catalogue })
    }

    /// `GetResponse.version`, encoded.
    fn version<'py>(&self, py: Python<'py>, rows: PyBackedBytes) -> PyResult<Bound<'py, PyBytes>> {
        let version = py.detach(|| self.reader()?.version(&rows));
        Ok(PyBytes::new(py, &version.map_err(of_pipeline)?))
    }

    /// The report on the record that the last of `rows` stores, JSON; None if it broke nothing.
    fn report<'py>(&self, py: Python<'py>, rows: PyBackedBytes) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let report = py.detach(|| self.reader()?.report(&rows)).map_err(of_pipeline)?;
        Ok(report.map(|report| PyBytes::new(py, &report)))
    }

    /// `DiffResponse` but for `as_of_seq`, encoded.
    fn difference<'py>(
        &self,
        py: Python<'py>,
        from_rows: PyBackedBytes,
        to_rows: PyBackedBytes,
        contract: &Contract,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let diff = py.detach(|| self.reader()?.difference(&from_rows, &to_rows, &contract.0));
        Ok(PyBytes::new(py, &diff.map_err(of_pipeline)?))
    }

    /// `HistoryResponse.entries`, encoded, and after which of them a page ended that was full.
    #[allow(clippy::type_complexity, reason = "the shape of the answer, named in the stub")]
    fn history<'py>(
        &self,
        py: Python<'py>,
        rows: PyBackedBytes,
        chain: PyBackedBytes,
        with_documents: bool,
    ) -> PyResult<(Bound<'py, PyBytes>, Option<(i64, u64)>)> {
        let part = py.detach(|| self.reader()?.history(&rows, &chain, with_documents));
        let part = part.map_err(of_pipeline)?;
        Ok((PyBytes::new(py, &part.entries), part.cut_after))
    }

    /// `ChangesResponse.entries`, encoded, in parts, each with its last `seq`.
    fn changes<'py>(
        &self,
        py: Python<'py>,
        rows: PyBackedBytes,
        after_seq: Option<u64>,
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, u64)>> {
        let parts = py.detach(|| self.reader()?.changes(&rows, after_seq)).map_err(of_pipeline)?;
        Ok(parts.iter().map(|part| (PyBytes::new(py, &part.entries), part.last_seq)).collect())
    }
}

impl LogReader {
    fn reader(&self) -> Result<core::LogReader<'_>, core::PipelineError> {
        core::LogReader::new(&self.keystore, self.tenant, &self.catalogue, now())
    }
}

/// The data keys that `rows` need, 32 bytes each.
#[pyfunction]
pub fn keys_of_rows<'py>(py: Python<'py>, rows: PyBackedBytes) -> PyResult<Bound<'py, PyBytes>> {
    let ids = py.detach(|| core::keys_needed(&rows)).map_err(of_pipeline)?;
    Ok(ids_as_bytes(py, &ids))
}

/// The data keys that these sealed values need, 32 bytes each.
#[pyfunction]
pub fn keys_of_values<'py>(py: Python<'py>, values: Vec<PyBackedBytes>) -> Bound<'py, PyBytes> {
    let ids = values.iter().filter_map(|value| Envelope::parse(value).ok()).map(|value| value.dek_id());
    ids_as_bytes(py, &ids.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>())
}

pub(crate) fn ids_as_bytes<'py>(py: Python<'py>, ids: &[DekId]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &ids.iter().flat_map(|id| *id.as_bytes()).collect::<Vec<_>>())
}

/// The identifier, 16 bytes, of the entity that a key stands for.
#[pyfunction]
pub fn entity_id<'py>(
    py: Python<'py>,
    keystore: &Keystore,
    tenant_id: &[u8],
    contract: &Contract,
    key: PyBackedBytes,
) -> PyResult<Bound<'py, PyBytes>> {
    let tenant = tenant(tenant_id)?;
    let id = py.detach(|| core::entity_id(&keystore.0, tenant, &contract.0, &key, now()));
    match id.map_err(of_pipeline)? {
        Ok(id) => Ok(PyBytes::new(py, id.as_bytes())),
        Err(violation) => Err(EntityKeyInvalid::new_err((
            violation.fix.into_owned(),
            violation.rule.into_owned(),
            violation.instance,
        ))),
    }
}

/// Opens what of a quarantine entry is sealed: its report, then its records.
#[pyfunction]
pub fn open_quarantine<'py>(
    py: Python<'py>,
    keystore: &Keystore,
    tenant_id: &[u8],
    dataset: String,
    quarantine_id: [u8; 16],
    report: PyBackedBytes,
    records: Vec<(PyBackedBytes, PyBackedBytes)>,
) -> PyResult<(Bound<'py, PyBytes>, Vec<Bound<'py, PyBytes>>)> {
    let tenant = tenant(tenant_id)?;
    let id = Uuid::from_bytes(quarantine_id);
    let opened = py.detach(|| {
        let records: Vec<_> =
            records.iter().map(|(fingerprint, sealed)| (&**fingerprint, &**sealed)).collect();
        core::open_entry(&keystore.0, tenant, &dataset, id, &report, &records, now())
    });
    let mut values = opened.map_err(of_pipeline)?.into_iter().map(|value| PyBytes::new(py, &value));
    let report = values.next().unwrap_or_else(|| PyBytes::new(py, &[]));
    Ok((report, values.collect()))
}

/// A check of one tenant's log, taken page by page.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct LogCheck {
    keystore: Arc<intelgraph_envelope::Keystore>,
    check: Mutex<core::LogCheck>,
}

#[pymethods]
impl LogCheck {
    #[new]
    fn new(keystore: &Keystore, tenant_id: &[u8], anchors: Vec<(u64, [u8; 32], i64)>) -> PyResult<Self> {
        let anchors = anchors
            .into_iter()
            .map(|(size, root, recorded_us)| core::Anchor { size, root, recorded_us })
            .collect();
        let check = Mutex::new(core::LogCheck::new(tenant(tenant_id)?, anchors));
        Ok(Self { keystore: Arc::clone(&keystore.0), check })
    }

    /// The data keys that `rows` need, 32 bytes each.
    #[staticmethod]
    fn keys_needed<'py>(py: Python<'py>, rows: PyBackedBytes) -> PyResult<Bound<'py, PyBytes>> {
        let ids = py.detach(|| core::LogCheck::keys_needed(&rows)).map_err(of_pipeline)?;
        Ok(ids_as_bytes(py, &ids))
    }

    /// Takes the next rows, and the removed ranges before and between them.
    fn take(
        &self,
        py: Python<'_>,
        rows: PyBackedBytes,
        removed: PyBackedBytes,
        catalogue: &Catalogue,
    ) -> PyResult<()> {
        py.detach(|| self.lock().take(&rows, &removed, &self.keystore, &catalogue.0, now()))
            .map_err(of_pipeline)
    }

    /// The verdict: changes, root, findings (reason, first and last change, message), findings left out; changes that
    /// were removed, and first and last change of each range of those.
    #[allow(clippy::type_complexity, reason = "the shape of the answer, named in the stub")]
    fn finish<'py>(
        &self,
        py: Python<'py>,
        seq: u64,
        frontier: &[u8],
        last_seq: u64,
    ) -> (u64, Option<Bound<'py, PyBytes>>, Vec<(&'static str, u64, u64, String)>, u64, u64, Vec<(u64, u64)>)
    {
        let verdict = self.lock().finish(seq, frontier, last_seq);
        let root = verdict.root.map(|root| PyBytes::new(py, &root));
        let findings = verdict.findings.into_iter();
        let findings = findings
            .map(|found| (found.fault.reason(), found.first_seq, found.last_seq, found.message))
            .collect();
        (verdict.changes, root, findings, verdict.omitted, verdict.removed, verdict.removed_ranges)
    }
}

impl LogCheck {
    fn lock(&self) -> std::sync::MutexGuard<'_, core::LogCheck> {
        self.check.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
