//! The tools: what they take, and who may call them.

use ashlar_model::{Actor, Right};
use serde_json::{Value, json};

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Search,
    Read,
    Draft,
    Propose,
}

impl Tool {
    const ALL: [Self; 4] = [Self::Search, Self::Read, Self::Draft, Self::Propose];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Read => "read",
            Self::Draft => "draft",
            Self::Propose => "propose",
        }
    }

    /// The right that it needs; `None` for what every key may do.
    pub fn right(self) -> Option<Right> {
        match self {
            Self::Search | Self::Read => None,
            Self::Draft | Self::Propose => Some(Right::Write),
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Search => {
                "Searches the released content that the key may read. Returns titles, paths and passages."
            }
            Self::Read => {
                "Returns the fields of one entry: as it is released, or with `at` as a draft, in a candidate (c12), a release (r3) or \
                 another channel."
            }
            Self::Draft => {
                "Writes a draft of an entry into a changeset; both are created if needed. `fields` are all fields of the entry, not only \
                 those that change. Nothing is published."
            }
            Self::Propose => {
                "Freezes the drafts of a changeset as a candidate, runs all gates, and returns what they found. Nothing is published: \
                 people approve and promote candidates."
            }
        }
    }

    fn input(self) -> Value {
        let text = |most: u32, says: &str| json!({"type": "string", "minLength": 1, "maxLength": most, "description": says});
        let kind = text(64, "The content type, such as `page`.");
        let id = text(128, "The id of the entry within its type.");
        let locale = text(35, "The language, such as `en`; the default language of the project when absent.");
        let changeset = text(64, "The name of the changeset: lower-case letters, digits and hyphens.");
        let (properties, required) = match self {
            Self::Search => (
                json!({
                    "query": text(1_000, "What to search for."), "locale": locale,
                    "index": text(64, "The index; the project decides when absent."),
                    "limit": {"type": "integer", "minimum": 1, "maximum": 50, "description": "The most hits; 10 when absent."},
                }),
                json!(["query"]),
            ),
            Self::Read => (
                json!({
                    "type": kind, "id": id, "locale": locale,
                    "at": text(64, "`draft`, a candidate, a release or a channel; what is live when absent."),
                }),
                json!(["type", "id"]),
            ),
            Self::Draft => (
                json!({
                    "type": kind, "id": id, "locale": locale, "changeset": changeset,
                    "fields": {"type": "object", "description": "The fields of the entry."},
                    "version": {"type": "integer", "minimum": 0, "description": "The version of the draft that was read. A draft that has changed since is not overwritten."},
                }),
                json!(["type", "id", "changeset", "fields"]),
            ),
            Self::Propose => (
                json!({"changeset": changeset, "note": text(500, "Why it is proposed.")}),
                json!(["changeset"]),
            ),
        };
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }

    fn described(self) -> Value {
        let reads = matches!(self, Self::Search | Self::Read);
        json!({
            "name": self.name(), "description": self.description(), "inputSchema": self.input(),
            "annotations": {"readOnlyHint": reads, "destructiveHint": false, "openWorldHint": false},
        })
    }
}

/// The tools that an actor may call. `manages`: this node has the management API.
pub(super) fn of(actor: &Actor, manages: bool) -> Vec<Tool> {
    let may = |tool: &Tool| match tool.right() {
        None => true,
        Some(right) => manages && actor.may(&right),
    };
    Tool::ALL.into_iter().filter(may).collect()
}

/// Tools as clients list them.
pub(super) fn listed(tools: &[Tool]) -> Value {
    json!({ "tools": tools.iter().map(|tool| tool.described()).collect::<Vec<_>>() })
}
