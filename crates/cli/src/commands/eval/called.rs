//! Cases asked of a server, through its gateway.

use std::time::Duration;

use ashlar_evals::{
    Reply, Subject, Unasked,
    completion::{self, Asking},
    suite::Case,
};
use ashlar_server::endpoints::rows;
use serde_json::Value;
use tokio::time::Instant;

use crate::error::CliError;

/// The longest answer of a server, in bytes.
const BODY_BYTES_MAX: usize = 8 << 20;
/// How long a call may take.
const CALL_MAX: Duration = Duration::from_secs(300);

/// A server that is asked.
pub struct Called {
    client: reqwest::Client,
    url: String,
    key: String,
    feature: String,
    asking: Asking,
    setting: String,
}

impl Called {
    /// A server with a key that may call as a feature.
    pub fn new(
        (base, key): (&str, &str),
        feature: &str,
        model: Option<&str>,
        prompt: Option<(String, Option<u32>)>,
        (variable, setting): (String, String),
    ) -> Result<Self, CliError> {
        let client = reqwest::Client::builder().timeout(CALL_MAX).build();
        let client = client.map_err(|e| CliError::new(3, "network", e.to_string(), ""))?;
        Ok(Self {
            client,
            url: format!("{base}{}", rows::CREATE_CHAT_COMPLETION.call().target),
            key: key.to_owned(),
            feature: feature.to_owned(),
            asking: Asking { model: model.unwrap_or("default").to_owned(), prompt, variable },
            setting,
        })
    }
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

impl Subject for Called {
    async fn ask(&self, case: &Case, _: u32) -> Result<Reply, Unasked> {
        let began = Instant::now();
        let request = self.client.post(&self.url).bearer_auth(&self.key);
        let request = request.header("Ashlar-Feature", &self.feature).json(&self.asking.body(case));
        let response = request.send().await.map_err(|error| silent(&error))?;
        let status = response.status().as_u16();
        let header = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let facts = Reply {
            release: header("ashlar-release"),
            prompt: header("ashlar-prompt"),
            trace: header("ashlar-trace"),
            cost: header("ashlar-cost").split(' ').next().unwrap_or_default().parse().unwrap_or_default(),
            ..Reply::default()
        };
        let body = bounded(response).await?;
        let latency_ms = began.elapsed().as_secs_f64() * 1e3;
        let said: Value = serde_json::from_slice(&body).map_err(|_| Unasked {
            code: "network".to_owned(),
            message: format!("The server answered {status} with something that is not JSON."),
            again: status >= 500,
        })?;
        let (code, message) = (text(&said["error"]["code"]), text(&said["error"]["message"]));
        match (status, completion::unasked(status, &code, &message)) {
            (200, _) => Ok(Reply { latency_ms, ..completion::reply(&said, facts) }),
            (_, Some(unasked)) => Err(unasked),
            // The model answered, and the gateway did not let the answer out.
            (_, None) => Ok(Reply { latency_ms, refusal: Some(code), reason: message, ..facts }),
        }
    }

    fn setting(&self) -> &str {
        &self.setting
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
