//! What is taken from an answer.

use ashlar_model::Fields;
use serde_json::Value;

use crate::config::Task;

/// Members of an answer that are no fields: which sources it cites.
pub const CITATIONS: &str = "citations";

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// What is wrong, as a sentence.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// The fields that an answer writes. It may write no others than its task.
///
/// # Errors
/// When it is no object, has no field, or has one that the task may not write.
pub fn fields(name: &str, task: &Task, answer: Value) -> Result<Fields, Unusable> {
    let unusable = |message: String, help: &str| Unusable { message, help: help.to_owned() };
    let Value::Object(mut fields) = answer else {
        let help = "let the prompt's output contract describe an object";
        return Err(unusable("The answer of the model is not an object.".to_owned(), help));
    };
    fields.remove(CITATIONS);
    if let Some(other) = fields.keys().find(|field| !task.fields.contains(*field)) {
        let shown: String = other.chars().take(80).collect();
        let help = "add it to `fields` in assist.toml, or remove it from the prompt's output contract";
        return Err(unusable(format!("The task `{name}` may not write the field `{shown}`."), help));
    }
    if fields.is_empty() {
        return Err(unusable(
            "The answer of the model has no fields.".to_owned(),
            "ask again, or correct the prompt",
        ));
    }
    Ok(fields)
}
