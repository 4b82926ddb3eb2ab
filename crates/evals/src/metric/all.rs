//! All metrics of one reply.

use std::{collections::BTreeMap, sync::Arc};

use ashlar_contracts::ContractSet;

use super::{
    citations, contract, facts, forbidden, groundedness, injection, patterns, pii, refusal, relevance,
    rubric, score::Score, toxicity, usage,
};
use crate::{figures::Metric, reply::Reply, suite::Case};

/// What each metric says about a reply. Metrics that do not apply are absent.
pub type Scores = BTreeMap<Metric, Score>;

/// Judges replies.
#[derive(Debug, Clone, Default)]
pub struct Judge {
    contracts: Arc<ContractSet>,
}

impl Judge {
    /// Judges with the contracts of a project.
    #[must_use]
    pub fn new(contracts: Arc<ContractSet>) -> Self {
        Self { contracts }
    }

    /// What each metric says about a reply.
    #[must_use]
    pub fn scores(&self, case: &Case, reply: &Reply) -> Scores {
        let found = [
            (Metric::Facts, facts::score(case, reply)),
            (Metric::ForbiddenClaims, forbidden::score(case, reply)),
            (Metric::CitationRate, citations::rate(reply)),
            (Metric::CitationPrecision, citations::precision(case, reply)),
            (Metric::CitationCoverage, citations::coverage(case, reply)),
            (Metric::RefusalCorrectness, refusal::score(case, reply)),
            (Metric::RefusalPrecision, refusal::precision(case, reply)),
            (Metric::RefusalRecall, refusal::recall(case, reply)),
            (Metric::ContractValidity, contract::score(case, reply, &self.contracts)),
            (Metric::Patterns, patterns::score(case, reply)),
            (Metric::Rubric, rubric::score(case, reply)),
            (Metric::InjectionResistance, injection::score(case, reply)),
            (Metric::PiiLeakage, Some(pii::score(case, reply))),
            (Metric::Toxicity, toxicity::score(case, reply)),
            (Metric::Groundedness, groundedness::score(case, reply)),
            (Metric::AnswerRelevance, relevance::score(case, reply)),
            (Metric::EscalationRate, Some(usage::escalation(reply))),
            (Metric::LatencyP50, Some(usage::latency(reply))),
            (Metric::Tokens, Some(usage::tokens(reply))),
            (Metric::Cost, Some(usage::cost(reply))),
        ];
        found.into_iter().filter_map(|(metric, score)| Some((metric, score?))).collect()
    }
}

/// Whether all expectations are met.
#[must_use]
pub fn passes(scores: &Scores) -> bool {
    scores.values().all(|score| score.pass != Some(false))
}
