//! A tenant's module. It is refused with file, line and fix, or it decides within its limits and allows nothing more.
#![no_main]

use std::sync::{Arc, LazyLock};

use intelgraph_policy::{Bundle, Decider, Identity, Input, Resource, Source};
use libfuzzer_sys::fuzz_target;

static PLATFORM: LazyLock<Arc<Bundle>> = LazyLock::new(|| {
    let sources = vec![
        Source::new("authz.rego", include_str!("../../python/intelgraph/policy/bundle/authz.rego")),
        Source::new("roles.rego", include_str!("../../python/intelgraph/policy/bundle/roles.rego")),
        Source::new("authz_test.rego", include_str!("../../python/intelgraph/policy/bundle/authz_test.rego")),
    ];
    // A panic of the interpreter is caught by the crate, and denies. One that is not caught still ends the process.
    std::panic::set_hook(Box::new(|_| {}));
    Arc::new(Bundle::load(sources).expect("the bundle that ships loads"))
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let own = match PLATFORM.with_tenant_rules("acme", &[Source::new("own.rego", text)]) {
        Ok(own) => Arc::new(own),
        Err(faults) => {
            assert!(faults.iter().count() > 0);
            assert!(faults.iter().all(|fault| !fault.rule.is_empty() && !fault.fix.is_empty()));
            return;
        }
    };
    let decider = Decider::new(PLATFORM.clone());
    for permission in ["entity.read", "contract.write", "policy.write"] {
        let input = Input {
            permission,
            identity: Identity {
                tenant: "acme",
                subject: "ada",
                roles: ["analyst", "security-officer"].into(),
                attributes: [("site", "ewr")].into(),
                ..Identity::default()
            },
            resource: Resource { tenant: None, dataset: Some("flights") },
        };
        decider.install("acme", None);
        let without = decider.decide(&input);
        decider.install("acme", Some(own.clone()));
        let with = decider.decide(&input);
        assert!(without.allow || !with.allow);
        assert!(permission != "policy.write" || with.allow);
    }
});
