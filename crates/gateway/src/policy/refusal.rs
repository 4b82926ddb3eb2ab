//! Why a call may not begin.

use std::{fmt, time::Duration};

use crate::{budget::Held, price::decimal};

/// The policy that refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The feature does not exist.
    FeatureUnknown,
    /// The feature may not use the route, or the route does not exist.
    RouteNotAllowed,
    /// The feature may not use the prompt.
    PromptNotAllowed,
    /// Too many requests or tokens per minute.
    RateLimited,
    /// A budget does not have what the call can use.
    BudgetExceeded,
    /// A budget cannot be asked.
    BudgetUnavailable,
    /// A model has no price, and money is limited.
    PriceMissing,
}

impl Code {
    /// As it appears in answers and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FeatureUnknown => "feature_unknown",
            Self::RouteNotAllowed => "route_not_allowed",
            Self::PromptNotAllowed => "prompt_not_allowed",
            Self::RateLimited => "rate_limited",
            Self::BudgetExceeded => "budget_exceeded",
            Self::BudgetUnavailable => "budget_unavailable",
            Self::PriceMissing => "price_missing",
        }
    }

    /// The status of HTTP.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::FeatureUnknown | Self::RouteNotAllowed | Self::PromptNotAllowed | Self::PriceMissing => 403,
            Self::RateLimited | Self::BudgetExceeded => 429,
            Self::BudgetUnavailable => 503,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a call may not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The policy that refused.
    pub code: Code,
    /// What is wrong and what to do, as sentences.
    pub message: String,
    /// When to try again, if that may help.
    pub retry_after: Option<Duration>,
}

fn whose(kind: &str, feature: &str) -> String {
    match kind {
        "tenant" => "the tenant".to_owned(),
        "key" => format!("this key for the feature `{feature}`"),
        "user" => format!("this user for the feature `{feature}`"),
        _ => format!("the feature `{feature}`"),
    }
}

impl Refusal {
    pub(crate) fn denied(code: Code, what: String, help: &str) -> Self {
        Self { code, message: format!("{what}; {help}."), retry_after: None }
    }

    pub(crate) fn rate(kind: &str, feature: &str, (what, per_minute): (&str, u64), wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let wait = Duration::from_secs(seconds.max(1));
        let message = format!(
            "The limit of {per_minute} {what} per minute of {} is reached; try again in {} s.",
            whose(kind, feature),
            wait.as_secs()
        );
        Self { code: Code::RateLimited, message, retry_after: Some(wait) }
    }

    pub(crate) fn exceeded(held: &Held<'_>, left: Duration) -> Self {
        let amount = |amount: u64| match held.unit.strip_prefix("money/") {
            Some(currency) => format!("{} {currency}", decimal(u128::from(amount))),
            None => format!("{amount} tokens"),
        };
        let per = if held.period.len() == 7 { "month" } else { "day" };
        let message = format!(
            "The budget of {} per {per} of {} does not have the {} that this call can use; lower the maximum of output tokens, or wait until {} ends.",
            amount(held.limit),
            whose(held.kind, held.feature),
            amount(held.amount),
            held.period
        );
        Self { code: Code::BudgetExceeded, message, retry_after: Some(left) }
    }

    pub(crate) fn unavailable() -> Self {
        let message =
            "The budget cannot be asked just now, so the call is refused; try again soon.".to_owned();
        Self { code: Code::BudgetUnavailable, message, retry_after: Some(Duration::from_secs(1)) }
    }
}
