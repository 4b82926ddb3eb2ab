//! What people say about recorded calls: labels, and figures about people and checks.

use std::collections::BTreeMap;

use ashlar_gateway::{
    record::TextSource,
    review::{Item, Reason, Verdict},
};
use ashlar_model::Finding;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    stats::{self, StatsError, kappa, wilson},
    suite::read_cases,
};

/// How often intervals contain the true value.
const CONFIDENCE: f64 = 0.95;
/// The longest line of a file of labels, in bytes.
pub const LABEL_BYTES_MAX: usize = 1 << 20;
/// The most labels of a file.
pub const LABELS_MAX: usize = 100_000;

/// A call with what people finally said about its answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "ReviewLabel")]
pub struct Label {
    /// The id of the call.
    pub call: String,
    /// The case of the suite that was made from it, if a suite was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// When the call began, RFC 3339.
    pub at: String,
    /// The feature.
    pub feature: String,
    /// The prompt, with its version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prompt: String,
    /// The provider and the model that answered.
    pub model: String,
    /// The release that decided.
    pub release: String,
    /// The language of the answer, if the call named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Why it was reviewed.
    pub reasons: Vec<Reason>,
    /// The question, redacted.
    pub question: String,
    /// How many messages of the user the call had.
    pub turns: u32,
    /// The answer, redacted.
    pub answer: String,
    /// Whether the answer is a refusal.
    pub refused: bool,
    /// What the answer may be grounded in.
    pub sources: Vec<TextSource>,
    /// Whether checks doubted the answer.
    pub doubtful: bool,
    /// The final verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Whether the answer passes: the verdict is `correct`.
    pub pass: bool,
    /// What a good answer is, as `expect` of a case; that of the last reviewer who said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub expect: Option<Value>,
    /// Remarks, in their order.
    pub comments: Vec<String>,
    /// How many people gave a verdict.
    pub reviewers: u64,
    /// Whether two verdicts differed and a third person decided.
    pub adjudicated: bool,
    /// When the final verdict was given, RFC 3339.
    pub judged_at: String,
}

impl Label {
    /// A label of a call without a verdict.
    #[must_use]
    pub fn of(call: &str, item: Item) -> Self {
        Self {
            call: call.to_owned(),
            at: item.at,
            feature: item.feature,
            prompt: item.prompt,
            model: item.model,
            release: item.release,
            locale: item.locale,
            question: item.question,
            turns: item.turns,
            answer: item.answer,
            refused: item.refusal.is_some(),
            sources: item.sources,
            doubtful: item.doubtful,
            ..Self::default()
        }
    }
}

/// Checks what a reviewer says about a good answer: the `expect` of a case that can fail.
///
/// # Errors
/// What is wrong, as findings of the reader of suites.
pub fn expectation(expect: &Value) -> Result<(), Vec<Finding>> {
    let line = json!({"id": "review", "input": "x", "expect": expect}).to_string();
    let (_, findings) = read_cases("review", line.as_bytes());
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

/// Reads labels, one on each line, as `ashlar review export` writes them.
///
/// # Errors
/// What is wrong with the first wrong line.
pub fn read_labels(path: &str, bytes: &[u8]) -> Result<Vec<Label>, Finding> {
    let mut labels = Vec::new();
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let wrong = |message: String| {
            Finding::error("review-label", format!("{path}:{number}"), message)
                .help("export the labels again")
        };
        if line.len() > LABEL_BYTES_MAX {
            return Err(wrong(format!("The line has more than {LABEL_BYTES_MAX} bytes.")));
        }
        if labels.len() >= LABELS_MAX {
            return Err(wrong(format!("The file has more than {LABELS_MAX} labels.")));
        }
        let label: Label =
            serde_json::from_slice(line).map_err(|e| wrong(format!("This is no label: {e}.")))?;
        labels.push(label);
    }
    Ok(labels)
}

