//! The batch's crossings. Each releases the GIL for all of its work.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};

use intelgraph_contract::ReportLimits;
use intelgraph_json::Limits;
use intelgraph_pipeline as core;
use intelgraph_temporal::Frontier;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList};

use crate::contract::Contract;
use crate::error::{CorruptData, of_pipeline};
use crate::keystore::{Keystore, tenant};
use crate::tick::now;

/// COPY streams are handed over in chunks of this many bytes.
const CHUNK_BYTES: usize = 512 * 1024;

/// An open stream: whose it is, and what its records must satisfy.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct Stream(Arc<core::Stream>);

#[pymethods]
impl Stream {
    #[new]
    #[pyo3(signature = (tenant_id, *, stream_no, dataset_id, contract_id, contract))]
    fn new(
        tenant_id: &[u8],
        stream_no: i32,
        dataset_id: i32,
        contract_id: i32,
        contract: &Contract,
    ) -> PyResult<Self> {
        let contract = Arc::clone(&contract.0);
        let stream = core::Stream::new(tenant(tenant_id)?, stream_no, dataset_id, contract_id, contract);
        Ok(Self(Arc::new(stream)))
    }
}

/// A batch whose records were checked.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct Prepared(Arc<core::Prepared>);

#[pymethods]
impl Prepared {
    #[getter]
    fn sequence(&self) -> u64 {
        self.0.sequence()
    }

    #[getter]
    fn records(&self) -> u32 {
        self.0.records()
    }

    #[getter]
    fn size(&self) -> usize {
        self.0.size()
    }

    #[getter]
    fn dataset_id(&self) -> i32 {
        self.0.stream().dataset_id
    }
}

/// A query for what a batch needs to know.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct FetchPlan {
    plan: core::FetchPlan,
    engine: Arc<core::Engine>,
}

#[pymethods]
impl FetchPlan {
    #[getter]
    fn entities<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.plan.entities)
    }

    #[getter]
    fn late_entities<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.plan.late_entities)
    }

    #[getter]
    fn late_valid_at<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let times: Vec<u8> = self.plan.late_valid_at.iter().flat_map(|at| at.to_be_bytes()).collect();
        PyBytes::new(py, &times)
    }

    /// Data keys that opening `rows` needs and that are not loaded, 32 bytes each; also those that were found absent
    /// lately, for the refusal to name one every time.
    fn keys_needed<'py>(&self, py: Python<'py>, rows: PyBackedBytes) -> PyResult<Bound<'py, PyBytes>> {
        let needed = py.detach(|| {
            let ids = self.plan.keys(&rows)?;
            let tenant = self.plan.tenant();
            Ok(self.engine.keystore().not_held(tenant, ids, now())?)
        });
        let ids: Vec<u8> = needed.map_err(of_pipeline)?.iter().flat_map(|id| *id.as_bytes()).collect();
        Ok(PyBytes::new(py, &ids))
    }

    /// Gives the batch what the query's answer says.
    fn supply(&self, py: Python<'_>, rows: PyBackedBytes) -> PyResult<()> {
        py.detach(|| self.plan.supply(&rows, self.engine.keystore(), now())).map_err(of_pipeline)
    }
}

/// Batches that were diffed together.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct Group {
    group: Mutex<core::Group>,
    fingerprints: Vec<u8>,
}

#[pymethods]
impl Group {
    #[getter]
    fn fingerprints<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.fingerprints)
    }

    /// Gives the changes their `seq` and times, under the tenant's clock row.
    fn bind(
        &self,
        py: Python<'_>,
        seq: u64,
        recorded_us: i64,
        now_us: i64,
        frontier: &[u8],
        quarantined: PyBackedBytes,
    ) -> PyResult<BoundGroup> {
        let frontier = match frontier {
            [] => Frontier::default(),
            bytes => Frontier::from_bytes(bytes)
                .map_err(|error| CorruptData::new_err((error.to_string(), "DATA_CORRUPT")))?,
        };
        let clock = core::Clock { seq, recorded_us, now_us, frontier };
        let bound = py.detach(|| self.lock().bind(&clock, &quarantined)).map_err(of_pipeline)?;
        Ok(BoundGroup(bound))
    }
}

