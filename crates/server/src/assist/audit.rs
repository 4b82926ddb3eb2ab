//! The audit log, summarised: a text whose sentences are compared with the entries of the log.

use ashlar_gateway::{
    ground::{Demand, Source, check},
    prompts::Rule,
};
use ashlar_release::AuditRow;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// The most characters of the data of an entry that are shown.
const DATA_MAX: usize = 300;

/// An entry of the audit log that a summary cites.
#[derive(Serialize, JsonSchema)]
pub struct CitedAudit {
    /// Its place in the log.
    sequence: u64,
    /// When, RFC 3339.
    at: String,
    /// Who.
    actor: String,
    /// What was done.
    action: String,
    /// To what.
    subject: String,
}

/// An entry as a model is shown it.
pub fn line(row: &AuditRow) -> String {
    let data: String = row.data.to_string().chars().take(DATA_MAX).collect();
    format!("[{}] {} {} {} {} {data}", row.sequence, row.at, row.actor, row.action_name, row.subject)
}

/// A summary with what it cites.
pub struct Summary {
    pub text: String,
    pub cited: Vec<CitedAudit>,
    /// Sentences that no shown entry says.
    pub unsupported: Vec<String>,
}

/// Reads the answer of a model: `text`, and in `cited` the places of entries.
///
/// # Errors
/// When it has no text, or cites an entry that was not shown.
pub fn summary(answer: &Value, rows: &[AuditRow], locale: &str) -> Result<Summary, String> {
    let text = answer["text"].as_str().ok_or("the answer has no `text`")?.to_owned();
    let mut cited = Vec::new();
    for number in answer["cited"].as_array().into_iter().flatten() {
        let row = rows.iter().find(|row| Some(row.sequence) == number.as_u64());
        let row =
            row.ok_or_else(|| format!("the answer cites the entry {number}, which it was not shown"))?;
        cited.push(CitedAudit {
            sequence: row.sequence,
            at: row.at.clone(),
            actor: row.actor.clone(),
            action: row.action_name.clone(),
            subject: row.subject.clone(),
        });
    }
    if cited.is_empty() {
        return Err("the answer cites no entry of the log".to_owned());
    }
    let of_cited = rows.iter().filter(|row| cited.iter().any(|cited| cited.sequence == row.sequence));
    let sources: Vec<Source> = of_cited.map(|row| Source { text: line(row), ..Source::default() }).collect();
    let grounded = check(&text, &sources, Demand { rule: Rule::Drop, citations: false, locale });
    let unsupported = grounded.sentences.iter().filter(|sentence| !sentence.is_supported());
    let unsupported = unsupported
        .map(|sentence| text.get(sentence.range.clone()).unwrap_or_default().trim().to_owned())
        .collect();
    Ok(Summary { text, cited, unsupported })
}