/// A share with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ReviewShare")]
pub struct Share {
    /// How many.
    pub count: u64,
    /// Of how many.
    pub of: u64,
    /// The share, from 0 to 1.
    pub share: f64,
    /// The lower bound of its interval of 95 % (Wilson).
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

/// How far two sides agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ReviewAgreement")]
pub struct Agreement {
    /// Calls that both judged.
    pub calls: u64,
    /// The share on which they agree.
    pub agreed: f64,
    /// Cohen's κ; absent when it is not defined, because everybody always said the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kappa: Option<f64>,
    /// The lower bound of the interval of κ (95 %).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub low: Option<f64>,
    /// The upper bound.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub high: Option<f64>,
}

/// What reviews say about a feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ReviewFigures")]
pub struct Figures {
    /// The feature.
    pub feature: String,
    /// Reviews.
    pub reviews: u64,
    /// Of these, reviews that need verdicts.
    pub open: u64,
    /// Of these, reviews that a third person must decide.
    pub disputed: u64,
    /// Of these, reviews with a final verdict.
    pub done: u64,
    /// Reviews by reason. One review can have several.
    pub reasons: BTreeMap<String, u64>,
    /// Final verdicts of all reviews.
    pub verdicts: BTreeMap<String, u64>,
    /// The share of wrong and unsafe answers among calls that were chosen at random: an estimate for all calls.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wrong: Option<Share>,
    /// The share of calls chosen at random in which a tool waited for the approval of a person.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub escalated: Option<Share>,
    /// The share of reviews by two people that went to a third.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub adjudicated: Option<Share>,
    /// How far the first two reviewers agree.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub people: Option<Agreement>,
    /// How far checks and people agree: checks doubt the answer, people find it not correct.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checks: Option<Agreement>,
    /// Answers that checks doubted and people found correct.
    pub false_alarms: u64,
    /// Answers that checks did not doubt and people found wrong or unsafe.
    pub missed: u64,
}

/// Reviews that are alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alike {
    /// The feature.
    pub feature: String,
    /// Why they were chosen.
    pub reasons: Vec<Reason>,
    /// Whether they are disputed.
    pub disputed: bool,
    /// The first verdict.
    pub first: Option<Verdict>,
    /// The second verdict.
    pub second: Option<Verdict>,
    /// The final verdict.
    pub verdict: Option<Verdict>,
    /// Whether checks doubted the answers.
    pub doubtful: bool,
    /// Whether tools waited for approval.
    pub escalated: bool,
    /// How many.
    pub count: u64,
}

/// Figures by feature, in their order.
///
/// # Errors
/// None with counts of a database; those of [`kappa`] and [`wilson`] otherwise.
pub fn figures(all: &[Alike]) -> Result<Vec<Figures>, StatsError> {
    let mut by_feature: BTreeMap<&str, Vec<&Alike>> = BTreeMap::new();
    for alike in all {
        by_feature.entry(&alike.feature).or_default().push(alike);
    }
    by_feature.into_iter().map(|(feature, alike)| figures_of(feature, &alike)).collect()
}

