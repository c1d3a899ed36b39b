//! What is allowed, what is denied, and how that is said.

use std::sync::Arc;

use intelgraph_policy::{Decider, Input, Reason, Resource};

use crate::fixtures::{platform, question, rules};

fn reason_with(body: &str, input: &Input<'_>) -> Reason {
    let platform = platform();
    let own = platform.with_tenant_rules("acme", &rules(body)).unwrap_or_else(|faults| panic!("{faults}"));
    let decider = Decider::new(platform);
    decider.install("acme", Some(Arc::new(own)));
    let decision = decider.decide(input);
    assert_eq!(decision.allow, decision.reason == Reason::Allowed);
    assert_eq!(decision.fault.is_some(), decision.reason == Reason::Failed);
    decision.reason
}

#[test]
fn roles_grant_and_nothing_else_does() {
    let decider = Decider::new(platform());
    assert!(decider.decide(&question("entity.read", &["analyst"])).allow);
    for denied in
        [question("entity.read", &[]), question("entity.read", &["made-up"]), question("", &["operator"])]
    {
        assert_eq!(decider.decide(&denied).reason, Reason::PermissionDenied);
    }
    let across = question("tenant.read", &["operator"]);
    assert_eq!(decider.decide(&across).reason, Reason::PlatformTenantOnly);
}

#[test]
fn the_named_tenant_is_the_callers() {
    let decider = Decider::new(platform());
    let named = |tenant| Input {
        resource: Resource { tenant: Some(tenant), dataset: None },
        ..question("entity.read", &["analyst"])
    };
    assert!(decider.decide(&named("acme")).allow);
    assert_eq!(decider.decide(&named("other")).reason, Reason::TenantMismatch);
    assert_eq!(decider.decide(&named("")).reason, Reason::TenantMismatch);
}

#[test]
fn a_tenant_denies_more_by_attribute_and_resource() {
    let body = r#"
deny contains "other sites" if {
    input.permission == "entity.read"
    not input.identity.attributes.site == "ewr"
}
deny contains "payroll" if input.resource.dataset == "payroll"
"#;
    let mut input = question("entity.read", &["analyst"]);
    assert_eq!(reason_with(body, &input), Reason::TenantRule);
    input.identity.attributes.insert("site", "ewr");
    assert_eq!(reason_with(body, &input), Reason::Allowed);
    input.resource.dataset = Some("payroll");
    assert_eq!(reason_with(body, &input), Reason::TenantRule);
}

#[test]
fn rules_bind_their_own_tenant_only() {
    let platform = platform();
    let own = platform.with_tenant_rules("acme", &rules(r#"deny contains "all" if true"#)).expect("fits");
    let decider = Decider::new(platform);
    decider.install("acme", Some(Arc::new(own)));
    let mut input = question("entity.read", &["analyst"]);
    assert_eq!(decider.decide(&input).reason, Reason::TenantRule);
    input.identity.tenant = "other";
    assert!(decider.decide(&input).allow);
    decider.install("acme", None);
    input.identity.tenant = "acme";
    assert!(decider.decide(&input).allow);
}

#[test]
fn what_fails_is_denied_and_can_be_mended() {
    let body = r#"
deny contains "low" if {
    input.permission != ""
    to_number(input.identity.subject) < 3
}
"#;
    assert_eq!(reason_with(body, &question("entity.read", &["analyst"])), Reason::Failed);
    assert_eq!(reason_with(body, &question("policy.write", &["security-officer"])), Reason::Allowed);
    assert_eq!(reason_with(body, &question("policy.write", &["analyst"])), Reason::PermissionDenied);
}

#[test]
fn rules_that_cannot_be_used_deny_everything_but_mending() {
    let platform = platform();
    let closed = platform.closed("acme", "the \"rules\" cannot be used");
    let decider = Decider::new(platform);
    decider.install("acme", Some(Arc::new(closed)));
    assert_eq!(decider.decide(&question("entity.read", &["analyst"])).reason, Reason::TenantRule);
    assert!(decider.decide(&question("policy.write", &["security-officer"])).allow);
}

#[test]
fn an_explanation_names_roles_and_denials_with_their_lines() {
    let own = platform()
        .with_tenant_rules(
            "acme",
            &rules("deny contains \"night\" if true\n\ndeny contains \"day\" if false"),
        )
        .expect("fits");
    let explained = own.explain(&question("entity.read", &["analyst"])).expect("an answer");
    assert_eq!(explained, r#"{"denials":["night"],"granted_by":["analyst","auditor","service"]}"#);
    assert_eq!(own.places_of("night"), [("own.rego".to_owned(), 3)]);
    assert!(own.places_of("made up").is_empty());
}
