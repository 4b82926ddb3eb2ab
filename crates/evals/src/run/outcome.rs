//! What came of a run.

use std::collections::BTreeMap;

use ashlar_gateway::price::Money;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::summary::{Figure, ThresholdResult, figures, thresholds};
use crate::{
    figures::Metric,
    metric::{Scores, passes},
    reply::{Reply, Unasked},
    suite::{Case, Suite},
    verdict::JudgedBy,
};

/// One reply to a case, or why none came.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The reply.
    pub reply: Result<Reply, Unasked>,
    /// What each metric says about it.
    pub scores: Scores,
}

/// What came of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseStatus {
    /// Every reply meets every expectation.
    Pass,
    /// A reply does not.
    Fail,
    /// It fails, and that is known until a day.
    KnownFailure,
    /// It could not be asked.
    Error,
    /// The run stopped before it.
    NotAsked,
}

impl CaseStatus {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::KnownFailure => "known_failure",
            Self::Error => "error",
            Self::NotAsked => "not_asked",
        }
    }
}

/// A case with its replies.
#[derive(Debug, Clone)]
pub struct CaseResult {
    /// The case.
    pub case: Case,
    /// What came of it.
    pub status: CaseStatus,
    /// Whether some of its replies meet its expectations and others do not.
    pub unstable: bool,
    /// The share of its replies that meet all expectations.
    pub passed: f64,
    /// The mean of each metric over its replies.
    pub values: BTreeMap<Metric, f64>,
    /// Its replies, in order.
    pub samples: Vec<Sample>,
}

impl CaseResult {
    /// Counts the replies of a case. `wanted`: how many there must be.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "at most 20 samples")]
    pub fn new(case: Case, samples: Vec<Sample>, wanted: u32, today: Date) -> Self {
        let asked = samples.iter().filter(|sample| sample.reply.is_ok()).count();
        let met = samples.iter().filter(|sample| sample.reply.is_ok() && passes(&sample.scores)).count();
        let is_known = case.known_failure.as_ref().is_some_and(|known| today <= known.until);
        let status = match (samples.len() < wanted as usize, asked < samples.len(), met == asked) {
            (_, true, _) => CaseStatus::Error,
            (true, ..) => CaseStatus::NotAsked,
            (.., true) => CaseStatus::Pass,
            _ if is_known => CaseStatus::KnownFailure,
            _ => CaseStatus::Fail,
        };
        let mut sums: BTreeMap<Metric, (f64, usize)> = BTreeMap::new();
        for (metric, score) in samples.iter().flat_map(|sample| &sample.scores) {
            let sum = sums.entry(*metric).or_default();
            *sum = (sum.0 + score.value, sum.1 + 1);
        }
        Self {
            case,
            status,
            unstable: met > 0 && met < asked,
            passed: if asked == 0 { 0.0 } else { met as f64 / asked as f64 },
            values: sums.into_iter().map(|(metric, (sum, count))| (metric, sum / count as f64)).collect(),
            samples,
        }
    }

    /// Why it fails or could not be asked, each reason once.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for sample in &self.samples {
            let unasked = sample.reply.as_ref().err().map(|e| format!("{} ({})", e.message, e.code));
            let failed = sample.scores.values().filter(|score| score.pass == Some(false));
            for why in unasked.into_iter().chain(failed.map(|score| score.why.clone())) {
                if !out.contains(&why) {
                    out.push(why);
                }
            }
        }
        if let Some(known) = self.case.known_failure.as_ref().filter(|_| self.status == CaseStatus::Fail) {
            out.push(format!("It was a known failure until {}: {}", known.until, known.why));
        }
        out
    }

    /// Whether all its replies were asked for and judged.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        !matches!(self.status, CaseStatus::Error | CaseStatus::NotAsked)
    }
}

/// Why a run has no verdict although cases could be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// It reached its cap of money.
    CostCap,
    /// It reached its cap of time.
    TimeCap,
    /// Another release was promoted meanwhile, so the replies are of two releases.
    ReleaseChanged,
    /// The suite has a judge, and nobody asked it about a case with a rubric.
    NotJudged,
}

impl Stopped {
    /// What happened, as a sentence.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::CostCap => "The run stopped at its cap of money.",
            Self::TimeCap => "The run stopped at its cap of time.",
            Self::ReleaseChanged => "The release changed during the run, so the replies are of two releases.",
            Self::NotJudged => "The judge of the suite was not asked about all cases with a rubric.",
        }
    }
}

/// What came of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Every case was judged, and no threshold is broken.
    Pass,
    /// Every case was judged, and a threshold is broken.
    Fail,
    /// Not every case could be judged. It has not passed.
    Incomplete,
}

impl RunStatus {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Incomplete => "incomplete",
        }
    }
}

