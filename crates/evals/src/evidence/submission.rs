//! A run as it is sent.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{
    error::EvalError,
    judge,
    metric::{Judge, Scores},
    reply::{Reply, Unasked},
    run::{CaseResult, Outcome, RunStatus, Sample, Stopped},
    suite::Suite,
};

/// The version of the format.
const FORMAT: u32 = 1;
/// The longest name of what made a run, in bytes.
const PRODUCER_BYTES_MAX: usize = 100;

/// A run: its replies, and why it stopped before its end. It has no figures, because they follow from the replies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The version of the format: 1.
    pub format: u32,
    /// What made the run, such as `ashlar eval run`.
    pub producer: String,
    /// The digest of the cases that were asked ([`Suite::digest`]).
    pub cases: String,
    /// What replies depend on beside the cases, for people.
    #[serde(default)]
    pub setting: String,
    /// Why not all cases were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// How long it took, in seconds.
    #[serde(default)]
    pub seconds: f64,
    /// The replies.
    pub replies: Vec<SubmittedReply>,
}

/// A reply to a case, or why none came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmittedReply {
    /// The case.
    pub case: String,
    /// The sample, from 0.
    #[serde(default)]
    pub sample: u32,
    /// The reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
    /// Why none came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unasked: Option<Unasked>,
}

/// Whether the pinned prompt decided about every reply to a case with a rubric.
fn is_judged(result: &CaseResult) -> bool {
    let by_pinned =
        |reply: &Reply| reply.judgement.as_ref().is_some_and(|found| found.prompt == judge::VERSION);
    let mut replies = result.samples.iter().filter_map(|sample| sample.reply.as_ref().ok());
    result.case.expect.rubric.is_none() || replies.all(by_pinned)
}

impl Submission {
    /// What is sent of a run.
    #[must_use]
    pub fn of(outcome: &Outcome, producer: &str) -> Self {
        let of_case = |result: &CaseResult| -> Vec<SubmittedReply> {
            let samples = result.samples.iter().zip(0..);
            let sent = samples.map(|(sample, number)| SubmittedReply {
                case: result.case.id.clone(),
                sample: number,
                reply: sample.reply.as_ref().ok().cloned(),
                unasked: sample.reply.as_ref().err().cloned(),
            });
            sent.collect()
        };
        Self {
            format: FORMAT,
            producer: producer.to_owned(),
            cases: outcome.suite_digest.clone(),
            setting: outcome.setting.clone(),
            stopped: outcome.stopped,
            seconds: outcome.seconds,
            replies: outcome.results.iter().flat_map(of_case).collect(),
        }
    }

    /// Reads a run.
    ///
    /// # Errors
    /// When it is not of this format.
    pub fn read(bytes: &[u8]) -> Result<Self, EvalError> {
        let help = "send what `ashlar eval run --submit` sends; docs/evals.md describes it";
        let wrong = |message: String| EvalError::input(message, help);
        let read: Self =
            serde_json::from_slice(bytes).map_err(|error| wrong(format!("this is no run: {error}")))?;
        if read.format != FORMAT {
            return Err(wrong(format!(
                "the run has the format {}; this version reads {FORMAT}",
                read.format
            )));
        }
        let name = &read.producer;
        if name.trim().is_empty() || name.len() > PRODUCER_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(wrong(format!("`producer` is not a name of 1 to {PRODUCER_BYTES_MAX} bytes")));
        }
        Ok(read)
    }

    /// Judges the replies by a suite. `asked`: what must have answered, such as `c4`; replies that say nothing about it are taken for its own.
    ///
    /// # Errors
    /// When other cases were asked, another judge was, or a reply is of another release or candidate, or of a case or sample that the suite does not have.
    pub fn outcome(
        self,
        suite: &Suite,
        metrics: &Judge,
        asked: &str,
        today: Date,
    ) -> Result<Outcome, EvalError> {
        let stopped = self.stopped;
        let again = "run the suite of what was asked again";
        if self.cases != suite.digest() {
            let message =
                format!("the run asked other cases than those of the suite `{}` in {asked}", suite.name);
            return Err(EvalError::input(message, again));
        }
        let setting = suite.setting();
        if let Some(route) = suite.judge.as_ref().filter(|_| suite.is_judged())
            && self.setting.starts_with(&format!("{setting} judge "))
            && self.setting != judge::setting(&setting, route)
        {
            let message = format!(
                "another judge decided about the run than that of the suite `{}` in {asked}",
                suite.name
            );
            return Err(EvalError::input(message, again));
        }
        let places: HashMap<&str, usize> =
            suite.cases.iter().zip(0..).map(|(case, at)| (case.id.as_str(), at)).collect();
        let mut samples: Vec<BTreeMap<u32, Sample>> = vec![BTreeMap::new(); suite.cases.len()];
        for sent in self.replies {
            let shown: String = sent.case.chars().take(80).collect();
            let Some(&at) = places.get(sent.case.as_str()) else {
                let message = format!("the suite `{}` of {asked} has no case `{shown}`", suite.name);
                return Err(EvalError::input(message, again));
            };
            if sent.sample >= suite.samples {
                let message = format!("the case `{shown}` has no sample {}", sent.sample);
                return Err(EvalError::input(message, again));
            }
            let reply = match (sent.reply, sent.unasked) {
                (Some(reply), None) => Ok(reply),
                (None, Some(unasked)) => Err(unasked),
                _ => {
                    let message = format!("the case `{shown}` has neither a reply nor a reason, or both");
                    return Err(EvalError::input(message, "send one of `reply` and `unasked`"));
                }
            };
            if let Ok(reply) = &reply
                && !reply.release.is_empty()
                && reply.release != asked
            {
                let release: String = reply.release.chars().take(40).collect();
                let message = format!("the case `{shown}` was answered by {release}, not by {asked}");
                return Err(EvalError::input(message, format!("run the suite with --of {asked}")));
            }
            let case = &suite.cases[at];
            let scores = reply.as_ref().map_or_else(|_| Scores::new(), |reply| metrics.scores(case, reply));
            if samples[at].insert(sent.sample, Sample { reply, scores }).is_some() {
                let message = format!("the case `{shown}` has two replies of the same sample");
                return Err(EvalError::input(message, again));
            }
        }
        let results = suite.cases.iter().zip(samples).map(|(case, samples)| {
            CaseResult::new(case.clone(), samples.into_values().collect(), suite.samples, today)
        });
        let outcome = Outcome::new(suite, &self.setting, results.collect());
        // Who asks no judge does not decide that the rubrics are met.
        let unjudged = suite.is_judged() && !outcome.results.iter().all(is_judged);
        let stopped = stopped.or(unjudged.then_some(Stopped::NotJudged));
        // A run that was stopped has no verdict, also when every case came back before.
        let status = if stopped.is_some() { RunStatus::Incomplete } else { outcome.status };
        Ok(Outcome {
            status,
            stopped: stopped.or(outcome.stopped),
            seconds: self.seconds.max(0.0),
            ..outcome
        })
    }
}
