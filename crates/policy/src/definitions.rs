//! What each rule of a module mentions, names of its own left out: its arguments, and what its queries declare.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::syntax::{Chain, Module, Step, chain};

/// One rule, or one clause of a function.
pub struct Definition<'a> {
    /// Package and name, up to the first step that is computed.
    pub path: Vec<&'a str>,
    pub line: u32,
    pub function: bool,
    /// Expressions and statements in it.
    pub parts: u64,
    /// What it refers to and calls, each as often as it does.
    pub mentions: Vec<Path<'a>>,
    /// `with first as second`, where the second may be a function that is called in place of the first.
    pub replacements: Vec<(Path<'a>, Path<'a>)>,
}

/// A path from `data`, or the name of a builtin. None is a step that only evaluation tells.
pub type Path<'a> = Vec<Option<&'a str>>;

/// Names that are bound at some place of a rule.
struct Scope<'a, 'o> {
    names: BTreeSet<&'a str>,
    outer: Option<&'o Scope<'a, 'o>>,
}

impl Scope<'_, '_> {
    fn has(&self, name: &str) -> bool {
        self.names.contains(name) || self.outer.is_some_and(|outer| outer.has(name))
    }
}

/// The rules of a module.
pub fn definitions(module: &Module) -> Vec<Definition<'_>> {
    let names = Names {
        module,
        package: module.package(),
        imports: module
            .imports()
            .into_iter()
            .filter_map(|(from, alias, _)| from.starts_with("data").then_some(alias))
            .collect(),
    };
    let rules = module.tree["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    rules.iter().filter_map(|rule| names.definition(rule)).collect()
}

/// What names mean in a module.
struct Names<'a> {
    module: &'a Module,
    package: Vec<&'a str>,
    /// What stands for something below `data`.
    imports: BTreeSet<String>,
}

