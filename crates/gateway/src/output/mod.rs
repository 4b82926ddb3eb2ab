//! Output contracts: JSON from the text of a model, judged against a contract, repaired once, or refused.

mod extract;
mod schema;

use ashlar_contracts::{Contract, Violation};
use serde::Serialize;
use serde_json::Value;

pub use self::{
    extract::json_of,
    schema::{anthropic_tool, json_schema, openai_format},
};

/// The longest text of a model that is read as JSON, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// How often a model may try again.
pub const REPAIRS_MAX: u32 = 1;
/// Problems that are reported to a model.
const REPORTED_MAX: usize = 20;

/// Why an output is not shown. The codes are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// `output_not_json` or `output_invalid`.
    pub code: &'static str,
    /// Why, as a sentence.
    pub message: String,
    /// What is wrong, each with its place.
    pub problems: Vec<String>,
}

/// What is to be done with an output.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It follows the contract.
    Valid(Value),
    /// The model is asked again: its answer and this message of the user are added to the call.
    Repair(String),
    /// It does not follow the contract, and the model had its second chance.
    Refuse(Refusal),
}

/// Judges what a model said. `repairs`: how often it was asked again.
#[must_use]
pub fn judge(contract: &Contract, text: &str, repairs: u32) -> Verdict {
    let (code, message, problems) = match json_of(text) {
        Err(why) => ("output_not_json", format!("The model did not answer with JSON: {why}."), vec![why]),
        Ok(value) => {
            let violations = contract.validate(&value);
            if violations.is_empty() {
                return Verdict::Valid(value);
            }
            let count = violations.len();
            let problems: Vec<String> = violations.iter().take(REPORTED_MAX).map(reported).collect();
            let message = format!(
                "The answer of the model does not follow {}: {count} {}.",
                contract.name,
                if count == 1 { "problem" } else { "problems" }
            );
            ("output_invalid", message, problems)
        }
    };
    if repairs >= REPAIRS_MAX {
        return Verdict::Refuse(Refusal { code, message, problems });
    }
    Verdict::Repair(asked(&problems))
}

fn reported(violation: &Violation) -> String {
    let place = if violation.path.is_empty() { "/" } else { &violation.path };
    let text: String = violation.message.chars().take(300).collect();
    format!("{place}: {text}")
}

/// What is sent to the model, so that it can do better.
fn asked(problems: &[String]) -> String {
    let list: Vec<String> = problems.iter().map(|problem| format!("- {problem}")).collect();
    format!(
        "Your last answer cannot be used:\n{}\nAnswer again with one JSON value that follows the schema, and nothing else.",
        list.join("\n")
    )
}

#[cfg(test)]
mod tests;
