//! Reading `models.toml`: what is wrong, with its line.

use std::path::{Path, PathBuf};

use ashlar_release::receivers::refused;
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

pub(super) struct Reading<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Reading<'_> {
    pub(super) fn wrong(&self, at: usize, message: impl Into<String>) -> SettingsError {
        let line = self.text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
        SettingsError::Wrong { path: self.path.to_owned(), line, message: message.into() }
    }

    /// A path as the file means it: relative to where it is.
    pub(super) fn beside(&self, path: &Path) -> PathBuf {
        self.path.parent().map_or_else(|| path.to_owned(), |dir| dir.join(path))
    }

    /// An address without a name and a password, which leads where it may.
    pub(super) fn url(&self, url: Spanned<String>, private: bool) -> Result<String, SettingsError> {
        let parsed = reqwest::Url::parse(url.get_ref());
        let plain = parsed.as_ref().is_ok_and(|u| u.username().is_empty() && u.password().is_none());
        if !plain {
            let message =
                "`url` is not an address without a name and a password; give the key by key_env or key_file";
            return Err(self.wrong(url.span().start, message));
        }
        if refused(url.get_ref(), private).is_some() {
            let message = "`url` does not begin with https:// or leads into a private network; \
                add `private = true` if the endpoint is in a network of yours";
            return Err(self.wrong(url.span().start, message));
        }
        Ok(url.into_inner())
    }
}
