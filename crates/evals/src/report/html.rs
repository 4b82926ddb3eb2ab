//! `report.html`: one file without scripts, in which everything that was read from elsewhere is escaped.

use std::collections::BTreeMap;

use minijinja::{Environment, context};
use serde::Serialize;

use crate::{
    compare::Comparison,
    error::EvalError,
    figures::{Metric, Unit},
    metric::Score,
    reply::Reply,
    run::{CaseResult, CaseStatus, Outcome, Sample, Stopped},
    stats::Verdict,
    suite::{Answer, Case, Input},
    verdict::JudgedBy,
};

const TEMPLATE: &str = include_str!("report.html");
/// Passed cases that are shown. Others are always shown.
const PASSED_MAX: usize = 2_000;
/// Characters of one text that are shown.
const TEXT_CHARS: usize = 4_000;
/// Characters of a question that are shown before its case is opened.
const FIRST_CHARS: usize = 160;
/// Characters of a source that are shown.
const SOURCE_CHARS: usize = 600;

/// The report of a run, with what an earlier one said.
///
/// # Errors
/// When the page cannot be rendered.
pub fn html(outcome: &Outcome, comparison: Option<&Comparison>) -> Result<String, EvalError> {
    let mut env = Environment::new();
    let failed =
        |error: minijinja::Error| EvalError::input(format!("the report cannot be made: {error}"), "");
    env.add_template("report.html", TEMPLATE).map_err(failed)?;
    let earlier = comparison.map(|comparison| &comparison.answers);
    let mut passed = 0;
    let mut cases: Vec<CaseView> = Vec::new();
    for result in &outcome.results {
        if result.status == CaseStatus::Pass {
            passed += 1;
            if passed > PASSED_MAX {
                continue;
            }
        }
        cases.push(CaseView::of(result, earlier));
    }
    cases.sort_by_key(|case| (case.rank, !case.critical));
    let count = |status: CaseStatus| outcome.results.iter().filter(|r| r.status == status).count();
    let page = env.get_template("report.html").map_err(failed)?;
    page.render(context! {
        suite => outcome.suite.name,
        description => outcome.suite.description,
        status => outcome.status.name(),
        stopped => outcome.stopped.map(Stopped::about),
        setting => outcome.setting,
        releases => outcome.releases.join(", "),
        prompts => outcome.prompts.join(", "),
        owner => outcome.suite.owner,
        judge => outcome.judge.as_ref().map(JudgedBy::about),
        seconds => format!("{:.1}", outcome.seconds),
        cost => outcome.cost.to_string(),
        counts => outcome.counts,
        failed => count(CaseStatus::Fail),
        figures => figures(outcome, comparison),
        tags => tags(outcome),
        compared => comparison,
        cases => cases,
        hidden => passed.saturating_sub(PASSED_MAX),
    })
    .map_err(failed)
}

#[derive(Serialize)]
struct FigureView {
    name: &'static str,
    about: &'static str,
    value: String,
    bound: String,
    kept: Option<bool>,
    cases: usize,
    /// The earlier value.
    before: Option<String>,
    worse: bool,
}

/// A value with its unit.
fn shown(metric: Metric, value: f64) -> String {
    match metric.unit() {
        Unit::Share => format!("{:.1} %", value * 100.0),
        Unit::Count => format!("{value:.0}"),
        Unit::Milliseconds => format!("{value:.1} ms"),
        Unit::Tokens => format!("{value:.0}"),
        Unit::Money => format!("{value:.6}"),
    }
}

fn figures(outcome: &Outcome, comparison: Option<&Comparison>) -> Vec<FigureView> {
    let view = |(metric, figure): (Metric, &crate::run::Figure)| {
        let bound = outcome.thresholds.iter().find(|result| result.threshold.metric == metric);
        let text = |word: &str, bound: Option<f64>| bound.map(|b| format!("{word} {}", shown(metric, b)));
        let bounds = bound.map(|result| {
            let (min, max) = (text("at least", result.threshold.min), text("at most", result.threshold.max));
            [min, max].into_iter().flatten().collect::<Vec<_>>().join(", ")
        });
        let difference = comparison.and_then(|comparison| comparison.metrics.get(metric.name()));
        FigureView {
            name: metric.name(),
            about: metric.about(),
            value: shown(metric, figure.value),
            bound: bounds.unwrap_or_default(),
            kept: bound.map(|result| result.pass),
            cases: figure.cases,
            before: difference.map(|difference| shown(metric, difference.before)),
            worse: difference.is_some_and(|difference| difference.stats.verdict == Verdict::Regressed),
        }
    };
    outcome.shown().map(view).collect()
}

#[derive(Serialize)]
struct TagView {
    name: String,
    passed: usize,
    total: usize,
}

fn tags(outcome: &Outcome) -> Vec<TagView> {
    let view = |(name, counts): (String, crate::run::Counts)| TagView {
        name,
        passed: counts.passed,
        total: counts.total,
    };
    outcome.tags().into_iter().map(view).collect()
}

