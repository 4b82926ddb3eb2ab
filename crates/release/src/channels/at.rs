//! What to read instead of the public channel.

use std::{fmt, str::FromStr};

use ashlar_model::{CandidateId, ChannelName, ReleaseId};

/// How [`At`] is written.
pub const AT_FORMS: &str =
    "`draft`, `changeset:NAME`, a candidate (`c12`), a release (`r3`) or a channel (`staging`)";

/// What to read instead of the public channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// The drafts as they are now, on top of what the public channel serves.
    Draft,
    /// A candidate.
    Candidate(CandidateId),
    /// A release.
    Release(ReleaseId),
    /// A channel.
    Channel(ChannelName),
    /// The drafts of a changeset, on top of what the public channel serves.
    Changeset(String),
}

impl FromStr for At {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if s == "draft" {
            return Ok(Self::Draft);
        }
        if let Some(name) = s.strip_prefix("changeset:").filter(|n| (1..=100).contains(&n.len())) {
            return Ok(Self::Changeset(name.to_owned()));
        }
        if let Ok(id) = s.parse() {
            return Ok(Self::Candidate(id));
        }
        if let Ok(id) = s.parse() {
            return Ok(Self::Release(id));
        }
        ChannelName::new(s)
            .map(Self::Channel)
            .map_err(|_| format!("`{}` is not {AT_FORMS}", s.escape_default()))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draft => f.write_str("draft"),
            Self::Candidate(id) => id.fmt(f),
            Self::Release(id) => id.fmt(f),
            Self::Channel(name) => name.fmt(f),
            Self::Changeset(name) => write!(f, "changeset:{name}"),
        }
    }
}
