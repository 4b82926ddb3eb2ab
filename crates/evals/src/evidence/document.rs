//! What is stored of a run.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::submission::Submission;
use crate::{
    error::EvalError,
    metric::Judge,
    report::Summary,
    run::{CaseResult, CaseStatus, Outcome},
    suite::Suite,
};

/// The version of the format. Keys may be added within a version.
const FORMAT: u32 = 1;
/// Failed cases that are stored with their answers.
const FAILED_MAX: usize = 100;
/// Characters of a question, an answer or a reason that are stored.
const SHOWN_CHARS: usize = 500;
/// Reasons that are stored of a case.
const REASONS_MAX: usize = 5;

/// What a run showed: its figures, the values of every case, and the first failed cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The version of the format.
    pub format: u32,
    /// What was asked: `c4` or `r3`.
    pub of: String,
    /// What made the run.
    pub producer: String,
    /// Figures, and the values of each case without its answer.
    pub summary: Summary,
    /// Failed cases, critical ones first.
    #[serde(default)]
    pub failed: Vec<FailedCase>,
}

/// A case that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailedCase {
    /// The case.
    pub id: String,
    /// What was asked.
    pub question: String,
    /// The beginning of the answer, or the code of the refusal in brackets.
    pub answer: String,
    /// Why it failed.
    pub reasons: Vec<String>,
}

fn cut(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

impl Evidence {
    /// What is stored of a run that was judged.
    #[must_use]
    pub fn of(mut outcome: Outcome, asked: &str, producer: &str) -> Self {
        // All figures: another threshold may need one that the suite does not report today.
        outcome.suite.metrics.clear();
        let mut summary = Summary::of(&outcome);
        summary.results.iter_mut().for_each(|case| case.answer.clear());
        let mut failed: Vec<&CaseResult> = outcome
            .results
            .iter()
            .filter(|result| matches!(result.status, CaseStatus::Fail | CaseStatus::Error))
            .collect();
        failed.sort_by_key(|result| !result.case.critical);
        let case = |result: &CaseResult| FailedCase {
            id: result.case.id.clone(),
            question: cut(&result.case.question()),
            answer: cut(&result.answer()),
            reasons: result.reasons().iter().take(REASONS_MAX).map(|reason| cut(reason)).collect(),
        };
        Self {
            format: FORMAT,
            of: asked.to_owned(),
            producer: producer.to_owned(),
            summary,
            failed: failed.into_iter().take(FAILED_MAX).map(case).collect(),
        }
    }

    /// Judges what was sent by the suite of what was asked.
    ///
    /// # Errors
    /// As for [`Submission::outcome`].
    pub fn weigh(
        sent: Submission,
        suite: &Suite,
        judge: &Judge,
        asked: &str,
        today: Date,
    ) -> Result<Self, EvalError> {
        let producer = sent.producer.clone();
        let outcome = sent.outcome(suite, judge, asked, today)?;
        Ok(Self::of(outcome, asked, &producer))
    }

    /// Reads a stored document.
    ///
    /// # Errors
    /// When it is not of this format.
    pub fn read(bytes: &[u8]) -> Result<Self, EvalError> {
        let help = "run the suite again";
        let read: Self = serde_json::from_slice(bytes)
            .map_err(|error| EvalError::input(format!("this is no evidence: {error}"), help))?;
        match read.format {
            FORMAT => Ok(read),
            other => {
                let message = format!("the evidence has the format {other}; this version reads {FORMAT}");
                Err(EvalError::input(message, help))
            }
        }
    }

    /// A failed case, when it is among those that are stored.
    #[must_use]
    pub fn failed_case(&self, id: &str) -> Option<&FailedCase> {
        self.failed.iter().find(|case| case.id == id)
    }
}
