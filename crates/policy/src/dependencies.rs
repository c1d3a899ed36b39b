//! What leads to what. No rule leads back to itself, as in OPA; and none takes more stack than there is.

use std::collections::{BTreeMap, BTreeSet};

use crate::definitions::{Definition, Path, definitions};
use crate::fault::Fault;
use crate::syntax::Module;
use crate::tenant_rules::path;

/// Parts of a rule with all that it leads to written out in its place, at most: so many levels the interpreter may go
/// down to evaluate it, and a value that it makes may be nested so deep. `engine::STACK` suffices for it.
pub const MAX_PARTS: u64 = 16_384;

/// What is wrong with how the rules of `own` lean on each other and on those of `others`.
pub fn faults(own: &[Module], others: &[Module]) -> Vec<Fault> {
    let rules = Rules::of(own, others);
    let mut search = Search {
        seen: rules.nodes.iter().map(|_| Seen::Not).collect(),
        rules,
        open: Vec::new(),
        faults: Vec::new(),
    };
    for node in 0..search.rules.nodes.len() {
        if search.rules.nodes[node].own {
            search.parts(node);
        }
    }
    search.faults
}

/// All rules of one name.
struct Node<'a> {
    package: Vec<&'a str>,
    path: Vec<&'a str>,
    file: &'a str,
    line: u32,
    own: bool,
    /// One for each rule or clause: its own parts, and which nodes it leads to, each as often as it does.
    clauses: Vec<(u64, Vec<usize>)>,
}

impl Node<'_> {
    /// As a module of the package would call it.
    fn name(&self, package: &[&str]) -> String {
        match self.path.strip_prefix(package) {
            Some(name) => path(name),
            None => format!("data.{}", path(&self.path)),
        }
    }
}

struct Rules<'a> {
    nodes: Vec<Node<'a>>,
}

impl<'a> Rules<'a> {
    fn of(own: &'a [Module], others: &'a [Module]) -> Self {
        let modules =
            own.iter().map(|module| (module, true)).chain(others.iter().map(|module| (module, false)));
        let mut nodes = Vec::<Node<'a>>::new();
        let mut clauses = Vec::new();
        for (module, own) in modules {
            for definition in definitions(module) {
                let known = nodes.iter().position(|node| node.path == definition.path);
                let at = known.unwrap_or_else(|| {
                    nodes.push(Node {
                        package: module.package(),
                        path: definition.path.clone(),
                        file: &module.file,
                        line: definition.line,
                        own,
                        clauses: Vec::new(),
                    });
                    nodes.len() - 1
                });
                clauses.push((at, definition));
            }
        }
        let replacements = replacements(&nodes, &clauses);
        for (at, clause) in &clauses {
            let mut led = Vec::new();
            for mention in &clause.mentions {
                led.extend(meant(mention, &nodes));
                led.extend(replacements.get(mention).into_iter().flatten());
            }
            nodes[*at].clauses.push((clause.parts, led));
        }
        Self { nodes }
    }
}

/// By what is called, the functions that some `with` puts in its place: whoever calls it may get one of those.
fn replacements<'a>(
    nodes: &[Node<'a>],
    clauses: &[(usize, Definition<'a>)],
) -> BTreeMap<Path<'a>, BTreeSet<usize>> {
    let functions: BTreeSet<usize> =
        clauses.iter().filter(|(_, clause)| clause.function).map(|(at, _)| *at).collect();
    let mut replacements = BTreeMap::<_, BTreeSet<usize>>::new();
    for (covered, put) in clauses.iter().flat_map(|(_, clause)| &clause.replacements) {
        let put = meant(put, nodes).filter(|node| functions.contains(node));
        replacements.entry(covered.clone()).or_default().extend(put);
    }
    replacements
}

/// The nodes that a path may mean: a rule, the package it is in, or a part of what it says.
fn meant<'n>(path: &'n Path<'_>, nodes: &'n [Node<'_>]) -> impl Iterator<Item = usize> + 'n {
    let fits = |node: &Node<'_>| {
        path.iter().zip(&node.path).all(|(step, name)| step.is_none_or(|step| step == *name))
    };
    nodes.iter().enumerate().filter(move |(_, node)| fits(node)).map(|(at, _)| at)
}

#[derive(Clone, Copy)]
enum Seen {
    Not,
    Open,
    Done(u64),
}

/// Goes from rule to rule, depth first. As deep as there are rules, of which there are not many.
struct Search<'a> {
    rules: Rules<'a>,
    seen: Vec<Seen>,
    /// From where the search began to where it is.
    open: Vec<usize>,
    faults: Vec<Fault>,
}

impl Search<'_> {
    /// Parts of what a rule says with all that it leads to written out.
    fn parts(&mut self, node: usize) -> u64 {
        match self.seen[node] {
            Seen::Done(parts) => return parts,
            Seen::Open => {
                self.cycle(node);
                return 0;
            }
            Seen::Not => {}
        }
        self.seen[node] = Seen::Open;
        self.open.push(node);
        let (mut most, mut most_below) = (0, 0);
        for clause in 0..self.rules.nodes[node].clauses.len() {
            let (own, led) = self.rules.nodes[node].clauses[clause].clone();
            let mut parts = own;
            for next in led {
                let below = self.parts(next);
                most_below = most_below.max(below);
                parts = parts.saturating_add(below);
            }
            most = most.max(parts);
        }
        self.open.pop();
        self.seen[node] = Seen::Done(most);
        // Told once, of the rule that is the first to be too deep.
        if most > MAX_PARTS && most_below <= MAX_PARTS {
            self.too_deep(node);
        }
        most
    }

    /// The search came back to `node`, which is open.
    fn cycle(&mut self, node: usize) {
        let nodes = &self.rules.nodes;
        let began = self.open.iter().position(|open| *open == node).unwrap_or_default();
        let mut cycle = self.open[began..].to_vec();
        // Told from a rule of the tenant's, wherever the search came in.
        let first = cycle.iter().position(|at| nodes[*at].own).unwrap_or_default();
        cycle.rotate_left(first);
        let first = &nodes[cycle[0]];
        let names: Vec<_> =
            cycle.iter().chain(&cycle[..1]).map(|at| nodes[*at].name(&first.package)).collect();
        let problem = format!("{} leads back to itself: {}", names[0], names.join(" -> "));
        let fault = Fault::new(
            first.file,
            first.line,
            "POLICY_COMPILE",
            problem,
            "let no rule lean on itself; Rego has no recursion",
        );
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    fn too_deep(&mut self, node: usize) {
        let node = &self.rules.nodes[node];
        self.faults.push(Fault::new(
            node.file,
            node.line,
            "POLICY_TOO_DEEP",
            format!(
                "{}, with what it leads to written out, has more than {MAX_PARTS} parts",
                node.name(&node.package)
            ),
            "let fewer rules lean on each other, or each mention the others less often",
        ));
    }
}
