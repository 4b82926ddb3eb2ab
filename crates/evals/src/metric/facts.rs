//! Expected facts.
//!
//! *Formula*: facts that the answer says ÷ facts that the case expects. A fact is said when one of its wordings occurs as whole words. *Range*: 0
//! to 1. *Source*: answer recall by string inclusion, as in "nugget" evaluation of TREC QA (Voorhees, 2003).

use super::{
    score::Score,
    wording::{plain, says},
};
use crate::{reply::Reply, suite::Case};

/// Which expected facts an answer says. `None` when the case expects no facts.
pub(super) fn score(case: &Case, reply: &Reply) -> Option<Score> {
    let facts = &case.expect.facts;
    if facts.is_empty() {
        return None;
    }
    let text = plain(&reply.text);
    let missing: Vec<String> = facts
        .iter()
        .filter(|wordings| !wordings.iter().any(|wording| says(&text, wording)))
        .filter_map(|wordings| wordings.first().map(|first| format!("“{first}”")))
        .collect();
    let why = format!("The answer does not say {}.", missing.join(" and "));
    Some(Score::share(facts.len() - missing.len(), facts.len(), why))
}
