//! `metrics.json`: the figures of a run, and of each case what a later run is compared with.

use std::{collections::BTreeMap, io::Read as _, path::Path};

use ashlar_gateway::price::Money;
use serde::{Deserialize, Serialize};

use crate::{
    error::EvalError,
    figures::{Better, Unit},
    run::{CaseStatus, Counts, Outcome, RunStatus, Stopped},
    verdict::JudgedBy,
};

/// The version of the format. Keys may be added within a version.
pub const FORMAT: u32 = 1;
/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What `metrics.json` contains. The keys are stable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`FORMAT`].
    pub format: u32,
    /// The suite.
    pub suite: String,
    /// The digest of the suite with its cases.
    pub suite_digest: String,
    /// What replies depend on beside the cases.
    pub setting: String,
    /// What came of the run.
    pub status: RunStatus,
    /// Why the run has no verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// The releases that answered.
    #[serde(default)]
    pub releases: Vec<String>,
    /// The prompts that were used.
    #[serde(default)]
    pub prompts: Vec<String>,
    /// Who judged by rubrics, and how far that agrees with people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<JudgedBy>,
    /// How long it took, in seconds.
    #[serde(default)]
    pub seconds: f64,
    /// What it cost.
    #[serde(default)]
    pub cost: Money,
    /// How many cases came to what.
    pub cases: Counts,
    /// The figures by name.
    pub metrics: BTreeMap<String, MetricSummary>,
    /// The bounds and whether they are kept.
    #[serde(default)]
    pub thresholds: Vec<ThresholdSummary>,
    /// How many cases of each tag came to what.
    #[serde(default)]
    pub tags: BTreeMap<String, Counts>,
    /// Each case.
    pub results: Vec<CaseSummary>,
}

/// A figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricSummary {
    /// The value.
    pub value: f64,
    /// How many cases it is of.
    pub cases: usize,
    /// Its unit.
    pub unit: Unit,
    /// Which values are better.
    pub better: Better,
}

/// A bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdSummary {
    /// The figure.
    pub metric: String,
    /// The least value that passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The greatest value that passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The value; absent when no case has one.
    pub value: Option<f64>,
    /// Whether it is kept.
    pub pass: bool,
}

/// A case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseSummary {
    /// The case.
    pub id: String,
    /// What came of it.
    pub status: CaseStatus,
    /// Whether its failure fails the suite.
    #[serde(default)]
    pub critical: bool,
    /// How much it counts.
    #[serde(default = "one")]
    pub weight: f64,
    /// Whether its replies disagree.
    #[serde(default)]
    pub unstable: bool,
    /// The share of its replies that meet all expectations.
    pub passed: f64,
    /// The metrics of the case, by name.
    #[serde(default)]
    pub values: BTreeMap<String, f64>,
    /// The beginning of its first answer, or the code of the refusal in brackets: what a report compares.
    #[serde(default)]
    pub answer: String,
}

fn one() -> f64 {
    1.0
}

/// Characters of an answer that are kept for comparison.
const ANSWER_CHARS: usize = 2_000;

impl Summary {
    /// The summary of a run.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        let metric = |(metric, figure): (crate::figures::Metric, &crate::run::Figure)| {
            let summary = MetricSummary {
                value: figure.value,
                cases: figure.cases,
                unit: metric.unit(),
                better: metric.better(),
            };
            (metric.name().to_owned(), summary)
        };
        let threshold = |result: &crate::run::ThresholdResult| ThresholdSummary {
            metric: result.threshold.metric.name().to_owned(),
            min: result.threshold.min,
            max: result.threshold.max,
            value: result.value,
            pass: result.pass,
        };
        let case = |result: &crate::run::CaseResult| CaseSummary {
            id: result.case.id.clone(),
            status: result.status,
            critical: result.case.critical,
            weight: result.case.weight,
            unstable: result.unstable,
            passed: result.passed,
            values: result.values.iter().map(|(metric, value)| (metric.name().to_owned(), *value)).collect(),
            answer: result.answer().chars().take(ANSWER_CHARS).collect(),
        };
        Self {
            format: FORMAT,
            suite: outcome.suite.name.clone(),
            suite_digest: outcome.suite_digest.clone(),
            setting: outcome.setting.clone(),
            status: outcome.status,
            stopped: outcome.stopped,
            releases: outcome.releases.clone(),
            prompts: outcome.prompts.clone(),
            judge: outcome.judge.clone(),
            seconds: outcome.seconds,
            cost: outcome.cost,
            cases: outcome.counts,
            metrics: outcome.shown().map(metric).collect(),
            thresholds: outcome.thresholds.iter().map(threshold).collect(),
            tags: outcome.tags(),
            results: outcome.results.iter().map(case).collect(),
        }
    }

    /// Reads `metrics.json`.
    ///
    /// # Errors
    /// When the file cannot be read, is too large, or is not of this format.
    pub fn read(path: &Path) -> Result<Self, EvalError> {
        let file = std::fs::File::open(path).map_err(|error| EvalError::file("read", path, error))?;
        let mut bytes = Vec::new();
        let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|error| EvalError::file("read", path, error))?;
        let help = "name the metrics.json that `ashlar eval run --out DIR` wrote";
        if bytes.len() as u64 > FILE_BYTES_MAX {
            let message = format!("{}: the file has more than {FILE_BYTES_MAX} bytes", path.display());
            return Err(EvalError::input(message, help));
        }
        let summary: Self = serde_json::from_slice(&bytes).map_err(|e| {
            EvalError::input(format!("{}: this is no metrics.json: {e}", path.display()), help)
        })?;
        if summary.format != FORMAT {
            let message = format!(
                "{}: the file has the format {}; this version reads {FORMAT}",
                path.display(),
                summary.format
            );
            return Err(EvalError::input(message, "make the baseline again"));
        }
        Ok(summary)
    }
}