impl Group {
    fn lock(&self) -> std::sync::MutexGuard<'_, core::Group> {
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one transaction writes, and the replies for when it is committed.
#[pyclass(frozen, name = "Bound", module = "intelgraph._core")]
pub struct BoundGroup(core::Bound);

#[pymethods]
impl BoundGroup {
    #[getter]
    fn seq(&self) -> u64 {
        self.0.seq
    }

    #[getter]
    fn recorded_us(&self) -> i64 {
        self.0.recorded_us
    }

    #[getter]
    fn frontier<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.frontier.to_bytes())
    }

    /// COPY streams: table, columns, chunks of at most 512 KiB.
    #[getter]
    #[allow(clippy::type_complexity, reason = "the shape of the answer, named in the stub")]
    fn tables<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Vec<(&'static str, Vec<&'static str>, Bound<'py, PyList>)>> {
        self.0
            .tables
            .iter()
            .map(|table| {
                let chunks = table.parts.iter().flat_map(|part| part.chunks(CHUNK_BYTES));
                let chunks =
                    PyList::new(py, chunks.map(|chunk| PyBytes::new(py, chunk)).collect::<Vec<_>>())?;
                Ok((table.name, table.columns.to_vec(), chunks))
            })
            .collect()
    }

    #[getter]
    fn replies<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.replies.iter().map(|reply| PyBytes::new(py, reply)).collect()
    }

    /// Records accepted, unchanged, duplicate and quarantined.
    #[getter]
    fn outcomes(&self) -> (u64, u64, u64, u64) {
        let core::Outcomes { accepted, unchanged, duplicate, quarantined } = self.0.outcomes;
        (accepted, unchanged, duplicate, quarantined)
    }

    /// Records of each batch that are put into quarantine.
    #[getter]
    fn quarantining(&self) -> Vec<u32> {
        self.0.quarantining.clone()
    }
}

