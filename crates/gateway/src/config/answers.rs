//! What becomes of answers: which are given again, and what must not leave.

use std::time::Duration;

/// For how long an answer is given again at most, in seconds.
pub const CACHE_SECONDS_MAX: u64 = 7 * 86_400;

/// Which answers of a feature are given again. Without settings, no answer is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CacheRules {
    /// For how long an answer is given to calls that are equal.
    pub exact: Option<Duration>,
}

/// What happens to an answer with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSecret {
    /// It is refused.
    Refuse,
    /// The secret is left out.
    Mask,
}

/// What must not leave in an answer. The default is that everything may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FilterRules {
    /// Secrets.
    pub secrets: Option<OnSecret>,
    /// Whether an answer that repeats the system prompt is refused.
    pub system_prompt: bool,
}
