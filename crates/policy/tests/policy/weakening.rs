//! A tenant's rules never turn a denial into a permission, whatever they say.

use std::sync::{Arc, LazyLock};

use intelgraph_policy::{Bundle, Decider, Identity, Input, Resource, Source};
use proptest::prelude::*;

use crate::fixtures::platform;

static PLATFORM: LazyLock<Arc<Bundle>> = LazyLock::new(|| Arc::new(platform()));

const PERMISSIONS: [&str; 6] =
    ["entity.read", "contract.write", "tenant.read", "policy.write", "ingest.write", "made.up"];
const ROLES: [&str; 5] = ["connector", "analyst", "operator", "security-officer", "made-up"];

/// Conditions, some of which fail for some callers.
const CONDITIONS: [&str; 8] = [
    "true",
    "false",
    r#"input.permission == "entity.read""#,
    r#""operator" in input.identity.roles"#,
    "not input.identity.platform",
    "to_number(input.identity.attributes.level) < 3",
    r#"input.resource.dataset == "flights""#,
    "helper",
];

/// Rules by which somebody might hope to be allowed.
const HOPES: [&str; 6] = [
    "",
    "allow if true",
    "decision := {\"allow\": true, \"reason\": \"\"}",
    "granted if true",
    "denials := set()",
    "deny contains \"none\" if data.intelgraph.authz.granted with data.intelgraph.roles.granted_by as {}",
];

fn conditions() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(&CONDITIONS[..]), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn adding_rules_never_allows(
        denials in prop::collection::vec(conditions(), 1..4),
        hope in prop::sample::select(&HOPES[..]),
        permission in prop::sample::select(&PERMISSIONS[..]),
        roles in prop::collection::btree_set(prop::sample::select(&ROLES[..]), 0..3),
        level in prop::option::of(prop::sample::select(&["1", "9", "high"][..])),
        platform in any::<bool>(),
        named in prop::option::of(prop::sample::select(&["acme", "other"][..])),
        dataset in prop::option::of(Just("flights")),
    ) {
        let mut text = format!("package tenant.acme\nhelper if count(input.identity.roles) > 1\n{hope}\n");
        for (at, conditions) in denials.iter().enumerate() {
            text.push_str(&format!("deny contains \"{at}\" if {{ {} }}\n", conditions.join("; ")));
        }
        text.push_str("test_nothing if true\n");
        let own = PLATFORM.with_tenant_rules("acme", &[Source::new("own.rego", text)]);
        let own = own.unwrap_or_else(|faults| panic!("{faults}"));
        let input = Input {
            permission,
            identity: Identity {
                tenant: "acme",
                subject: "ada",
                roles,
                attributes: level.iter().map(|level| ("level", *level)).collect(),
                machine: false,
                platform,
            },
            resource: Resource { tenant: named, dataset },
        };
        let decider = Decider::new(PLATFORM.clone());
        let without = decider.decide(&input);
        decider.install("acme", Some(Arc::new(own)));
        let with = decider.decide(&input);
        prop_assert!(without.allow || !with.allow, "{:?} became {:?}", without.reason, with.reason);
        if !without.allow {
            prop_assert_eq!(without.reason, with.reason, "nor does a denial change its reason");
        }
    }
}
