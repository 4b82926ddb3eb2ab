//! Contract validity.
//!
//! *Formula*: 1 when the answer is JSON that follows the contract, else 0. *Range*: 0 to 1. JSON Schema decides (draft 2020-12).

use ashlar_contracts::ContractSet;
use ashlar_gateway::output::{REPAIRS_MAX, Verdict, judge};

use super::score::Score;
use crate::{reply::Reply, suite::Case};

/// Whether an answer follows its contract. `None` when the case names none. A contract that does not exist fails the case.
pub(super) fn score(case: &Case, reply: &Reply, contracts: &ContractSet) -> Option<Score> {
    let name = case.expect.json.as_ref()?;
    let contract = name.parse().ok().and_then(|name| contracts.get(&name));
    let why = match contract {
        None => format!("The contract `{name}` does not exist."),
        Some(contract) => match judge(contract, &reply.text, REPAIRS_MAX) {
            Verdict::Valid(_) => String::new(),
            Verdict::Refuse(refusal) => format!("{} {}", refusal.message, refusal.problems.join("; ")),
            Verdict::Repair(message) => message,
        },
    };
    let pass = why.is_empty();
    Some(Score { value: f64::from(u8::from(pass)), pass: Some(pass), why })
}
