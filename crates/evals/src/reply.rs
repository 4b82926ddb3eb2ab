//! What is asked, and what comes back.

use std::collections::BTreeMap;

use ashlar_gateway::{ground::Source, price::Money};
use serde::{Deserialize, Serialize};

use crate::suite::Case;

/// What came back for a case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reply {
    /// The answer; empty in a refusal.
    pub text: String,
    /// The sources that were retrieved, in the order of their numbers, from 1.
    #[serde(with = "sources")]
    pub sources: Vec<Source>,
    /// The numbers of the sources that the answer cites.
    pub cited: Vec<usize>,
    /// Why no answer was given: a stable code, such as `not_grounded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Whether the answer was handed to a person.
    pub escalated: bool,
    /// Tokens of the input.
    pub input_tokens: u64,
    /// Tokens of the output.
    pub output_tokens: u64,
    /// What it cost, in the currency of the prices.
    pub cost: Money,
    /// Milliseconds until the whole answer was there.
    pub latency_ms: f64,
    /// The model that answered.
    pub model: String,
    /// The prompt that was used, such as `support-answer@v12`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prompt: String,
    /// The release that was asked, such as `r42`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub release: String,
    /// The trace, for looking the call up.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace: String,
    /// What else is known, for people.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub more: BTreeMap<String, String>,
}

impl Reply {
    /// Whether no answer was given.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.refusal.is_some()
    }
}

/// Why a case could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unasked {
    /// A stable code, such as `provider_unavailable`.
    pub code: String,
    /// Why, as a sentence.
    pub message: String,
    /// Whether asking again may help.
    pub again: bool,
}

/// Whoever answers cases: a server, a data directory, or a recording.
pub trait Subject: Send + Sync {
    /// Asks once. A wrong answer is a reply; an error means that there is none.
    fn ask(&self, case: &Case, sample: u32) -> impl Future<Output = Result<Reply, Unasked>> + Send;

    /// What answers depend on beside the case: route, prompt version, parameters, release. A recording finds replies by it.
    fn setting(&self) -> &str;
}

mod sources {
    use ashlar_gateway::ground::Source;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Stored {
        id: String,
        #[serde(default)]
        title: String,
        #[serde(default)]
        path: String,
        text: String,
    }

    pub(super) fn serialize<S: Serializer>(sources: &[Source], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(sources)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Source>, D::Error> {
        let stored = Vec::<Stored>::deserialize(from)?.into_iter();
        Ok(stored.map(|s| Source { id: s.id, title: s.title, path: s.path, text: s.text }).collect())
    }
}
