//! Replies with the verdict of a judge, and how far this judge agrees with people.

use ashlar_contracts::ContractSet;

use super::{Judge, Judged, VERSION, by_rubric, calibrated, digest};
use crate::{
    error::EvalError,
    metric,
    reply::{Reply, Subject, Unasked},
    run::{Options, Recorder, Replay, run},
    suite::{Case, Expect, Input, JudgeRoute, Label, Suite},
    verdict::JudgedBy,
};

/// The confidence of intervals of agreement.
const CONFIDENCE: f64 = 0.95;

/// Whoever answers, with a judge behind it: replies to cases with a rubric come with a verdict.
#[derive(Debug)]
pub struct Judging<'j, S, J> {
    subject: S,
    judge: &'j J,
    setting: String,
}

impl<'j, S: Subject, J: Judge> Judging<'j, S, J> {
    /// Puts a judge behind a subject.
    pub fn new(subject: S, judge: &'j J, route: &JudgeRoute) -> Self {
        let setting = setting(subject.setting(), route);
        Self { subject, judge, setting }
    }
}

/// What replies depend on when they are judged: also the judge, with its pinned prompt.
#[must_use]
pub fn setting(of: &str, judge: &JudgeRoute) -> String {
    format!("{of} judge {}@{}", judge.route, &digest()[..16])
}

impl<S: Subject, J: Judge> Subject for Judging<'_, S, J> {
    async fn ask(&self, case: &Case, sample: u32) -> Result<Reply, Unasked> {
        let reply = self.subject.ask(case, sample).await?;
        let Some(rubric) = &case.expect.rubric else { return Ok(reply) };
        let question = case.asked();
        // A refusal can meet a rubric as well.
        let answer = if reply.is_refusal() { &reply.reason } else { &reply.text };
        let judgement = by_rubric(self.judge, Judged { question: &question, rubric, answer }).await?;
        Ok(Reply { judgement: Some(judgement), ..reply })
    }

    fn setting(&self) -> &str {
        &self.setting
    }
}

/// Answers with what the label says.
struct Labelled;

impl Subject for Labelled {
    async fn ask(&self, case: &Case, _: u32) -> Result<Reply, Unasked> {
        Ok(Reply { text: case.context.first().cloned().unwrap_or_default(), ..Reply::default() })
    }

    fn setting(&self) -> &'static str {
        "label"
    }
}

/// Lets a judge decide about the labels of a suite, and compares its verdicts with those of people. Labels are asked and recorded like
/// cases. What could not be asked counts as no verdict.
///
/// # Errors
/// When a recorder cannot write.
pub async fn calibrate<J: Judge>(
    suite: &Suite,
    route: &JudgeRoute,
    judge: Option<&J>,
    options: &Options,
    recorders: &mut [Recorder],
) -> Result<JudgedBy, EvalError> {
    let mut by = JudgedBy {
        route: route.route.clone(),
        prompt: VERSION.to_owned(),
        prompt_digest: digest(),
        calibration: None,
    };
    if suite.labels.is_empty() {
        return Ok(by);
    }
    let case = |label: &Label| Case {
        id: format!("label {}", label.id),
        input: Input::Input(label.question.clone()),
        context: vec![label.answer.clone()],
        expect: Expect { rubric: Some(label.rubric.clone()), ..Expect::default() },
        weight: 1.0,
        ..Case::default()
    };
    let labels = Suite { cases: suite.labels.iter().map(case).collect(), samples: 1, ..suite.clone() };
    let metrics = metric::Judge::new(ContractSet::default().into());
    let outcome = match judge {
        Some(judge) => {
            let subject = Judging::new(Labelled, judge, route);
            run(&labels, &subject, &metrics, options, recorders, |_| {}).await?
        }
        None => {
            let subject = Replay::new(options.known.clone(), setting(Labelled.setting(), route));
            run(&labels, &subject, &metrics, options, recorders, |_| {}).await?
        }
    };
    let judged = suite.labels.iter().zip(&outcome.results).map(|(label, result)| {
        let reply = result.samples.first().and_then(|sample| sample.reply.as_ref().ok());
        (label.pass, reply.and_then(|reply| reply.judgement.as_ref()))
    });
    by.calibration = calibrated(judged, CONFIDENCE).ok();
    Ok(by)
}