/// How many cases came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// All cases of the suite.
    pub total: usize,
    /// Cases that pass.
    pub passed: usize,
    /// Cases that fail.
    pub failed: usize,
    /// Cases that fail and are known to.
    pub known_failures: usize,
    /// Cases that could not be asked.
    pub errors: usize,
    /// Cases that were not reached.
    pub not_asked: usize,
    /// Cases of which some replies pass and others fail.
    pub unstable: usize,
}

impl Counts {
    /// Counts cases.
    pub fn of<'r>(results: impl IntoIterator<Item = &'r CaseResult>) -> Self {
        let mut out = Self::default();
        for result in results {
            out.total += 1;
            out.unstable += usize::from(result.unstable);
            match result.status {
                CaseStatus::Pass => out.passed += 1,
                CaseStatus::Fail => out.failed += 1,
                CaseStatus::KnownFailure => out.known_failures += 1,
                CaseStatus::Error => out.errors += 1,
                CaseStatus::NotAsked => out.not_asked += 1,
            }
        }
        out
    }
}

/// A run with everything that is known about it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The suite, without its cases.
    pub suite: Suite,
    /// The digest of the suite with its cases: runs of other cases do not compare.
    pub suite_digest: String,
    /// What replies depend on beside the cases.
    pub setting: String,
    /// The releases that answered.
    pub releases: Vec<String>,
    /// The prompts that were used, with their versions.
    pub prompts: Vec<String>,
    /// What came of it.
    pub status: RunStatus,
    /// Why the run has no verdict.
    pub stopped: Option<Stopped>,
    /// Who judged by rubrics.
    pub judge: Option<JudgedBy>,
    /// How many cases came to what.
    pub counts: Counts,
    /// The figures.
    pub figures: BTreeMap<Metric, Figure>,
    /// The thresholds of the suite.
    pub thresholds: Vec<ThresholdResult>,
    /// What the run cost.
    pub cost: Money,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Replies that came from an earlier, stopped run.
    pub resumed: usize,
    /// The cases, in order of the file.
    pub results: Vec<CaseResult>,
}

impl Outcome {
    /// Counts a run: the cases of the suite in their order, each with its replies.
    #[must_use]
    pub fn new(suite: &Suite, setting: &str, results: Vec<CaseResult>) -> Self {
        let counts = Counts::of(&results);
        let figures = figures(&results);
        let thresholds = thresholds(&suite.thresholds, &figures);
        let replies = || results.iter().flat_map(|r| &r.samples).filter_map(|s| s.reply.as_ref().ok());
        let distinct = |of: fn(&Reply) -> &String| {
            let mut all: Vec<String> = replies().map(of).filter(|name| !name.is_empty()).cloned().collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let (releases, prompts) = (distinct(|reply| &reply.release), distinct(|reply| &reply.prompt));
        let is_complete = counts.errors == 0 && counts.not_asked == 0 && releases.len() <= 1;
        let status = match thresholds.iter().all(|threshold| threshold.pass) {
            _ if !is_complete => RunStatus::Incomplete,
            true => RunStatus::Pass,
            false => RunStatus::Fail,
        };
        let stopped = (releases.len() > 1).then_some(Stopped::ReleaseChanged);
        let cost = replies().map(Reply::spent).sum();
        Self {
            suite: Suite { cases: Vec::new(), ..suite.clone() },
            suite_digest: suite.digest(),
            setting: setting.to_owned(),
            releases,
            prompts,
            status,
            stopped,
            judge: None,
            counts,
            figures,
            thresholds,
            cost,
            seconds: 0.0,
            resumed: 0,
            results,
        }
    }

    /// The figures that the suite asks for, or all.
    pub fn shown(&self) -> impl Iterator<Item = (Metric, &Figure)> {
        let wanted = |metric: &Metric| {
            self.suite.metrics.is_empty()
                || self.suite.metrics.contains(metric)
                || self.suite.thresholds.iter().any(|threshold| threshold.metric == *metric)
        };
        self.figures
            .iter()
            .filter(move |(metric, _)| wanted(metric))
            .map(|(metric, figure)| (*metric, figure))
    }

    /// How many cases of each tag there are and pass.
    #[must_use]
    pub fn tags(&self) -> BTreeMap<String, Counts> {
        let mut cases: BTreeMap<&str, Vec<&CaseResult>> = BTreeMap::new();
        for result in &self.results {
            result.case.tags.iter().for_each(|tag| cases.entry(tag).or_default().push(result));
        }
        cases.into_iter().map(|(tag, results)| (tag.to_owned(), Counts::of(results))).collect()
    }
}

impl CaseResult {
    /// The first answer. A refusal and an error have their code in brackets instead.
    #[must_use]
    pub fn answer(&self) -> String {
        match self.samples.first().map(|sample| &sample.reply) {
            None => String::new(),
            Some(Err(unasked)) => format!("[{}]", unasked.code),
            Some(Ok(reply)) => match &reply.refusal {
                Some(code) => format!("[{code}]"),
                None => reply.text.clone(),
            },
        }
    }
}
