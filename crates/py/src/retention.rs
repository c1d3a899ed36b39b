//! What retention needs of the core. Each call releases the GIL for all of its work.

use intelgraph_pipeline as core;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::error::of_pipeline;
use crate::keystore::{Keystore, tenant};
use crate::read::ids_as_bytes;
use crate::tick::now;

/// The data keys that chains need, 32 bytes each.
#[pyfunction]
pub fn keys_of_chains<'py>(py: Python<'py>, rows: PyBackedBytes) -> PyResult<Bound<'py, PyBytes>> {
    let ids = py.detach(|| core::chain_keys(&rows)).map_err(of_pipeline)?;
    Ok(ids_as_bytes(py, &ids))
}

/// A COPY stream of sealed snapshots, one for each chain.
#[pyfunction]
pub fn anchors<'py>(
    py: Python<'py>,
    keystore: &Keystore,
    tenant_id: &[u8],
    dataset: &str,
    rows: PyBackedBytes,
) -> PyResult<Bound<'py, PyBytes>> {
    let tenant = tenant(tenant_id)?;
    let anchors = py.detach(|| core::anchors(&rows, &keystore.0, tenant, dataset, now()));
    Ok(PyBytes::new(py, &anchors.map_err(of_pipeline)?))
}

/// A COPY stream of the ranges that removed rows make up.
#[pyfunction]
pub fn removed_ranges<'py>(
    py: Python<'py>,
    tenant_id: &[u8],
    leaves: PyBackedBytes,
) -> PyResult<Bound<'py, PyBytes>> {
    let tenant = tenant(tenant_id)?;
    let ranges = py.detach(|| core::removed_ranges(tenant, &leaves)).map_err(of_pipeline)?;
    Ok(PyBytes::new(py, &ranges))
}

/// A COPY stream of ranges with those made one that follow each other; how many there were and are, and the last
/// change of the last one.
#[pyfunction]
pub fn merge_ranges<'py>(
    py: Python<'py>,
    tenant_id: &[u8],
    ranges: PyBackedBytes,
) -> PyResult<(Bound<'py, PyBytes>, u64, u64, u64)> {
    let tenant = tenant(tenant_id)?;
    let merged = py.detach(|| core::merge_ranges(tenant, &ranges)).map_err(of_pipeline)?;
    Ok((PyBytes::new(py, &merged.rows), merged.counts.0, merged.counts.1, merged.last_seq))
}
