//! Rubrics.
//!
//! *Formula*: 1 when a judge says twice, with the texts in both orders, that the answer meets the rubric; else 0. *Range*: 0 or 1. *Source*: a model as
//! judge with swapped positions, Zheng et al., "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena" (2023).

use super::score::Score;
use crate::{reply::Reply, suite::Case, verdict::Verdict};

/// What the judge says. `None` when the case has no rubric, or when nobody judged and something else decides about the case.
pub(super) fn score(case: &Case, reply: &Reply) -> Option<Score> {
    case.expect.rubric.as_ref()?;
    let failed = |why: String| Score { value: 0.0, pass: Some(false), why };
    let Some(judgement) = &reply.judgement else {
        return case.expect.is_only_rubric().then(|| failed("Nobody judged by the rubric.".to_owned()));
    };
    Some(match &judgement.verdict {
        Ok(Verdict::Pass) => Score { value: 1.0, pass: Some(true), why: String::new() },
        Ok(Verdict::Fail) => failed(format!("The judge says that the answer fails: {}", judgement.reason)),
        Err(none) => failed(none.to_string()),
    })
}
