//! The kinds of events, and which of them a webhook gets.

use ashlar_model::{ChannelName, TypeName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The event of a push in the log. Followers hear `definition.changed` when definitions are served, not when they are
/// pushed.
pub(crate) const PUSHED: &str = "definition.changed";
/// Every kind of event that a webhook can get: what a move means, and the kinds of the log.
pub const EVENT_KINDS: [&str; 51] = [
    "assist.started",
    "assist.stopped",
    "assist.written",
    "cache.purged",
    "candidate.approved",
    "candidate.created",
    "candidate.discarded",
    "candidate.judged",
    "candidate.refused",
    "candidate.superseded",
    "candidate.waived",
    "changeset.cancelled",
    "changeset.created",
    "changeset.drafts_added",
    "changeset.drafts_removed",
    "changeset.scheduled",
    "content.migrated",
    "content.migrated_back",
    "definition.changed",
    "draft.deleted",
    "draft.state_changed",
    "draft.written",
    "drafts.imported",
    "entry.published",
    "entry.unpublished",
    "eval.cancelled",
    "eval.drift",
    "eval.finished",
    "eval.recorded",
    "eval.started",
    "key.created",
    "key.revoked",
    "llm.budget_soft",
    "llm.tool_approved",
    "llm.tool_refused",
    "llm.user_erased",
    "preview.created",
    "release.imported",
    "release.promoted",
    "release.rolled_back",
    "review.judged",
    "review.queued",
    "schedule.at_risk",
    "schedule.checked",
    "schedule.failed",
    "schedule.quarantined",
    "schedule.ran",
    "store.collected",
    "taxonomy.changed",
    "tenant.created",
    "webhook.test",
];

/// Whether events of this kind are recorded. Those about webhooks themselves are not sent.
pub(crate) fn is_kind(kind: &str) -> bool {
    kind.starts_with("webhook.") || EVENT_KINDS.contains(&kind)
}

/// Which events a webhook gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventFilter {
    /// Kinds: `release.promoted`, `entry.*`, `*`.
    pub events: Vec<String>,
    /// Content types of `entry.*`; all when empty.
    pub types: Vec<TypeName>,
    /// Channels whose moves count; the public one when empty.
    pub channels: Vec<ChannelName>,
}

impl Default for EventFilter {
    fn default() -> Self {
        let events = ["entry.*", "taxonomy.changed", "definition.changed", "release.*"];
        Self { events: events.map(str::to_owned).to_vec(), types: Vec::new(), channels: Vec::new() }
    }
}

impl EventFilter {
    /// Whether it wants events of a kind.
    pub fn wants(&self, kind: &str) -> bool {
        self.events.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => kind.starts_with(start),
            None => pattern == kind,
        })
    }
}

/// Whether events of the log with this kind are sent as they are. A push changes nothing that is read.
pub(crate) fn passes(filter: &EventFilter, kind: &str) -> bool {
    kind != PUSHED && !kind.starts_with("webhook.") && filter.wants(kind)
}
