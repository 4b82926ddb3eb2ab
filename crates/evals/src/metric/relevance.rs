//! Relevance of the answer.
//!
//! *Formula*: terms of the question that occur in the answer or in the titles of the sources that it cites ÷ terms of the question. Terms are stemmed,
//! without stop words. *Range*: 0 to 1. A lexical form of answer relevance (Es et al., RAGAS, 2023), which needs no model; it cannot see synonyms,
//! so compare it between runs and do not read it by itself.

use std::collections::BTreeSet;

use ashlar_retrieval::text::Analyzer;

use super::score::Score;
use crate::{reply::Reply, suite::Case};

/// How much of the question an answer takes up. `None` in a refusal, and for a question without terms.
#[expect(clippy::cast_precision_loss, reason = "counts of words")]
pub(super) fn score(case: &Case, reply: &Reply) -> Option<Score> {
    if reply.is_refusal() {
        return None;
    }
    let analyzer = Analyzer::for_locale(case.locale.as_deref().unwrap_or("en"));
    let asked: BTreeSet<String> = analyzer.list(&case.question()).into_iter().collect();
    if asked.is_empty() {
        return None;
    }
    let mut said: BTreeSet<String> = analyzer.list(&reply.text).into_iter().collect();
    let cited = reply.cited.iter().filter_map(|number| reply.sources.get(number.checked_sub(1)?));
    cited.for_each(|source| said.extend(analyzer.list(&source.title)));
    Some(Score::measured(asked.intersection(&said).count() as f64 / asked.len() as f64))
}
