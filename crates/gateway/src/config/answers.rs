//! What becomes of answers: which are given again, and what must not leave.

use std::time::Duration;

use ashlar_model::did_you_mean;
use toml::Spanned;

use super::{
    raw::{RawCache, RawFilter},
    read::Reading,
};

/// For how long an answer is given again at most, in seconds.
pub const CACHE_SECONDS_MAX: u64 = 7 * 86_400;

/// Which answers of a feature are given again. The default is none.
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

impl Reading<'_> {
    pub(super) fn cache(&mut self, raw: &RawCache) -> CacheRules {
        let exact = raw
            .exact_seconds
            .as_ref()
            .map(|seconds| Duration::from_secs(self.whole("exact_seconds", seconds, 1, CACHE_SECONDS_MAX)));
        CacheRules { exact }
    }

    pub(super) fn filter(&mut self, raw: &RawFilter) -> FilterRules {
        FilterRules {
            secrets: match self.word("secrets", raw.secrets.as_ref(), &["refuse", "mask", "off"]) {
                Some("refuse") => Some(OnSecret::Refuse),
                Some("mask") => Some(OnSecret::Mask),
                _ => None,
            },
            system_prompt: self.word("system_prompt", raw.system_prompt.as_ref(), &["refuse", "off"])
                == Some("refuse"),
        }
    }

    /// One of these words.
    fn word<'w>(
        &mut self,
        name: &str,
        value: Option<&Spanned<String>>,
        words: &[&'w str],
    ) -> Option<&'w str> {
        let value = value?;
        let known = words.iter().find(|word| *word == value.get_ref()).copied();
        if known.is_none() {
            let shown: String = value.get_ref().chars().take(80).collect();
            let help = format!("write {}", words.join(", "));
            let help = did_you_mean(&shown, words.iter().copied(), help);
            self.wrong(&value.span(), format!("`{name} = \"{shown}\"` is not possible."), help);
        }
        known
    }
}
