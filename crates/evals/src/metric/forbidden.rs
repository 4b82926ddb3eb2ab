//! Forbidden claims.
//!
//! *Formula*: 1 when the answer says one of the wordings that the case forbids, else 0; over cases, their share. *Range*: 0 to 1, lower is better.

use super::{
    score::Score,
    wording::{plain, says},
};
use crate::{reply::Reply, suite::Case};

/// Whether an answer says what it must not say. `None` when the case forbids nothing.
pub(super) fn score(case: &Case, reply: &Reply) -> Option<Score> {
    if case.expect.not.is_empty() {
        return None;
    }
    let text = plain(&reply.text);
    let said: Vec<String> =
        case.expect.not.iter().filter(|claim| says(&text, claim)).map(|claim| format!("“{claim}”")).collect();
    Some(Score {
        value: if said.is_empty() { 0.0 } else { 1.0 },
        pass: Some(said.is_empty()),
        why: match said.is_empty() {
            true => String::new(),
            false => format!("The answer says {}, which the case forbids.", said.join(" and ")),
        },
    })
}
