//! The `local` KMS. Secrets pass through Python as handles, never as bytes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use intelgraph_envelope as core;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use zeroize::Zeroizing;

use crate::error::of_envelope;
use crate::keystore::tenant;

/// 32 secret bytes. There is no way to read them from Python.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct Secret(Mutex<Option<core::Secret<32>>>);

impl Secret {
    pub fn new(secret: core::Secret<32>) -> Self {
        Self(Mutex::new(Some(secret)))
    }

    /// Takes the secret out: whoever loads it keeps the only copy.
    pub fn take(&self) -> PyResult<core::Secret<32>> {
        self.lock().take().ok_or_else(spent)
    }

    fn lock(&self) -> MutexGuard<'_, Option<core::Secret<32>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle was used that is used up already: a mistake of the caller's.
pub fn spent() -> PyErr {
    PyValueError::new_err("the handle is used up: a key is taken out of it once")
}

#[pymethods]
impl Secret {
    fn __repr__(&self) -> &'static str {
        "<Secret>"
    }
}

/// What unlocks a keyring, kept to open the file again when another process has changed it. There is
/// no way to read it from Python.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct Unlock {
    kind: Kind,
    bytes: Zeroizing<Vec<u8>>,
}

#[derive(Clone, Copy)]
enum Kind {
    Passphrase,
    KeyFile,
}

#[pymethods]
impl Unlock {
    /// A passphrase, any bytes but none.
    #[staticmethod]
    fn passphrase(passphrase: &[u8]) -> Self {
        Self { kind: Kind::Passphrase, bytes: Zeroizing::new(passphrase.to_vec()) }
    }

    /// The content of a key file, 32 random bytes.
    #[staticmethod]
    fn key_file(content: &[u8]) -> Self {
        Self { kind: Kind::KeyFile, bytes: Zeroizing::new(content.to_vec()) }
    }

    fn __repr__(&self) -> &'static str {
        "<Unlock>"
    }
}

impl Unlock {
    fn as_core(&self) -> core::Unlock<'_> {
        match self.kind {
            Kind::Passphrase => core::Unlock::Passphrase(&self.bytes),
            Kind::KeyFile => core::Unlock::KeyFile(&self.bytes),
        }
    }
}

/// One version of a tenant's key in the keyring, without the key.
#[pyclass(frozen, get_all, module = "intelgraph._core")]
pub struct KekVersion {
    number: u32,
    state: &'static str,
    created_us: i64,
}

#[pymethods]
impl KekVersion {
    fn __repr__(&self) -> String {
        format!("<KekVersion {} {}>", self.number, self.state)
    }
}

impl From<core::KekVersion> for KekVersion {
    fn from(version: core::KekVersion) -> Self {
        let state = match version.state {
            core::KekState::Enabled => "enabled",
            core::KekState::Disabled => "disabled",
            core::KekState::Destroyed => "destroyed",
        };
        Self { number: version.number, state, created_us: version.created_us }
    }
}

/// A sealed keyring file, unlocked.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct LocalKeyring(Mutex<core::LocalKeyring>);

#[pymethods]
impl LocalKeyring {
    /// An empty keyring that `unlock` will open.
    #[staticmethod]
    fn create(py: Python<'_>, unlock: &Unlock) -> PyResult<Self> {
        let keyring = py.detach(|| core::LocalKeyring::create(&unlock.as_core()));
        Ok(Self(Mutex::new(keyring.map_err(of_envelope)?)))
    }

    /// Opens a keyring file's bytes.
    #[staticmethod]
    fn open(py: Python<'_>, sealed: PyBackedBytes, unlock: &Unlock) -> PyResult<Self> {
        let keyring = py.detach(|| core::LocalKeyring::open(&sealed, &unlock.as_core()));
        Ok(Self(Mutex::new(keyring.map_err(of_envelope)?)))
    }

    /// The bytes of the keyring file.
    fn seal<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let sealed = py.detach(|| self.lock().seal()).map_err(of_envelope)?;
        Ok(PyBytes::new(py, &sealed))
    }

    /// Makes a new version of the tenant's key; gives its number.
    fn create_kek(&self, tenant_id: &[u8], created_us: i64) -> PyResult<u32> {
        self.lock().create_kek(tenant(tenant_id)?, created_us).map_err(of_envelope)
    }

    /// The tenant's key versions, oldest first.
    fn versions(&self, tenant_id: &[u8]) -> PyResult<Vec<KekVersion>> {
        Ok(self.lock().versions(tenant(tenant_id)?).map(KekVersion::from).collect())
    }

    fn enable(&self, tenant_id: &[u8], version: u32) -> PyResult<()> {
        self.lock().enable(tenant(tenant_id)?, version).map_err(of_envelope)
    }

    fn disable(&self, tenant_id: &[u8], version: u32) -> PyResult<()> {
        self.lock().disable(tenant(tenant_id)?, version).map_err(of_envelope)
    }

    fn destroy(&self, tenant_id: &[u8], version: u32) -> PyResult<()> {
        self.lock().destroy(tenant(tenant_id)?, version).map_err(of_envelope)
    }

    /// Wraps a secret under the tenant's newest key version; `key_id` is the context.
    fn wrap<'py>(
        &self,
        py: Python<'py>,
        tenant_id: &[u8],
        key_id: &[u8],
        secret: &Secret,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let secret = secret.lock();
        let secret = secret.as_ref().ok_or_else(spent)?;
        let wrapped = self.lock().wrap(tenant(tenant_id)?, key_id, secret).map_err(of_envelope)?;
        Ok(PyBytes::new(py, &wrapped))
    }

    /// Unwraps what `wrap` gave for the same tenant and context.
    fn unwrap(&self, tenant_id: &[u8], key_id: &[u8], wrapped: &[u8]) -> PyResult<Secret> {
        let secret = self.lock().unwrap(tenant(tenant_id)?, key_id, wrapped).map_err(of_envelope)?;
        Ok(Secret::new(secret))
    }

    /// The public Ed25519 key of a version of the owner's key, by default of the one that signs.
    #[pyo3(signature = (owner_id, version = None))]
    fn verifying_key<'py>(
        &self,
        py: Python<'py>,
        owner_id: &[u8],
        version: Option<u32>,
    ) -> PyResult<(u32, Bound<'py, PyBytes>)> {
        let owner = tenant(owner_id)?;
        let found = py.detach(|| self.lock().verifying_key(owner, version));
        let (version, public_key) = found.map_err(of_envelope)?;
        Ok((version, PyBytes::new(py, &public_key)))
    }

    /// Signs under the newest enabled version of the owner's key.
    fn sign<'py>(
        &self,
        py: Python<'py>,
        owner_id: &[u8],
        message: PyBackedBytes,
    ) -> PyResult<(u32, Bound<'py, PyBytes>)> {
        let owner = tenant(owner_id)?;
        let signed = py.detach(|| self.lock().sign(owner, &message));
        let (version, signature) = signed.map_err(of_envelope)?;
        Ok((version, PyBytes::new(py, &signature)))
    }

    fn __repr__(&self) -> &'static str {
        "<LocalKeyring>"
    }
}

impl LocalKeyring {
    fn lock(&self) -> MutexGuard<'_, core::LocalKeyring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
