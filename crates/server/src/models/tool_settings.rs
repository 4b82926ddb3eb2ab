//! `[tool_servers.NAME]`: where tools of the gateway are run.

use std::path::PathBuf;

use ashlar_gateway::upstream::KeySource;
use ashlar_model::TenantId;
use serde::Deserialize;
use toml::Spanned;

use super::reading::{Reading, SettingsError};

/// A tool server as the file describes it.
#[derive(Debug, Clone)]
pub struct ToolServerSettings {
    pub url: String,
    pub key: KeySource,
    /// It may be inside the server's own networks.
    pub private: bool,
    pub tenants: Vec<TenantId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawToolServer {
    url: Spanned<String>,
    key_env: Option<String>,
    key_file: Option<PathBuf>,
    #[serde(default)]
    private: bool,
    tenants: Option<Vec<Spanned<String>>>,
}

impl RawToolServer {
    pub(super) fn read(
        self,
        reading: &Reading<'_>,
        name: &Spanned<String>,
    ) -> Result<ToolServerSettings, SettingsError> {
        let at = name.span().start;
        let shown = name.get_ref();
        let fits = (1..=60).contains(&shown.len())
            && shown.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b));
        if !fits {
            let message = format!(
                "`{shown}` cannot name a tool server: write at most 60 lower-case letters, digits, `-` and `_`"
            );
            return Err(reading.wrong(at, message));
        }
        let start = self.url.span().start;
        let url = reading.url(self.url, self.private)?;
        if url.contains(['?', '#']) {
            return Err(
                reading.wrong(start, "`url` has a query or a fragment; write the address without them")
            );
        }
        Ok(ToolServerSettings {
            url: url.trim_end_matches('/').to_owned(),
            key: reading.source(at, self.key_env, self.key_file)?,
            private: self.private,
            tenants: reading.tenants(self.tenants)?,
        })
    }
}
