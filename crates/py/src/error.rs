//! The one table from Rust's errors to Python's exceptions.

use intelgraph_contract::ContractErrors;
use intelgraph_envelope::EnvelopeError;
use intelgraph_json::ParseError;
use intelgraph_ledger::LedgerError;
use intelgraph_pipeline::{PipelineError, RequestError, wire::WireError};
use intelgraph_policy::Faults;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

create_exception!(
    intelgraph._core,
    CoreError,
    PyException,
    "What the core refuses. `args` are the message and the reason, UPPER_SNAKE."
);
create_exception!(
    intelgraph._core,
    InvalidFrame,
    CoreError,
    "The bytes are not a frame, or the batch is too large."
);
create_exception!(
    intelgraph._core,
    KeyUnavailable,
    CoreError,
    "A key is not loaded, its lease is over, or its budget is used up: authorise, load or refresh, and try again."
);
create_exception!(intelgraph._core, NotActive, CoreError, "The tenant was not activated, or was dropped.");
create_exception!(
    intelgraph._core,
    CorruptData,
    CoreError,
    "What is stored was altered, or is not ours. A third argument is the change's seq, where it is one change."
);
create_exception!(
    intelgraph._core,
    StaleGroup,
    CoreError,
    "What was diffed leans on something that changed: diff again."
);
create_exception!(
    intelgraph._core,
    InvalidRequest,
    CoreError,
    "The bytes are not the request's message, or it is too large."
);
create_exception!(
    intelgraph._core,
    EntityKeyInvalid,
    CoreError,
    "What is to name an entity does not, under its contract. A third argument is the pointer to the part."
);
create_exception!(
    intelgraph._core,
    ContractError,
    CoreError,
    "A contract document was refused. A third argument lists its faults as (pointer, rule, fix)."
);

create_exception!(
    intelgraph._core,
    PolicyError,
    CoreError,
    "A policy was refused. A third argument lists its faults as (file, line, rule, problem, fix)."
);

/// Makes the exception for a pipeline's error.
pub fn of_pipeline(error: PipelineError) -> PyErr {
    let message = error.to_string();
    match error {
        PipelineError::Wire(_) => InvalidFrame::new_err((message, "FRAME_MALFORMED")),
        PipelineError::TooManyRecords { .. } => InvalidFrame::new_err((message, "BATCH_TOO_MANY_RECORDS")),
        PipelineError::Key(error) => of_envelope(error),
        PipelineError::NotActive => NotActive::new_err((message, "TENANT_NOT_ACTIVE")),
        PipelineError::Corrupt { seq, .. } => CorruptData::new_err((message, "DATA_CORRUPT", seq)),
        PipelineError::Unreadable { .. }
        | PipelineError::Frontier { .. }
        | PipelineError::Quarantined { .. }
        | PipelineError::EntryAltered { .. } => CorruptData::new_err((message, "DATA_CORRUPT")),
        PipelineError::EntryMalformed { .. } => CoreError::new_err((message, "ENTRY_MALFORMED")),
        PipelineError::Diff(_) => CorruptData::new_err((message, "DIFF_IMPOSSIBLE")),
        PipelineError::Contract(errors) => of_contract(&errors),
        PipelineError::ClockBehind { .. } => CoreError::new_err((message, "CLOCK_BEHIND")),
        PipelineError::Stale => StaleGroup::new_err((message, "GROUP_STALE")),
    }
}

/// Makes the exception for a frame that cannot be read.
pub fn of_wire(error: WireError) -> PyErr {
    of_pipeline(PipelineError::Wire(error))
}

/// Makes the exception for a request that is refused as a whole.
pub fn of_request(error: RequestError) -> PyErr {
    InvalidRequest::new_err((error.to_string(), error.reason()))
}

/// Makes the exception for a document that is not JSON, or not within I-JSON.
pub fn of_json(error: ParseError) -> PyErr {
    CoreError::new_err((error.to_string(), error.kind.reason()))
}

/// Makes the exception for a refusal of the envelope crate.
pub fn of_envelope(error: EnvelopeError) -> PyErr {
    let arguments = (error.to_string(), error.reason());
    match error {
        EnvelopeError::LeaseExpired
        | EnvelopeError::AuthorisationStale
        | EnvelopeError::SealKeyMissing
        | EnvelopeError::SealKeyExpired
        | EnvelopeError::BudgetExhausted
        | EnvelopeError::IndexKeyMissing
        | EnvelopeError::NoTenantKey
        | EnvelopeError::TenantKeyMissing(_)
        | EnvelopeError::DataKeyNotLoaded
        | EnvelopeError::DataKeyNotFound
        | EnvelopeError::KekUnknown
        | EnvelopeError::KekDisabled
        | EnvelopeError::KekDestroyed => KeyUnavailable::new_err(arguments),
        _ => CoreError::new_err(arguments),
    }
}

/// Makes the exception for a refusal of the ledger crate.
pub fn of_ledger(error: LedgerError) -> PyErr {
    let arguments = (error.to_string(), error.reason());
    match error {
        LedgerError::TileMissing { .. }
        | LedgerError::TileMalformed { .. }
        | LedgerError::BundleCutShort { .. }
        | LedgerError::BundleWidth { .. }
        | LedgerError::RootMismatch { .. }
        | LedgerError::EntryMismatch { .. } => CorruptData::new_err(arguments),
        _ => CoreError::new_err(arguments),
    }
}

/// Makes the exception for a refused contract document.
pub fn of_contract(errors: &ContractErrors) -> PyErr {
    let faults: Vec<_> =
        errors.iter().map(|fault| (fault.pointer.clone(), fault.rule.clone(), fault.fix.clone())).collect();
    let message = errors.to_string();
    Python::attach(|py| match PyTuple::new(py, faults) {
        Ok(faults) => ContractError::new_err((message, "CONTRACT_INVALID", faults.unbind())),
        Err(error) => error,
    })
}

/// Makes the exception for a refused policy.
pub fn of_policy(faults: &Faults) -> PyErr {
    let listed: Vec<_> = faults
        .iter()
        .map(|fault| (fault.file.clone(), fault.line, fault.rule, fault.problem.clone(), fault.fix))
        .collect();
    let message = faults.to_string();
    Python::attach(|py| match PyTuple::new(py, listed) {
        Ok(listed) => PolicyError::new_err((message, "POLICY_INVALID", listed.unbind())),
        Err(error) => error,
    })
}
