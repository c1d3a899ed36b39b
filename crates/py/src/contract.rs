//! Contracts, compiled.

use std::sync::Arc;

use intelgraph_contract as core;
use intelgraph_json::{Limits, Parser, Tape};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList};

use crate::error::of_contract;

/// A compiled data contract.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct Contract(pub Arc<core::Contract>);

#[pymethods]
impl Contract {
    /// Compiles a contract document.
    #[staticmethod]
    fn compile(py: Python<'_>, document: PyBackedBytes) -> PyResult<Self> {
        let contract = py.detach(|| core::Contract::compile(&document));
        Ok(Self(Arc::new(contract.map_err(|errors| of_contract(&errors))?)))
    }

    #[getter]
    fn dataset(&self) -> &str {
        &self.0.document().dataset_id
    }

    #[getter]
    fn version(&self) -> String {
        self.0.document().version.to_string()
    }

    #[getter]
    fn tenant(&self) -> &str {
        &self.0.document().tenant_id
    }

    #[getter]
    fn digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.digest())
    }

    #[getter]
    fn document<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.canonical())
    }

    /// Checks JSON documents: how many satisfy the contract, and the report on the others as JSON.
    fn validate<'py>(
        &self,
        py: Python<'py>,
        records: &Bound<'py, PyList>,
        now_us: i64,
    ) -> PyResult<(u32, u32, Bound<'py, PyBytes>)> {
        let records: Vec<PyBackedBytes> = records.extract()?;
        let (valid, report) = py.detach(|| check(&self.0, &records, now_us));
        let invalid = records.len() as u32 - valid;
        Ok((valid, invalid, PyBytes::new(py, &report)))
    }

    fn __repr__(&self) -> String {
        format!("<Contract {} {}>", self.dataset(), self.version())
    }
}

fn check(contract: &core::Contract, records: &[PyBackedBytes], now_us: i64) -> (u32, Vec<u8>) {
    let mut parser = Parser::new(Limits::default());
    let mut tape = Tape::default();
    let mut report = core::Report::new(contract, core::ReportLimits::default());
    let mut key = Vec::new();
    let mut valid = 0;
    for (index, record) in (0u64..).zip(records) {
        tape.clear();
        match parser.parse(&mut tape, record, 0..record.len()) {
            Err(error) => report.add(index, core::Violation::from(error)),
            Ok(root) => {
                let value = tape.value(record, root);
                key.clear();
                let mapped = contract
                    .entity_key(value, &mut key)
                    .and_then(|()| contract.event_time(value, now_us).map(|_| ()));
                let fits = contract.is_valid(value);
                match mapped {
                    Ok(()) if fits => valid += 1,
                    Ok(()) => contract.explain(index, value, &mut report),
                    Err(violation) => {
                        report.add(index, *violation);
                        if !fits {
                            contract.explain(index, value, &mut report);
                        }
                    }
                }
            }
        }
    }
    (valid, report.to_json())
}
