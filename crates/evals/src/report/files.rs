//! The files of a run.

use std::path::Path;

use super::{failures::failure_cases, html::html, junit::junit, summary::Summary};
use crate::{compare::Comparison, error::EvalError, run::Outcome};

/// The figures.
pub const METRICS: &str = "metrics.json";
/// The cases that did not pass.
pub const FAILURES: &str = "failure_cases.jsonl";
/// For CI.
pub const JUNIT: &str = "junit.xml";
/// For people.
pub const REPORT: &str = "report.html";

/// Writes all files of a run into a directory, which is created. Each is written beside its place and renamed, so none is ever half.
///
/// # Errors
/// When the directory cannot be written.
pub fn write(
    dir: &Path,
    outcome: &Outcome,
    summary: &Summary,
    comparison: Option<&Comparison>,
) -> Result<(), EvalError> {
    std::fs::create_dir_all(dir).map_err(|error| EvalError::file("create", dir, error))?;
    let mut json = serde_json::to_string_pretty(summary)
        .map_err(|error| EvalError::file("write", dir.join(METRICS), error.into()))?;
    json.push('\n');
    let files = [
        (METRICS, json),
        (FAILURES, failure_cases(outcome)),
        (JUNIT, junit(outcome)),
        (REPORT, html(outcome, comparison)?),
    ];
    for (name, text) in files {
        let (path, beside) = (dir.join(name), dir.join(format!(".{name}.new")));
        let failed = |error| EvalError::file("write", &path, error);
        std::fs::write(&beside, text).map_err(failed)?;
        std::fs::rename(&beside, &path).map_err(failed)?;
    }
    Ok(())
}
