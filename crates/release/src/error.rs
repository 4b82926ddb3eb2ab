use ashlar_model::{CandidateId, ChannelName, EntryKey, Finding, FindingGroup, ReleaseId, Right, grouped};
use ashlar_store::{StoreError, sql::SqlError};

use crate::DraftView;

/// Why an action or a read did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The actor does not hold the right the action needs.
    #[error("{actor} may not do this: the scope `{right}` is needed")]
    Forbidden {
        /// Who tried.
        actor: String,
        /// What is missing.
        right: Right,
    },
    /// There is no such thing.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
        /// The next thing to do.
        help: String,
    },
    /// A draft was changed since it was read.
    #[error("{key} was changed meanwhile: you read version {expected}, it is now version {}", current.version)]
    Stale {
        /// The entry.
        key: Box<EntryKey>,
        /// The version the writer had read.
        expected: u64,
        /// What is stored now.
        current: Box<DraftView>,
        /// What the writer wanted to store.
        offered: Box<ashlar_model::Fields>,
    },
    /// The input itself is wrong.
    #[error("{message}")]
    Invalid {
        /// What is wrong.
        message: String,
        /// Each thing that is wrong, with its place.
        findings: Vec<Finding>,
        /// The next thing to do.
        help: String,
    },
    /// A rule refuses it.
    #[error("{message}")]
    Refused {
        /// A stable kebab-case code.
        code: &'static str,
        /// What the rule says.
        message: String,
        /// What led to it.
        findings: Vec<Finding>,
        /// The next thing to do.
        help: String,
    },
    /// A candidate whose gates do not all let it through.
    #[error("{candidate} cannot be promoted: {} failed", gates.join(", "))]
    GatesFailed {
        /// The candidate.
        candidate: CandidateId,
        /// The gates that do not let it through.
        gates: Vec<String>,
        /// The first of their findings.
        findings: Vec<Finding>,
        /// All of their findings by cause.
        groups: Vec<FindingGroup>,
    },
    /// The channel has moved on, and promoting would undo what was released since.
    #[error(
        "{candidate} is superseded: {channel} has moved to {head} since it was frozen, and promoting it would undo {undone} of its changes"
    )]
    Superseded {
        /// The candidate.
        candidate: CandidateId,
        /// The channel.
        channel: ChannelName,
        /// What the channel serves now.
        head: ReleaseId,
        /// How many changes would be undone.
        undone: usize,
    },
    /// A stored thing is not what it should be.
    #[error("{what} is not intact: {why}")]
    Corrupt {
        /// What was looked at.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Objects could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database could not be read or written.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// As much work of the tenant waits as may.
    #[error("too much work of this tenant is waiting")]
    Busy,
    /// A model that something is made with does not answer as it should.
    #[error("vectors cannot be made now: {0}")]
    Model(String),
    /// Work on another thread was lost.
    #[error("an internal task ended early: {0}")]
    Task(String),
}

impl ReleaseError {
    /// A thing that does not exist.
    pub fn not_found(what: &'static str, name: impl ToString, help: impl Into<String>) -> Self {
        Self::NotFound { what, name: name.to_string(), help: help.into() }
    }

    /// Input that is wrong in one place.
    pub fn invalid(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), findings: Vec::new(), help: help.into() }
    }

    /// Something a rule refuses.
    pub fn refused(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Refused { code, message: message.into(), findings: Vec::new(), help: help.into() }
    }

    /// A stable kebab-case code for programs; the last part of the problem `type` over HTTP.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Forbidden { .. } => "forbidden",
            Self::NotFound { .. } => "not-found",
            Self::Stale { .. } => "stale-write",
            Self::Invalid { .. } => "invalid-input",
            Self::Refused { code, .. } => code,
            Self::GatesFailed { .. } => "gates-failed",
            Self::Superseded { .. } => "superseded",
            Self::Corrupt { .. } => "corrupt",
            Self::Store(StoreError::Bundle(_)) => "invalid-bundle",
            Self::Store(_) => "storage",
            Self::Sql(_) => "database",
            Self::Busy => "busy",
            Self::Model(_) => "model-unavailable",
            Self::Task(_) => "internal",
        }
    }

    /// What is wrong, without paths, addresses and what a system said: for readers over HTTP.
    pub fn public(&self) -> String {
        match self {
            Self::Store(error) => error.public(),
            Self::Sql(error) => error.public(),
            Self::Task(_) => "an internal task ended early; the server's log says more".to_owned(),
            other => other.to_string(),
        }
    }

    /// The next thing to do; empty when there is nothing better than the message.
    pub fn help(&self) -> String {
        match self {
            Self::NotFound { help, .. } | Self::Invalid { help, .. } | Self::Refused { help, .. } => help.clone(),
            Self::Forbidden { right, .. } => format!("use a key that has the scope `{right}`"),
            Self::Stale { current, .. } => format!(
                "read version {} again, merge your change into it, and send it with that version",
                current.version
            ),
            Self::GatesFailed { candidate, .. } => {
                format!("`ashlar candidate gates {candidate}` shows every finding and how to fix it")
            }
            Self::Superseded { .. } => {
                "create a new candidate: `ashlar candidate create` freezes the drafts on top of what is live now".to_owned()
            }
            Self::Corrupt { .. } => {
                "run `ashlar release verify` and `ashlar audit verify`; restore the damaged object from a backup or an exported release".to_owned()
            }
            Self::Busy => "wait until earlier requests are answered, then send it again".to_owned(),
            Self::Store(StoreError::Bundle(_)) => "export the release again, and send the whole file".to_owned(),
            Self::Model(_) => "`ashlar doctor` on the server checks its models".to_owned(),
            Self::Store(_) | Self::Sql(_) | Self::Task(_) => String::new(),
        }
    }

    /// What it consists of, each with its place.
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Invalid { findings, .. }
            | Self::Refused { findings, .. }
            | Self::GatesFailed { findings, .. } => findings,
            _ => &[],
        }
    }
}

impl ReleaseError {
    /// What it consists of by cause.
    pub fn groups(&self) -> Vec<FindingGroup> {
        match self {
            Self::GatesFailed { groups, .. } => groups.clone(),
            other => grouped(other.findings()),
        }
    }
}

impl From<ashlar_isolate::Busy> for ReleaseError {
    fn from(busy: ashlar_isolate::Busy) -> Self {
        match busy {
            ashlar_isolate::Busy::Full => Self::Busy,
            ashlar_isolate::Busy::Lost => Self::Task(busy.to_string()),
        }
    }
}

impl From<ashlar_model::RecordError> for ReleaseError {
    fn from(e: ashlar_model::RecordError) -> Self {
        Self::Corrupt { what: "a snapshot".to_owned(), why: e.to_string() }
    }
}
