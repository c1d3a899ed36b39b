//! What a tenant's own modules may say: more denials, and nothing that reaches beyond their package.

use crate::fault::Fault;
use crate::syntax::{Form, Mention, Module};

/// Rules that a tenant may have, tests included: each may lean on each other, and every one takes stack.
const MAX_RULES: usize = 256;
const DENY: &str = "deny";

/// The package of a tenant's modules, as Rego writes it.
pub fn package_of(tenant: &str) -> String {
    path(&["tenant", tenant])
}

/// Components as Rego writes a path: `tenant.acme`, `tenant["acme-corp"]`.
pub(crate) fn path(components: &[&str]) -> String {
    let mut path = String::new();
    for component in components {
        let is_name = component.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && component.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
        match (is_name, path.is_empty()) {
            (true, true) => path.push_str(component),
            (true, false) => path.extend([".", component]),
            // Quoted as JSON quotes, which Rego takes.
            (false, _) => path.push_str(&format!("[{}]", serde_json::Value::from(*component))),
        }
    }
    path
}

/// What the modules of `tenant` may not say.
pub(crate) fn faults(tenant: &str, modules: &[Module]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for module in modules {
        if module.package() != ["tenant", tenant] {
            faults.push(Fault::new(
                &module.file,
                module.package_line(),
                "POLICY_PACKAGE",
                format!("the tenant's rules are in the package {}", package_of(tenant)),
                "begin the file with that package",
            ));
            continue;
        }
        imports(module, &mut faults);
        heads(module, &mut faults);
        references(tenant, module, &mut faults);
    }
    let rules = modules.iter().map(|module| module.rules().len()).sum::<usize>();
    let denies = modules.iter().any(|module| module.rules().iter().any(|rule| rule.name == DENY));
    if let Some(first) = modules.first() {
        if rules > MAX_RULES {
            faults.push(Fault::new(
                &first.file,
                0,
                "POLICY_TOO_LARGE",
                format!("there are {rules} rules, and may be {MAX_RULES}"),
                "say it in fewer rules",
            ));
        }
        if !denies {
            faults.push(Fault::new(
                &first.file,
                0,
                "POLICY_DENIES_NOTHING",
                "there is no rule that denies anything",
                "add `deny contains \"why\" if { … }`; to have no rules, remove them",
            ));
        }
    }
    faults
}

fn imports(module: &Module, faults: &mut Vec<Fault>) {
    for (imported, _, line) in module.imports() {
        if imported != "rego.v1" && !imported.starts_with("future.keywords") {
            faults.push(Fault::new(
                &module.file,
                line,
                "POLICY_IMPORT",
                format!("{imported} may not be imported"),
                "write input.… and data.… where they are used",
            ));
        }
    }
}

/// `deny` is a set of texts that stand in the module: so the answer is always the same form, and a text leads to its line.
fn heads(module: &Module, faults: &mut Vec<Fault>) {
    for rule in module.rules() {
        let named_deny = rule.name == DENY || rule.name.starts_with("deny.");
        if named_deny && (rule.form != Form::Set || !rule.plain || rule.key.is_none_or(str::is_empty)) {
            faults.push(Fault::new(
                &module.file,
                rule.line,
                "POLICY_DENY_FORM",
                "deny is a set of texts",
                "write `deny contains \"why\" if { … }`, with the text in quotes",
            ));
        }
    }
}

/// All tenants' modules lie beside each other where one OPA serves them, and not one may look at another's.
fn references(tenant: &str, module: &Module, faults: &mut Vec<Fault>) {
    module.visit(&mut |mention| {
        let (Mention::Reference(chain) | Mention::Call(chain)) = mention;
        if chain.root != "data" {
            return;
        }
        let names = chain.names();
        let own = names.len() > 2 && names[..2] == ["tenant", tenant];
        if !own && names.first() != Some(&"intelgraph") {
            faults.push(Fault::new(
                &module.file,
                chain.line,
                "POLICY_DATA",
                "a tenant's rules read their own package and data.intelgraph",
                "name the rule of your own package that you mean",
            ));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_quoted_where_it_has_to_be() {
        assert_eq!(package_of("acme"), "tenant.acme");
        assert_eq!(package_of("acme-corp"), r#"tenant["acme-corp"]"#);
        assert_eq!(package_of("7up"), r#"tenant["7up"]"#);
    }
}
