//! Rules that would take for ever, or everything, are stopped and deny.

use std::sync::Arc;
use std::time::{Duration, Instant};

use intelgraph_policy::{Decider, Reason, Source};

use crate::fixtures::{platform, question, rules};

#[test]
fn an_expensive_comprehension_is_stopped_and_denies() {
    let body = r#"
digits := [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
deny contains "never" if {
    input.permission == "entity.read"
    count([1 |
        some a in digits
        some b in digits
        some c in digits
        some d in digits
        some e in digits
        some f in digits
        some g in digits
        some h in digits
        some i in digits
        a + b + c + d + e + f + g + h + i == 90
    ]) > 0
}
"#;
    let platform = platform();
    let own = platform.with_tenant_rules("acme", &rules(body)).unwrap_or_else(|faults| panic!("{faults}"));
    let decider = Decider::new(platform);
    decider.install("acme", Some(Arc::new(own)));
    let began = Instant::now();
    let decision = decider.decide(&question("entity.read", &["analyst"]));
    assert_eq!((decision.allow, decision.reason), (false, Reason::Failed));
    assert!(decision.fault.expect("said").starts_with("too slow"));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(decider.decide(&question("policy.write", &["security-officer"])).allow);
}

#[test]
fn a_test_that_does_not_end_is_stopped() {
    let body = "n := [0,1,2,3,4,5,6,7,8,9]\ndeny contains \"x\" if false\n\
        test_slow if count([1 | some a in n; some b in n; some c in n; some d in n; some e in n; some f in n; \
        some g in n; some h in n; some i in n; some j in n; a + b + c + d + e + f + g + h + i == j + 100]) > 0";
    let faults = platform().with_tenant_rules("acme", &rules(body)).err().expect("refused");
    assert!(faults.to_string().contains("takes too long"), "{faults}");
}

#[test]
fn rules_that_lean_on_each_other_for_as_long_as_they_may_need_no_deep_stack() {
    let mut body = String::from("r0 := 1\n");
    for at in 1..250 {
        body.push_str(&format!("r{at} := r{} + 1\n", at - 1));
    }
    body.push_str("deny contains \"x\" if r249 == 250");
    let platform = platform();
    let own = platform.with_tenant_rules("acme", &rules(&body)).unwrap_or_else(|faults| panic!("{faults}"));
    let decider = Decider::new(platform);
    decider.install("acme", Some(Arc::new(own)));
    // The thread of a test has 2 MiB, a quarter of what the gateway's have.
    assert_eq!(decider.decide(&question("entity.read", &["analyst"])).reason, Reason::TenantRule);
    for at in 250..300 {
        body.push_str(&format!("\nr{at} := r{} + 1", at - 1));
    }
    let faults =
        decider.bundle_of("other").0.with_tenant_rules("acme", &rules(&body)).err().expect("refused");
    assert!(faults.iter().any(|fault| fault.rule == "POLICY_TOO_LARGE"));
}

#[test]
fn long_expressions_do_not_overflow_the_stack() {
    for text in [
        format!("x := (1{})", " +\n1".repeat(8_000)),
        format!("x := (1{})", " +\n1".repeat(750)),
        format!("x := {}1", "-".repeat(900)),
        format!("x := {}1", "-".repeat(750)),
        format!("x if {}true", "not ".repeat(200)),
        format!("x := a{}", ".b".repeat(450)),
        format!("x := a{}", "[a".repeat(7)),
        "x := \"\\".to_owned(),
        "[".repeat(20_000),
    ] {
        let source = Source::new("own.rego", format!("package tenant.acme\n{text}\n"));
        let began = Instant::now();
        assert!(platform().with_tenant_rules("acme", &[source]).is_err());
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}
