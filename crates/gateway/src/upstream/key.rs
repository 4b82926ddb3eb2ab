//! The credential of a provider.

use std::{fmt, path::PathBuf, sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use http::HeaderValue;

/// The longest credential, in bytes.
const KEY_BYTES_MAX: u64 = 4_096;

/// Where a credential is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The provider needs none.
    None,
    /// In a variable of the environment.
    Env(String),
    /// In a file. It is read again when the file changes.
    File(PathBuf),
}

/// A credential, as header values. It is shown nowhere.
#[derive(Clone)]
struct Ready {
    plain: HeaderValue,
    bearer: HeaderValue,
}

/// The credential of a provider, or why it is missing.
pub struct Key {
    source: KeySource,
    /// The last modification that was read.
    read: std::sync::Mutex<Option<SystemTime>>,
    ready: ArcSwap<Result<Option<Ready>, String>>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("source", &self.source).finish_non_exhaustive()
    }
}

fn ready(text: &str) -> Result<Option<Ready>, String> {
    let text = text.trim();
    let wrong = || "its key is empty, or contains characters that a header cannot contain".to_owned();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(wrong());
    }
    let value = |text: &str| {
        let mut value = HeaderValue::from_str(text).map_err(|_| wrong())?;
        value.set_sensitive(true);
        Ok::<_, String>(value)
    };
    Ok(Some(Ready { plain: value(text)?, bearer: value(&format!("Bearer {text}"))? }))
}

impl Key {
    /// Reads a credential.
    #[must_use]
    pub fn new(source: KeySource) -> Self {
        let key = Self { source, read: std::sync::Mutex::default(), ready: ArcSwap::from_pointee(Ok(None)) };
        match &key.source {
            KeySource::None => {}
            KeySource::Env(name) => {
                let read =
                    std::env::var(name).map_err(|_| format!("the variable {name} with its key is not set"));
                key.ready.store(Arc::new(read.and_then(|text| ready(&text))));
            }
            KeySource::File(_) => key.refresh(),
        }
        key
    }

    /// Reads the file again when it has changed. A file that cannot be read leaves the key that is known.
    pub fn refresh(&self) {
        let KeySource::File(path) = &self.source else { return };
        let mut last = self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let read = std::fs::metadata(path).and_then(|about| {
            let modified = about.modified().ok();
            if modified.is_some() && modified == *last {
                return Ok(None);
            }
            if about.len() > KEY_BYTES_MAX {
                return Err(std::io::Error::other(format!("it has more than {KEY_BYTES_MAX} bytes")));
            }
            Ok(Some((modified, std::fs::read_to_string(path)?)))
        });
        let read = match read {
            Ok(None) => return,
            Ok(Some((modified, text))) => {
                *last = modified;
                ready(&text)
            }
            Err(error) => Err(format!("the file with its key cannot be read: {error}")),
        };
        match read {
            Err(why) if matches!(**self.ready.load(), Ok(Some(_))) => {
                tracing::warn!(%why, "the key of a provider stays as it was");
            }
            read => self.ready.store(Arc::new(read)),
        }
    }

    /// Why there is no credential although there should be one.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        self.ready.load().as_ref().as_ref().err().cloned()
    }

    /// The credential as a value of `Authorization`; `None` for a provider without a key.
    ///
    /// # Errors
    /// Why a configured credential cannot be read.
    pub fn bearer(&self) -> Result<Option<HeaderValue>, String> {
        self.values().map(|values| values.map(|(_, bearer)| bearer))
    }

    /// The credential itself, so that answers can be searched for it.
    pub(crate) fn plain(&self) -> Option<Vec<u8>> {
        match self.ready.load().as_ref() {
            Ok(Some(ready)) => Some(ready.plain.as_bytes().to_vec()),
            _ => None,
        }
    }

    /// The credential as it is, and as a value of `Authorization`.
    pub(super) fn values(&self) -> Result<Option<(HeaderValue, HeaderValue)>, String> {
        match self.ready.load().as_ref() {
            Ok(Some(ready)) => Ok(Some((ready.plain.clone(), ready.bearer.clone()))),
            Ok(None) => Ok(None),
            Err(why) => Err(why.clone()),
        }
    }
}
