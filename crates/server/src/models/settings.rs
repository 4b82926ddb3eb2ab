//! `models.toml`: what an operator lets releases use.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use ashlar_release::receivers::refused;
use ashlar_retrieval::models::DIMENSIONS_MAX;
use serde::Deserialize;
use toml::Spanned;

use super::{
    providers::{ProviderSettings, RawProvider},
    reading::{Reading, SettingsError},
    tool_settings::{RawToolServer, ToolServerSettings},
};

/// The file beside the data of an embedded installation.
pub const MODELS_FILE: &str = "models.toml";
/// The most bytes of the file.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The most models of a node.
const MODELS_MAX: usize = 32;
/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 4_096;
/// The most texts of one request, and how many are sent when the file does not say.
const BATCH_MAX: usize = 2_048;
const BATCH: usize = 64;
/// How long a request may take at most.
const TIMEOUT_MAX: f64 = 300.0;
/// How long a request with texts of a release may take when the file does not say, in seconds.
const TIMEOUT: f64 = 20.0;
/// How long a search waits for a model when the file does not say, in seconds.
const QUERY_TIMEOUT: f64 = 1.0;

/// A secret. It is shown nowhere.
#[derive(Clone)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where an endpoint is and how it is called.
#[derive(Debug, Clone)]
pub struct Address {
    pub url: String,
    /// What the endpoint calls the model.
    pub model: String,
    /// The key, if there is one, or why it cannot be read. Commands that do not need the endpoint work without it.
    pub key: Result<Option<Secret>, String>,
    /// It may be inside the server's own networks.
    pub private: bool,
    pub timeout: Duration,
    pub query_timeout: Duration,
}

/// What makes vectors.
#[derive(Debug, Clone)]
pub enum EmbedderSettings {
    Directory(PathBuf),
    Endpoint {
        address: Address,
        dimensions: usize,
        /// Whether requests say how many dimensions are wanted.
        send_dimensions: bool,
        batch: usize,
    },
}

/// Everything the file says.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub embedders: BTreeMap<String, EmbedderSettings>,
    pub rerankers: BTreeMap<String, Address>,
    pub providers: BTreeMap<String, ProviderSettings>,
    pub tool_servers: BTreeMap<String, ToolServerSettings>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    embedders: BTreeMap<Spanned<String>, RawEmbedder>,
    rerankers: BTreeMap<Spanned<String>, RawAddress>,
    providers: BTreeMap<Spanned<String>, RawProvider>,
    tool_servers: BTreeMap<Spanned<String>, RawToolServer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEmbedder {
    directory: Option<PathBuf>,
    url: Option<Spanned<String>>,
    model: Option<String>,
    key_env: Option<String>,
    key_file: Option<PathBuf>,
    #[serde(default)]
    private: bool,
    timeout: Option<f64>,
    query_timeout: Option<f64>,
    dimensions: Option<usize>,
    #[serde(default)]
    send_dimensions: bool,
    batch: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAddress {
    url: Option<Spanned<String>>,
    model: Option<String>,
    key_env: Option<String>,
    key_file: Option<PathBuf>,
    #[serde(default)]
    private: bool,
    timeout: Option<f64>,
}

impl Reading<'_> {
    fn seconds(
        &self,
        at: usize,
        what: &str,
        given: Option<f64>,
        usual: f64,
    ) -> Result<Duration, SettingsError> {
        match given.unwrap_or(usual) {
            seconds if seconds > 0.0 && seconds <= TIMEOUT_MAX => Ok(Duration::from_secs_f64(seconds)),
            other => {
                Err(self
                    .wrong(at, format!("{what} = {other}: write seconds, above 0 and at most {TIMEOUT_MAX}")))
            }
        }
    }

    fn key(&self, env: Option<&str>, file: Option<&Path>) -> Result<Option<Secret>, String> {
        let key = match (env, file) {
            (Some(_), Some(_)) => return Err("key_env and key_file: write one of them".to_owned()),
            (Some(name), None) => {
                std::env::var(name).map_err(|_| format!("the variable {name} with its key is not set"))?
            }
            (None, Some(file)) => std::fs::read_to_string(self.beside(file))
                .map_err(|e| format!("the file with its key cannot be read: {e}"))?,
            (None, None) => return Ok(None),
        };
        let key = key.trim().to_owned();
        if key.is_empty() || key.len() > KEY_BYTES_MAX || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("its key is empty, or contains characters that a header cannot contain".to_owned());
        }
        Ok(Some(Secret(key)))
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

    fn address(
        &self,
        at: usize,
        raw: RawAddress,
        query_timeout: Option<f64>,
    ) -> Result<Address, SettingsError> {
        let url = raw.url.ok_or_else(|| self.wrong(at, "no `url`: add the address of the endpoint"))?;
        Ok(Address {
            url: self.url(url, raw.private)?,
            model: raw.model.unwrap_or_default(),
            key: self.key(raw.key_env.as_deref(), raw.key_file.as_deref()),
            private: raw.private,
            timeout: self.seconds(at, "timeout", raw.timeout, TIMEOUT)?,
            query_timeout: self.seconds(at, "query_timeout", query_timeout, QUERY_TIMEOUT)?,
        })
    }

    fn embedder(&self, at: usize, raw: RawEmbedder) -> Result<EmbedderSettings, SettingsError> {
        if let Some(directory) = raw.directory {
            if raw.url.is_some() {
                return Err(self.wrong(at, "`directory` and `url`: write one of them"));
            }
            return Ok(EmbedderSettings::Directory(self.beside(&directory)));
        }
        let message = "add `directory` for a model on this machine, or `url` and `model` for an endpoint";
        if raw.url.is_none() || raw.model.is_none() {
            return Err(self.wrong(at, message));
        }
        let dimensions = raw.dimensions.filter(|n| (1..=DIMENSIONS_MAX).contains(n)).ok_or_else(|| {
            let help = "with send_dimensions = true the endpoint is asked to shorten its vectors";
            self.wrong(
                at,
                format!("`dimensions` says how long the vectors are: from 1 to {DIMENSIONS_MAX}; {help}"),
            )
        })?;
        let batch = raw.batch.unwrap_or(BATCH);
        if !(1..=BATCH_MAX).contains(&batch) {
            return Err(self.wrong(at, format!("batch = {batch}: write a number from 1 to {BATCH_MAX}")));
        }
        let address = RawAddress {
            url: raw.url,
            model: raw.model,
            key_env: raw.key_env,
            key_file: raw.key_file,
            private: raw.private,
            timeout: raw.timeout,
        };
        Ok(EmbedderSettings::Endpoint {
            address: self.address(at, address, raw.query_timeout)?,
            dimensions,
            send_dimensions: raw.send_dimensions,
            batch,
        })
    }
}

