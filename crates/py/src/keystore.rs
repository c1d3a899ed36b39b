//! Key material of the process. Rows cross the boundary, keys never do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use intelgraph_envelope as core;
use intelgraph_envelope::{
    DataKeyLimits, DekId, EnvelopeError, IndexKeyId, KeystoreLimits, Suite, TenantId, TenantKeyId, Tick,
    WrappedKey,
};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::error::of_envelope;
use crate::keyring::{Secret, spent};
use crate::tick::now;

/// The tenant that 16 bytes name.
pub fn tenant(bytes: &[u8]) -> PyResult<TenantId> {
    TenantId::try_from(bytes).map_err(of_envelope)
}

/// A data key as it is stored.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct DataKeyRow(core::DataKeyRow);

#[pymethods]
impl DataKeyRow {
    #[new]
    fn new(tenant_id: &[u8], dek_id: &[u8], suite: u8, wrapped: &[u8]) -> PyResult<Self> {
        Ok(Self(core::DataKeyRow {
            tenant: tenant(tenant_id)?,
            id: DekId::try_from(dek_id).map_err(of_envelope)?,
            suite: Suite::from_number(suite).map_err(of_envelope)?,
            wrapped: WrappedKey::parse(wrapped).map_err(of_envelope)?,
        }))
    }

    #[getter]
    fn dek_id(&self) -> &[u8] {
        self.0.id.as_bytes()
    }

    #[getter]
    fn suite(&self) -> u8 {
        self.0.suite.number()
    }

    #[getter]
    fn tenant_key_id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.wrapped.tenant_key_id().as_bytes())
    }

    #[getter]
    fn wrapped(&self) -> &[u8] {
        self.0.wrapped.as_bytes()
    }

    fn __repr__(&self) -> String {
        format!("<DataKeyRow {}>", self.0.id)
    }
}

/// A tenant's index key as it is stored.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct IndexKeyRow(core::IndexKeyRow);

#[pymethods]
impl IndexKeyRow {
    #[new]
    fn new(tenant_id: &[u8], index_key_id: &[u8], wrapped: &[u8]) -> PyResult<Self> {
        Ok(Self(core::IndexKeyRow {
            tenant: tenant(tenant_id)?,
            id: IndexKeyId::try_from(index_key_id).map_err(of_envelope)?,
            wrapped: WrappedKey::parse(wrapped).map_err(of_envelope)?,
        }))
    }

    #[getter]
    fn index_key_id(&self) -> &[u8] {
        self.0.id.as_bytes()
    }

    #[getter]
    fn tenant_key_id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.wrapped.tenant_key_id().as_bytes())
    }

    #[getter]
    fn wrapped(&self) -> &[u8] {
        self.0.wrapped.as_bytes()
    }

    fn __repr__(&self) -> String {
        format!("<IndexKeyRow {}>", self.0.id)
    }
}

/// A key on its way to being used, taken out once.
struct Handle<T>(Mutex<Option<T>>);

impl<T> Handle<T> {
    fn new(key: T) -> Self {
        Self(Mutex::new(Some(key)))
    }

    fn take(&self) -> PyResult<T> {
        self.lock().take().ok_or_else(spent)
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A data key that cannot seal yet: commit its row, then activate it.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct PendingDek {
    key: Handle<core::PendingDek>,
    row: core::DataKeyRow,
}

#[pymethods]
impl PendingDek {
    #[getter]
    fn row(&self) -> DataKeyRow {
        DataKeyRow(self.row)
    }

    fn __repr__(&self) -> String {
        format!("<PendingDek {}>", self.row.id)
    }
}

/// An index key that is not in use yet: commit its row, then activate it.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct PendingIndexKey {
    key: Handle<core::PendingIndexKey>,
    row: core::IndexKeyRow,
}

#[pymethods]
impl PendingIndexKey {
    #[getter]
    fn row(&self) -> IndexKeyRow {
        IndexKeyRow(self.row)
    }

    fn __repr__(&self) -> String {
        format!("<PendingIndexKey {}>", self.row.id)
    }
}

/// A tenant key on its way to or from the KMS.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct TenantKey {
    key: Handle<core::TenantKey>,
    id: TenantKeyId,
}

#[pymethods]
impl TenantKey {
    /// A new key.
    #[staticmethod]
    fn generate(tenant_id: &[u8], created_us: i64) -> PyResult<Self> {
        core::TenantKey::generate(tenant(tenant_id)?, created_us).map(Self::from).map_err(of_envelope)
    }

    /// The key that the KMS unwrapped from the row named `key_id`.
    #[staticmethod]
    fn load(tenant_id: &[u8], key_id: &[u8], created_us: i64, secret: &Secret) -> PyResult<Self> {
        let id = TenantKeyId::try_from(key_id).map_err(of_envelope)?;
        let key = core::TenantKey::load(tenant(tenant_id)?, id, created_us, secret.take()?);
        key.map(Self::from).map_err(of_envelope)
    }

