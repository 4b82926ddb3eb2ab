//! What readers of `models.toml` share.

use std::path::{Path, PathBuf};

use ashlar_gateway::upstream::KeySource;
use ashlar_model::TenantId;
use toml::Spanned;

/// Why `models.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is wrong.
    #[error("{path}:{line}: {message}", path = .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong and how to fix it.
        message: String,
    },
    /// No client for endpoints can be made.
    #[error("no client for endpoints can be made: {0}")]
    Client(String),
}

/// The file as it is read.
pub(super) struct Reading<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Reading<'_> {
    /// What is wrong at a byte of the file.
    pub(super) fn wrong(&self, at: usize, message: impl Into<String>) -> SettingsError {
        let line = self.text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
        SettingsError::Wrong { path: self.path.to_owned(), line, message: message.into() }
    }

    /// Where a credential is.
    pub(super) fn source(
        &self,
        at: usize,
        env: Option<String>,
        file: Option<PathBuf>,
    ) -> Result<KeySource, SettingsError> {
        Ok(match (env, file) {
            (Some(_), Some(_)) => return Err(self.wrong(at, "key_env and key_file: write one of them")),
            (Some(name), None) => KeySource::Env(name),
            (None, Some(file)) => KeySource::File(self.beside(&file)),
            (None, None) => KeySource::None,
        })
    }

    /// Who may use something; the tenant `main` when nothing is written.
    pub(super) fn tenants(
        &self,
        given: Option<Vec<Spanned<String>>>,
    ) -> Result<Vec<TenantId>, SettingsError> {
        let Some(given) = given else { return Ok(vec![TenantId::main()]) };
        let read = given.into_iter().map(|tenant| {
            TenantId::new(tenant.get_ref())
                .map_err(|error| self.wrong(tenant.span().start, error.to_string()))
        });
        read.collect()
    }
}
