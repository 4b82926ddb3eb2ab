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

use super::{Usage, figure::Figure};

/// The figures of tokens, as OpenAI and others send them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UsageIn {
    prompt_tokens: Figure,
    completion_tokens: Figure,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Figure,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Figure,
}

impl UsageIn {
    /// The figures; `None` when they say nothing, or what cannot be.
    fn read(self) -> Option<Usage> {
        if [self.prompt_tokens, self.completion_tokens].contains(&Figure::Wrong) {
            return None;
        }
        let input = self.prompt_tokens.or_zero();
        let output = self.completion_tokens.or_zero();
        let cached = self.prompt_tokens_details.unwrap_or_default().cached_tokens.or_zero();
        let reasoning = self.completion_tokens_details.unwrap_or_default().reasoning_tokens.or_zero();
        let usage = Usage { input, cached_input: cached.min(input), cache_write: 0, output, reasoning };
        (input > 0 || output > 0).then_some(usage)
    }
}

fn usage_json(usage: &Usage) -> serde_json::Value {
    serde_json::json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input.saturating_add(usage.output),
        "prompt_tokens_details": {"cached_tokens": usage.cached_input},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    })
}

/// The id of a call of a tool. Some providers send none; then clients could not answer the call.
fn given_id(id: String, answer: &str, number: usize) -> String {
    if id.is_empty() { format!("call_{answer}_{number}") } else { id }
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
