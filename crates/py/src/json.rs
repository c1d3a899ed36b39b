//! Canonical JSON.

use intelgraph_json::{Limits, jcs};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::error::of_json;

/// The form of RFC 8785 of a JSON document.
#[pyfunction]
pub fn canonical_json<'py>(py: Python<'py>, document: PyBackedBytes) -> PyResult<Bound<'py, PyBytes>> {
    let canonical = py.detach(|| jcs(&document, Limits::default()));
    canonical.map(|text| PyBytes::new(py, &text)).map_err(of_json)
}
