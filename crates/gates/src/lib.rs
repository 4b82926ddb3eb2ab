//! Every check on a frozen candidate or on a project directory, with evidence.
//!
//! [`Checker`] is the judge that the `release` room asks; [`check_project`] is `ashlar check`. Both run the same gates
//! over a [`Site`]: the look-up tree of a candidate, or the entries of a directory in memory.
//!
//! Invariants:
//! - A gate is a pure function of the inputs that its digest covers.
//! - Work on a candidate is proportional to its changes when the gate passed on the base, unwaived, under the same rules;
//!   the verdict is that of a full run.

mod brokerage;
mod candidate;
pub mod check;
mod definitions;
mod error;
mod findings;
mod gate;
mod inputs;
mod judge;
mod prompt_moves;
mod report;
mod suites;
mod world;

pub use brokerage::{ConsumerStatus, consumers_of};
pub use candidate::checker::Checker;
pub use check::{
    CheckOptions, CheckReport, CheckStatus, ConsumerImpact, ContractImpact, Impact, OperationImpact,
    ViewImpact, check_project, impact,
};
pub use definitions::trial::{Trial, TrialFailure, Trials, attempt};
pub use error::GateError;
pub use gate::shared::shared_findings;
pub use gate::{About, Code};
pub use prompt_moves::{
    PROMPT_FILES, PromptVersion, PromptView, promote_prompt, prompt_of, prompts_of, roll_back_prompt,
};
pub use report::{junit, sarif, text};
pub use world::site::Site;

/// What the gates say of themselves, in the order in which they report.
pub fn gates() -> impl ExactSizeIterator<Item = &'static About> {
    gate::GATES.iter().map(|gate| gate.about())
}
