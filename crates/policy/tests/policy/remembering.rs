//! Decisions are remembered by what the policy reads, and by no less.

use std::sync::Arc;

use intelgraph_policy::{Decider, Input, Reason};

use crate::fixtures::{platform, question, rules};

fn decider_with(body: &str) -> Decider {
    let platform = platform();
    let own = platform.with_tenant_rules("acme", &rules(body)).unwrap_or_else(|faults| panic!("{faults}"));
    let decider = Decider::new(platform);
    decider.install("acme", Some(Arc::new(own)));
    decider
}

/// Whether `second` is answered from the memory that `first` left.
fn shares(body: &str, first: &Input<'_>, second: &Input<'_>) -> bool {
    let decider = decider_with(body);
    decider.decide(first);
    decider.decide(second).cached
}

#[test]
fn what_is_not_read_makes_no_difference() {
    let decider = Decider::new(platform());
    let mut input = question("entity.read", &["analyst"]);
    assert!(!decider.decide(&input).cached);
    input.identity.subject = "grace";
    input.identity.machine = true;
    input.identity.attributes.insert("site", "ewr");
    input.resource.dataset = Some("flights");
    assert!(decider.decide(&input).cached);
    assert!(decider.recall(&input).is_some_and(|decision| decision.allow));
}

#[test]
fn each_part_that_is_read_makes_a_difference() {
    let base = question("entity.read", &["analyst"]);
    let mut other = base.clone();
    other.identity.subject = "grace";
    assert!(!shares(r#"deny contains "x" if input.identity.subject == "eve""#, &base, &other));
    assert!(!shares(r#"deny contains "x" if input.identity["subject"] == "eve""#, &base, &other));
    assert!(!shares(
        "names := {\"subject\"}\ndeny contains \"x\" if { some n in names; input.identity[n] == \"eve\" }",
        &base,
        &other
    ));
    assert!(!shares(r#"deny contains "x" if object.get(input, "a", 0) == 1"#, &base, &other));
    assert!(!shares(r#"deny contains "x" if { every k, v in input { k == v } }"#, &base, &other));

    let mut other = base.clone();
    other.identity.attributes.insert("site", "");
    let by_site = r#"deny contains "x" if input.identity.attributes.site"#;
    assert!(!shares(by_site, &base, &other), "absent and empty are two things");
    let mut third = other.clone();
    third.identity.attributes.insert("shift", "night");
    assert!(shares(by_site, &other, &third));
    assert!(!shares(r#"deny contains "x" if count(input.identity.attributes) > 5"#, &other, &third));

    let mut other = base.clone();
    other.resource.dataset = Some("flights");
    assert!(!shares(r#"deny contains "x" if input.resource.dataset == "payroll""#, &base, &other));
    let mut other = base.clone();
    other.identity.machine = true;
    assert!(!shares(r#"deny contains "x" if input.identity.machine"#, &base, &other));
    let other = question("entity.read", &["analyst", "auditor"]);
    assert!(!shares("deny contains \"x\" if false", &base, &other));
}

#[test]
fn an_arriving_revision_forgets_the_decisions_of_the_one_before() {
    let decider = decider_with(r#"deny contains "x" if input.permission == "contract.read""#);
    let input = question("contract.read", &["analyst"]);
    assert_eq!(decider.decide(&input).reason, Reason::TenantRule);
    let next = platform().with_tenant_rules("acme", &rules(r#"deny contains "x" if false"#)).expect("fits");
    let revision = next.revision().to_owned();
    decider.install("acme", Some(Arc::new(next)));
    let decision = decider.decide(&input);
    assert_eq!((decision.allow, decision.cached, &*decision.revision), (true, false, revision.as_str()));
}

#[test]
fn what_reads_the_clock_is_decided_anew() {
    for body in
        ["deny contains \"x\" if time.now_ns() < 0", "now := time.now_ns()\ndeny contains \"x\" if now < 0"]
    {
        let input = question("entity.read", &["analyst"]);
        assert!(!shares(body, &input, &input), "{body}");
    }
}

#[test]
fn what_failed_is_tried_again() {
    let body = r#"deny contains "x" if to_number(input.identity.subject) < 3"#;
    let input = question("entity.read", &["analyst"]);
    assert!(!shares(body, &input, &input));
}
