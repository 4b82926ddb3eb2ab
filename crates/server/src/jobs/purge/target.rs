//! The caches that can be purged, and the requests that purge them.

use std::{fmt, str::FromStr, time::Duration};

use ashlar_release::{ChannelState, ReleaseError};
use ashlar_store::StoreError;
use serde_json::json;

/// Keys of one request.
const KEYS_PER_REQUEST: usize = 200;
/// Bytes of keys in one request: caches refuse headers of more than 8 KiB.
const KEY_BYTES_PER_REQUEST: usize = 4_000;
/// How long a cache may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How a cache is purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// `BAN /` with `X-Ban-Keys: a|b` or `X-Ban-All: 1`, for the VCL in the documentation.
    Varnish,
    /// `PURGE /` with `Surrogate-Key: a b`.
    Http,
    /// `POST {url}/purge` with `Surrogate-Key` and `Fastly-Key`.
    Fastly,
    /// `POST {url}/purge_cache` with `{"tags": […]}` and a bearer token.
    Cloudflare,
}

/// An upstream cache of delivery. Written `varnish=http://127.0.0.1:6081`; the kinds are `varnish`, `http`, `fastly` and
/// `cloudflare`. Tokens come from `ASHLAR_PURGE_TOKEN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeTarget {
    pub(super) wire: Wire,
    pub(super) url: String,
}

/// The text names no cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no cache; write varnish=URL, http=URL, fastly=URL or cloudflare=URL")]
pub struct PurgeTargetError(String);

impl FromStr for PurgeTarget {
    type Err = PurgeTargetError;

    fn from_str(text: &str) -> Result<Self, PurgeTargetError> {
        let wrong = || PurgeTargetError(text.to_owned());
        let (kind, url) = text.split_once('=').ok_or_else(wrong)?;
        let wire = match kind {
            "varnish" => Wire::Varnish,
            "http" => Wire::Http,
            "fastly" => Wire::Fastly,
            "cloudflare" => Wire::Cloudflare,
            _ => return Err(wrong()),
        };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(wrong());
        }
        Ok(Self { wire, url: url.trim_end_matches('/').to_owned() })
    }
}

impl fmt::Display for PurgeTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// Why a cache could not be purged.
#[derive(Debug, thiserror::Error)]
pub(super) enum PurgeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error("{0}")]
    Cache(String),
}

impl PurgeError {
    /// What is wrong, without paths of this machine.
    pub(super) fn public(&self) -> String {
        match self {
            Self::Store(error) => error.public(),
            Self::Release(error) => error.public(),
            Self::Cache(why) => why.clone(),
        }
    }
}

/// What sends requests to caches.
pub(super) fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().timeout(ANSWER_MAX).redirect(reqwest::redirect::Policy::none()).build()
}

/// Keys in pieces that fit into the header of one request.
pub(super) fn batches(keys: &[String]) -> impl Iterator<Item = &[String]> {
    let mut rest = keys;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fit = |key: &&String| {
            bytes += key.len() + 1;
            bytes <= KEY_BYTES_PER_REQUEST
        };
        let fitting = rest.iter().take(KEYS_PER_REQUEST).take_while(fit).count();
        let (piece, after) = rest.split_at(fitting.max(1).min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// One request to a cache; `None` empties it.
pub(super) async fn send(
    client: &reqwest::Client,
    target: &PurgeTarget,
    keys: Option<&[String]>,
    state: &ChannelState,
) -> Result<(), PurgeError> {
    let token = std::env::var("ASHLAR_PURGE_TOKEN").unwrap_or_default();
    let method = |name: &'static [u8]| reqwest::Method::from_bytes(name).unwrap_or(reqwest::Method::POST);
    let url = &target.url;
    let request = match (target.wire, keys) {
        // Keys are letters, digits and `.`, `_`, `-`, `:`, `/`, `%`; only the dot means more in a pattern.
        (Wire::Varnish, Some(keys)) => {
            client.request(method(b"BAN"), url).header("x-ban-keys", keys.join("|").replace('.', "\\."))
        }
        // The keys are for a VCL that does not know `X-Ban-All`. They contain no space: Varnish would end the pattern there.
        (Wire::Varnish, None) => {
            client.request(method(b"BAN"), url).header("x-ban-all", "1").header("x-ban-keys", "\\S+")
        }
        (Wire::Http, Some(keys)) => {
            client.request(method(b"PURGE"), url).header("surrogate-key", keys.join(" "))
        }
        (Wire::Http, None) => client.request(method(b"PURGE"), url).header("surrogate-key", "*"),
        (Wire::Fastly, Some(keys)) => client
            .post(format!("{url}/purge"))
            .header("surrogate-key", keys.join(" "))
            .header("fastly-key", token),
        (Wire::Fastly, None) => client.post(format!("{url}/purge_all")).header("fastly-key", token),
        (Wire::Cloudflare, keys) => {
            let body = match keys {
                Some(keys) => json!({ "tags": keys }),
                None => json!({"purge_everything": true}),
            };
            client.post(format!("{url}/purge_cache")).bearer_auth(token).json(&body)
        }
    };
    let request = match &state.trace {
        Some(trace) if trace.len() == 32 => {
            request.header("traceparent", format!("00-{trace}-{}-01", &trace[..16]))
        }
        _ => request,
    };
    let response = request.send().await.map_err(|e| PurgeError::Cache(e.to_string()))?;
    if response.status().is_success() {
        return Ok(());
    }
    // Varnish says in the reason why a ban was refused.
    let reason = response.extensions().get::<hyper::ext::ReasonPhrase>();
    let reason = reason.map(|r| String::from_utf8_lossy(r.as_bytes()).into_owned());
    let status = match reason {
        Some(reason) => format!("{} {reason}", response.status().as_u16()),
        None => response.status().to_string(),
    };
    Err(PurgeError::Cache(format!("{url} answered {status}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_in_pieces_that_fit_into_a_header() {
        let keys: Vec<String> = (0..1_000).map(|n| format!("page:{}{n}:en", "x".repeat(n % 90))).collect();
        let pieces: Vec<&[String]> = batches(&keys).collect();
        assert_eq!(pieces.concat(), keys);
        assert!(
            pieces.iter().all(|p| p.len() <= KEYS_PER_REQUEST && p.join("|").len() <= KEY_BYTES_PER_REQUEST)
        );
        assert!(pieces.len() < 40);
        let long = vec!["y".repeat(9_000)];
        assert_eq!(batches(&long).count(), 1);
        assert_eq!(batches(&[]).count(), 0);
    }
}
