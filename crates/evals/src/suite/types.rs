//! What a suite consists of.

use ashlar_gateway::price::Money;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{labels::Label, schedule::Schedule};
use crate::figures::Metric;

/// A suite with its cases.
#[derive(Debug, Clone, PartialEq)]
pub struct Suite {
    /// The name of its files.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Who answers for it.
    pub owner: String,
    /// The feature that calls belong to.
    pub feature: String,
    /// The prompt, with a version when the release shall not decide: `support-answer@v12`.
    pub prompt: Option<String>,
    /// The variable of the prompt that receives the input of a case.
    pub variable: String,
    /// The route, or that of the prompt.
    pub route: Option<String>,
    /// The locale of cases that name none.
    pub locale: Option<String>,
    /// The figures that are reported; empty for all.
    pub metrics: Vec<Metric>,
    /// Figures that must not be passed.
    pub thresholds: Vec<Threshold>,
    /// How often each case is asked.
    pub samples: u32,
    /// How often servers run it by themselves; `None` when it leaves that to them.
    pub schedule: Option<Schedule>,
    /// What a run may cost and take.
    pub caps: Caps,
    /// What changes wait for a run.
    pub gate: Gate,
    /// Where its file names what.
    pub lines: Lines,
    /// The model that judges answers by rubrics.
    pub judge: Option<JudgeRoute>,
    /// Answers that people judged, for comparison with the judge.
    pub labels: Vec<Label>,
    /// Its cases, in order of the file.
    pub cases: Vec<Case>,
}

/// What a run may cost and take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caps {
    /// Money, in the currency of the prices.
    pub cost: Option<Money>,
    /// Seconds.
    pub seconds: Option<u64>,
}

/// Which changes of a release wait for a run of the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// Changes of definitions: the suite, its prompt, contracts of answers, route, feature, tools and `retrieval.toml`.
    pub definitions: Demand,
    /// Changes of the content that answers are made from.
    pub content: Demand,
}

impl Default for Gate {
    fn default() -> Self {
        Self { definitions: Demand::Required, content: Demand::Advice }
    }
}

impl Gate {
    /// What at least one of both demands.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        let of = |one: Demand, other: Demand| match [one, other].contains(&Demand::Required) {
            true => Demand::Required,
            false => Demand::Advice,
        };
        Self {
            definitions: of(self.definitions, other.definitions),
            content: of(self.content, other.content),
        }
    }

    /// Whether no release waits for a run.
    #[must_use]
    pub fn is_advice(self) -> bool {
        [self.definitions, self.content].iter().all(|demand| *demand == Demand::Advice)
    }
}

/// How much a change needs a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// A release waits for it.
    Required,
    /// A release does not wait for it.
    Advice,
}

/// The lines of keys in `NAME.toml`, from 1. Keys that are absent have the line 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lines {
    /// Of `feature`.
    pub feature: usize,
    /// Of `prompt`.
    pub prompt: usize,
    /// Of `route`.
    pub route: usize,
    /// Of `route` of `[judge]`.
    pub judge: usize,
    /// Of `[thresholds]`.
    pub thresholds: usize,
}

/// The model that judges answers by rubrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JudgeRoute {
    /// The route of `gateway.toml`.
    pub route: String,
    /// The feature that its calls belong to.
    pub feature: String,
}

/// A bound of a figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Threshold {
    /// The figure.
    pub metric: Metric,
    /// The least value that passes.
    pub min: Option<f64>,
    /// The greatest value that passes.
    pub max: Option<f64>,
}

/// One case: what is asked, and what a good answer is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Case {
    /// Its name in the suite.
    pub id: String,
    /// What is asked.
    pub input: Input,
    /// The locale of the answer.
    pub locale: Option<String>,
    /// Texts that are given beside the question, as sources.
    pub context: Vec<String>,
    /// What a good answer is.
    pub expect: Expect,
    /// Words to group cases by.
    pub tags: Vec<String>,
    /// How much it counts.
    pub weight: f64,
    /// Whether its failure fails the suite.
    pub critical: bool,
    /// Who answers for it.
    pub owner: String,
    /// Where it comes from, such as an entry or a ticket.
    pub source: String,
    /// A failure that is known, until a day.
    pub known_failure: Option<KnownFailure>,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A question.
    Input(String),
    /// A conversation, in the format of OpenAI.
    Messages(Vec<Message>),
    /// The values of a prompt's variables.
    Variables(Map<String, Value>),
}

impl Default for Input {
    fn default() -> Self {
        Self::Input(String::new())
    }
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

/// What a good answer is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expect {
    /// What it must say. Each is a list of wordings; one of them is enough.
    pub facts: Vec<Vec<String>>,
    /// What it must not say.
    pub not: Vec<String>,
    /// The entries or paths that it must cite.
    pub cites: Vec<String>,
    /// Whether there must be an answer.
    pub answer: Option<Answer>,
    /// The contract that it must follow.
    pub json: Option<String>,
    /// Regular expressions that must occur.
    pub matches: Vec<String>,
    /// Regular expressions that must not occur.
    pub not_matches: Vec<String>,
    /// What a person or a judge looks for.
    pub rubric: Option<String>,
}

impl Expect {
    /// Whether only a judge can decide.
    #[must_use]
    pub fn is_only_rubric(&self) -> bool {
        self.rubric.is_some() && (Self { rubric: None, ..self.clone() }) == Self::default()
    }
}

/// Whether there must be an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It must be answered.
    Must,
    /// It must be refused.
    MustNot,
}

/// A failure that is known and does not fail the suite until a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFailure {
    /// The last day.
    pub until: Date,
    /// Why it fails, and what will fix it.
    pub why: String,
}

impl Suite {
    /// Whether a judge decides about a case.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.judge.is_some() && self.cases.iter().any(|case| case.expect.rubric.is_some())
    }

    /// What replies depend on beside the cases: feature, route and prompt.
    #[must_use]
    pub fn setting(&self) -> String {
        let of = |name: &str, value: Option<&str>| {
            value.map(|value| format!(" {name} {value}")).unwrap_or_default()
        };
        format!(
            "feature {}{}{}",
            self.feature,
            of("route", self.route.as_deref()),
            of("prompt", self.prompt.as_deref())
        )
    }
}

impl Case {
    /// The text of a variable, when the case gives variables and this one is a text.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        match &self.input {
            Input::Variables(values) => values.get(name)?.as_str().map(str::to_owned),
            _ => None,
        }
    }

    /// Everything that is sent: the input as JSON or text.
    #[must_use]
    pub fn asked(&self) -> String {
        match &self.input {
            Input::Input(text) => text.clone(),
            Input::Messages(messages) => {
                messages.iter().map(|message| message.content.as_str()).collect::<Vec<_>>().join("\n")
            }
            Input::Variables(values) => serde_json::to_string(values).unwrap_or_default(),
        }
    }

    /// The question: the input, the last message of the user, or the values of the variables.
    #[must_use]
    pub fn question(&self) -> String {
        match &self.input {
            Input::Input(text) => text.clone(),
            Input::Messages(messages) => messages
                .iter()
                .rfind(|message| message.role == "user")
                .map(|message| message.content.clone())
                .unwrap_or_default(),
            Input::Variables(values) => {
                let texts = values.values().filter_map(Value::as_str);
                texts.collect::<Vec<_>>().join("\n")
            }
        }
    }
}
