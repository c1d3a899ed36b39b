//! Modules that compile and hold their own tests, as one revision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regorus::{Engine, Value};

use crate::analysis::{Analysis, foreign_calls};
use crate::decision::Reason;
use crate::dependencies;
use crate::engine::{
    DECISION_TIME, Failure, TEST_TIME, add, compile, evaluate, evaluate_deep, on_deep_stack,
};
use crate::fault::{Fault, Faults};
use crate::input::Input;
use crate::source::{MAX_FILES, Source, digest};
use crate::syntax::{Form, Module};
use crate::tenant_rules::{self, package_of, path};

const DECISION: &str = "data.intelgraph.authz.decision";
const EXPLANATION: &str = "data.intelgraph.authz.explanation";

/// The platform's modules, or these with one tenant's own beside them.
pub struct Bundle {
    platform: Vec<Source>,
    engine: Engine,
    /// Whether rules of a tenant are in it.
    has_own: bool,
    pub(crate) analysis: Analysis,
    pub(crate) revision: [u8; 32],
    pub(crate) revision_text: Arc<str>,
    tests: Vec<String>,
    places: BTreeMap<String, Vec<(String, u32)>>,
}

impl Bundle {
    /// The platform's bundle. It defines `data.intelgraph.authz.decision`, `{"allow": …, "reason": …}`.
    pub fn load(sources: Vec<Source>) -> Result<Self, Faults> {
        check_bounds(&sources)?;
        compiled(|| {
            let modules = checked_modules(&sources.iter().collect::<Vec<_>>())?;
            Faults::none_of(dependencies::faults(&modules, &[]))?;
            let tests = run_tests(&sources.iter().collect::<Vec<_>>(), &modules)?;
            Self::assembled(sources, &[], tests)
        })
    }

    /// The same with the rules of a tenant beside it.
    pub fn with_tenant_rules(&self, tenant: &str, sources: &[Source]) -> Result<Self, Faults> {
        check_bounds(sources)?;
        compiled(|| {
            let own = checked_modules(&sources.iter().collect::<Vec<_>>())?;
            Faults::none_of(tenant_rules::faults(tenant, &own))?;
            let platform: Vec<_> = self.platform.iter().filter(|source| !source.is_test()).collect();
            Faults::none_of(dependencies::faults(&own, &checked_modules(&platform)?))?;
            let tests = run_tests(&platform.into_iter().chain(sources).collect::<Vec<_>>(), &own)?;
            Self::assembled(self.platform.clone(), sources, tests)
        })
    }

    /// The same for a tenant whose rules cannot be used: everything is denied to it that its rules could deny. `why` is
    /// the text that denies.
    pub fn closed(&self, tenant: &str, why: &str) -> Self {
        // Quoted as JSON quotes, which Rego takes.
        let why = serde_json::Value::from(why);
        let text = format!("package {}\n\ndeny contains {why}\n", package_of(tenant));
        let closed = compiled(|| {
            Self::assembled(self.platform.clone(), &[Source::new("closed.rego", text)], Vec::new())
        });
        closed.expect("the platform's bundle compiles, and beside it one rule that leans on nothing")
    }

    /// SHA-256 of the exact files, hexadecimal.
    pub fn revision(&self) -> &str {
        &self.revision_text
    }

    /// The tests that hold, as paths.
    pub fn tests(&self) -> &[String] {
        &self.tests
    }

    /// Where the rules stand that deny with this text: file and line.
    pub fn places_of(&self, denial: &str) -> &[(String, u32)] {
        self.places.get(denial).map_or(&[], Vec::as_slice)
    }

    /// What a rule of the bundle says without any input, as JSON; None where that is nothing.
    pub fn value_of(&self, rule: &str) -> Option<String> {
        let value = evaluate(&self.engine, rule, Value::new_object(), TEST_TIME).ok()?;
        (value != Value::Undefined).then(|| serde_json::to_string(&value).ok())?
    }

    /// What bears on a decision, as JSON: which roles grant the permission, which rules deny. The error tells where a
    /// rule failed.
    pub fn explain(&self, input: &Input<'_>) -> Result<String, String> {
        let explanation = self.evaluated(EXPLANATION, input).map_err(|failure| failure.for_log())?;
        serde_json::to_string(&explanation).map_err(|_| "no JSON".to_owned())
    }

    /// Why it is allowed or denied, and where a rule failed.
    pub(crate) fn decide(&self, input: &Input<'_>) -> (Reason, Option<String>) {
        match self.evaluated(DECISION, input) {
            Ok(answer) => match Reason::of(&answer) {
                Reason::Failed => (Reason::Failed, Some("the answer has another form".to_owned())),
                reason => (reason, None),
            },
            Err(failure) => (Reason::Failed, Some(failure.for_log())),
        }
    }

