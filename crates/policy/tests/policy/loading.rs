//! What is not loaded, and how that is said: file, line, rule.

use intelgraph_policy::{Bundle, Fault, Faults, Source, package_of};

use crate::fixtures::{platform, platform_sources, rules};

fn refused(sources: &[Source]) -> Vec<(String, u32, &'static str)> {
    let faults = platform().with_tenant_rules("acme", sources).err().expect("refused");
    faults.iter().map(|fault: &Fault| (fault.file.clone(), fault.line, fault.rule)).collect()
}

fn one(text: &str) -> Vec<Source> {
    vec![Source::new("own.rego", text)]
}

const TESTED: &str = "test_nothing if true";

#[test]
fn the_bundle_that_ships_loads_and_its_tests_hold() {
    let bundle = platform();
    assert!(bundle.tests().len() >= 9, "{:?}", bundle.tests());
    assert_eq!(bundle.revision().len(), 64);
    assert!(bundle.value_of("data.intelgraph.roles.names").expect("roles").contains("playbook"));
    assert_eq!(bundle.value_of("data.intelgraph.made.up"), None);
}

#[test]
fn the_revision_is_of_the_exact_files() {
    let mut sources = platform_sources();
    let revision = platform().revision().to_owned();
    sources.reverse();
    assert_eq!(Bundle::load(sources.clone()).expect("loads").revision(), revision);
    sources[0].text.push('\n');
    assert_ne!(Bundle::load(sources).expect("loads").revision(), revision);
    let own = platform().with_tenant_rules("acme", &rules(r#"deny contains "x" if true"#)).expect("loads");
    assert_ne!(own.revision(), revision);
}

#[test]
fn a_platform_bundle_whose_test_fails_is_not_loaded() {
    let mut sources = platform_sources();
    sources.push(Source::new("more_test.rego", "package more_test\n\ntest_wrong if 1 == 2\n"));
    let faults: Faults = Bundle::load(sources).err().expect("refused");
    let fault = faults.iter().next().expect("one");
    assert_eq!((fault.file.as_str(), fault.line, fault.rule), ("more_test.rego", 3, "POLICY_TEST_FAILED"));
}

#[test]
fn faults_name_file_line_and_rule() {
    let cases = [
        ("package tenant.acme\n\ndeny contains \"x\" if 1 +\n", 4, "POLICY_SYNTAX"),
        ("package tenant.acme\n\ndeny contains \"x\" if y\n\ntest_nothing if true", 3, "POLICY_COMPILE"),
        ("package tenant.acme\ndeny contains \"x\" if http.send({})\n", 2, "POLICY_BUILTIN"),
        ("package tenant.acme\ndeny contains \"x\" if rand.intn(\"x\", 2) == 1\n", 2, "POLICY_BUILTIN"),
        ("package tenant.other\ndeny contains \"x\" if true\n", 1, "POLICY_PACKAGE"),
        ("package tenant.acme.more\ndeny contains \"x\" if true\n", 1, "POLICY_PACKAGE"),
        ("package intelgraph.authz\ngranted if true\n", 1, "POLICY_PACKAGE"),
        ("package tenant.acme\nimport data.tenant.other\ndeny contains \"x\" if true\n", 2, "POLICY_IMPORT"),
        ("package tenant.acme\ndeny contains \"x\" if data.tenant.other.deny\n", 2, "POLICY_DATA"),
        ("package tenant.acme\ndeny contains \"x\" if data[input.permission]\n", 2, "POLICY_DATA"),
        ("package tenant.acme\ndeny contains \"x\" if count(data) > 0\n", 2, "POLICY_DATA"),
        ("package tenant.acme\ndeny := true\n", 2, "POLICY_DENY_FORM"),
        ("package tenant.acme\ndefault deny := false\n", 2, "POLICY_DENY_FORM"),
        ("package tenant.acme\ndeny(x) if x\n", 2, "POLICY_DENY_FORM"),
        ("package tenant.acme\ndeny contains input.permission if true\n", 2, "POLICY_DENY_FORM"),
        ("package tenant.acme\ndeny.more contains \"x\" if true\n", 2, "POLICY_DENY_FORM"),
        ("package tenant.acme\nallow if true\n", 0, "POLICY_DENIES_NOTHING"),
        ("package tenant.acme\ndeny contains \"x\" if true\n", 0, "POLICY_UNTESTED"),
        (
            "package tenant.acme\ndeny contains \"x\" if true\ntest_it if count(deny) == 0\n",
            3,
            "POLICY_TEST_FAILED",
        ),
        ("package tenant.acme\ndeny contains \"x\" if true\ntest_it := 1\n", 3, "POLICY_TEST_FAILED"),
        ("package tenant.acme\nx := [[[[[[[[[1]]]]]]]]]\n", 2, "POLICY_TOO_DEEP"),
    ];
    for (text, line, rule) in cases {
        let found = refused(&one(text));
        assert!(found.contains(&("own.rego".to_owned(), line, rule)), "{text}\n{found:?}");
    }
}

#[test]
fn files_have_names_of_their_own_and_bounds() {
    let file = Source::new("a.rego", "package tenant.acme\ndeny contains \"x\" if true\n");
    assert_eq!(refused(&[file.clone(), file.clone()])[0].2, "POLICY_FILE_NAME");
    assert_eq!(refused(&[])[0].2, "POLICY_TOO_LARGE");
    let many: Vec<_> = (0..17).map(|at| Source::new(format!("{at}.rego"), "package tenant.acme")).collect();
    assert_eq!(refused(&many)[0].2, "POLICY_TOO_LARGE");
    let long = format!("package tenant.acme\n{}", "# \n".repeat(20_000));
    assert_eq!(refused(&one(&long))[0].2, "POLICY_TOO_LARGE");
}

#[test]
fn tests_may_lie_in_a_file_of_their_own_and_mock_the_clock() {
    let night = r#"
package tenant.acme

deny contains "night" if {
    [hour, _, _] := time.clock(time.now_ns())
    hour < 6
}
"#;
    let tests = r#"
package tenant.acme

test_night if "night" in deny with time.now_ns as 0
test_day if count(deny) == 0 with time.now_ns as 43200000000000
"#;
    let sources = [Source::new("night.rego", night), Source::new("night_test.rego", tests)];
    let bundle = platform().with_tenant_rules("acme", &sources).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(bundle.tests(), ["data.tenant.acme.test_night", "data.tenant.acme.test_day"]);
}

#[test]
fn a_tenant_whose_name_is_no_identifier_has_a_package_too() {
    let text = format!("package {}\ndeny contains \"x\" if true\n{TESTED}\n", package_of("acme-corp"));
    platform().with_tenant_rules("acme-corp", &one(&text)).unwrap_or_else(|faults| panic!("{faults}"));
}
