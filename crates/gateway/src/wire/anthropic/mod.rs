//! Messages of Anthropic.

mod reply;
mod request;
mod stream;

pub use reply::{read_whole, write_whole};
pub use request::{read, write};
pub use stream::{Reader, Writer};

use serde::Deserialize;

use super::{Finish, Usage};

/// The figures of tokens. Cached tokens are counted beside the others here.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct UsageIn {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

impl UsageIn {
    /// Takes over what a later event says.
    fn over(self, earlier: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.or(earlier.input_tokens),
            cache_creation_input_tokens: self
                .cache_creation_input_tokens
                .or(earlier.cache_creation_input_tokens),
            cache_read_input_tokens: self.cache_read_input_tokens.or(earlier.cache_read_input_tokens),
            output_tokens: self.output_tokens.or(earlier.output_tokens),
        }
    }
}

impl From<UsageIn> for Usage {
    fn from(of: UsageIn) -> Self {
        let (read, written) =
            (of.cache_read_input_tokens.unwrap_or(0), of.cache_creation_input_tokens.unwrap_or(0));
        Self {
            input: of.input_tokens.unwrap_or(0).saturating_add(read).saturating_add(written),
            cached_input: read,
            cache_write: written,
            output: of.output_tokens.unwrap_or(0),
            reasoning: 0,
        }
    }
}

fn usage_json(usage: &Usage) -> serde_json::Value {
    let plain = usage.input.saturating_sub(usage.cached_input).saturating_sub(usage.cache_write);
    serde_json::json!({
        "input_tokens": plain,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached_input,
        "output_tokens": usage.output,
    })
}

fn finish_of(reason: &str) -> Finish {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::Tools,
        "refusal" => Finish::Refused,
        _ => Finish::Stop,
    }
}

fn finish_name(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Tools => "tool_use",
        Finish::Refused => "refusal",
    }
}
