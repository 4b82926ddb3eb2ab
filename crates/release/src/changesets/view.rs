//! What reads of changesets return, and what trying a schedule found.

use ashlar_model::{ChannelName, Finding, GateReport, Level};
use ashlar_store::sql::ChangesetRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::DraftView;

/// Findings that are kept of each step.
const FINDINGS_MAX: usize = 20;

/// A changeset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChangesetView {
    /// Its name.
    pub changeset: String,
    /// What it is about.
    pub title: String,
    /// `open`, `scheduled`, `published`, `ended` or `failed`.
    pub state: String,
    /// When it is to be published, RFC 3339 in UTC.
    pub publish_at: Option<String>,
    /// When its entries are to be taken down, RFC 3339 in UTC.
    pub unpublish_at: Option<String>,
    /// The time zone the times were given in.
    pub zone: String,
    /// The channel it is published to.
    pub channel: ChannelName,
    /// Seconds since its time came and went; absent unless it is overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue_seconds: Option<u64>,
    /// The outcome of the last attempt.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What trying it beforehand said; absent before it is scheduled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    /// A task of `assist.toml` filled it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub assisted: bool,
    /// Its drafts; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drafts: Option<Vec<DraftView>>,
}

impl ChangesetView {
    pub(crate) fn of(row: ChangesetRow, now: jiff::Timestamp, drafts: Option<Vec<DraftView>>) -> Self {
        let due = row.due_at();
        let overdue_seconds = due
            .and_then(|d| d.parse::<jiff::Timestamp>().ok())
            .and_then(|d| u64::try_from(now.as_second() - d.as_second()).ok())
            .filter(|s| *s > 0);
        Self {
            forecast: serde_json::from_str(&row.forecast).ok(),
            changeset: row.name,
            title: row.title,
            state: row.state.to_string(),
            publish_at: row.publish_at,
            unpublish_at: row.unpublish_at,
            zone: row.zone,
            channel: row.channel,
            overdue_seconds,
            message: row.message,
            created_at: row.created_at,
            created_by: row.created_by,
            assisted: row.assisted,
            drafts,
        }
    }
}

/// What would happen to a schedule if it ran now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Forecast {
    /// When this was tried, RFC 3339.
    pub at: String,
    /// Publishing; absent when that has been done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Outlook>,
    /// Taking down; absent when nothing is to be taken down, or when publishing is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take_down: Option<Outlook>,
}

/// One step of a schedule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outlook {
    /// The gates that would refuse it.
    pub refused_by: Vec<String>,
    /// What they say: errors, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What else blocks it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Outlook {
    pub(crate) fn of(gates: &[GateReport], changeset: &str) -> Self {
        // There is no candidate yet that could be approved.
        let first = format!("`ashlar candidate create --changeset {changeset}`, and then for its number: ");
        let named = |mut finding: Finding| {
            if finding.help.contains("CANDIDATE") {
                finding.help = format!("{first}{}", finding.help);
            }
            finding
        };
        let against = || gates.iter().filter(|g| !g.status.lets_through());
        Self {
            refused_by: against().map(|g| g.gate.clone()).collect(),
            findings: against()
                .flat_map(|g| g.findings.iter().filter(|f| f.level == Level::Error).cloned())
                .take(FINDINGS_MAX)
                .map(named)
                .collect(),
            message: String::new(),
        }
    }

    /// Whether nothing blocks it.
    pub fn is_clear(&self) -> bool {
        self.refused_by.is_empty() && self.message.is_empty()
    }
}

impl Forecast {
    /// Whether something would refuse it.
    pub fn at_risk(&self) -> bool {
        [&self.publish, &self.take_down].into_iter().flatten().any(|o| !o.is_clear())
    }
}
