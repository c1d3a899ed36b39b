//! The syntax tree of modules, as the interpreter gives it: references, calls, rules.

use regorus::Engine;
use serde_json::Value;

use crate::source::Source;

/// Levels of a tree: two or three for each level of an expression.
const MAX_DEPTH: usize = 128;

/// One module.
pub struct Module {
    pub file: String,
    text: String,
    pub(crate) tree: Value,
}

/// A reference such as `input.identity["roles"][i]`.
pub struct Chain<'a> {
    pub root: &'a str,
    pub steps: Vec<Step<'a>>,
    pub line: u32,
}

/// One step of a reference.
pub enum Step<'a> {
    /// A name that stands there.
    Name(&'a str),
    /// What only evaluation tells.
    Computed(&'a Value),
}

impl<'a> Chain<'a> {
    /// The names up to the first step that is computed.
    pub fn names(&self) -> Vec<&'a str> {
        let named = self.steps.iter().map_while(|step| match step {
            Step::Name(name) => Some(*name),
            Step::Computed(_) => None,
        });
        named.collect()
    }

    /// The whole reference with dots; None where a step is computed.
    pub fn dotted(&self) -> Option<String> {
        let names = self.names();
        (names.len() == self.steps.len()).then(|| [&[self.root], names.as_slice()].concat().join("."))
    }
}

/// What a module says somewhere.
pub enum Mention<'a> {
    Reference(Chain<'a>),
    Call(Chain<'a>),
}

/// How a rule is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `name := value if …`, `name if …`, or a rule with a path.
    Value,
    /// `name contains key if …`.
    Set,
    /// `name(arguments) := value if …`.
    Function,
    /// `default name := value`.
    Default,
}

/// A rule's head.
pub struct Rule<'a> {
    pub name: String,
    pub form: Form,
    pub line: u32,
    /// Whether the head is the name alone, as `deny` is and `deny.all` is not.
    pub plain: bool,
    /// The text that a set rule adds, where it is one that stands there.
    pub key: Option<&'a str>,
}

impl Module {
    /// The modules of an engine, which were added in the order of `sources`; None if a tree is too deep to be walked, and
    /// to be evaluated, on a stack of ordinary depth.
    pub fn all_of(engine: &mut Engine, sources: &[&Source]) -> Option<Vec<Self>> {
        let module = |(tree, source): (Value, &&Source)| {
            is_shallow(&tree, MAX_DEPTH).then(|| Self {
                file: source.name.clone(),
                text: source.text.clone(),
                tree,
            })
        };
        // Straight into a tree: the text that the engine itself would write is indented by the depth.
        let trees =
            engine.get_modules().iter().map(|module| serde_json::to_value(module).unwrap_or_default());
        trees.zip(sources).map(module).collect()
    }

    /// Components of the package's name.
    pub fn package(&self) -> Vec<&str> {
        let Some(chain) = chain(&self.tree["package"]["refr"]) else { return Vec::new() };
        [&[chain.root], chain.names().as_slice()].concat()
    }

    pub fn package_line(&self) -> u32 {
        line(&self.tree["package"])
    }

    /// What is imported: with dots, the name it goes by, and the line.
    pub fn imports(&self) -> Vec<(String, String, u32)> {
        let imports = self.tree["imports"].as_array().map(Vec::as_slice).unwrap_or_default();
        let import = |import: &Value| {
            let imported = chain(&import["refr"])?;
            let names = imported.names();
            let last = names.last().copied().unwrap_or(imported.root);
            let alias = self.spanned(&import["as"]).unwrap_or(last);
            Some((imported.dotted()?, alias.to_owned(), line(import)))
        };
        imports.iter().filter_map(import).collect()
    }

    /// The heads of its rules.
    pub fn rules(&self) -> Vec<Rule<'_>> {
        let rules = self.tree["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
        rules.iter().filter_map(rule).collect()
    }

