//! Why a contract document was refused.

use std::fmt;

/// One fault of a contract document. Shows as `pointer: RULE: fix`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {rule}: {fix}", if pointer.is_empty() { "(document)" } else { pointer })]
pub struct ContractError {
    /// Where in the document; empty for the document as a whole.
    pub pointer: String,
    /// The rule that was broken: `UPPER_SNAKE`, or a keyword of the schema for contract documents.
    pub rule: String,
    /// What to change.
    pub fix: String,
}

impl ContractError {
    pub(crate) fn new(pointer: impl Into<String>, rule: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), rule: rule.into(), fix: fix.into() }
    }
}

/// All faults that were found in a contract document, at least one. Faults of one stage hide those of the
/// next: the document's form, then its schema, then its mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractErrors(Vec<ContractError>);

impl ContractErrors {
    /// More than these are not listed.
    pub const MOST: usize = 50;

    /// `Ok` where nothing was found.
    pub(crate) fn unless_empty(mut errors: Vec<ContractError>) -> Result<(), Self> {
        errors.truncate(Self::MOST);
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }

    /// The faults, at most [`ContractErrors::MOST`].
    pub fn iter(&self) -> std::slice::Iter<'_, ContractError> {
        self.0.iter()
    }
}

impl From<ContractError> for ContractErrors {
    fn from(error: ContractError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ContractErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the contract document was refused")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for ContractErrors {}
