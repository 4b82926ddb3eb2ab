//! What a gate is.

use ashlar_model::{GateReport, Waiver};

use crate::{
    GateError,
    inputs::Inputs,
    world::{Change, Work, World},
};

/// What a gate says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Its name, such as `references`.
    pub name: &'static str,
    /// What it judges, as a sentence.
    pub judges: &'static str,
    /// What it can find.
    pub findings: &'static [Code],
}

impl About {
    /// What the gate says of findings with this code; `None` when it cannot find any.
    pub fn code(&self, code: &str) -> Option<&Code> {
        let is = |known: &&Code| match known.code.strip_suffix('*') {
            Some(start) => code.starts_with(start),
            None => code == known.code,
        };
        self.findings.iter().find(|known| known.code == code).or_else(|| self.findings.iter().find(is))
    }
}

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Its code; `*` at the end stands for any ending.
    pub code: &'static str,
    /// What is wrong.
    pub wrong: &'static str,
    /// How to fix it.
    pub fix: &'static str,
}

/// One check on a candidate or a project directory.
pub(crate) trait Gate: Sync {
    /// Its name and what it judges.
    fn about(&self) -> &'static About;

    /// Adds everything that its verdict depends on. The contracts are among it already.
    fn reads(&self, world: &dyn World, inputs: &mut Inputs);

    /// Judges everything; with a change only what the change can have touched. The verdict is the same.
    ///
    /// # Errors
    /// When the content cannot be read.
    fn run(&self, world: &dyn World, change: Option<&Change<'_>>) -> Result<Work, GateError>;

    /// Whether it can judge a change alone: nothing but entries differs of what it reads.
    fn follows(&self, _world: &dyn World, _change: &Change<'_>) -> bool {
        false
    }

    /// Whether it sees every contract: when one cannot be read, most of what it would find only follows from that.
    fn sees_contracts(&self) -> bool {
        true
    }

    /// Whether a waiver lets it through. Some of what it found may need a person who is not just anybody.
    ///
    /// # Errors
    /// When the content cannot be read.
    fn takes_waiver(
        &self,
        _world: &dyn World,
        _report: &GateReport,
        _waiver: &Waiver,
    ) -> Result<bool, GateError> {
        Ok(true)
    }

    /// Whether it judges content itself: other gates leave out what only follows from content that is wrong.
    fn judges_content(&self) -> bool {
        false
    }
}
