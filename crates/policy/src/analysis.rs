//! What modules lean on: the parts of the input, the clock, and nothing that they may not call.

use std::collections::BTreeSet;

use crate::builtins;
use crate::fault::Fault;
use crate::reads::Reads;
use crate::syntax::{Form, Mention, Module};

/// What a decision of these modules can depend on.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    pub reads: Reads,
    /// Whether it differs from time to time.
    pub volatile: bool,
}

impl Analysis {
    /// Looks at every rule, whether a decision needs it or not: `data.a[b]` may lead anywhere.
    pub fn of(modules: &[&Module]) -> Self {
        let mut found = Self::default();
        for module in modules {
            module.visit(&mut |mention| match mention {
                Mention::Reference(chain) if chain.root == "input" => found.reads.add(&chain.names()),
                Mention::Reference(chain) | Mention::Call(chain) => {
                    found.volatile |= chain.dotted().is_some_and(|name| builtins::is_volatile(&name));
                }
            });
        }
        found
    }
}

/// Calls of what is neither a function of the modules nor on the list of builtins.
pub fn foreign_calls(modules: &[Module]) -> Vec<Fault> {
    let functions: BTreeSet<(Vec<&str>, String)> = modules
        .iter()
        .flat_map(|module| {
            let functions = module.rules().into_iter().filter(|rule| rule.form == Form::Function);
            functions.map(|rule| (module.package(), rule.name)).collect::<Vec<_>>()
        })
        .collect();
    let mut faults = Vec::new();
    for module in modules {
        let (package, imports) = (module.package(), module.imports());
        module.visit(&mut |mention| {
            let Mention::Call(callee) = mention else { return };
            let name = callee.dotted().unwrap_or_else(|| callee.root.to_owned());
            let ours = callee.root == "data"
                || functions.contains(&(package.clone(), name.clone()))
                || imports.iter().any(|(from, alias, _)| from.starts_with("data.") && alias == callee.root);
            if !ours && !builtins::is_allowed(&name) {
                faults.push(Fault::new(
                    &module.file,
                    callee.line,
                    "POLICY_BUILTIN",
                    format!(
                        "{name} is neither a function of the module nor a builtin that a policy may call"
                    ),
                    "see docs/policy.md for the builtins; they are pure and cheap, and reach nothing",
                ));
            }
        });
    }
    faults
}
