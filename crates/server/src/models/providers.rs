//! `[providers.NAME]`: where calls of models may go.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use ashlar_gateway::{
    config::BUILT_IN,
    upstream::{KeySource, Kind},
};
use ashlar_model::TenantId;
use serde::Deserialize;
use toml::Spanned;

use super::reading::{Reading, SettingsError};

/// The addresses of providers that are public services.
const OPENAI: &str = "https://api.openai.com/v1";
const ANTHROPIC: &str = "https://api.anthropic.com";
/// How often a provider can be asked whether it answers, in seconds.
const PROBE_SECONDS: RangeInclusive<u64> = 5..=3_600;

/// A provider as the file describes it.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    pub kind: Kind,
    pub url: String,
    pub key: KeySource,
    /// It may be inside the server's own networks.
    pub private: bool,
    pub tenants: Vec<TenantId>,
    pub api_version: Option<String>,
    /// How often it is asked whether it answers.
    pub probe_every: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProvider {
    kind: Spanned<String>,
    url: Option<Spanned<String>>,
    key_env: Option<String>,
    key_file: Option<PathBuf>,
    #[serde(default)]
    private: bool,
    tenants: Option<Vec<Spanned<String>>>,
    api_version: Option<Spanned<String>>,
    probe_seconds: Option<Spanned<i64>>,
}

impl RawProvider {
    pub(super) fn read(
        self,
        reading: &Reading<'_>,
        name: &Spanned<String>,
    ) -> Result<ProviderSettings, SettingsError> {
        let at = name.span().start;
        let shown = name.get_ref();
        let fits = (1..=60).contains(&shown.len())
            && shown.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !fits || shown == BUILT_IN {
            let message = format!(
                "`{shown}` cannot name a provider: write letters, digits, `-`, `_` and `.`; `{BUILT_IN}` is the built-in one"
            );
            return Err(reading.wrong(at, message));
        }
        let kind = match self.kind.get_ref().as_str() {
            "openai" => Kind::OpenAi,
            "anthropic" => Kind::Anthropic,
            "azure" => Kind::Azure,
            other => {
                let message = format!(
                    "kind = \"{other}\": write \"openai\" (for everything that speaks its format), \"anthropic\" or \"azure\""
                );
                return Err(reading.wrong(self.kind.span().start, message));
            }
        };
        let url = match (self.url, kind) {
            (Some(url), _) => reading.url(url, self.private)?,
            (None, Kind::OpenAi) => OPENAI.to_owned(),
            (None, Kind::Anthropic) => ANTHROPIC.to_owned(),
            (None, Kind::Azure) => {
                return Err(reading.wrong(
                    at,
                    "no `url`: add the address of the resource, such as https://NAME.openai.azure.com",
                ));
            }
        };
        let key = reading.source(at, self.key_env, self.key_file)?;
        let tenants = reading.tenants(self.tenants)?;
        if let Some(version) = &self.api_version
            && !version.get_ref().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        {
            return Err(reading.wrong(version.span().start, "`api_version` is a date such as \"2024-10-21\""));
        }
        let probe_every = self.probe_seconds.map(|given| {
            let seconds = u64::try_from(*given.get_ref()).ok().filter(|n| PROBE_SECONDS.contains(n));
            seconds.map(Duration::from_secs).ok_or_else(|| {
                let (least, most) = (PROBE_SECONDS.start(), PROBE_SECONDS.end());
                let message =
                    format!("probe_seconds = {}: write a number from {least} to {most}", given.get_ref());
                reading.wrong(given.span().start, message)
            })
        });
        Ok(ProviderSettings {
            kind,
            url,
            key,
            private: self.private,
            tenants,
            api_version: self.api_version.map(Spanned::into_inner),
            probe_every: probe_every.transpose()?,
        })
    }
}
