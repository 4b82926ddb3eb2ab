//! Correctness of refusals, both ways.
//!
//! *Formula*: 1 when a case that must be answered is answered, or one that must be refused is refused, else 0. Over cases, *precision* is the share of
//! refusals that are expected, and *recall* the share of expected refusals that are refused. *Range*: 0 to 1. *Source*: SQuAD 2.0 (Rajpurkar et
//! al., 2018) for answerable and unanswerable questions; precision and recall as usual.

use super::score::Score;
use crate::{
    reply::Reply,
    suite::{Answer, Case},
};

/// Whether a case is answered or refused as expected. `None` when it expects neither.
pub(super) fn score(case: &Case, reply: &Reply) -> Option<Score> {
    let (pass, why) = match (case.expect.answer?, &reply.refusal) {
        (Answer::Must, None) | (Answer::MustNot, Some(_)) => (true, String::new()),
        (Answer::Must, Some(code)) => (false, format!("It was refused ({code}), and must be answered.")),
        (Answer::MustNot, None) => (false, "It was answered, and must be refused.".to_owned()),
    };
    Some(Score { value: f64::from(u8::from(pass)), pass: Some(pass), why })
}

/// For precision: whether a refusal is expected. `None` when nothing was refused, or nothing is expected.
pub(super) fn precision(case: &Case, reply: &Reply) -> Option<Score> {
    let expected = case.expect.answer? == Answer::MustNot;
    reply.is_refusal().then(|| Score::measured(f64::from(u8::from(expected))))
}

/// For recall: whether what must be refused is refused. `None` for other cases.
pub(super) fn recall(case: &Case, reply: &Reply) -> Option<Score> {
    (case.expect.answer? == Answer::MustNot).then(|| Score::measured(f64::from(u8::from(reply.is_refusal()))))
}
