//! `NAME.toml` as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::types::Demand;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    #[serde(default)]
    pub description: String,
    pub owner: Spanned<String>,
    pub feature: Spanned<String>,
    #[serde(default)]
    pub prompt: Option<Spanned<String>>,
    #[serde(default)]
    pub variable: Option<Spanned<String>>,
    #[serde(default)]
    pub route: Option<Spanned<String>>,
    #[serde(default)]
    pub locale: Option<Spanned<String>>,
    #[serde(default)]
    pub metrics: Vec<Spanned<String>>,
    #[serde(default)]
    pub samples: Option<Spanned<i64>>,
    #[serde(default)]
    pub schedule: Option<Spanned<String>>,
    #[serde(default)]
    pub caps: RawCaps,
    #[serde(default)]
    pub gate: RawGate,
    #[serde(default)]
    pub judge: Option<RawJudge>,
    #[serde(default)]
    pub thresholds: BTreeMap<Spanned<String>, Spanned<RawBound>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCaps {
    pub cost: Option<Spanned<String>>,
    pub seconds: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawJudge {
    pub route: Spanned<String>,
    #[serde(default)]
    pub feature: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawGate {
    pub definitions: Option<Demand>,
    pub content: Option<Demand>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawBound {
    pub min: Option<Number>,
    pub max: Option<Number>,
}

/// A number with or without a point.
#[derive(Deserialize, Clone, Copy)]
#[serde(untagged)]
pub(super) enum Number {
    Whole(i64),
    Real(f64),
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "bounds of figures are small")]
    pub fn get(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}
