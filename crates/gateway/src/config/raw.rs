//! `gateway.toml` as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

pub(super) type Named<T> = BTreeMap<Spanned<String>, T>;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    pub routes: Named<RawRoute>,
    pub prices: Vec<Spanned<RawPrice>>,
    pub features: Named<RawFeature>,
    pub tools: Named<RawTool>,
    pub budget: RawBudget,
    pub records: RawRecords,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoute {
    #[serde(default)]
    pub targets: Vec<Spanned<RawTarget>>,
    #[serde(default)]
    pub fallbacks: Vec<Spanned<String>>,
    #[serde(default)]
    pub retries: Option<Spanned<i64>>,
    #[serde(default)]
    pub context: Option<Spanned<i64>>,
    #[serde(default)]
    pub timeout: RawTimeouts,
    #[serde(default)]
    pub hedge: Option<Spanned<Number>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTarget {
    pub provider: Spanned<String>,
    pub model: Spanned<String>,
    #[serde(default)]
    pub weight: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTimeouts {
    pub connect: Option<Spanned<Number>>,
    pub first_token: Option<Spanned<Number>>,
    pub total: Option<Spanned<Number>>,
}

/// A number with or without a point.
#[derive(Deserialize, Clone, Copy)]
#[serde(untagged)]
pub(super) enum Number {
    Whole(i64),
    Real(f64),
}

impl Number {
    pub fn value(self) -> f64 {
        match self {
            Self::Whole(n) => n as f64,
            Self::Real(n) => n,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrice {
    pub model: Spanned<String>,
    pub from: Spanned<Day>,
    pub currency: Spanned<String>,
    pub input: Spanned<String>,
    pub cached_input: Option<Spanned<String>>,
    pub cache_write: Option<Spanned<String>>,
    pub output: Spanned<String>,
}

/// A day, with or without quotes.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Day {
    Date(toml::value::Datetime),
    Text(String),
}

impl Day {
    pub fn text(&self) -> String {
        match self {
            Self::Date(date) => date.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawFeature {
    pub routes: Option<Vec<Spanned<String>>>,
    pub prompts: Option<Vec<Spanned<String>>>,
    pub indexes: Option<Vec<Spanned<String>>>,
    pub tools: Vec<Spanned<String>>,
    pub tool_rounds: Option<Spanned<i64>>,
    pub requests_per_minute: Option<Spanned<i64>>,
    pub tokens_per_minute: Option<Spanned<i64>>,
    pub budget: RawBudget,
    pub per_key: RawLimits,
    pub per_user: RawLimits,
    pub redact: RawRedact,
    pub text: RawText,
    pub cache: RawCache,
    pub filter: RawFilter,
    pub review: Option<Spanned<RawReview>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLimits {
    pub requests_per_minute: Option<Spanned<i64>>,
    pub tokens_per_minute: Option<Spanned<i64>>,
    pub budget: RawBudget,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawBudget {
    pub day: Option<Spanned<String>>,
    pub month: Option<Spanned<String>>,
    pub tokens_day: Option<Spanned<i64>>,
    pub tokens_month: Option<Spanned<i64>>,
    pub soft: Option<Spanned<Number>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRedact {
    pub sending: Option<Spanned<RawKinds>>,
    pub logging: Option<Spanned<RawKinds>>,
}

/// `"all"`, `"none"` or a list of kinds.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum RawKinds {
    Word(String),
    List(Vec<String>),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawText {
    pub keep_days: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCache {
    pub exact_seconds: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawFilter {
    pub secrets: Option<Spanned<String>>,
    pub system_prompt: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawReview {
    pub share: Option<Spanned<Number>>,
    pub low_confidence: Option<RawLowConfidence>,
    pub high_risk: Option<Spanned<RawHighRisk>>,
    pub reviewers: Option<Spanned<i64>>,
    pub keep_days: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLowConfidence {
    pub below: Option<Spanned<Number>>,
    pub share: Option<Spanned<Number>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHighRisk {
    pub effects: bool,
    pub indexes: Vec<Spanned<String>>,
    pub prompts: Vec<Spanned<String>>,
    pub share: Option<Spanned<Number>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRecords {
    pub keep_days: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTool {
    pub description: Spanned<String>,
    pub server: Spanned<String>,
    #[serde(default)]
    pub kind: Option<Spanned<String>>,
    #[serde(default)]
    pub method: Option<Spanned<String>>,
    #[serde(default)]
    pub path: Option<Spanned<String>>,
    #[serde(default)]
    pub tool: Option<Spanned<String>>,
    pub input: Spanned<RawInput>,
    #[serde(default)]
    pub bind: Named<Spanned<String>>,
    #[serde(default)]
    pub headers: Named<Spanned<String>>,
    #[serde(default)]
    pub timeout: Option<Spanned<Number>>,
    #[serde(default)]
    pub result_bytes: Option<Spanned<i64>>,
    #[serde(default)]
    pub effects: bool,
}

/// The name of a contract, or a schema.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum RawInput {
    Name(String),
    Schema(serde_json::Map<String, serde_json::Value>),
}
