use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{ChannelName, Locale, Network, Origin, TenantId, nearest_in_message};

/// `ashlar.toml`: what a project says about itself. Unknown keys are errors, so that a typo is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectConfig {
    /// The project's name, for people.
    pub name: String,
    /// Languages and their fallbacks.
    #[serde(default)]
    pub locales: LocaleConfig,
    /// Channels and which of them is public.
    #[serde(default)]
    pub channels: ChannelConfig,
    /// How strict the gates are.
    #[serde(default)]
    pub gates: GateConfig,
    /// What `ashlar serve` listens on and allows.
    #[serde(default)]
    pub server: ServerConfig,
    /// Where its pages are, and its feeds.
    #[serde(default, skip_serializing_if = "SiteConfig::is_default")]
    pub site: SiteConfig,
    /// Which tenant these definitions belong to.
    #[serde(default)]
    pub tenant: TenantConfig,
}

/// `[locales]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocaleConfig {
    /// The locale used when a request names none.
    pub default: Locale,
    /// All locales, the default among them; empty means only the default.
    #[serde(default)]
    pub supported: Vec<Locale>,
    /// Locale → the locales tried after it, in order. A supported locale that is absent here falls back to the default.
    #[serde(default)]
    pub fallback: BTreeMap<Locale, Vec<Locale>>,
}

/// `[channels]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelConfig {
    /// All channels.
    pub names: Vec<ChannelName>,
    /// The channel that is read without a key, and that drafts are compared with.
    pub public: ChannelName,
}

/// `[gates]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateConfig {
    /// The compatibility a changed contract must keep: `backward`, `forward` or `full`.
    pub compatibility: Compatibility,
    /// Whether compatibility is judged against every earlier release, not only the last.
    pub transitive: bool,
    /// Declared lenient: an optional property may be added to an open content model.
    pub lenient_open_models: bool,
    /// Path prefixes that Markdown may link to although no entry has a route there (`/blog/`, `/assets/`).
    pub links_ignored: Vec<String>,
}

/// The direction of compatibility that is demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Compatibility {
    /// Every value valid under the old version is valid under the new.
    #[default]
    Backward,
    /// Every value valid under the new version is valid under the old.
    Forward,
    /// Both.
    Full,
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address and port.
    pub listen: String,
    /// The largest request body of the management API, in bytes.
    pub body_bytes_max: usize,
    /// The largest uploaded release, in bytes.
    pub upload_bytes_max: u64,
    /// How long a request may take, in seconds.
    pub request_seconds_max: u64,
    /// How long a stop may take, from the signal to the end of the process, in seconds.
    pub shutdown_seconds_max: u64,
    /// Requests per second and key (or address, without a key) on the management API.
    pub requests_per_second_max: u32,
    /// Requests with an unknown key, per second and address. 0 means no limit.
    pub failed_keys_per_second_max: u32,
    /// Public reads without a key, per second and address. 0 means no limit.
    pub reads_per_second_max: u32,
    /// Open connections. Lower when the process may open few files.
    pub connections_max: usize,
    /// Open connections per address. 0 means no limit.
    pub connections_per_address_max: usize,
    /// How long the head of a request, or the preface of HTTP/2, may take after its first byte, in seconds.
    pub head_seconds_max: u64,
    /// How long a connection may stay open without a request, in seconds.
    pub idle_seconds_max: u64,
    /// How long the body of a request may make no progress, in seconds.
    pub body_stall_seconds_max: u64,
    /// How long a client may accept nothing of an answer, in seconds.
    pub write_stall_seconds_max: u64,
    /// Bytes of answers that clients have not read yet, in the whole process.
    pub answer_bytes_max: usize,
    /// Bytes of answers that clients have not read yet, per HTTP/2 connection.
    pub answer_bytes_per_connection_max: usize,
    /// Clients that follow `/v1/changes`.
    pub streams_max: usize,
    /// Streams of `/v1/changes` per key (or address, without a key).
    pub streams_per_client_max: usize,
    /// Whether webhooks may be sent without TLS and into private networks.
    pub webhooks_to_private: bool,
    /// The proxies whose `X-Forwarded-*` and `Forwarded` headers are believed, as addresses or networks (`10.0.0.0/8`).
    pub trusted_proxies: Vec<Network>,
    /// Origins whose pages may use a key or the management API. Pages from everywhere may read what needs no key.
    pub cors_origins: Vec<Origin>,
    /// How many bytes of stored objects are checked per second in the background; 0 for none.
    pub scrub_bytes_per_second: u64,
    /// How many cases of eval suites a node asks at a time; 0 for a node that takes no part in their runs.
    pub eval_cases_max: usize,
}

