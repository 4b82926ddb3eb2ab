//! Groundedness: how much of the answer its sources support.
//!
//! *Formula*: Σ over claiming sentences of words × support ÷ Σ of words, where a sentence below the least support counts 0. A sentence is compared with
//! the sources that it cites, or with all. *Range*: 0 to 1. The comparison is lexical and reuses `ashlar_gateway::ground`.

use ashlar_gateway::{
    ground::{self, Demand},
    prompts::Rule,
};

use super::score::Score;
use crate::{reply::Reply, suite::Case};

/// How much of an answer is supported. `None` in a refusal, and without sources to compare with. Sources that come without their text leave it to
/// what the gateway found.
pub(super) fn score(case: &Case, reply: &Reply) -> Option<Score> {
    if reply.is_refusal() || reply.text.is_empty() {
        return None;
    }
    let sources = reply.grounds(&case.context);
    if sources.is_empty() || sources.iter().any(|source| source.text.trim().is_empty()) {
        return reply.groundedness.map(Score::measured);
    }
    let locale = case.locale.as_deref().unwrap_or("en");
    let demand = Demand { rule: Rule::Drop, citations: false, locale };
    let found = ground::check(&reply.text, &sources, demand);
    let unsupported = found.sentences.iter().filter(|sentence| !sentence.is_supported());
    let shown: Vec<String> = unsupported
        .take(3)
        .filter_map(|sentence| reply.text.get(sentence.range.clone()))
        .map(|text| format!("“{}”", text.chars().take(120).collect::<String>().trim()))
        .collect();
    let why = match shown.is_empty() {
        true => String::new(),
        false => format!("No source supports {}.", shown.join(" and ")),
    };
    Some(Score { value: f64::from(found.groundedness), pass: None, why })
}
