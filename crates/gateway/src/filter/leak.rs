//! What must not leave.

use crate::wire::{Fault, FaultKind};

/// So many words of the system prompt in their order are too many.
pub const LEAK_WORDS: usize = 16;

/// What an answer contains that must not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leak {
    /// A secret.
    Secret,
    /// A long part of the system prompt.
    SystemPrompt,
}

impl Leak {
    /// What the record says.
    #[must_use]
    pub const fn verdict(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::SystemPrompt => "system_prompt",
        }
    }
}

impl From<Leak> for Fault {
    fn from(leak: Leak) -> Self {
        let (code, what) = match leak {
            Leak::Secret => ("output_secret", "contains a secret".to_owned()),
            Leak::SystemPrompt => {
                ("output_system_prompt", format!("repeats {LEAK_WORDS} words or more of the system prompt"))
            }
        };
        let message = format!("the answer of the model {what}, and the filter of the feature refuses that");
        Self::new(FaultKind::Refused, code, message)
    }
}