#[derive(Serialize)]
struct CaseView {
    id: String,
    /// Failures first.
    rank: u8,
    status: &'static str,
    label: &'static str,
    critical: bool,
    unstable: bool,
    tags: Vec<String>,
    locale: String,
    source: String,
    /// The beginning of the question.
    first: String,
    asked: Vec<(String, String)>,
    expected: Vec<(&'static str, String)>,
    known: Option<String>,
    rubric: String,
    samples: Vec<SampleView>,
    earlier: Option<String>,
}

#[derive(Serialize)]
struct SampleView {
    answer: String,
    refusal: Option<String>,
    error: Option<String>,
    verdicts: Vec<VerdictView>,
    sources: Vec<SourceView>,
    facts: String,
}

#[derive(Serialize)]
struct VerdictView {
    metric: &'static str,
    value: String,
    pass: Option<bool>,
    why: String,
}

#[derive(Serialize)]
struct SourceView {
    number: usize,
    title: String,
    name: String,
    text: String,
    cited: bool,
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

impl CaseView {
    fn of(result: &CaseResult, earlier: Option<&BTreeMap<String, String>>) -> Self {
        let case = &result.case;
        let (rank, label) = match result.status {
            CaseStatus::Fail => (0, "failed"),
            CaseStatus::Error => (1, "not asked: error"),
            CaseStatus::KnownFailure => (2, "known failure"),
            CaseStatus::NotAsked => (3, "not asked"),
            CaseStatus::Pass => (4, "passed"),
        };
        let known = case.known_failure.as_ref();
        Self {
            id: case.id.clone(),
            rank,
            status: result.status.name(),
            label,
            critical: case.critical,
            unstable: result.unstable,
            tags: case.tags.clone(),
            locale: case.locale.clone().unwrap_or_default(),
            source: case.source.clone(),
            first: cut(&case.question(), FIRST_CHARS),
            asked: asked(case),
            expected: expected(case),
            known: known.map(|known| format!("Known until {}: {}", known.until, known.why)),
            rubric: case.expect.rubric.clone().unwrap_or_default(),
            samples: result.samples.iter().map(SampleView::of).collect(),
            earlier: earlier.and_then(|earlier| earlier.get(&case.id)).map(|text| cut(text, TEXT_CHARS)),
        }
    }
}

fn asked(case: &Case) -> Vec<(String, String)> {
    match &case.input {
        Input::Input(text) => vec![(String::new(), cut(text, TEXT_CHARS))],
        Input::Messages(messages) => {
            messages.iter().map(|message| (message.role.clone(), cut(&message.content, TEXT_CHARS))).collect()
        }
        Input::Variables(values) => {
            let text =
                |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            values.iter().map(|(name, value)| (name.clone(), cut(&text(value), TEXT_CHARS))).collect()
        }
    }
}

fn expected(case: &Case) -> Vec<(&'static str, String)> {
    let expect = &case.expect;
    let mut out = Vec::new();
    match expect.answer {
        Some(Answer::Must) => out.push(("", "an answer".to_owned())),
        Some(Answer::MustNot) => out.push(("", "a refusal".to_owned())),
        None => {}
    }
    out.extend(expect.facts.iter().map(|wordings| ("says", wordings.join(" or "))));
    out.extend(expect.not.iter().map(|claim| ("does not say", claim.clone())));
    out.extend(expect.cites.iter().map(|name| ("cites", name.clone())));
    out.extend(expect.matches.iter().map(|pattern| ("matches", pattern.clone())));
    out.extend(expect.not_matches.iter().map(|pattern| ("does not match", pattern.clone())));
    out.extend(expect.json.iter().map(|name| ("follows", name.clone())));
    out
}

impl SampleView {
    fn of(sample: &Sample) -> Self {
        let verdict = |(metric, score): (&Metric, &Score)| VerdictView {
            metric: metric.name(),
            value: shown(*metric, score.value),
            pass: score.pass,
            why: score.why.clone(),
        };
        // Times, tokens and money are in the line below the answer.
        let is_judged = |metric: &Metric| matches!(metric.unit(), Unit::Share);
        let scores = sample.scores.iter().filter(|(metric, _)| is_judged(metric));
        let verdicts = scores.map(verdict).collect();
        match &sample.reply {
            Ok(reply) => Self {
                answer: cut(&reply.text, TEXT_CHARS),
                refusal: reply.refusal.as_ref().map(|code| format!("Refused ({code}). {}", reply.reason)),
                error: None,
                verdicts,
                sources: sources(reply),
                facts: facts(reply),
            },
            Err(unasked) => Self {
                answer: String::new(),
                refusal: None,
                error: Some(format!("{} ({})", unasked.message, unasked.code)),
                verdicts,
                sources: Vec::new(),
                facts: String::new(),
            },
        }
    }
}

fn facts(reply: &Reply) -> String {
    let tokens = reply.input_tokens + reply.output_tokens;
    let mut parts = vec![format!("{:.1} ms", reply.latency_ms)];
    let more = [
        (tokens > 0).then(|| format!("{tokens} tokens")),
        (reply.cost.pico() > 0).then(|| reply.cost.to_string()),
        Some(reply.model.clone()),
        Some(reply.prompt.clone()),
        Some(reply.release.clone()),
    ];
    parts.extend(more.into_iter().flatten().filter(|part| !part.is_empty()));
    parts.join(" · ")
}

fn sources(reply: &Reply) -> Vec<SourceView> {
    let view = |(source, number): (&crate::reply::Retrieved, usize)| SourceView {
        number,
        title: source.title.clone(),
        name: match (source.entry.as_str(), source.path.as_str()) {
            ("", path) => path.to_owned(),
            (entry, _) => entry.to_owned(),
        },
        text: cut(&source.text, SOURCE_CHARS),
        cited: reply.cited.contains(&number),
    };
    reply.sources.iter().zip(1..).map(view).collect()
}