    /// The platform's own rules need no deep stack, and decide on the thread that asks.
    fn evaluated(&self, rule: &str, input: &Input<'_>) -> Result<Value, Failure> {
        let evaluate = if self.has_own { evaluate_deep } else { evaluate };
        evaluate(&self.engine, rule, input.to_value(), DECISION_TIME)
    }

    fn assembled(platform: Vec<Source>, own: &[Source], tests: Vec<String>) -> Result<Self, Faults> {
        let files: Vec<Source> = platform.iter().chain(own).cloned().collect();
        let deciding: Vec<&Source> = files.iter().filter(|source| !source.is_test()).collect();
        let mut engine = compile(&deciding, DECISION)?;
        let modules = Module::all_of(&mut engine, &deciding).ok_or_else(|| too_deep(&deciding))?;
        let revision = digest(&files);
        Ok(Self {
            analysis: Analysis::of(&modules.iter().collect::<Vec<_>>()),
            places: places(&modules),
            revision_text: revision.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
            revision,
            has_own: !own.is_empty(),
            platform,
            engine,
            tests,
        })
    }
}

fn check_bounds(sources: &[Source]) -> Result<(), Faults> {
    let mut faults: Vec<Fault> = sources.iter().filter_map(Source::fault).collect();
    let mut names = BTreeSet::new();
    for source in sources {
        if source.name.is_empty() || !names.insert(&source.name) {
            faults.push(Fault::new(
                &source.name,
                0,
                "POLICY_FILE_NAME",
                "every file has a name, and no two the same",
                "rename the file",
            ));
        }
    }
    if sources.is_empty() || sources.len() > MAX_FILES {
        faults.push(Fault::new(
            "",
            0,
            "POLICY_TOO_LARGE",
            format!("there are {} files, and may be 1 to {MAX_FILES}", sources.len()),
            "say it in fewer files",
        ));
    }
    Faults::none_of(faults)
}

fn compiled<T: Send>(block: impl FnOnce() -> Result<T, Faults> + Send) -> Result<T, Faults> {
    on_deep_stack(block).unwrap_or_else(|| {
        let problem = "the compiler failed";
        Err(Fault::new("", 0, "POLICY_COMPILE", problem, "report it with the files").into())
    })
}

/// The modules, which call nothing that they may not.
fn checked_modules(sources: &[&Source]) -> Result<Vec<Module>, Faults> {
    let mut engine = Engine::new();
    for source in sources {
        add(&mut engine, source)?;
    }
    let modules = Module::all_of(&mut engine, sources).ok_or_else(|| too_deep(sources))?;
    Faults::none_of(foreign_calls(&modules))?;
    Ok(modules)
}

fn too_deep(sources: &[&Source]) -> Fault {
    let file = sources.first().map_or("", |source| &source.name);
    Fault::new(
        file,
        0,
        "POLICY_TOO_DEEP",
        "an expression is nested too deeply",
        "give its parts names of their own",
    )
}

/// Runs every rule of `modules` whose name begins with `test_`; gives their paths if all of them hold.
fn run_tests(sources: &[&Source], modules: &[Module]) -> Result<Vec<String>, Faults> {
    let engine = compile(sources, DECISION)?;
    let (mut paths, mut faults) = (Vec::new(), Vec::new());
    for module in modules {
        let tests = module.rules().into_iter().filter(|rule| rule.name.starts_with("test_") && rule.plain);
        for test in tests {
            let path = format!("data.{}.{}", path(&module.package()), test.name);
            if test.form == Form::Default || paths.contains(&path) {
                continue;
            }
            let broken = |problem: String| {
                let problem = format!("{} does not hold: {problem}", test.name);
                Fault::new(
                    &module.file,
                    test.line,
                    "POLICY_TEST_FAILED",
                    problem,
                    "correct the rule or its test",
                )
            };
            match evaluate(&engine, &path, Value::new_object(), TEST_TIME) {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Undefined) => faults.push(broken("a condition in it is not met".to_owned())),
                Ok(_) => faults.push(broken("it is not true".to_owned())),
                Err(failure) => faults.push(broken(failure.text)),
            }
            paths.push(path);
        }
    }
    if let (true, Some(module)) = (paths.is_empty(), modules.first()) {
        faults.push(Fault::new(
            &module.file,
            0,
            "POLICY_UNTESTED",
            "there is no test",
            "add a rule `test_… if { … }` that shows what is denied, and one that shows what is not",
        ));
    }
    Faults::none_of(faults)?;
    Ok(paths)
}

fn places(modules: &[Module]) -> BTreeMap<String, Vec<(String, u32)>> {
    let mut places = BTreeMap::<String, Vec<(String, u32)>>::new();
    for module in modules {
        for rule in module.rules() {
            if let (Form::Set, Some(text)) = (rule.form, rule.key) {
                places.entry(text.to_owned()).or_default().push((module.file.clone(), rule.line));
            }
        }
    }
    places
}