fn figures_of(feature: &str, all: &[&Alike]) -> Result<Figures, StatsError> {
    let count = |which: &dyn Fn(&Alike) -> bool| -> u64 {
        all.iter().filter(|alike| which(alike)).map(|alike| alike.count).sum()
    };
    let is_random = |alike: &Alike| alike.reasons.contains(&Reason::Random);
    let is_bad = |verdict: Option<Verdict>| matches!(verdict, Some(Verdict::Wrong | Verdict::Unsafe));
    let both = |alike: &Alike| alike.first.zip(alike.second);
    let done = count(&|alike| alike.verdict.is_some());
    let reasons = Reason::ALL.map(|reason| (reason.name(), count(&|alike| alike.reasons.contains(&reason))));
    let verdicts =
        Verdict::ALL.map(|verdict| (verdict.name(), count(&|alike| alike.verdict == Some(verdict))));
    let named = |counts: &[(&str, u64)]| -> BTreeMap<String, u64> {
        counts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    };
    let people = all.iter().filter_map(|alike| both(alike).map(|pair| (pair, alike.count)));
    let checks = all
        .iter()
        .filter_map(|alike| alike.verdict.map(|v| ((alike.doubtful, v != Verdict::Correct), alike.count)));
    Ok(Figures {
        feature: feature.to_owned(),
        reviews: count(&|_| true),
        open: count(&|alike| alike.verdict.is_none() && !alike.disputed),
        disputed: count(&|alike| alike.disputed),
        done,
        reasons: named(&reasons),
        verdicts: named(&verdicts),
        wrong: share(
            count(&|alike| is_random(alike) && is_bad(alike.verdict)),
            count(&|alike| is_random(alike) && alike.verdict.is_some()),
        )?,
        escalated: share(count(&|alike| is_random(alike) && alike.escalated), count(&is_random))?,
        adjudicated: share(
            count(&|alike| both(alike).is_some_and(|(first, second)| first != second)),
            count(&|alike| both(alike).is_some()),
        )?,
        people: agreement(people)?,
        checks: agreement(checks)?,
        false_alarms: count(&|alike| alike.doubtful && alike.verdict == Some(Verdict::Correct)),
        missed: count(&|alike| !alike.doubtful && is_bad(alike.verdict)),
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts of reviews")]
fn share(count: u64, of: u64) -> Result<Option<Share>, StatsError> {
    if of == 0 {
        return Ok(None);
    }
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let interval = wilson(number(count), number(of), CONFIDENCE)?;
    Ok(Some(Share { count, of, share: count as f64 / of as f64, low: interval.low, high: interval.high }))
}

/// Pairs with how often each occurs.
#[expect(clippy::cast_precision_loss, reason = "counts of reviews")]
fn agreement<L: Ord + Copy>(
    counted: impl Iterator<Item = ((L, L), u64)>,
) -> Result<Option<Agreement>, StatsError> {
    let repeated =
        |(pair, count): ((L, L), u64)| std::iter::repeat_n(pair, usize::try_from(count).unwrap_or(0));
    let pairs: Vec<(L, L)> = counted.flat_map(repeated).take(stats::CASES_MAX).collect();
    if pairs.is_empty() {
        return Ok(None);
    }
    let same = pairs.iter().filter(|(a, b)| a == b).count();
    let found = kappa(&pairs, CONFIDENCE)?;
    Ok(Some(Agreement {
        calls: pairs.len() as u64,
        agreed: same as f64 / pairs.len() as f64,
        kappa: found.map(|found| found.kappa),
        low: found.map(|found| found.interval.low),
        high: found.map(|found| found.interval.high),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(first: Verdict, second: Option<Verdict>, last: Option<Verdict>, count: u64) -> Alike {
        Alike {
            feature: "support".to_owned(),
            reasons: vec![Reason::Random],
            first: Some(first),
            second,
            verdict: last,
            disputed: last.is_none() && second.is_some(),
            count,
            ..Alike::default()
        }
    }

    #[test]
    fn a_worked_example() {
        use Verdict::{Correct, Partly, Wrong};
        let all = [
            alike(Correct, Some(Correct), Some(Correct), 20),
            alike(Correct, Some(Wrong), Some(Wrong), 5),
            Alike { doubtful: true, ..alike(Wrong, Some(Correct), Some(Correct), 10) },
            Alike { doubtful: true, escalated: true, ..alike(Wrong, Some(Wrong), Some(Wrong), 15) },
            alike(Partly, None, None, 3),
            alike(Partly, Some(Wrong), None, 2),
            Alike {
                feature: "other".to_owned(),
                reasons: vec![Reason::HighRisk],
                ..alike(Correct, None, Some(Correct), 1)
            },
        ];
        let found = figures(&all).unwrap();
        let (other, support) = (&found[0], &found[1]);
        assert_eq!((support.reviews, support.open, support.disputed, support.done), (55, 3, 2, 50));
        let wrong = support.wrong.unwrap();
        assert_eq!((wrong.count, wrong.of, wrong.share), (20, 50, 0.4));
        // Wilson for 20 of 50: 0.276 to 0.538.
        assert!((wrong.low - 0.276).abs() < 0.001 && (wrong.high - 0.538).abs() < 0.001, "{wrong:?}");
        assert_eq!((support.escalated.unwrap().count, support.escalated.unwrap().of), (15, 55));
        assert_eq!((support.adjudicated.unwrap().count, support.adjudicated.unwrap().of), (17, 52));
        // 20 and 15 of 50 agree; by chance half would (the example of `kappa`), and 2 of 52 differ otherwise.
        let people = support.people.unwrap();
        assert!(
            people.kappa.unwrap() > 0.3 && people.kappa.unwrap() < 0.4 && people.calls == 52,
            "{people:?}"
        );
        let checks = support.checks.unwrap();
        assert!(
            (checks.agreed - 0.7).abs() < 1e-12 && (checks.kappa.unwrap() - 0.4).abs() < 1e-12,
            "{checks:?}"
        );
        assert_eq!((support.false_alarms, support.missed), (10, 5));
        // Nothing is known about calls that were not chosen at random.
        assert_eq!((other.wrong, other.people), (None, None));
        assert_eq!(other.checks.unwrap().kappa, None);
    }

    #[test]
    fn expectations_can_fail() {
        assert!(expectation(&json!({"facts": ["159 EUR"]})).is_ok());
        assert!(expectation(&json!({"answer": "must_not"})).is_ok());
        for wrong in [json!({}), json!({"fact": ["x"]}), json!("x")] {
            assert!(expectation(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn labels_are_read_as_they_were_written() {
        let label = Label { call: "01".to_owned(), verdict: Some(Verdict::Wrong), ..Label::default() };
        let lines = format!("{}\n\n{{\"call\":\"02\"}}\n", serde_json::to_string(&label).unwrap());
        let read = read_labels("labels.jsonl", lines.as_bytes()).unwrap();
        assert_eq!((read.len(), &read[0], read[1].call.as_str()), (2, &label, "02"));
        let wrong = read_labels("labels.jsonl", b"{}\n{").unwrap_err();
        assert_eq!(wrong.place, "labels.jsonl:2");
    }
}
