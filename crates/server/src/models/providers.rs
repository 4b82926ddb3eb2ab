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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::models::settings::Settings;

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(Path::new("/etc/ashlar/models.toml"), text).map_err(|e| e.to_string())
    }

    #[test]
    fn providers_are_read() {
        let read = parse(
            "[providers.openai]\nkind = 'openai'\nkey_file = 'openai.key'\nprobe_seconds = 30\n\
             [providers.claude]\nkind = 'anthropic'\nkey_env = 'CLAUDE'\n\
             [providers.ours]\nkind = 'azure'\nurl = 'https://ours.openai.azure.com'\napi_version = '2024-10-21'\n\
             [providers.near]\nkind = 'openai'\nurl = 'http://10.0.0.7:8000/v1'\nprivate = true\ntenants = ['main', 'shop']\n",
        )
        .unwrap();
        let [claude, near, openai, ours] =
            ["claude", "near", "openai", "ours"].map(|name| read.providers[name].clone());
        assert_eq!((openai.kind, openai.url.as_str()), (Kind::OpenAi, OPENAI));
        assert_eq!(openai.key, KeySource::File("/etc/ashlar/openai.key".into()), "beside the file");
        assert_eq!((openai.probe_every, claude.probe_every), (Some(Duration::from_secs(30)), None));
        assert_eq!((claude.url.as_str(), &claude.key), (ANTHROPIC, &KeySource::Env("CLAUDE".to_owned())));
        assert_eq!((ours.kind, ours.api_version.as_deref()), (Kind::Azure, Some("2024-10-21")));
        assert!(near.private && near.key == KeySource::None && !ours.private);
        assert_eq!(near.tenants.iter().map(TenantId::as_str).collect::<Vec<_>>(), ["main", "shop"]);
        assert_eq!(openai.tenants, [TenantId::main()]);
    }

    /// Each mistake with the file, its line, and what to write instead.
    #[test]
    fn every_mistake_is_named_with_its_line() {
        let openai = |rest: &str| format!("\n[providers.p]\nkind = 'openai'\n{rest}\n");
        for (text, line, says, help) in [
            ("[providers.p]\nurl = 'https://e.com'\n".to_owned(), 1, "missing field `kind`", ""),
            ("[providers.p]\nkind = 'opnai'\n".to_owned(), 2, "kind = \"opnai\"", "write \"openai\""),
            ("[providers.p]\nkind = 3\n".to_owned(), 2, "invalid type: integer", "expected a string"),
            (
                "[providers.ashlar]\nkind = 'openai'\n".to_owned(),
                1,
                "`ashlar` cannot name",
                "the built-in one",
            ),
            ("[providers.'a b']\nkind = 'openai'\n".to_owned(), 1, "`a b` cannot name", "write letters"),
            ("\n[providers.p]\nkind = 'azure'\n".to_owned(), 2, "no `url`", "https://NAME.openai.azure.com"),
            (openai("url = 'no address'"), 4, "`url` is not an address", ""),
            (openai("url = 'https://user:secret@e.com/v1'"), 4, "without a name and a password", "key_file"),
            (openai("url = 'http://e.com/v1'"), 4, "does not begin with https://", "private = true"),
            (openai("url = 'https://10.0.0.7/v1'"), 4, "leads into a private network", "private = true"),
            (openai("key_env = 'A'\nkey_file = 'b'"), 2, "key_env and key_file", "write one of them"),
            (openai("key = 'sk-1'"), 4, "unknown field `key`", "`key_file`"),
            (openai("tenants = ['Not A Tenant']"), 4, "Not A Tenant", ""),
            (openai("api_version = '2024/10'"), 4, "`api_version` is a date", "2024-10-21"),
            (openai("probe_seconds = 1"), 4, "probe_seconds = 1", "from 5 to 3600"),
            (openai("probe_seconds = -30"), 4, "probe_seconds = -30", "from 5 to 3600"),
            (openai("probe_seconds = 4000"), 4, "probe_seconds = 4000", "from 5 to 3600"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.starts_with(&format!("/etc/ashlar/models.toml:{line}: ")), "{text}: {error}");
            assert!(error.contains(says) && error.contains(help), "{text}: {error}");
            assert!(
                !error.contains("secret") && !error.contains("sk-1"),
                "credentials are not repeated: {error}"
            );
        }
        let many = (0..40).fold(String::new(), |all, n| format!("{all}[providers.p{n}]\nkind = 'openai'\n"));
        assert!(parse(&many).unwrap_err().contains("more than 32"));
    }
}
