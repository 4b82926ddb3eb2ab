//! What comes back for a case, and the trait of whoever answers.

use ashlar_gateway::{ground::Source, price::Money};
use serde::{Deserialize, Serialize};

use crate::{
    suite::Case,
    verdict::{Judgement, Verdict},
};

/// What came back for a case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reply {
    /// The answer; empty in a refusal.
    pub text: String,
    /// The sources that were retrieved, in the order of their numbers, from 1.
    pub sources: Vec<Retrieved>,
    /// The numbers of the sources that the answer cites.
    pub cited: Vec<usize>,
    /// Why no answer was given: a stable code, such as `not_grounded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The refusal as a sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How much of the answer the gateway found supported. It counts when the sources come without their text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groundedness: Option<f64>,
    /// Whether a person must approve before there is an answer.
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
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// The prompt that was used, such as `support-answer@v12`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prompt: String,
    /// The release that was asked, such as `r42`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub release: String,
    /// What a judge said about it, for a case with a rubric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement<Verdict>>,
    /// The trace, for looking the call up.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace: String,
}

/// A text that an answer was made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retrieved {
    /// The chunk.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The type and the id of its entry, such as `pricing-plan/basin`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub entry: String,
    /// The title of its entry.
    pub title: String,
    /// Where people read it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The text.
    pub text: String,
}

impl Reply {
    /// Whether no answer was given.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.refusal.is_some()
    }

    /// What it cost with its judgement.
    #[must_use]
    pub fn spent(&self) -> Money {
        self.judgement.as_ref().map_or(self.cost, |judgement| self.cost.plus(judgement.cost))
    }

    /// What the answer may be grounded in: its sources and the context of the case.
    #[must_use]
    pub fn grounds(&self, context: &[String]) -> Vec<Source> {
        let sources = self.sources.iter().map(|source| Source {
            id: source.id.clone(),
            title: source.title.clone(),
            path: source.path.clone(),
            text: source.text.clone(),
            ..Source::default()
        });
        let given = context.iter().map(|text| Source { text: text.clone(), ..Source::default() });
        sources.chain(given).collect()
    }
}

/// Why a case could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unasked {
    /// A stable code, such as `upstream_timeout`.
    pub code: String,
    /// Why, as a sentence.
    pub message: String,
    /// Whether asking again may help.
    pub again: bool,
}

/// Whoever answers cases: a server, a data directory, or a recording.
pub trait Subject: Send + Sync {
    /// Asks once. A wrong answer is a reply; an error means that no reply came.
    fn ask(&self, case: &Case, sample: u32) -> impl Future<Output = Result<Reply, Unasked>> + Send;

    /// What replies depend on beside the case: feature, route, prompt with its version, and parameters. Recordings find replies by it.
    fn setting(&self) -> &str;
}
