//! What an answer took: time, tokens, money, and whether a person had to help.
//!
//! Times are from sending the call to its last byte, in milliseconds; over cases, their quantiles 0.5 and 0.95. Tokens and money are those that the
//! gateway reports; over cases, their mean. The rate of escalation is the share of cases in which a person must approve a tool.

use super::score::Score;
use crate::reply::Reply;

/// The time of an answer, in milliseconds.
pub(super) fn latency(reply: &Reply) -> Score {
    Score::measured(reply.latency_ms)
}

/// Tokens of input and output.
#[expect(clippy::cast_precision_loss, reason = "tokens of one call")]
pub(super) fn tokens(reply: &Reply) -> Score {
    Score::measured(reply.input_tokens.saturating_add(reply.output_tokens) as f64)
}

/// Money, in units of the currency.
#[expect(clippy::cast_precision_loss, reason = "the cost of one call, for comparison")]
pub(super) fn cost(reply: &Reply) -> Score {
    Score::measured(reply.cost.pico() as f64 / 1e12)
}

/// Whether a person must approve.
pub(super) fn escalation(reply: &Reply) -> Score {
    Score::measured(f64::from(u8::from(reply.escalated)))
}
