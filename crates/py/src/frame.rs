//! A look at a frame, to know where it goes.

use intelgraph_pipeline::wire::Frame;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::of_wire;

/// Tells what a `StreamRequest` carries: the field number of its message, the batch's sequence (0 for the others),
/// and the message's bytes (none for a batch, which stays where it is).
#[pyfunction]
pub fn decode_frame<'py>(
    py: Python<'py>,
    frame: &Bound<'py, PyBytes>,
) -> PyResult<(u8, u64, Bound<'py, PyBytes>)> {
    let bytes = frame.as_bytes();
    Ok(match Frame::decode(bytes).map_err(of_wire)? {
        Frame::Open(body) => (1, 0, PyBytes::new(py, &bytes[body])),
        Frame::Batch { sequence, .. } => (2, sequence, PyBytes::new(py, &[])),
        Frame::Refresh(body) => (3, 0, PyBytes::new(py, &bytes[body])),
    })
}