impl Settings {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let io = |source| SettingsError::Io { path: path.to_owned(), source };
        let bytes = std::fs::metadata(path).map_err(io)?.len();
        if bytes > FILE_BYTES_MAX {
            let message = format!("the file has {bytes} bytes; at most {FILE_BYTES_MAX} are read");
            return Err(SettingsError::Wrong { path: path.to_owned(), line: 1, message });
        }
        Self::parse(path, &std::fs::read_to_string(path).map_err(io)?)
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let reading = Reading { path, text };
        let raw: Raw = toml::from_str(text).map_err(|error| {
            reading.wrong(error.span().map_or(0, |span| span.start), error.message().to_owned())
        })?;
        if raw.embedders.len() + raw.rerankers.len() + raw.providers.len() + raw.tool_servers.len()
            > MODELS_MAX
        {
            return Err(reading.wrong(
                0,
                format!("more than {MODELS_MAX} models, providers and tool servers; remove some"),
            ));
        }
        let mut out = Self::default();
        for (name, raw) in raw.embedders {
            let embedder = reading.embedder(name.span().start, raw)?;
            out.embedders.insert(name.into_inner(), embedder);
        }
        for (name, mut raw) in raw.rerankers {
            // A search waits for it, so it has the time of a query.
            let timeout = raw.timeout.take();
            let address = reading.address(name.span().start, raw, timeout)?;
            out.rerankers.insert(name.into_inner(), address);
        }
        for (name, raw) in raw.providers {
            let provider = raw.read(&reading, &name)?;
            out.providers.insert(name.into_inner(), provider);
        }
        for (name, raw) in raw.tool_servers {
            let server = raw.read(&reading, &name)?;
            out.tool_servers.insert(name.into_inner(), server);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(Path::new("/etc/ashlar/models.toml"), text).map_err(|e| e.to_string())
    }

    #[test]
    fn models_are_read() {
        let read = parse(
            "[embedders.minilm]\ndirectory = 'minilm'\n\
             [embedders.open]\nurl = 'https://api.example.com/v1/embeddings'\nmodel = 'small'\ndimensions = 512\n\
             [rerankers.rank]\nurl = 'http://127.0.0.1:9/rerank'\nmodel = 'r'\nprivate = true\ntimeout = 0.5\n",
        )
        .unwrap();
        assert!(matches!(&read.embedders["minilm"],
            EmbedderSettings::Directory(dir) if dir == Path::new("/etc/ashlar/minilm")));
        assert!(matches!(
            &read.embedders["open"],
            EmbedderSettings::Endpoint { dimensions: 512, batch: BATCH, .. }
        ));
        assert_eq!(read.rerankers["rank"].query_timeout, Duration::from_millis(500));
    }

    /// Commands that need no endpoint must not need its key.
    #[test]
    fn a_missing_key_is_said_when_it_is_needed() {
        for (key, says) in [
            ("key_env = 'ASHLAR_NO_SUCH'", "the variable ASHLAR_NO_SUCH with its key is not set"),
            ("key_file = 'none'", "the file with its key cannot be read"),
            ("key_env = 'A'\nkey_file = 'b'", "write one of them"),
        ] {
            let read = parse(&format!("[rerankers.r]\nurl = 'https://e.com/'\n{key}\n")).unwrap();
            let error = read.rerankers["r"].key.as_ref().unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let endpoint = "\n[embedders.x]\nurl = 'https://api.example.com/v1/embeddings'\nmodel = 'm'\n";
        for (text, says) in [
            ("[embedders.x]\n", "models.toml:1: add `directory`"),
            ("\n[embedders.x]\ndirectory = 'a'\nurl = 'https://e.com/'\n", ":2: `directory` and `url`"),
            ("[embedders.x]\nfolder = 'a'\n", ":2: unknown field `folder`"),
            (endpoint, ":2: `dimensions` says how long"),
            (&format!("{endpoint}dimensions = 5000\n"), "from 1 to 1024"),
            (&format!("{endpoint}dimensions = 8\nbatch = 0\n"), "batch = 0"),
            (&format!("{endpoint}dimensions = 8\ntimeout = -1.0\n"), "timeout = -1"),
            ("[rerankers.r]\nurl = 'http://10.0.0.1/'\n", ":2: `url` does not begin with https:// or leads"),
            ("[rerankers.r]\nurl = 'https://a:b@e.com/'\n", ":2: `url` is not an address without"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
