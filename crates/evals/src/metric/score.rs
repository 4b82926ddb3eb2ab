//! What a metric says about a reply.

use serde::{Deserialize, Serialize};

/// What a metric says about a reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The value, in the unit of the metric. Shares are from 0 to 1.
    pub value: f64,
    /// Whether the expectation of the case is met; `None` when the metric only measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<bool>,
    /// What was found, as a sentence; empty when all is well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl Score {
    /// A value that only measures.
    #[must_use]
    pub fn measured(value: f64) -> Self {
        Self { value, pass: None, why: String::new() }
    }

    /// A share that passes when it is whole.
    #[must_use]
    pub fn share(found: usize, of: usize, why: impl Into<String>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts of expectations")]
        let value = if of == 0 { 1.0 } else { found as f64 / of as f64 };
        let pass = found == of;
        Self { value, pass: Some(pass), why: if pass { String::new() } else { why.into() } }
    }
}
