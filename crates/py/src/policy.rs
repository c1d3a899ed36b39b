//! Permission decisions.

use std::collections::BTreeMap;
use std::sync::Arc;

use intelgraph_policy as core;
use pyo3::prelude::*;
use pyo3::types::{PyAnyMethods, PyBytes};

use crate::error::{CoreError, of_policy};

/// Files by name and text.
type Files = Vec<(String, String)>;

/// Modules that compile and hold their own tests.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct PolicyBundle(Arc<core::Bundle>);

#[pymethods]
impl PolicyBundle {
    /// The platform's bundle.
    #[staticmethod]
    fn load(py: Python<'_>, files: Files) -> PyResult<Self> {
        let bundle = py.detach(|| core::Bundle::load(sources(files)));
        Ok(Self(Arc::new(bundle.map_err(|faults| of_policy(&faults))?)))
    }

    /// The same with a tenant's rules beside it.
    fn with_tenant_rules(&self, py: Python<'_>, tenant: &str, files: Files) -> PyResult<Self> {
        let bundle = py.detach(|| self.0.with_tenant_rules(tenant, &sources(files)));
        Ok(Self(Arc::new(bundle.map_err(|faults| of_policy(&faults))?)))
    }

    /// The same for a tenant whose rules cannot be used.
    fn closed(&self, py: Python<'_>, tenant: &str, why: &str) -> Self {
        Self(Arc::new(py.detach(|| self.0.closed(tenant, why))))
    }

    #[getter]
    fn revision(&self) -> &str {
        self.0.revision()
    }

    #[getter]
    fn tests(&self) -> Vec<&str> {
        self.0.tests().iter().map(String::as_str).collect()
    }

    /// What a rule says without input, as JSON.
    fn value_of<'py>(&self, py: Python<'py>, rule: &str) -> Option<Bound<'py, PyBytes>> {
        let value = py.detach(|| self.0.value_of(rule));
        value.map(|value| PyBytes::new(py, value.as_bytes()))
    }

    /// Where the rules stand that deny with this text.
    fn places_of(&self, denial: &str) -> Vec<(String, u32)> {
        self.0.places_of(denial).to_vec()
    }

    /// What bears on a decision, as JSON.
    fn explain<'py>(&self, py: Python<'py>, question: &PolicyQuestion) -> PyResult<Bound<'py, PyBytes>> {
        let explained = py.detach(|| self.0.explain(&question.input()));
        match explained {
            Ok(explained) => Ok(PyBytes::new(py, explained.as_bytes())),
            Err(fault) => Err(CoreError::new_err((fault, "POLICY_FAILED"))),
        }
    }
}

/// Who wants to do what, to what.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct PolicyQuestion {
    permission: String,
    tenant: String,
    subject: String,
    roles: Vec<String>,
    attributes: BTreeMap<String, String>,
    machine: bool,
    platform: bool,
    resource_tenant: Option<String>,
    dataset: Option<String>,
}

#[pymethods]
impl PolicyQuestion {
    #[new]
    #[pyo3(signature = (
        permission, *, tenant, subject, roles, attributes, machine, platform, resource_tenant=None, dataset=None
    ))]
    #[allow(clippy::too_many_arguments, reason = "the parts of the question, each by its name")]
    fn new(
        permission: String,
        tenant: String,
        subject: String,
        roles: &Bound<'_, PyAny>,
        attributes: BTreeMap<String, String>,
        machine: bool,
        platform: bool,
        resource_tenant: Option<String>,
        dataset: Option<String>,
    ) -> PyResult<Self> {
        let roles = roles.try_iter()?.map(|role| role?.extract()).collect::<PyResult<_>>()?;
        Ok(Self {
            permission,
            tenant,
            subject,
            roles,
            attributes,
            machine,
            platform,
            resource_tenant,
            dataset,
        })
    }
}

impl PolicyQuestion {
    fn input(&self) -> core::Input<'_> {
        core::Input {
            permission: &self.permission,
            identity: core::Identity {
                tenant: &self.tenant,
                subject: &self.subject,
                roles: self.roles.iter().map(String::as_str).collect(),
                attributes: self.attributes.iter().map(|(name, value)| (&**name, &**value)).collect(),
                machine: self.machine,
                platform: self.platform,
            },
            resource: core::Resource {
                tenant: self.resource_tenant.as_deref(),
                dataset: self.dataset.as_deref(),
            },
        }
    }
}

/// The answer.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct PolicyDecision(core::Decision);

#[pymethods]
impl PolicyDecision {
    #[getter]
    fn allow(&self) -> bool {
        self.0.allow
    }

    #[getter]
    fn reason(&self) -> &'static str {
        self.0.reason.as_str()
    }

    #[getter]
    fn revision(&self) -> &str {
        &self.0.revision
    }

    #[getter]
    fn cached(&self) -> bool {
        self.0.cached
    }

    #[getter]
    fn fault(&self) -> Option<&str> {
        self.0.fault.as_deref()
    }
}

/// The decisions of one process.
#[pyclass(frozen, module = "intelgraph._core")]
pub struct PolicyDecider(core::Decider);

#[pymethods]
impl PolicyDecider {
    #[new]
    fn new(bundle: &PolicyBundle) -> Self {
        Self(core::Decider::new(bundle.0.clone()))
    }

    /// Decides by `bundle` for a tenant from now on.
    fn install(&self, tenant: &str, bundle: Option<&PolicyBundle>) {
        self.0.install(tenant, bundle.map(|bundle| bundle.0.clone()));
    }

    /// The bundle that decides for a tenant, and whether rules of its own are in it.
    fn bundle_of(&self, tenant: &str) -> (PolicyBundle, bool) {
        let (bundle, own) = self.0.bundle_of(tenant);
        (PolicyBundle(bundle), own)
    }

    /// The decision, if it is remembered.
    fn recall(&self, question: &PolicyQuestion) -> Option<PolicyDecision> {
        self.0.recall(&question.input()).map(PolicyDecision)
    }

    /// The decision.
    fn decide(&self, py: Python<'_>, question: &PolicyQuestion) -> PolicyDecision {
        PolicyDecision(py.detach(|| self.0.decide(&question.input())))
    }
}

fn sources(files: Files) -> Vec<core::Source> {
    files.into_iter().map(|(name, text)| core::Source::new(name, text)).collect()
}
