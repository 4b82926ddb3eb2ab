//! Chat completions and embeddings of OpenAI.

mod embeddings;
mod reply;
mod request;
mod stream;

pub use embeddings::{Embeddings, embeddings_body, embeddings_usage};
pub use reply::{read_whole, write_whole};
pub use request::{read, write};
pub(crate) use stream::reported;
pub use stream::{Reader, Writer};

use serde::Deserialize;

use super::Usage;

/// The figures of tokens, as OpenAI and others send them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UsageIn {
    prompt_tokens: u64,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

impl From<UsageIn> for Usage {
    fn from(of: UsageIn) -> Self {
        Self {
            input: of.prompt_tokens,
            cached_input: of
                .prompt_tokens_details
                .and_then(|d| d.cached_tokens)
                .unwrap_or(0)
                .min(of.prompt_tokens),
            cache_write: 0,
            output: of.completion_tokens.unwrap_or(0),
            reasoning: of.completion_tokens_details.and_then(|d| d.reasoning_tokens).unwrap_or(0),
        }
    }
}

fn usage_json(usage: &Usage) -> serde_json::Value {
    serde_json::json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    })
}

fn finish_of(reason: &str) -> super::Finish {
    use super::Finish;
    match reason {
        "length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::Tools,
        "content_filter" => Finish::Refused,
        _ => Finish::Stop,
    }
}

fn finish_name(finish: super::Finish) -> &'static str {
    use super::Finish;
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
        Finish::Refused => "content_filter",
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map(|since| since.as_secs()).unwrap_or(0)
}

fn annotations(sources: &[super::Source]) -> serde_json::Value {
    let each = sources.iter().map(|source| {
        serde_json::json!({"type": "url_citation", "url_citation": {
            "url": source.url, "title": source.title, "start_index": source.from, "end_index": source.to,
        }})
    });
    each.collect()
}
