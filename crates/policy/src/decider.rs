//! Decides, and remembers what it decided.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use quick_cache::sync::Cache;

use crate::bundle::Bundle;
use crate::decision::{Decision, Reason};
use crate::input::Input;

/// Decisions that are remembered: of the default bundle there are some hundred for each tenant.
const REMEMBERED: usize = 65_536;

/// The decisions of one process: the platform's bundle, and for tenants with rules of their own the one with these.
///
/// Thread-safe. A bundle that is installed decides from then on; a decision that is under way ends by the one before.
pub struct Decider {
    platform: Arc<Bundle>,
    tenants: RwLock<HashMap<String, Arc<Bundle>>>,
    remembered: Cache<[u8; 32], Reason>,
}

impl Decider {
    /// Decides by the platform's bundle.
    pub fn new(platform: impl Into<Arc<Bundle>>) -> Self {
        Self {
            platform: platform.into(),
            tenants: RwLock::new(HashMap::new()),
            remembered: Cache::new(REMEMBERED),
        }
    }

    /// Decides by `bundle` for a tenant; None by the platform's alone.
    pub fn install(&self, tenant: &str, bundle: Option<Arc<Bundle>>) {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        match bundle {
            Some(bundle) => tenants.insert(tenant.to_owned(), bundle),
            None => tenants.remove(tenant),
        };
    }

    /// The bundle that decides for a tenant, and whether rules of its own are in it.
    pub fn bundle_of(&self, tenant: &str) -> (Arc<Bundle>, bool) {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        match tenants.get(tenant) {
            Some(bundle) => (bundle.clone(), true),
            None => (self.platform.clone(), false),
        }
    }

    /// The decision, if it is remembered.
    pub fn recall(&self, input: &Input<'_>) -> Option<Decision> {
        let (bundle, _) = self.bundle_of(input.identity.tenant);
        if bundle.analysis.volatile {
            return None;
        }
        let reason = self.remembered.get(&input.digest(&bundle.analysis.reads, &bundle.revision))?;
        Some(decision(&bundle, reason, true, None))
    }

    /// The decision. It never fails: what fails is denied.
    pub fn decide(&self, input: &Input<'_>) -> Decision {
        if let Some(decision) = self.recall(input) {
            return decision;
        }
        let (bundle, _) = self.bundle_of(input.identity.tenant);
        let (reason, fault) = bundle.decide(input);
        // What failed may have been short of time.
        if !bundle.analysis.volatile && reason != Reason::Failed {
            self.remembered.insert(input.digest(&bundle.analysis.reads, &bundle.revision), reason);
        }
        decision(&bundle, reason, false, fault)
    }
}

fn decision(bundle: &Bundle, reason: Reason, cached: bool, fault: Option<String>) -> Decision {
    Decision {
        allow: reason == Reason::Allowed,
        reason,
        revision: bundle.revision_text.clone(),
        cached,
        fault,
    }
}