    /// Calls `on` for every reference and every call in it.
    pub fn visit<'a>(&'a self, on: &mut impl FnMut(Mention<'a>)) {
        visit(&self.tree["imports"], on);
        visit(&self.tree["rules"], on);
    }

    /// The text that a span covers.
    pub(crate) fn spanned(&self, span: &Value) -> Option<&str> {
        let at = |end: &str| usize::try_from(span[end].as_u64()?).ok();
        self.text.get(at("start")?..at("end")?)
    }
}

fn rule(tree: &Value) -> Option<Rule<'_>> {
    let forms = [("Compr", Form::Value), ("Set", Form::Set), ("Func", Form::Function)];
    let (head, form) = match tree.get("Default") {
        Some(default) => (default, Form::Default),
        None => {
            let head = &tree["Spec"]["head"];
            forms.into_iter().find_map(|(tag, form)| Some((head.get(tag)?, form)))?
        }
    };
    let named = chain(&head["refr"])?;
    Some(Rule {
        name: named.dotted().unwrap_or_else(|| named.root.to_owned()),
        form,
        line: named.line,
        plain: named.steps.is_empty(),
        key: ["String", "RawString"].iter().find_map(|tag| head["key"][*tag]["value"].as_str()),
    })
}

fn visit<'a>(node: &'a Value, on: &mut impl FnMut(Mention<'a>)) {
    if let Some(found) = chain(node) {
        computed(&found, on);
        on(Mention::Reference(found));
        return;
    }
    match node {
        Value::Array(items) => items.iter().for_each(|item| visit(item, on)),
        Value::Object(members) => {
            if let Some(call) = members.get("Call") {
                match chain(&call["fcn"]) {
                    Some(callee) => {
                        computed(&callee, on);
                        on(Mention::Call(callee));
                    }
                    None => visit(&call["fcn"], on),
                }
                visit(&call["params"], on);
                return;
            }
            // A replacement (`with input.a as 1`) reads what it puts there, and not what it covers.
            if let (Some(covered), Some(put)) = (members.get("refr"), members.get("as"))
                && members.len() == 3
            {
                if let Some(covered) = chain(covered) {
                    computed(&covered, on);
                }
                visit(put, on);
                return;
            }
            members.values().for_each(|member| visit(member, on));
        }
        _ => {}
    }
}

/// Visits what computes steps of a reference.
fn computed<'a>(chain: &Chain<'a>, on: &mut impl FnMut(Mention<'a>)) {
    for step in &chain.steps {
        if let Step::Computed(index) = step {
            visit(index, on);
        }
    }
}

/// The reference that a node is, if it begins with a name.
pub(crate) fn chain(node: &Value) -> Option<Chain<'_>> {
    let mut steps = Vec::new();
    let mut node = node;
    loop {
        let members = node.as_object()?;
        if let Some(dot) = members.get("RefDot") {
            steps.push(Step::Name(dot["field"][1].as_str()?));
            node = &dot["refr"];
        } else if let Some(bracket) = members.get("RefBrack") {
            let index = &bracket["index"];
            let text = ["String", "RawString"].iter().find_map(|tag| index[*tag]["value"].as_str());
            steps.push(text.map_or(Step::Computed(index), Step::Name));
            node = &bracket["refr"];
        } else {
            let variable = members.get("Var")?;
            steps.reverse();
            return Some(Chain { root: variable["value"].as_str()?, steps, line: line(variable) });
        }
    }
}

fn is_shallow(node: &Value, depth: usize) -> bool {
    let mut below: Box<dyn Iterator<Item = &Value>> = match node {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(members) => Box::new(members.values()),
        _ => return true,
    };
    depth > 0 && below.all(|node| is_shallow(node, depth - 1))
}

fn line(node: &Value) -> u32 {
    node["span"]["line"].as_u64().and_then(|line| u32::try_from(line).ok()).unwrap_or(0)
}
