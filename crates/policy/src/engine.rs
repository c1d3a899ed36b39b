//! The interpreter: compiles, evaluates within limits, and says where it failed.

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, LimitError, Value};

use crate::fault::Fault;
use crate::source::Source;

/// Time that a decision may take. A hundred times of what the default bundle needs on a slow machine: it is measured by
/// the clock, and a thread may have to wait for a core.
pub const DECISION_TIME: Duration = Duration::from_millis(100);
/// Time that one test may take.
pub const TEST_TIME: Duration = Duration::from_secs(1);
/// Steps between two looks at the clock.
const CHECK_INTERVAL: NonZeroU32 = NonZeroU32::new(64).unwrap();
/// The interpreter recurses: with the nesting of a module, which is bounded only once it was parsed; with what rules lead
/// to, which [`MAX_PARTS`](crate::dependencies::MAX_PARTS) bounds; and with the nesting of values, which that bounds too.
/// Only what is used of a stack takes memory.
const STACK: usize = 256 << 20;

/// Why a rule gave no answer.
pub struct Failure {
    /// File and line, where it is known.
    place: Option<(String, u32)>,
    /// What the interpreter says: it may quote the module and values.
    pub text: String,
    /// The same for a log, without either.
    kind: &'static str,
}

impl Failure {
    fn interpreter() -> Self {
        Self { place: None, text: "the interpreter failed".to_owned(), kind: "interpreter failed" }
    }

    /// For a log: neither the module nor a value is in it.
    pub fn for_log(&self) -> String {
        match &self.place {
            Some((file, line)) => format!("{} at {file}:{line}", self.kind),
            None => self.kind.to_owned(),
        }
    }

    pub fn into_fault(self, file: &str, line: u32, rule: &'static str, fix: &'static str) -> Fault {
        let (file, line) = self.place.unwrap_or_else(|| (file.to_owned(), line));
        Fault::new(&file, line, rule, self.text, fix)
    }
}

/// Adds a module to an engine.
pub fn add(engine: &mut Engine, source: &Source) -> Result<(), Fault> {
    let added = guarded(|| engine.add_policy(source.name.clone(), source.text.clone()));
    added.map(|_| ()).map_err(|failure| {
        failure.into_fault(&source.name, 0, "POLICY_SYNTAX", "correct the module; it is Rego v1")
    })
}

/// An engine with the modules, all of them compiled, in which there is a rule `entry`.
pub fn compile(sources: &[&Source], entry: &str) -> Result<Engine, Fault> {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    for source in sources {
        add(&mut engine, source)?;
    }
    guarded(|| engine.compile_with_entrypoint(&entry.into())).map_err(|failure| {
        let file = sources.first().map_or("", |source| &source.name);
        failure.into_fault(file, 0, "POLICY_COMPILE", "correct the module; it is Rego v1")
    })?;
    Ok(engine)
}

/// What `rule` says of the input, `Undefined` included.
pub fn evaluate(prototype: &Engine, rule: &str, input: Value, limit: Duration) -> Result<Value, Failure> {
    guarded(|| {
        let mut engine = prototype.clone();
        engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval: CHECK_INTERVAL });
        engine.set_input(input);
        engine.eval_rule(rule.to_owned())
    })
}

/// Runs the block on a thread whose stack is deep enough for whatever is parsed, compiled or evaluated.
pub fn on_deep_stack<T: Send>(block: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| {
        thread::Builder::new().stack_size(STACK).spawn_scoped(scope, block).ok()?.join().ok()
    })
}

/// As [`evaluate`], on a deep stack: for rules of strangers.
pub fn evaluate_deep(
    prototype: &Engine,
    rule: &str,
    input: Value,
    limit: Duration,
) -> Result<Value, Failure> {
    on_deep_stack(|| evaluate(prototype, rule, input, limit)).unwrap_or_else(|| Err(Failure::interpreter()))
}

/// The interpreter is no part of ours and its modules are strangers': should it panic, that is one more way to fail.
fn guarded<T, E: Into<Failure>>(block: impl FnOnce() -> Result<T, E>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(block)) {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(_) => Err(Failure::interpreter()),
    }
}

impl<E: std::fmt::Display + AsRef<dyn std::error::Error + Send + Sync>> From<E> for Failure {
    fn from(error: E) -> Self {
        let limited = error.as_ref().downcast_ref::<LimitError>().is_some();
        let text = error.to_string();
        // "\n--> file:line:column\n…\nerror: what"
        let place = text.split("--> ").nth(1).and_then(|rest| {
            let mut parts = rest.lines().next()?.rsplitn(3, ':');
            let (_column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
            Some((file.to_owned(), line.trim().parse().ok()?))
        });
        let said = text.split("error: ").nth(1).unwrap_or(&text);
        let said = said.lines().next().unwrap_or_default().trim().to_owned();
        let timed_out = limited || text.contains("execution exceeded time limit");
        Self {
            place,
            text: if timed_out { "it takes too long".to_owned() } else { said },
            kind: if timed_out { "too slow" } else { "error" },
        }
    }
}
