//! From the file to rules about answers.

use std::time::Duration;

use ashlar_model::did_you_mean;
use toml::Spanned;

use super::{
    answers::{CACHE_SECONDS_MAX, CacheRules, FilterRules, OnSecret},
    raw::{RawCache, RawFilter},
    read::Reading,
};

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
