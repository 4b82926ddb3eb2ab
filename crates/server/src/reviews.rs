//! Model calls that people look at: as they are stored, and as the management API and the command line show them.

use ashlar_evals::review::{Alike, Figures, Label, figures};
use ashlar_gateway::{
    config::Gateway,
    record::{Record, Text},
    review::{Item, LowConfidence, Reason, ReviewRules, Verdict, item, joined},
};
use ashlar_model::Files;
use ashlar_release::{REVIEW_DISPUTED, REVIEW_DONE, REVIEW_OPEN, ReleaseError, SeenReview};
use ashlar_store::sql::{CallRow, ReviewRow, ReviewSum, VerdictRow, stamp};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A review in a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Review")]
pub struct Listed {
    /// The id of the call, which names the review.
    pub call: String,
    /// The feature.
    pub feature: String,
    /// `open`: it needs verdicts. `disputed`: two verdicts differ, and a third person must decide. `done`: it has a final verdict.
    pub state: String,
    /// Why the call was chosen.
    pub reasons: Vec<Reason>,
    /// When the call began.
    pub at: String,
    /// The question, redacted.
    pub question: String,
    /// How many people give a verdict, unless they disagree.
    pub reviewers: u64,
    /// How many verdicts there are.
    pub given: u64,
    /// Whether the caller gave one of them.
    pub mine: bool,
    /// Who works on it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub taken_by: String,
    /// Until when.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub taken_until: String,
    /// The final verdict; absent until the review is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Until when the review is kept.
    pub keep_until: String,
}

/// What somebody said about an answer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "ReviewGiven")]
pub struct Given {
    /// Who.
    pub reviewer: String,
    /// The verdict.
    pub verdict: Option<Verdict>,
    /// What a good answer is, as `expect` of a case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub expect: Option<Value>,
    /// A remark.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// When.
    pub at: String,
}

/// A review with everything that a reviewer may see.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "ReviewShown")]
pub struct Shown {
    /// As in a list.
    #[serde(flatten)]
    pub listed: Listed,
    /// The call.
    pub item: Item,
    /// Verdicts: those of the caller, or all when the review is disputed or done.
    pub verdicts: Vec<Given>,
}

/// A review that was taken.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "ReviewTaken")]
pub struct Taken {
    /// The review; absent when none needs the caller.
    pub review: Option<Shown>,
}

/// What reviews say, by feature.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "ReviewReport")]
pub struct Report {
    /// By feature, in their order.
    pub items: Vec<Figures>,
}

/// What somebody says about an answer.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "ReviewVerdictBody")]
pub struct VerdictBody {
    /// The verdict.
    pub verdict: Verdict,
    /// What a good answer is, as `expect` of a case: `{"facts": ["159 EUR"]}`, `{"answer": "must_not"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub expect: Option<Value>,
    /// A remark.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

fn corrupt(call: &str, error: &serde_json::Error) -> ReleaseError {
    ReleaseError::Corrupt { what: format!("the review of the call {call}"), why: error.to_string() }
}

fn item_of(row: &ReviewRow) -> Result<Item, ReleaseError> {
    serde_json::from_str(&row.data).map_err(|error| corrupt(&row.call, &error))
}

fn expect_of(row: &VerdictRow) -> Result<Option<Value>, ReleaseError> {
    match row.expected.is_empty() {
        true => Ok(None),
        false => serde_json::from_str(&row.expected).map(Some).map_err(|error| corrupt(&row.call, &error)),
    }
}

impl Listed {
    fn of(seen: &SeenReview, item: &Item) -> Self {
        let row = &seen.row;
        Self {
            call: row.call.clone(),
            feature: row.feature.clone(),
            state: row.state.clone(),
            reasons: Reason::split(&row.reasons),
            at: item.at.clone(),
            question: item.question.clone(),
            reviewers: row.reviewers,
            given: row.given,
            mine: seen.mine,
            taken_by: row.lease_by.clone(),
            taken_until: row.lease_until.clone(),
            verdict: Verdict::named(&row.verdict),
            keep_until: row.keep_until.clone(),
        }
    }
}

/// A review as lists show it.
///
/// # Errors
/// When what is stored is damaged.
pub fn listed(seen: &SeenReview) -> Result<Listed, ReleaseError> {
    Ok(Listed::of(seen, &item_of(&seen.row)?))
}

/// A review with everything that its reader may see.
///
/// # Errors
/// When what is stored is damaged.
pub fn shown(seen: &SeenReview) -> Result<Shown, ReleaseError> {
    let item = item_of(&seen.row)?;
    let given = |row: &VerdictRow| {
        Ok(Given {
            reviewer: row.reviewer.clone(),
            verdict: Verdict::named(&row.verdict),
            expect: expect_of(row)?,
            comment: row.comment.clone(),
            at: row.at.clone(),
        })
    };
    let verdicts = seen.verdicts.iter().map(given).collect::<Result<_, ReleaseError>>()?;
    Ok(Shown { listed: Listed::of(seen, &item), item, verdicts })
}

/// A review that is done, as a label.
///
/// # Errors
/// When what is stored is damaged.
pub fn label(seen: &SeenReview) -> Result<Label, ReleaseError> {
    let row = &seen.row;
    let verdict = Verdict::named(&row.verdict);
    let mut expect = None;
    // Who agrees with the final verdict knows best what a good answer is, and the last of them decided.
    let agreeing = seen.verdicts.iter().rev().filter(|given| given.verdict == row.verdict);
    for given in agreeing {
        expect = expect_of(given)?;
        if expect.is_some() {
            break;
        }
    }
    let comments = seen.verdicts.iter().map(|given| given.comment.clone()).filter(|text| !text.is_empty());
    Ok(Label {
        reasons: Reason::split(&row.reasons),
        verdict,
        pass: verdict == Some(Verdict::Correct),
        expect,
        comments: comments.collect(),
        reviewers: row.given,
        adjudicated: row.given > 2,
        judged_at: row.done_at.clone(),
        ..Label::of(&row.call, item_of(row)?)
    })
}

/// Figures from counts of reviews.
///
/// # Errors
/// When counts contradict each other.
pub fn report(sums: &[ReviewSum]) -> Result<Report, ReleaseError> {
    let alike = sums.iter().map(|sum| Alike {
        feature: sum.feature.clone(),
        reasons: Reason::split(&sum.reasons),
        disputed: sum.state == REVIEW_DISPUTED,
        first: Verdict::named(&sum.first),
        second: Verdict::named(&sum.second),
        verdict: Verdict::named(&sum.verdict).filter(|_| sum.state == REVIEW_DONE),
        doubtful: sum.doubtful,
        escalated: sum.escalated,
        count: sum.count,
    });
    let items = figures(&alike.collect::<Vec<_>>()).map_err(|error| ReleaseError::Task(error.to_string()))?;
    Ok(Report { items })
}

/// How many people look at a call, and for how long what they said is kept.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// People.
    pub reviewers: u32,
    /// Days.
    pub keep_days: u32,
    /// Groundedness below this counts as doubtful.
    pub below: f64,
}

