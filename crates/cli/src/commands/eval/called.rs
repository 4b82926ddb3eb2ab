//! Cases asked of a server, through its gateway.

use std::{collections::BTreeSet, time::Duration};

use ashlar_delivery::Citation;
use ashlar_evals::{
    Reply, Retrieved, Subject, Unasked,
    suite::{Case, Input},
};
use ashlar_server::endpoints::rows;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::quoted::number;
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
    /// A route; `default` is that of the prompt.
    model: String,
    prompt: Option<(String, Option<u32>)>,
    variable: String,
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
            model: model.unwrap_or("default").to_owned(),
            prompt,
            variable,
            setting,
        })
    }

    /// The body of a call.
    fn body(&self, case: &Case) -> Value {
        // An answer that was kept would be measured instead of the model.
        let mut ashlar = json!({"cache": false});
        if let Some(locale) = &case.locale {
            ashlar["locale"] = json!(locale);
        }
        let mut messages: Vec<Value> =
            case.context.iter().map(|text| json!({"role": "user", "content": text})).collect();
        match (&self.prompt, &case.input) {
            (Some((name, version)), input) => {
                ashlar["prompt"] = json!(name);
                if let Some(version) = version {
                    ashlar["version"] = json!(version);
                }
                ashlar["variables"] = match input {
                    Input::Variables(values) => Value::Object(values.clone()),
                    _ => Value::Object(Map::from_iter([(self.variable.clone(), json!(case.question()))])),
                };
                if let Input::Messages(before) = input {
                    // The last question is the variable.
                    messages.extend(before.iter().take(before.len().saturating_sub(1)).map(|m| json!(m)));
                }
            }
            (None, Input::Messages(said)) => messages.extend(said.iter().map(|message| json!(message))),
            (None, _) => messages.push(json!({"role": "user", "content": case.question()})),
        }
        // Each case is an end user of its own, so that limits for one user do not slow a run.
        let mut body = json!({"model": self.model, "user": format!("eval-{}", case.id), "ashlar": ashlar});
        if !messages.is_empty() {
            body["messages"] = json!(messages);
        }
        body
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
        let request = request.header("Ashlar-Feature", &self.feature).json(&self.body(case));
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
        match status {
            200 => Ok(Reply { latency_ms, ..read(&said, facts) }),
            // The model answered, and the gateway did not let the answer out.
            422 => Ok(Reply {
                latency_ms,
                refusal: Some(text(&said["error"]["code"])),
                reason: text(&said["error"]["message"]),
                ..facts
            }),
            _ => Err(Unasked {
                code: text(&said["error"]["code"]),
                message: text(&said["error"]["message"]),
                again: status == 429 || status >= 500,
            }),
        }
    }

    fn setting(&self) -> &str {
        &self.setting
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The reply that a completion is.
fn read(said: &Value, facts: Reply) -> Reply {
    let (message, ours) = (&said["choices"][0]["message"], &said["ashlar"]);
    let mut sources = Vec::new();
    let mut cited = BTreeSet::new();
    // The built-in model says where each quote is from; other models cite pages.
    let citations: Vec<Citation> = serde_json::from_value(ours["citations"].clone()).unwrap_or_default();
    for citation in &citations {
        cited.insert(number(citation, &mut sources));
    }
    if citations.is_empty() {
        for annotation in message["annotations"].as_array().into_iter().flatten() {
            let page = &annotation["url_citation"];
            let source =
                Retrieved { title: text(&page["title"]), path: text(&page["url"]), ..Retrieved::default() };
            let at = sources.iter().position(|known| *known == source).unwrap_or_else(|| {
                sources.push(source);
                sources.len() - 1
            });
            cited.insert(at + 1);
        }
    }
    let reason = text(&message["refusal"]);
    let code = text(&ours["refusal"]["code"]);
    let refusal = match (code.is_empty(), reason.is_empty()) {
        (false, _) => Some(code),
        (true, false) => Some("refused".to_owned()),
        (true, true) => None,
    };
    Reply {
        text: match (&refusal, citations.is_empty()) {
            (Some(_), _) => String::new(),
            (None, true) => text(&message["content"]),
            (None, false) => unmarked(&text(&message["content"])),
        },
        sources,
        cited: cited.into_iter().collect(),
        refusal,
        reason,
        groundedness: ours["groundedness"].as_f64(),
        escalated: ours["approvals"].as_array().is_some_and(|requests| !requests.is_empty()),
        input_tokens: said["usage"]["prompt_tokens"].as_u64().unwrap_or_default(),
        output_tokens: said["usage"]["completion_tokens"].as_u64().unwrap_or_default(),
        model: text(&said["model"]),
        ..facts
    }
}

/// An answer of the built-in model without its list of sources and the marks that lead to it: they number pages, and replies number quotes.
fn unmarked(answer: &str) -> String {
    let answer = answer.split("\n\nSources:\n").next().unwrap_or_default();
    let mut parts = answer.split(" [");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(']') {
            Some((number, rest)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
                out.push_str(rest);
            }
            _ => out.extend([" [", part]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_the_list_are_left_out() {
        let check = |answer: &str, wanted: &str| assert_eq!(unmarked(answer), wanted);
        check(
            "It costs 5. [1] It is [blue]. [2]\n\nSources:\n[1] a: /a\n[2] b: /b",
            "It costs 5. It is [blue].",
        );
        check("Plain [", "Plain [");
        check("", "");
    }

    #[test]
    fn a_completion_is_read() {
        let said = json!({
            "model": "extractive", "usage": {"prompt_tokens": 7, "completion_tokens": 3},
            "choices": [{"message": {"content": "Nothing says it.", "refusal": "Nothing says it."}}],
            "ashlar": {"refusal": {"code": "not_covered", "reason": "Nothing says it."}, "citations": []},
        });
        let reply = read(&said, Reply::default());
        assert_eq!((reply.refusal.as_deref(), reply.text.as_str()), (Some("not_covered"), ""));
        assert_eq!((reply.input_tokens, reply.output_tokens), (7, 3));
        let page = |url: &str| json!({"url_citation": {"url": url, "title": "T"}});
        let said = json!({
            "choices": [{"message": {"content": "A [1].", "annotations": [page("/a"), page("/b"), page("/a")]}}],
            "ashlar": {"groundedness": 0.5},
        });
        let reply = read(&said, Reply::default());
        assert_eq!((reply.text.as_str(), reply.cited.as_slice()), ("A [1].", &[1, 2][..]));
        assert_eq!((reply.sources.len(), reply.groundedness, reply.refusal), (2, Some(0.5), None));
    }
}
