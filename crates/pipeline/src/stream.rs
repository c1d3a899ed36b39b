//! The stream that a batch came on, as far as its records are concerned.

use std::sync::Arc;

use intelgraph_contract::Contract;
use intelgraph_envelope::TenantId;
use intelgraph_temporal::KeyedArrays;

/// An open stream: whose it is, and what its records must satisfy.
#[derive(Debug)]
pub struct Stream {
    /// The tenant.
    pub tenant: TenantId,
    /// The stream's number within the tenant.
    pub stream_no: i32,
    /// The dataset's number within the tenant.
    pub dataset_id: i32,
    /// The contract's number within the tenant.
    pub contract_id: i32,
    /// The contract.
    pub contract: Arc<Contract>,
    pub(crate) keyed: KeyedArrays,
}

impl Stream {
    /// A stream of records that satisfy `contract`.
    pub fn new(
        tenant: TenantId,
        stream_no: i32,
        dataset_id: i32,
        contract_id: i32,
        contract: Arc<Contract>,
    ) -> Self {
        let keyed = keyed_arrays(&contract);
        Self { tenant, stream_no, dataset_id, contract_id, contract, keyed }
    }

    /// Name of the dataset.
    pub fn dataset(&self) -> &str {
        &self.contract.document().dataset_id
    }
}

/// The arrays that a contract's documents are compared by key in.
pub(crate) fn keyed_arrays(contract: &Contract) -> KeyedArrays {
    let mut keyed = KeyedArrays::default();
    for array in &contract.document().mapping.keyed_arrays {
        keyed.insert(&array.pointer, &array.member);
    }
    keyed
}
