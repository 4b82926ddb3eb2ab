//! `ashlar check`: every gate that needs no server, on a project directory.

mod cache;
mod codec;
mod directory;
mod entries;
mod impact;
mod loaded;
mod memory;
mod pages;
mod report;
mod run;

use std::path::Path;

pub use impact::{ConsumerImpact, ContractImpact, Impact, OperationImpact, ViewImpact, impact};
pub use report::{CheckOptions, CheckReport, CheckStatus};

use crate::GateError;

/// Checks the project in `dir`.
///
/// # Errors
/// When there is no project there, or the disk fails. What is wrong in the project is in the report.
pub fn check_project(dir: &Path, options: &CheckOptions) -> Result<CheckReport, GateError> {
    run::run(dir, options)
}