/// `[site]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct SiteConfig {
    /// The address that routes are appended to: `https://example.com`. Sitemap and feeds need it.
    pub url: Option<String>,
    /// `[[site.feeds]]`
    pub feeds: Vec<FeedConfig>,
}

impl SiteConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The address without a slash at its end.
    pub fn base(&self) -> Option<&str> {
        self.url.as_deref().map(|u| u.trim_end_matches('/'))
    }
}

/// `[[site.feeds]]`: the newest entries of a type, as `/feeds/{name}.{locale}.xml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedConfig {
    /// Its name in the address.
    pub name: String,
    /// What it is called for people; the project's name when absent.
    #[serde(default)]
    pub title: Option<String>,
    /// The content type.
    #[serde(rename = "type")]
    pub type_name: crate::TypeName,
    /// The indexed field with the date an entry was published.
    pub date: String,
    /// The field with a summary.
    #[serde(default)]
    pub summary: Option<String>,
}

/// `[tenant]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantConfig {
    /// The tenant's name.
    pub name: TenantId,
    /// Host names that lead to it.
    pub hosts: Vec<String>,
}

/// What is wrong with `ashlar.toml`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ashlar.toml{}: {message}", line.map_or(String::new(), |l| format!(":{l}")))]
pub struct ConfigError {
    /// The line, from 1, when it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// How to fix it; empty when the message says it.
    pub help: String,
}

impl Default for LocaleConfig {
    fn default() -> Self {
        Self {
            #[allow(clippy::expect_used, reason = "a constant")]
            default: Locale::new("en").expect("en is a locale"),
            supported: Vec::new(),
            fallback: BTreeMap::new(),
        }
    }
}

impl LocaleConfig {
    /// The most locales a project may have.
    pub const LOCALES_MAX: usize = 200;

    /// All locales, the default first.
    pub fn all(&self) -> Vec<Locale> {
        let mut all = vec![self.default.clone()];
        all.extend(self.supported.iter().filter(|l| **l != self.default).cloned());
        all
    }

    /// Whether entries may be written in `locale`.
    pub fn supports(&self, locale: &Locale) -> bool {
        *locale == self.default || self.supported.contains(locale)
    }

    /// The locale that `text` names, in the project's own spelling: language tags are compared without case.
    pub fn named(&self, text: &str) -> Option<&Locale> {
        std::iter::once(&self.default).chain(&self.supported).find(|l| l.as_str().eq_ignore_ascii_case(text))
    }

    /// The project's own spelling of `locale`, or `locale` itself when the project does not have it.
    pub fn spelled(&self, locale: Locale) -> Locale {
        self.named(locale.as_str()).cloned().unwrap_or(locale)
    }

    /// Lets the default and the fallbacks be spelled as `supported` spells them.
    fn respell(&mut self) -> Result<(), String> {
        for (at, locale) in self.supported.iter().enumerate() {
            let same = |other: &&Locale| other.as_str().eq_ignore_ascii_case(locale.as_str());
            if let Some(twice) = self.supported[..at].iter().find(same) {
                return Err(format!(
                    "locales.supported names `{twice}` and `{locale}`, which are one language tag: tags are compared without case"
                ));
            }
        }
        let supported = self.supported.clone();
        let spelled = |locale: Locale| {
            supported
                .iter()
                .find(|l| l.as_str().eq_ignore_ascii_case(locale.as_str()))
                .cloned()
                .unwrap_or(locale)
        };
        self.default = spelled(self.default.clone());
        for (from, chain) in std::mem::take(&mut self.fallback) {
            let (from, chain) = (spelled(from), chain.into_iter().map(spelled).collect());
            if self.fallback.insert(from.clone(), chain).is_some() {
                return Err(format!(
                    "locales.fallback names `{from}` twice: language tags are compared without case"
                ));
            }
        }
        Ok(())
    }

    /// `locale` and then what is tried when an entry does not exist in it.
    pub fn chain(&self, locale: &Locale) -> Vec<Locale> {
        let mut chain = vec![locale.clone()];
        match self.fallback.get(locale) {
            Some(next) => chain.extend(next.iter().cloned()),
            None => chain.push(self.default.clone()),
        }
        let mut seen = BTreeSet::new();
        chain.retain(|l| seen.insert(l.clone()));
        chain
    }
}

