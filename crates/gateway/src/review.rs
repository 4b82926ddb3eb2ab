//! Which calls people look at, and what they may say.
//!
//! Whether a call is chosen follows from its id and a secret of the tenant alone, so all nodes choose the same calls, and a caller cannot
//! choose which of its calls are looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::{OK, REFUSAL, Record, Text, TextSource, WAITS};

/// The most people who look at a call before a third one decides.
pub const REVIEWERS_MAX: u32 = 2;
/// For how many days reviews are kept when the file does not say.
pub const KEEP_DAYS: u32 = 180;
/// What derives the key of the choice from the secret of a tenant.
const CONTEXT: &str = "ashlar 2026-11-22 which model calls people review";

/// Which calls of a feature people look at.
#[derive(Debug, Clone, PartialEq)]
pub struct ReviewRules {
    /// The share of all calls, from 0 to 1.
    pub share: f64,
    /// Calls whose answers the checks doubt.
    pub low_confidence: Option<LowConfidence>,
    /// Calls that may do harm.
    pub high_risk: Option<HighRisk>,
    /// How many people look at each call: 1 or 2.
    pub reviewers: u32,
    /// For how many days reviews are kept.
    pub keep_days: u32,
}

/// Calls whose answers the checks doubt: refusals, repaired or masked answers, and those with little groundedness.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LowConfidence {
    /// Groundedness below this counts, from 0 to 1.
    pub below: f64,
    /// The share of these calls.
    pub share: f64,
}

impl LowConfidence {
    /// The groundedness that counts when the file does not say.
    pub const BELOW: f64 = 0.6;
}

/// Calls that may do harm.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HighRisk {
    /// Tools that change something.
    pub tools: BTreeSet<String>,
    /// Indexes; calls count that search one of them by name.
    pub indexes: BTreeSet<String>,
    /// Prompts.
    pub prompts: BTreeSet<String>,
    /// The share of these calls.
    pub share: f64,
}

/// What the choice of a call depends on beside its record.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// The rules of its feature in the release that decided.
    pub rules: Arc<ReviewRules>,
    /// The indexes that were searched by name.
    pub indexes: Vec<String>,
}

/// Why somebody looks at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ReviewReason")]
pub enum Reason {
    /// It was chosen at random. Only these calls say something about all calls.
    Random,
    /// The checks doubt the answer.
    LowConfidence,
    /// It may do harm.
    HighRisk,
    /// Judges disagree about it. Somebody put it into the queue.
    Disagreement,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::Random, Self::LowConfidence, Self::HighRisk, Self::Disagreement];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::LowConfidence => "low_confidence",
            Self::HighRisk => "high_risk",
            Self::Disagreement => "disagreement",
        }
    }

    /// The reasons in a text that [`joined`] wrote. Unknown ones are left out.
    #[must_use]
    pub fn split(text: &str) -> Vec<Self> {
        let named = |name: &str| Self::ALL.into_iter().find(|reason| reason.name() == name);
        text.split(',').filter_map(named).collect()
    }
}

/// Reasons as one text.
#[must_use]
pub fn joined(reasons: &[Reason]) -> String {
    reasons.iter().map(|reason| reason.name()).collect::<Vec<_>>().join(",")
}

/// What a person says about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ReviewVerdict")]
pub enum Verdict {
    /// It is right and complete, or rightly refused.
    Correct,
    /// Something is missing or not quite right.
    Partly,
    /// It is wrong, or wrongly refused.
    Wrong,
    /// It does harm: it should not have been said.
    Unsafe,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: [Self; 4] = [Self::Correct, Self::Partly, Self::Wrong, Self::Unsafe];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Correct => "correct",
            Self::Partly => "partly",
            Self::Wrong => "wrong",
            Self::Unsafe => "unsafe",
        }
    }

    /// The verdict with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == name)
    }
}