    /// The key that the KMS unwrapped from an envelope that carried it: it unwraps, and wraps nothing new.
    #[staticmethod]
    fn load_travelled(tenant_id: &[u8], key_id: &[u8], secret: &Secret) -> PyResult<Self> {
        let id = TenantKeyId::try_from(key_id).map_err(of_envelope)?;
        let key = core::TenantKey::load_inline(tenant(tenant_id)?, id, secret.take()?);
        key.map(Self::from).map_err(of_envelope)
    }

    #[getter]
    fn key_id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.id.as_bytes())
    }

    /// A copy of its bytes, for the KMS to wrap.
    fn secret(&self) -> PyResult<Secret> {
        let key = self.key.lock();
        let key = key.as_ref().ok_or_else(spent)?;
        core::Secret::copy_of(key.secret().expose()).map(Secret::new).map_err(of_envelope)
    }

    fn __repr__(&self) -> String {
        format!("<TenantKey {}>", self.id)
    }
}

impl From<core::TenantKey> for TenantKey {
    fn from(key: core::TenantKey) -> Self {
        Self { id: key.id(), key: Handle::new(key) }
    }
}

/// Keys of all tenants of a process.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct Keystore(pub Arc<core::Keystore>);

#[pymethods]
impl Keystore {
    /// `dek_messages` and `dek_seconds` are what a data key seals before it is replaced,
    /// `tenant_key_seconds` is the age at which a tenant key is.
    #[new]
    #[pyo3(signature = (*, dek_messages=5_000_000, dek_seconds=900.0, tenant_key_seconds=2_592_000.0))]
    fn new(dek_messages: u64, dek_seconds: f64, tenant_key_seconds: f64) -> PyResult<Self> {
        let out_of_range = |_| of_envelope(EnvelopeError::LimitOutOfRange);
        let dek_age = Duration::try_from_secs_f64(dek_seconds).map_err(out_of_range)?;
        let data_key =
            DataKeyLimits::new(dek_messages, DataKeyLimits::HARD_BYTES, dek_age).map_err(of_envelope)?;
        let tenant_key_age = Duration::try_from_secs_f64(tenant_key_seconds).map_err(out_of_range)?;
        let limits = KeystoreLimits { data_key, tenant_key_age, ..KeystoreLimits::default() };
        Ok(Self(Arc::new(core::Keystore::new(limits))))
    }

    /// Now on the clock of the leases, in microseconds.
    #[staticmethod]
    fn tick() -> u64 {
        u64::try_from(now().since(Tick::from_micros(0)).as_micros()).unwrap_or(u64::MAX)
    }

    /// The KMS authorised the tenant, asked at `authorised_at` (of `tick`): the lease ends `ttl_us`
    /// after that.
    fn renew(&self, tenant_id: &[u8], authorised_at: u64, ttl_us: u64) -> PyResult<u64> {
        let (asked, ttl) = (Tick::from_micros(authorised_at), Duration::from_micros(ttl_us));
        let lease = self.0.renew(tenant(tenant_id)?, asked, ttl);
        lease.map(core::LeaseId::generation).map_err(of_envelope)
    }

    fn revoke(&self, tenant_id: &[u8]) -> PyResult<()> {
        self.0.revoke(tenant(tenant_id)?, now());
        Ok(())
    }

    /// The number of the tenant's live lease.
    fn lease(&self, tenant_id: &[u8]) -> PyResult<Option<u64>> {
        Ok(self.0.lease(tenant(tenant_id)?, now()).map(core::LeaseId::generation))
    }

