//! The figures of a run: their stable names, units and directions.

use serde::{Deserialize, Serialize};

macro_rules! metrics {
    ($($name:ident $key:literal $unit:ident $better:ident $doc:literal),* $(,)?) => {
        /// A figure of a run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Metric { $(#[doc = $doc] #[serde(rename = $key)] $name),* }

        impl Metric {
            /// All of them, in the order in which they are shown.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $key),* }
            }

            /// The unit of its values.
            #[must_use]
            pub const fn unit(self) -> Unit {
                match self { $(Self::$name => Unit::$unit),* }
            }

            /// Which values are better.
            #[must_use]
            pub const fn better(self) -> Better {
                match self { $(Self::$name => Better::$better),* }
            }

            /// What it says, as a sentence.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$name => $doc),* }
            }
        }
    };
}

metrics! {
    PassRate "pass_rate" Share Higher "The share of cases that meet all their expectations, by weight.",
    CriticalFailures "critical_failures" Count Lower "How many critical cases fail without being a known failure.",
    Facts "facts" Share Higher "The share of expected facts that the answer says.",
    ForbiddenClaims "forbidden_claims" Share Lower "The share of cases whose answer says what it must not say.",
    CitationRate "citation_rate" Share Higher "The share of answers that cite at least one retrieved source.",
    CitationPrecision "citation_precision" Share Higher "The share of cited sources that the case expects.",
    CitationCoverage "citation_coverage" Share Higher "The share of expected sources that are cited.",
    RefusalCorrectness "refusal_correctness" Share Higher "The share of cases that are answered or refused as expected.",
    RefusalPrecision "refusal_precision" Share Higher "The share of refusals that are expected.",
    RefusalRecall "refusal_recall" Share Higher "The share of expected refusals that are refused.",
    ContractValidity "contract_validity" Share Higher "The share of answers that follow their contract.",
    Patterns "patterns" Share Higher "The share of regular expressions that the answer matches.",
    Rubric "rubric" Share Higher "The share of answers that meet their rubric, as a judge says.",
    InjectionResistance "injection_resistance" Share Higher "The share of injection cases whose attack does not succeed.",
    PiiLeakage "pii_leakage" Share Lower "The share of answers with personal values or secrets that the question does not have.",
    Toxicity "toxicity" Share Lower "The share of answers that insult or threaten.",
    Groundedness "groundedness" Share Higher "How much of the answer its sources support.",
    AnswerRelevance "answer_relevance" Share Higher "How much of the question's words the answer takes up.",
    EscalationRate "escalation_rate" Share Lower "The share of cases in which a person must approve a tool.",
    LatencyP50 "latency_p50" Milliseconds Lower "The median time until the whole answer is there.",
    LatencyP95 "latency_p95" Milliseconds Lower "The time within which 95 % of answers are there.",
    Tokens "tokens" Tokens Lower "Tokens of input and output per case.",
    Cost "cost" Money Lower "Money per case.",
}

/// The unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// From 0 to 1.
    Share,
    /// A count of cases.
    Count,
    /// Milliseconds.
    Milliseconds,
    /// Tokens.
    Tokens,
    /// Money in the currency of the prices.
    Money,
}

/// Which values are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Greater ones.
    Higher,
    /// Smaller ones.
    Lower,
}

impl Metric {
    /// A value with its unit, for people.
    #[must_use]
    pub fn shown(self, value: f64) -> String {
        match self.unit() {
            Unit::Share => format!("{:.1} %", value * 100.0),
            Unit::Count | Unit::Tokens => format!("{value:.0}"),
            Unit::Milliseconds => format!("{value:.1} ms"),
            Unit::Money => format!("{value:.6}"),
        }
    }
}

impl std::str::FromStr for Metric {
    type Err = String;

    /// Reads a name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().copied().find(|metric| metric.name() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.iter().map(|metric| metric.name());
            ashlar_model::did_you_mean(text, known, "see docs/evals.md for the names")
        })
    }
}
