//! Rules that lean on themselves are refused, and what is as deep as it may be fits the stack.

use std::fmt::Write;
use std::sync::Arc;

use intelgraph_policy::{Decider, Faults, Reason, Source};

use crate::fixtures::{platform, question, rules};

fn refused(body: &str) -> Vec<(&'static str, String)> {
    let faults: Faults = platform().with_tenant_rules("acme", &rules(body)).err().expect(body);
    faults.iter().map(|fault| (fault.rule, fault.problem.clone())).collect()
}

/// What the rules decide, if they are not refused.
fn decided(sources: &[Source]) -> Result<Reason, Faults> {
    let decider = Decider::new(platform());
    let own = decider.bundle_of("acme").0.with_tenant_rules("acme", sources)?;
    decider.install("acme", Some(Arc::new(own)));
    Ok(decider.decide(&question("entity.read", &["analyst"])).reason)
}

#[test]
fn a_cycle_is_refused_by_its_names() {
    let cases = [
        ("f(x) := f(x)\ndeny contains \"x\" if f(1)", "f -> f"),
        ("f(x) if g(x)\ng(x) if f(x)\ndeny contains \"x\" if f(1)", "f -> g -> f"),
        ("f(x) := data.tenant.acme.f(x)\ndeny contains \"x\" if f(1)", "f -> f"),
        ("f(0) := 1\nf(x) := y if { x > 0; y := f(x - 1) }\ndeny contains \"x\" if f(1)", "f -> f"),
        ("f(x) := 1 if x == 0 else := f(x - 1)\ndeny contains \"x\" if f(1)", "f -> f"),
        ("f(x) := [y | y := f(x)]\ndeny contains \"x\" if f(1)", "f -> f"),
        ("f(x) := {1: f(y) | some y in [x]}\ndeny contains \"x\" if f(1)", "f -> f"),
        ("f(x) if every y in [x] { f(y) }\ndeny contains \"x\" if f(1)", "f -> f"),
        ("f(x) if not f(x)\ndeny contains \"x\" if f(1)", "f -> f"),
        ("f(x) if { input.permission with input as f(x) }\ndeny contains \"x\" if f(1)", "f -> f"),
        ("f(x) := y if { y := [1, 2][f(x)] }\ndeny contains \"x\" if f(1)", "f -> f"),
        ("g(x) := x\nf(x) := g(x)\nh(x) := f(x)\ndeny contains \"x\" if { f(1) with g as h }", "f -> h -> f"),
        (
            "f(x) if startswith(x, \"a\")\ndeny contains \"x\" if { endswith(\"a\", \"a\") with startswith as f }",
            "f -> f",
        ),
        ("a if b\nb if a\ndeny contains \"x\" if a", "a -> b -> a"),
        ("a := b\nb := f(1)\nf(x) := a\ndeny contains \"x\" if a", "a -> b -> f -> a"),
        ("a contains x if some x in a\ndeny contains \"x\" if a", "a -> a"),
        ("a[x] := y if { some x, y in a }\ndeny contains \"x\" if a", "a -> a"),
        ("a.b := a.c\na.c := a.b\ndeny contains \"x\" if a.b", "a.b -> a.c -> a.b"),
        ("default a := [x | x := a]\ndeny contains \"x\" if a", "a -> a"),
        ("deny contains \"x\" if count(deny) == 0", "deny -> deny"),
        (
            "deny contains \"x\" if data.intelgraph.authz.decision.allow",
            "deny -> data.intelgraph.authz.decision -> data.intelgraph.authz.denials -> deny",
        ),
        ("f(x) := [f | f := f(x)]\ndeny contains \"x\" if f(1)", "f -> f"),
    ];
    for (body, names) in cases {
        let found = refused(body);
        let said = format!("leads back to itself: {names}");
        assert!(
            found.iter().any(|(rule, problem)| *rule == "POLICY_COMPILE" && problem.ends_with(&said)),
            "{body}\n{found:?}"
        );
    }
}

#[test]
fn a_name_of_its_own_is_no_cycle() {
    let cases = [
        "site := site if { site := input.identity.subject }\ndeny contains \"x\" if site == \"ada\"",
        "f(f) := f\ndeny contains \"x\" if f(true)",
        "a := [a | a := 1]\ndeny contains \"x\" if count(a) == 1",
        "a if { every a in [1] { a == 1 } }\ndeny contains \"x\" if a",
        "f([a, {\"b\": b}]) := a + b\na := f([1, {\"b\": 2}])\nb := a\ndeny contains \"x\" if b == 3",
        "a := input.identity.a\ninput_a := a\ndeny contains \"x\" if not input_a",
        "a.b := 1\na.c := a.b\ndeny contains \"x\" if a.c == 1",
    ];
    for body in cases {
        let reason = decided(&rules(body)).unwrap_or_else(|faults| panic!("{body}\n{faults}"));
        assert_eq!(reason, Reason::TenantRule, "{body}");
    }
}