    /// Drops what belongs to leases that have run out; names their tenants.
    fn expire<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let ended = py.detach(|| self.0.expire(now()));
        ended.iter().map(|tenant| PyBytes::new(py, tenant.as_bytes())).collect()
    }

    fn add_tenant_key(&self, key: &TenantKey) -> PyResult<()> {
        let key = key.key.take()?;
        self.0.add_tenant_key(key, now()).map_err(of_envelope)
    }

    /// Which of these tenant keys (16 bytes each) are not loaded.
    fn missing_tenant_keys<'py>(
        &self,
        py: Python<'py>,
        tenant_id: &[u8],
        key_ids: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let ids = key_ids.as_chunks::<16>().0.iter().map(|id| TenantKeyId::from_bytes(*id));
        let missing = self.0.missing_tenant_keys(tenant(tenant_id)?, ids, now()).map_err(of_envelope)?;
        let missing: Vec<u8> = missing.iter().flat_map(|id| *id.as_bytes()).collect();
        Ok(PyBytes::new(py, &missing))
    }

    fn tenant_key_due(&self, tenant_id: &[u8], unix_us: i64) -> PyResult<bool> {
        self.0.tenant_key_due(tenant(tenant_id)?, unix_us, now()).map_err(of_envelope)
    }

    /// What a batch of so many messages finds: `ready`; `due`, ready and to be replaced soon; `spent`,
    /// no key or none with that much left; `unleased`.
    fn seal_slot(&self, tenant_id: &[u8], messages: u64) -> PyResult<&'static str> {
        let (tenant, now) = (tenant(tenant_id)?, now());
        // Given back at once: the batch reserves for itself when it seals.
        match self.0.reserve(tenant, messages, 0, now).map(drop) {
            Ok(()) => Ok(if self.0.refresh_due(tenant, now).unwrap_or(true) { "due" } else { "ready" }),
            Err(
                EnvelopeError::SealKeyMissing
                | EnvelopeError::SealKeyExpired
                | EnvelopeError::BudgetExhausted,
            ) => Ok("spent"),
            Err(EnvelopeError::LeaseExpired) => Ok("unleased"),
            Err(error) => Err(of_envelope(error)),
        }
    }

    fn generate_dek(&self, tenant_id: &[u8]) -> PyResult<PendingDek> {
        let pending = self.0.generate_dek(tenant(tenant_id)?, now()).map_err(of_envelope)?;
        Ok(PendingDek { row: pending.row(), key: Handle::new(pending) })
    }

    fn activate(&self, pending: &PendingDek) -> PyResult<()> {
        let pending = pending.key.take()?;
        self.0.activate(pending, now()).map_err(of_envelope)
    }

    /// Which of these data keys (32 bytes each) must be loaded before their values open. Those that
    /// were found absent lately are left out.
    fn missing_deks<'py>(
        &self,
        py: Python<'py>,
        tenant_id: &[u8],
        dek_ids: PyBackedBytes,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let tenant = tenant(tenant_id)?;
        let missing = py.detach(|| self.0.missing(tenant, ids_of(&dek_ids), now())).map_err(of_envelope)?;
        let missing: Vec<u8> = missing.iter().flat_map(|id| *id.as_bytes()).collect();
        Ok(PyBytes::new(py, &missing))
    }

    /// Loads data keys from their rows; names those that do not load, with the reason.
    fn load_deks<'py>(
        &self,
        py: Python<'py>,
        rows: Vec<PyRef<'py, DataKeyRow>>,
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, &'static str)>> {
        let rows: Vec<core::DataKeyRow> = rows.iter().map(|row| row.0).collect();
        let refused = py.detach(|| {
            let mut refused = Vec::new();
            for row in &rows {
                match self.0.load_dek(row, now()) {
                    Ok(_) => {}
                    Err(EnvelopeError::LeaseExpired) => return Err(EnvelopeError::LeaseExpired),
                    Err(error) => refused.push((row.id, error.reason())),
                }
            }
            Ok(refused)
        });
        let refused = refused.map_err(of_envelope)?;
        Ok(refused.iter().map(|(id, reason)| (PyBytes::new(py, id.as_bytes()), *reason)).collect())
    }

    /// Records that these data keys (32 bytes each) do not exist, so that they are not looked for
    /// again for a while.
    fn note_absent_deks(&self, tenant_id: &[u8], dek_ids: &[u8]) -> PyResult<()> {
        let tenant = tenant(tenant_id)?;
        ids_of(dek_ids).try_for_each(|id| self.0.dek_absent(tenant, id, now())).map_err(of_envelope)
    }

    /// Which of these data keys (32 bytes each) were found absent lately.
    fn absent_deks<'py>(
        &self,
        py: Python<'py>,
        tenant_id: &[u8],
        dek_ids: PyBackedBytes,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let tenant = tenant(tenant_id)?;
        let absent = py.detach(|| {
            let mut absent = Vec::new();
            for id in ids_of(&dek_ids) {
                match self.0.opening_key(tenant, id, now()) {
                    Err(EnvelopeError::DataKeyNotFound) => absent.extend_from_slice(id.as_bytes()),
                    Err(EnvelopeError::LeaseExpired) => return Err(EnvelopeError::LeaseExpired),
                    _ => {}
                }
            }
            Ok(absent)
        });
        Ok(PyBytes::new(py, &absent.map_err(of_envelope)?))
    }

    fn generate_index_key(&self, tenant_id: &[u8]) -> PyResult<PendingIndexKey> {
        let pending = self.0.generate_index_key(tenant(tenant_id)?, now()).map_err(of_envelope)?;
        Ok(PendingIndexKey { row: pending.row(), key: Handle::new(pending) })
    }

    fn activate_index_key(&self, pending: &PendingIndexKey) -> PyResult<()> {
        let pending = pending.key.take()?;
        self.0.activate_index_key(pending, now()).map_err(of_envelope)
    }

    fn load_index_key(&self, row: &IndexKeyRow) -> PyResult<()> {
        self.0.load_index_key(&row.0, now()).map_err(of_envelope)
    }

    fn __repr__(&self) -> &'static str {
        "<Keystore>"
    }
}

fn ids_of(dek_ids: &[u8]) -> impl Iterator<Item = DekId> {
    dek_ids.as_chunks::<{ DekId::LEN }>().0.iter().map(|id| DekId::from_bytes(*id))
}