/// What a reviewer sees of a call, redacted as its feature says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(default)]
#[schemars(rename = "ReviewedCall")]
pub struct Item {
    /// When the call began, RFC 3339.
    pub at: String,
    /// The trace of the request.
    pub trace: String,
    /// The feature.
    pub feature: String,
    /// The prompt, with its version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prompt: String,
    /// The route that the call named.
    pub route: String,
    /// The provider and the model that answered.
    pub model: String,
    /// The release that decided.
    pub release: String,
    /// The language of the answer, if the call named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The question.
    pub question: String,
    /// How many messages of the user the client sent. With more than one, `input` has the rest.
    pub turns: u32,
    /// The whole input, for conversations of several messages.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub input: String,
    /// What the caller saw.
    pub answer: String,
    /// The code of the refusal, if the answer is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// What the answer may be grounded in.
    pub sources: Vec<TextSource>,
    /// What checks said of the answer, such as `grounding` → `0.92`.
    pub checks: BTreeMap<String, String>,
    /// Whether the checks doubt the answer.
    pub doubtful: bool,
    /// Whether a tool waited for the approval of a person.
    pub escalated: bool,
}

/// Where a call lies between 0 and 1, for comparing with shares.
#[must_use]
pub fn point(secret: &[u8; 32], call: &str) -> f64 {
    let key = blake3::derive_key(CONTEXT, secret);
    let hash = blake3::keyed_hash(&key, call.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    // 53 bits are what such a number has.
    (u64::from_le_bytes(first) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Whether the checks doubt an answer.
#[must_use]
pub fn is_doubtful(record: &Record, below: f64) -> bool {
    let verdict = |name: &str| record.verdicts.get(name).map(String::as_str);
    let grounded = verdict("grounding").and_then(|share| share.parse::<f64>().ok());
    grounded.is_some_and(|share| share < below)
        || verdict(REFUSAL).is_some()
        || verdict("output") == Some("repaired")
        || verdict("filter") == Some("masked")
}

/// Whether a tool waited for the approval of a person.
#[must_use]
pub fn is_escalated(record: &Record) -> bool {
    record.verdicts.get("tools").is_some_and(|ran| ran.split(", ").any(|ran| ran.ends_with(WAITS)))
}

impl Sampling {
    /// Why somebody looks at a call; empty when nobody does. `point`: see [`point`]. Calls without an answer are never looked at.
    #[must_use]
    pub fn reasons(&self, record: &Record, point: f64) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if record.outcome != OK || record.operation != "chat" {
            return reasons;
        }
        let rules = &self.rules;
        if point < rules.share {
            reasons.push(Reason::Random);
        }
        if rules.low_confidence.is_some_and(|low| point < low.share && is_doubtful(record, low.below)) {
            reasons.push(Reason::LowConfidence);
        }
        if rules.high_risk.as_ref().is_some_and(|risk| point < risk.share && self.is_risky(record, risk)) {
            reasons.push(Reason::HighRisk);
        }
        reasons
    }

    fn is_risky(&self, record: &Record, risk: &HighRisk) -> bool {
        let prompt = record.prompt.split(['@', '/']).next().unwrap_or_default();
        risk.prompts.contains(prompt)
            || self.indexes.iter().any(|index| risk.indexes.contains(index))
            || record.tools.iter().any(|tool| risk.tools.contains(tool))
            || (!risk.tools.is_empty() && is_escalated(record))
    }

    /// What reviewers see of a call.
    #[must_use]
    pub fn item(&self, record: &Record, text: &Text) -> Item {
        item(record, text, self.rules.low_confidence.map_or(LowConfidence::BELOW, |low| low.below))
    }
}

/// What reviewers see of a call. `below`: groundedness below this counts as doubtful.
#[must_use]
pub fn item(record: &Record, text: &Text, below: f64) -> Item {
    let model = match record.provider.is_empty() {
        true => String::new(),
        false => format!("{}/{}", record.provider, record.model),
    };
    Item {
        at: record.at.clone(),
        trace: record.trace.clone(),
        feature: record.feature.clone(),
        prompt: record.prompt.clone(),
        route: record.route.clone(),
        model,
        release: record.release.clone(),
        locale: text.locale.clone(),
        question: text.question.clone(),
        turns: text.turns,
        input: if text.turns > 1 || text.question.is_empty() { text.input.clone() } else { String::new() },
        answer: text.answer().to_owned(),
        refusal: record.verdicts.get(REFUSAL).cloned(),
        sources: text.sources.clone(),
        checks: record.verdicts.clone(),
        doubtful: is_doubtful(record, below),
        escalated: is_escalated(record),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sampling(share: f64) -> Sampling {
        let risk = HighRisk {
            tools: BTreeSet::from(["refund".to_owned()]),
            indexes: BTreeSet::from(["legal".to_owned()]),
            prompts: BTreeSet::from(["refunds".to_owned()]),
            share: 1.0,
        };
        let rules = ReviewRules {
            share,
            low_confidence: Some(LowConfidence { below: 0.6, share: 0.5 }),
            high_risk: Some(risk),
            reviewers: 2,
            keep_days: 30,
        };
        Sampling { rules: Arc::new(rules), indexes: Vec::new() }
    }

    fn record(verdicts: &[(&str, &str)]) -> Record {
        let verdicts = verdicts.iter().map(|(name, says)| ((*name).to_owned(), (*says).to_owned()));
        Record {
            outcome: OK.to_owned(),
            operation: "chat".to_owned(),
            prompt: "support-answer@v2".to_owned(),
            verdicts: verdicts.collect(),
            ..Record::default()
        }
    }

    #[test]
    fn each_rule_chooses_its_calls() {
        let (none, many) = (sampling(0.0), sampling(0.2));
        assert_eq!(many.reasons(&record(&[]), 0.1), [Reason::Random]);
        assert_eq!(many.reasons(&record(&[]), 0.2), []);
        for doubtful in
            [("grounding", "0.59"), (REFUSAL, "not_grounded"), ("output", "repaired"), ("filter", "masked")]
        {
            assert_eq!(none.reasons(&record(&[doubtful]), 0.49), [Reason::LowConfidence], "{doubtful:?}");
            assert_eq!(none.reasons(&record(&[doubtful]), 0.5), [], "{doubtful:?}");
        }
        assert_eq!(none.reasons(&record(&[("grounding", "0.60"), ("output", "valid")]), 0.0), []);
        assert_eq!(
            none.reasons(&record(&[("tools", "a: ok, refund: waits for approval")]), 0.9),
            [Reason::HighRisk]
        );
        let mut risky = record(&[]);
        risky.tools = vec!["refund".to_owned()];
        assert_eq!(none.reasons(&risky, 0.9), [Reason::HighRisk]);
        risky.tools.clear();
        risky.prompt = "refunds@v1".to_owned();
        assert_eq!(none.reasons(&risky, 0.9), [Reason::HighRisk]);
        let legal = Sampling { indexes: vec!["legal".to_owned()], ..none.clone() };
        assert_eq!(legal.reasons(&record(&[]), 0.9), [Reason::HighRisk]);
        let failed = Record { outcome: "rate_limited".to_owned(), ..risky };
        assert_eq!(many.reasons(&failed, 0.0), []);
        assert_eq!(Reason::split(&joined(&Reason::ALL)), Reason::ALL);
    }

    #[test]
    fn the_share_is_that_of_the_rules() {
        // 20,000 calls: the deviation of a share of 0.05 is 0.0015.
        let chosen = (0..20_000).filter(|n| point(&[7; 32], &format!("call-{n}")) < 0.05).count();
        assert!((850..1_150).contains(&chosen), "{chosen}");
        assert_ne!(point(&[7; 32], "a").to_bits(), point(&[8; 32], "a").to_bits());
    }

    proptest! {
        #[test]
        fn points_are_shares_and_stay(secret: [u8; 32], call in "[0-9a-f]{24}") {
            let found = point(&secret, &call);
            prop_assert!((0.0..1.0).contains(&found));
            prop_assert_eq!(found.to_bits(), point(&secret, &call).to_bits());
        }
    }
}