impl<'a> Names<'a> {
    fn definition(&self, rule: &'a Value) -> Option<Definition<'a>> {
        let (head, bodies) = match rule.get("Default") {
            Some(default) => (default, &Value::Null),
            None => {
                let spec = &rule["Spec"];
                (spec["head"].as_object()?.values().next()?, &spec["bodies"])
            }
        };
        let named = chain(&head["refr"])?;
        let mut found = Definition {
            path: [self.package.as_slice(), &[named.root], named.names().as_slice()].concat(),
            line: named.line,
            function: head.get("args").is_some(),
            parts: 0,
            mentions: Vec::new(),
            replacements: Vec::new(),
        };
        let mut arguments = Scope { names: BTreeSet::new(), outer: None };
        bound(&head["args"], &mut arguments.names);
        self.walk(&head["args"], &arguments, &mut found);

        let bodies = bodies.as_array().map(Vec::as_slice).unwrap_or_default();
        // The head's value is in the scope of the body that it stands before.
        let first = bodies.iter().find(|body| body["is_else"] != true);
        let scope = self.declared(first.map_or(&Value::Null, |body| &body["query"]), &arguments);
        for step in &named.steps {
            if let Step::Computed(index) = step {
                self.walk(index, &scope, &mut found);
            }
        }
        for part in ["assign", "key", "value"] {
            self.walk(&head[part], &scope, &mut found);
        }
        for body in bodies {
            self.walk(&body["assign"], &self.declared(&body["query"], &arguments), &mut found);
            self.walk(&body["query"], &arguments, &mut found);
        }
        Some(found)
    }

    fn walk(&self, node: &'a Value, scope: &Scope<'a, '_>, found: &mut Definition<'a>) {
        if let Some(reference) = chain(node) {
            found.parts += 1 + reference.steps.len() as u64;
            self.steps(&reference, scope, found);
            if !scope.has(reference.root) {
                found.mentions.extend(self.path(&reference));
            }
            return;
        }
        let members = match node {
            Value::Array(items) => return items.iter().for_each(|item| self.walk(item, scope, found)),
            Value::Object(members) => members,
            _ => return,
        };
        found.parts += u64::from(["eidx", "sidx", "qidx"].iter().any(|index| members.contains_key(*index)));
        if let Some(call) = members.get("Call") {
            // A function is looked for among the rules, whatever is bound to its name.
            if let Some(callee) = chain(&call["fcn"]) {
                found.parts += 1;
                self.steps(&callee, scope, found);
                found.mentions.extend(self.path(&callee));
            } else {
                self.walk(&call["fcn"], scope, found);
            }
            self.walk(&call["params"], scope, found);
        } else if let (Some(covered), Some(put)) = (members.get("refr").and_then(chain), members.get("as")) {
            self.steps(&covered, scope, found);
            self.walk(put, scope, found);
            if let (Some(covered), Some(put)) =
                (self.path(&covered), chain(put).and_then(|put| self.path(&put)))
            {
                found.replacements.push((covered, put));
            }
        } else if members.contains_key("stmts") {
            self.walk(&members["stmts"], &self.declared(node, scope), found);
        } else if let Some(every) = members.get("Every") {
            let mut inner = Scope { names: BTreeSet::new(), outer: Some(scope) };
            inner.names.extend(["key", "value"].iter().filter_map(|name| self.module.spanned(&every[*name])));
            self.walk(&every["domain"], scope, found);
            self.walk(&every["query"], &inner, found);
        } else {
            // The terms of a comprehension are in the scope of its query.
            let inner = self.declared(members.get("query").unwrap_or(&Value::Null), scope);
            for (name, member) in members {
                self.walk(member, if name == "query" { scope } else { &inner }, found);
            }
        }
    }

    /// Walks what computes steps of a reference.
    fn steps(&self, reference: &Chain<'a>, scope: &Scope<'a, '_>, found: &mut Definition<'a>) {
        for step in &reference.steps {
            if let Step::Computed(index) = step {
                self.walk(index, scope, found);
            }
        }
    }

    /// The scope of a query: what its statements declare, within what was bound before.
    fn declared<'o>(&self, query: &'a Value, outer: &'o Scope<'a, 'o>) -> Scope<'a, 'o> {
        let mut names = BTreeSet::new();
        for statement in query["stmts"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let literal = &statement["literal"];
            for variable in literal["SomeVars"]["vars"].as_array().map(Vec::as_slice).unwrap_or_default() {
                names.extend(self.module.spanned(variable));
            }
            bound(&literal["SomeIn"]["key"], &mut names);
            bound(&literal["SomeIn"]["value"], &mut names);
            let assigned = &literal["Expr"]["expr"]["AssignExpr"];
            if assigned["op"] == "ColEq" {
                bound(&assigned["lhs"], &mut names);
            }
        }
        Scope { names, outer: Some(outer) }
    }

    /// Where a reference leads that does not begin with a name of the rule's own; None where it leads to no rule.
    fn path(&self, reference: &Chain<'a>) -> Option<Path<'a>> {
        let steps = reference.steps.iter().map(|step| match step {
            Step::Name(name) => Some(*name),
            Step::Computed(_) => None,
        });
        match reference.root {
            "input" => None,
            "data" => Some(steps.collect()),
            // What is imported may be anything below `data`: no tenant's module imports any of it.
            root if self.imports.contains(root) => Some(Vec::new()),
            root => {
                let package = self.package.iter().copied().map(Some);
                Some(package.chain([Some(root)]).chain(steps).collect())
            }
        }
    }
}

/// The names that a pattern binds.
fn bound<'a>(pattern: &'a Value, names: &mut BTreeSet<&'a str>) {
    match pattern {
        Value::Array(items) => items.iter().for_each(|item| bound(item, names)),
        Value::Object(members) => {
            names.extend(members.get("Var").and_then(|variable| variable["value"].as_str()));
            for (of, at) in [("Array", "items"), ("Object", "fields")] {
                bound(members.get(of).map_or(&Value::Null, |nested| &nested[at]), names);
            }
        }
        _ => {}
    }
}
