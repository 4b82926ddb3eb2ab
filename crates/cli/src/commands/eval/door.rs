//! Calls of models over HTTP.

use std::time::Duration;

use ashlar_evals::{Unasked, completion};
use ashlar_gateway::price::Money;
use ashlar_server::endpoints::rows;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::time::Instant;

use crate::error::CliError;

/// The longest answer of a server, in bytes.
const BODY_BYTES_MAX: usize = 8 << 20;
/// How long a call may take.
const CALL_MAX: Duration = Duration::from_secs(300);

/// The gateway of a server, with a key that may call as a feature.
pub struct Door {
    client: reqwest::Client,
    url: String,
    key: String,
    feature: String,
}

/// What a server answered.
pub struct Answer {
    pub status: u16,
    headers: HeaderMap,
    pub said: Value,
    pub latency_ms: f64,
}

impl Answer {
    /// A header; empty without it.
    pub fn header(&self, name: &str) -> String {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    }

    /// What the call cost.
    pub fn cost(&self) -> Money {
        self.header("ashlar-cost").split(' ').next().unwrap_or_default().parse().unwrap_or_default()
    }

    /// The code and the message of a refusal.
    pub fn error(&self) -> (String, String) {
        let error = &self.said["error"];
        (text(&error["code"]), text(&error["message"]))
    }

    /// Why no reply came; `None` when one came, be it one that the gateway did not let out.
    pub fn failed(&self) -> Option<Unasked> {
        let (code, message) = self.error();
        completion::unasked(self.status, &code, &message).filter(|_| self.status != 200)
    }
}

impl Door {
    pub fn new((base, key): (&str, &str), feature: &str) -> Result<Self, CliError> {
        let client = reqwest::Client::builder().timeout(CALL_MAX).build();
        Ok(Self {
            client: client.map_err(|e| CliError::new(3, "network", e.to_string(), ""))?,
            url: format!("{base}{}", rows::CREATE_CHAT_COMPLETION.call().target),
            key: key.to_owned(),
            feature: feature.to_owned(),
        })
    }

    /// Calls a model.
    pub async fn call(&self, body: &Value) -> Result<Answer, Unasked> {
        let began = Instant::now();
        let request = self.client.post(&self.url).bearer_auth(&self.key);
        let request = request.header("Ashlar-Feature", &self.feature).json(body);
        let response = request.send().await.map_err(|error| silent(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = bounded(response).await?;
        let latency_ms = began.elapsed().as_secs_f64() * 1e3;
        let said = serde_json::from_slice(&bytes).map_err(|_| Unasked {
            code: "network".to_owned(),
            message: format!("The server answered {status} with something that is not JSON."),
            again: status >= 500,
        })?;
        Ok(Answer { status, headers, said, latency_ms })
    }
}

/// A text; empty for anything else.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn silent(error: &reqwest::Error) -> Unasked {
    let code = if error.is_timeout() { "timeout" } else { "network" };
    Unasked { code: code.to_owned(), message: format!("The server did not answer: {error}."), again: true }
}

/// The bytes of an answer, at most so many.
async fn bounded(mut response: reqwest::Response) -> Result<Vec<u8>, Unasked> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| silent(&error))? {
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            let message = format!("The answer of the server has more than {BODY_BYTES_MAX} bytes.");
            return Err(Unasked { code: "too_large".to_owned(), message, again: false });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
