//! What is wrong with a module, by file and line, with what to do about it.

use std::fmt;

/// One fault. It quotes the module at most, never an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Name of the file.
    pub file: String,
    /// Line, from 1; 0 where the file as a whole is meant.
    pub line: u32,
    /// What was broken, UPPER_SNAKE.
    pub rule: &'static str,
    /// What is wrong there.
    pub problem: String,
    /// What to do about it.
    pub fix: &'static str,
}

impl Fault {
    pub(crate) fn new(
        file: &str,
        line: u32,
        rule: &'static str,
        problem: impl Into<String>,
        fix: &'static str,
    ) -> Self {
        Self { file: file.to_owned(), line, rule, problem: problem.into(), fix }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}:{}: {} (fix: {})", self.file, self.line, self.problem, self.fix)
    }
}

/// Why a bundle is not loaded; at least one fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// The faults in the order of files and lines.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// `Err` if there are any.
    pub(crate) fn none_of(mut faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
        Err(Self(faults))
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            write!(to, "{}{fault}", if index > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