impl Default for ChannelConfig {
    fn default() -> Self {
        #[allow(clippy::expect_used, reason = "constants")]
        let name = |n| ChannelName::new(n).expect("a channel name");
        Self { names: vec![name("preview"), name("staging"), name("production")], public: name("production") }
    }
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            compatibility: Compatibility::Backward,
            transitive: false,
            lenient_open_models: true,
            links_ignored: Vec::new(),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            body_bytes_max: 16 << 20,
            upload_bytes_max: 4 << 30,
            request_seconds_max: 60,
            shutdown_seconds_max: 10,
            requests_per_second_max: 500,
            failed_keys_per_second_max: 20,
            reads_per_second_max: 0,
            connections_max: 10_000,
            connections_per_address_max: 1_000,
            head_seconds_max: 10,
            idle_seconds_max: 30,
            body_stall_seconds_max: 15,
            write_stall_seconds_max: 30,
            answer_bytes_max: 256 << 20,
            answer_bytes_per_connection_max: 64 << 20,
            streams_max: 2_000,
            streams_per_client_max: 100,
            webhooks_to_private: false,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            scrub_bytes_per_second: 4 << 20,
            eval_cases_max: 16,
        }
    }
}

impl Default for TenantConfig {
    fn default() -> Self {
        Self { name: TenantId::main(), hosts: Vec::new() }
    }
}

impl ProjectConfig {
    /// Reads and checks the text of `ashlar.toml`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line where it is known.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|e| ConfigError {
            line: e.span().map(|s| {
                text.as_bytes()[..s.start.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1
            }),
            message: e.message().trim().to_owned(),
            help: nearest_in_message(e.message(), ""),
        })?;
        let wrong = |message| ConfigError { line: None, message, help: String::new() };
        config.locales.respell().map_err(wrong)?;
        config.check().map_err(wrong)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let locales = &self.locales;
        if locales.supported.len() > LocaleConfig::LOCALES_MAX {
            return Err(format!("locales.supported names more than {} locales", LocaleConfig::LOCALES_MAX));
        }
        if !locales.supported.is_empty() && !locales.supported.contains(&locales.default) {
            return Err(format!(
                "locales.default is `{}`, which is not among locales.supported",
                locales.default
            ));
        }
        for (from, chain) in &locales.fallback {
            for locale in std::iter::once(from).chain(chain) {
                if !locales.supports(locale) {
                    return Err(format!(
                        "locales.fallback names `{locale}`, which is not among locales.supported"
                    ));
                }
            }
        }
        if !self.channels.names.contains(&self.channels.public) {
            return Err(format!(
                "channels.public is `{}`, which is not among channels.names",
                self.channels.public
            ));
        }
        Ok(())
    }

    /// The configuration of a project that has only a name.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            locales: LocaleConfig::default(),
            channels: ChannelConfig::default(),
            gates: GateConfig::default(),
            server: ServerConfig::default(),
            site: SiteConfig::default(),
            tenant: TenantConfig::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let got = match ProjectConfig::parse(text) {
            Ok(c) => format!("{} {:?}", c.name, c.locales.chain(&Locale::new("de").unwrap())),
            Err(e) => e.to_string(),
        };
        assert_eq!(got, expect);
    }

    #[test]
    fn reads_and_explains() {
        check("name = 'x'", "x [Locale(de), Locale(en)]");
        check(
            "name = 'x'\n[locales]\ndefault = 'fr'\nsupported = ['fr', 'de']\n[locales.fallback]\nde = []",
            "x [Locale(de)]",
        );
        check(
            "name = 'x'\n[locales]\ndefault = 'fr'\nsupported = ['de']",
            "ashlar.toml: locales.default is `fr`, which is not among locales.supported",
        );
        check(
            "name = 'x'\n[locales]\ndefault = 'EN'\n",
            "ashlar.toml:3: `EN` is not a locale: a language tag such as `en`, `de-AT` or `zh-Hant`",
        );
        check(
            "name = 'x'\n[locales]\ndefault = 'pt-BR'\nsupported = ['pt-br', 'de']\n[locales.fallback]\nde = ['pt-BR']",
            "x [Locale(de), Locale(pt-br)]",
        );
        check(
            "name = 'x'\n[locales]\ndefault = 'en'\nsupported = ['en', 'pt-br']\n[locales.fallback]\npt-br = []\npt-BR = ['en']",
            "ashlar.toml: locales.fallback names `pt-br` twice: language tags are compared without case",
        );
        check(
            "name = 'x'\n[locales]\ndefault = 'en'\nsupported = ['en', 'pt-br', 'pt-BR']",
            "ashlar.toml: locales.supported names `pt-br` and `pt-BR`, which are one language tag: tags are compared without case",
        );
        check(
            "name = 'x'\n[locale]\n",
            "ashlar.toml:2: unknown field `locale`, expected one of `name`, `locales`, `channels`, `gates`, `server`, `site`, `tenant`",
        );
    }
}