/// Rules, which begin at the margin, divided over as many files as they take.
fn files(text: &str) -> Vec<Source> {
    let operators = |text: &str| text.matches(['=', '<', '>']).count() + text.matches(" in ").count();
    let mut files = Vec::<String>::new();
    for line in text.lines() {
        match files.last_mut() {
            Some(file)
                if line.starts_with([' ', '}'])
                    || file.len() + line.len() < 32_000 && operators(file) + operators(line) < 800 =>
            {
                file.extend([line, "\n"]);
            }
            _ => files.push(format!("package tenant.acme\n{line}\n")),
        }
    }
    files.iter().enumerate().map(|(at, text)| Source::new(format!("{at}.rego"), text.as_str())).collect()
}

/// A chain of as many rules as there may be, nearly, and a denial that leans on its end.
fn chain(link: impl Fn(&str, &str) -> String, first: &str, last: &str) -> String {
    let mut text = format!("xs := [1]\n{first}\n");
    for at in 1..250 {
        let _ = writeln!(text, "{}", link(&format!("r{at}"), &format!("r{}", at - 1)));
    }
    format!("{text}deny contains \"x\" if {last}\n")
}

/// What goes deepest, each nearly as deep as the limits on size let it.
fn deep_shapes() -> [(&'static str, String); 8] {
    let body = |statements: String| format!("xs := [1]\ndeny contains \"x\" if {{\n{statements}}}\n");
    let nested = |value: usize| format!(" x{value} := [[[[[x{}]]]]]\n", value - 1);
    let doubled = |at: i32| format!("f{at}(x) := f{0}(f{0}(x))\n", at - 1);
    [
        ("loops in one body", body(" xs[_]\n".repeat(2_700))),
        ("some in one body", body(" some _ in xs\n".repeat(700))),
        (
            "a call in a call",
            format!("f(x) := x\ndeny contains \"x\" if {}1{}\n", "f(".repeat(24), ")".repeat(24)),
        ),
        (
            "functions that call each other",
            chain(
                |name, next| format!("{name}(x) := {}{next}(x){}", "abs(".repeat(22), ")".repeat(22)),
                "r0(x) := x",
                "r249(1)",
            ),
        ),
        (
            "functions that call each other from loops",
            chain(
                |name, next| format!("{name}(x) := y if {{ {}y := {next}(x) }}", "xs[_]; ".repeat(8)),
                "r0(x) := x",
                "r249(1)",
            ),
        ),
        (
            "rules that lean on each other from loops",
            chain(
                |name, next| format!("{name} := [y | {}y := {next}]", "xs[_]; ".repeat(8)),
                "r0 := 1",
                "r249",
            ),
        ),
        (
            "a value in a value",
            body(format!(
                " x0 := 1\n{} x390 == x390\n count({{x390, 1}}) == 2\n",
                (1..=390).map(nested).collect::<String>()
            )),
        ),
        (
            "a value in a value by functions",
            format!(
                "f0(x) := [[[[x]]]]\n{}deny contains \"x\" if {{ y := f9(1); z := f9(1); y == z }}\n",
                (1..=9).map(doubled).collect::<String>()
            ),
        ),
    ]
}

#[test]
fn what_is_as_deep_as_it_may_be_fits_the_stack() {
    for (what, text) in deep_shapes() {
        let reason = decided(&files(&format!("{text}test_it if count(deny) == 1\n")));
        // On a slow machine it takes too long, which is no crash.
        match reason {
            Ok(reason) => {
                assert!(matches!(reason, Reason::TenantRule | Reason::Failed), "{what}: {reason:?}")
            }
            Err(faults) => assert!(faults.to_string().contains("takes too long"), "{what}: {faults}"),
        }
    }
}

#[test]
fn what_leads_to_too_much_is_refused() {
    let doubled: String = (1..15).map(|at| format!("f{at}(x) := f{0}(f{0}(x))\n", at - 1)).collect();
    let found = refused(&format!("f0(x) := [x]\n{doubled}deny contains \"x\" if f14(1)"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found.iter().any(|(rule, problem)| *rule == "POLICY_TOO_DEEP" && problem.starts_with("f12,")),
        "{found:?}"
    );
}