/// All tenants' heads, and the work on batches.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct Engine(Arc<core::Engine>);

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (keystore, *, cache_bytes, max_record_bytes, max_depth, max_batch_records))]
    fn new(
        keystore: &Keystore,
        cache_bytes: NonZeroU64,
        max_record_bytes: u32,
        max_depth: u16,
        max_batch_records: u32,
    ) -> Self {
        let limits = core::EngineLimits {
            cache_bytes: cache_bytes.get(),
            json: Limits { max_bytes: max_record_bytes, max_depth },
            batch: core::BatchLimits { records: max_batch_records, report: ReportLimits::default() },
        };
        Self(Arc::new(core::Engine::new(Arc::clone(&keystore.0), limits)))
    }

    fn activate(&self, tenant_id: &[u8], watermark: u64, share_percent: u64) -> PyResult<()> {
        self.0.activate(tenant(tenant_id)?, watermark, share_percent);
        Ok(())
    }

    fn set_cache_share(&self, py: Python<'_>, tenant_id: &[u8], share_percent: u64) -> PyResult<()> {
        let tenant = tenant(tenant_id)?;
        py.detach(|| self.0.set_share(tenant, share_percent)).map_err(of_pipeline)
    }

    fn deactivate(&self, tenant_id: &[u8]) -> PyResult<()> {
        self.0.deactivate(tenant(tenant_id)?);
        Ok(())
    }

    fn prepare(
        &self,
        py: Python<'_>,
        stream: &Stream,
        frame: PyBackedBytes,
        now_us: i64,
    ) -> PyResult<Prepared> {
        let stream = Arc::clone(&stream.0);
        let prepared = py.detach(|| self.0.prepare(stream, Arc::new(frame), now_us, now()));
        Ok(Prepared(prepared.map_err(of_pipeline)?))
    }

    fn plan_fetch(&self, py: Python<'_>, batch: &Prepared) -> PyResult<Option<FetchPlan>> {
        let plan = py.detach(|| self.0.plan_fetch(&batch.0, now())).map_err(of_pipeline)?;
        Ok(plan.map(|plan| FetchPlan { plan, engine: Arc::clone(&self.0) }))
    }

    /// Diffs batches as a group; a list of indexes instead, if some of them need to know more first.
    fn diff<'py>(
        &self,
        py: Python<'py>,
        tenant_id: &[u8],
        batches: Vec<PyRef<'py, Prepared>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let tenant = tenant(tenant_id)?;
        let batches: Vec<_> = batches.iter().map(|batch| Arc::clone(&batch.0)).collect();
        match py.detach(|| self.0.diff(tenant, &batches, now())).map_err(of_pipeline)? {
            core::Diffed::Ready(group) => {
                let fingerprints = group.fingerprints();
                let group = Group { group: Mutex::new(*group), fingerprints };
                Ok(Bound::new(py, group)?.into_any())
            }
            core::Diffed::Missing(indexes) => Ok(PyList::new(py, indexes)?.into_any()),
        }
    }

    fn is_stale(&self, group: &Group) -> bool {
        self.0.is_stale(&group.lock())
    }

    fn commit(&self, py: Python<'_>, group: &Group, bound: &BoundGroup) -> PyResult<()> {
        py.detach(|| self.0.commit(&group.lock(), &bound.0)).map_err(of_pipeline)
    }

    fn abort(&self, tenant_id: &[u8]) -> PyResult<()> {
        self.0.abort(tenant(tenant_id)?);
        Ok(())
    }

    fn catch_up(&self, py: Python<'_>, tenant_id: &[u8], moved: PyBackedBytes, seq: u64) -> PyResult<()> {
        let tenant = tenant(tenant_id)?;
        py.detach(|| self.0.catch_up(tenant, &moved, seq)).map_err(of_pipeline)
    }

    fn retained(&self, py: Python<'_>, tenant_id: &[u8], entities: PyBackedBytes) -> PyResult<()> {
        let tenant = tenant(tenant_id)?;
        py.detach(|| self.0.retained(tenant, &entities)).map_err(of_pipeline)
    }

    fn all_retained(&self, py: Python<'_>, tenant_id: &[u8]) -> PyResult<()> {
        let tenant = tenant(tenant_id)?;
        py.detach(|| self.0.all_retained(tenant)).map_err(of_pipeline)
    }

    fn learn(&self, py: Python<'_>, tenant_id: &[u8], entities: PyBackedBytes, seq: u64) -> PyResult<()> {
        let tenant = tenant(tenant_id)?;
        py.detach(|| self.0.learn(tenant, &entities, seq)).map_err(of_pipeline)
    }

    fn learn_from(&self, tenant_id: &[u8]) -> PyResult<Option<u64>> {
        self.0.learn_from(tenant(tenant_id)?).map_err(of_pipeline)
    }

    fn watermark(&self, tenant_id: &[u8]) -> PyResult<u64> {
        Ok(self.0.usage(tenant(tenant_id)?).map_err(of_pipeline)?.watermark)
    }

    /// Heads in the tenant's cache, and the bytes that they keep.
    fn cached(&self, tenant_id: &[u8]) -> PyResult<(usize, u64)> {
        let usage = self.0.usage(tenant(tenant_id)?).map_err(of_pipeline)?;
        Ok((usage.heads, usage.bytes))
    }

    /// Records whose entity's head was in memory, and those whose head was fetched, of all tenants.
    fn lookups(&self) -> (u64, u64) {
        let core::Lookups { held, fetched } = self.0.lookups();
        (held, fetched)
    }

    /// Heads in all tenants' caches, and the bytes that they keep.
    fn cached_of_all(&self) -> (u64, u64) {
        self.0.cached()
    }

    fn forget_unleased(&self, py: Python<'_>) {
        py.detach(|| self.0.forget_unleased(now()));
    }
}