impl From<&ReviewRules> for Terms {
    fn from(rules: &ReviewRules) -> Self {
        let below = rules.low_confidence.map_or(LowConfidence::BELOW, |low| low.below);
        Self { reviewers: rules.reviewers, keep_days: rules.keep_days, below }
    }
}

impl Terms {
    /// Those of a feature of `gateway.toml`; the usual ones when it says nothing.
    #[must_use]
    pub fn of(files: &Files, feature: &str) -> Self {
        let gateway = Gateway::parse(files).unwrap_or_default();
        let rules = gateway.features.get(feature).and_then(|feature| feature.review.as_deref());
        rules.map(Self::from).unwrap_or_default()
    }
}

impl Default for Terms {
    fn default() -> Self {
        let keep_days = ashlar_gateway::review::KEEP_DAYS;
        Self { reviewers: 1, keep_days, below: LowConfidence::BELOW }
    }
}

/// A call that is to be reviewed, as it is stored.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn row(
    record: &Record,
    text: &Text,
    reasons: &[Reason],
    terms: Terms,
    now: Timestamp,
) -> Result<ReviewRow, ReleaseError> {
    let item = item(record, text, terms.below);
    let kept = SignedDuration::from_hours(i64::from(terms.keep_days) * 24);
    Ok(ReviewRow {
        call: record.id.clone(),
        feature: record.feature.clone(),
        user: record.user.clone(),
        reasons: joined(reasons),
        doubtful: item.doubtful,
        escalated: item.escalated,
        reviewers: terms.reviewers.into(),
        state: REVIEW_OPEN.to_owned(),
        keep_until: stamp(now.checked_add(kept).unwrap_or(Timestamp::MAX)),
        data: serde_json::to_string(&item).map_err(|e| ReleaseError::Task(e.to_string()))?,
        ..ReviewRow::default()
    })
}

/// A recorded call that somebody puts into the queue.
///
/// # Errors
/// When its text was not stored, or its record is damaged.
pub fn queued(call: &CallRow, terms: Terms, now: Timestamp) -> Result<ReviewRow, ReleaseError> {
    if call.body.is_empty() {
        let message = format!("the text of the call {} is not stored", call.id);
        let help = "the feature must say text = { keep_days = 30 } in gateway.toml before the call";
        return Err(ReleaseError::refused("text-not-stored", message, help));
    }
    let read = |error: serde_json::Error| corrupt(&call.id, &error);
    let record: Record = serde_json::from_str(&call.data).map_err(read)?;
    let text: Text = serde_json::from_str(&call.body).map_err(read)?;
    row(&record, &text, &[Reason::Disagreement], terms, now)
}
