//! Batches of services' messages: request bytes in, response bytes out.

use std::sync::{Mutex, PoisonError};

use intelgraph_envelope::{EnvelopeError, InlineKeys, SealBatch, WrappedKey};
use intelgraph_pipeline as core;
use prost::bytes::Bytes;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::error::{of_envelope, of_pipeline, of_request};
use crate::keystore::{Keystore, tenant};
use crate::read::ids_as_bytes;
use crate::tick::now;

/// Messages to be sealed.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct MessagesToSeal(core::MessagesToSeal);

#[pymethods]
impl MessagesToSeal {
    /// Takes an `EncryptRequest` apart.
    #[staticmethod]
    fn decode(request: PyBackedBytes) -> PyResult<Self> {
        core::MessagesToSeal::decode(Bytes::from_owner(request)).map(Self).map_err(of_request)
    }

    #[getter]
    fn tenant(&self) -> &str {
        self.0.tenant()
    }

    #[getter]
    fn count(&self) -> usize {
        self.0.count()
    }

    #[getter]
    fn keys_travel(&self) -> bool {
        self.0.keys_travel()
    }

    /// Reserves what sealing them takes.
    fn reserve(&self, keystore: &Keystore, tenant_id: &[u8]) -> PyResult<SealReservation> {
        let batch = self.0.reserve(&keystore.0, tenant(tenant_id)?, now()).map_err(of_envelope)?;
        Ok(SealReservation { dek_id: *batch.key().id().as_bytes(), batch: Mutex::new(Some(batch)) })
    }

    /// Seals them: an `EncryptResponse`. `keys`, the data key and the tenant key, both wrapped, are carried.
    #[pyo3(signature = (reservation, keys=None))]
    fn seal<'py>(
        &self,
        py: Python<'py>,
        reservation: &SealReservation,
        keys: Option<(PyBackedBytes, PyBackedBytes)>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let batch = reservation.batch.lock().unwrap_or_else(PoisonError::into_inner).take();
        let batch = batch.ok_or_else(|| of_envelope(EnvelopeError::ReservationExceeded))?;
        let sealed = py.detach(|| {
            let Some((data_key, tenant_key)) = &keys else { return self.0.seal(batch, None) };
            let data_key = WrappedKey::parse(data_key)?;
            self.0.seal(batch, Some(&InlineKeys { data_key, tenant_key }))
        });
        Ok(PyBytes::new(py, &sealed.map_err(of_envelope)?))
    }
}

/// The right to seal one batch, once.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct SealReservation {
    batch: Mutex<Option<SealBatch>>,
    dek_id: [u8; 32],
}

#[pymethods]
impl SealReservation {
    /// The data key that will seal.
    #[getter]
    fn dek_id(&self) -> &[u8] {
        &self.dek_id
    }
}

/// Envelopes to be opened.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct MessagesToOpen(core::MessagesToOpen);

#[pymethods]
impl MessagesToOpen {
    /// Takes a `DecryptRequest` apart.
    #[staticmethod]
    fn decode(request: PyBackedBytes) -> PyResult<Self> {
        core::MessagesToOpen::decode(Bytes::from_owner(request)).map(Self).map_err(of_request)
    }

    #[getter]
    fn tenant(&self) -> &str {
        self.0.tenant()
    }

    /// The data keys that the envelopes name, 32 bytes each.
    fn keys_needed<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let ids = py.detach(|| self.0.keys_needed());
        ids_as_bytes(py, &ids)
    }

    /// The tenant keys (id, wrapped) that the KMS has to unwrap first.
    #[allow(clippy::type_complexity, reason = "the shape of the answer, named in the stub")]
    fn travelling_keys<'py>(
        &self,
        py: Python<'py>,
        keystore: &Keystore,
        tenant_id: &[u8],
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
        let keys = self.0.travelling_keys(&keystore.0, tenant(tenant_id)?, now()).map_err(of_envelope)?;
        let bytes = |key: &[u8]| PyBytes::new(py, key);
        Ok(keys.into_iter().map(|(id, wrapped)| (bytes(id.as_bytes()), bytes(wrapped))).collect())
    }

    /// Opens them: a `DecryptResponse`.
    fn open<'py>(
        &self,
        py: Python<'py>,
        keystore: &Keystore,
        tenant_id: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let tenant = tenant(tenant_id)?;
        let opened = py.detach(|| self.0.open(&keystore.0, tenant, now())).map_err(of_pipeline)?;
        Ok(PyBytes::new(py, &opened))
    }
}
