//! Messages of Anthropic.

mod reply;
mod request;
mod stream;

pub use reply::{read_whole, write_whole};
pub use request::{read, write};
pub use stream::{Reader, Writer};

use serde::Deserialize;

use super::{Finish, Usage, figure::Figure};

/// The figures of tokens. Cached tokens are counted beside the others here.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct UsageIn {
    input_tokens: Figure,
    cache_creation_input_tokens: Figure,
    cache_read_input_tokens: Figure,
    output_tokens: Figure,
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

impl UsageIn {
    /// The figures; `None` when they say nothing, or what cannot be.
    fn read(self) -> Option<Usage> {
        let all = [
            self.input_tokens,
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
            self.output_tokens,
        ];
        if all.contains(&Figure::Wrong) {
            return None;
        }
        let [input, cached_input, cache_write, output] = all.map(Figure::or_zero);
        let input = input + cached_input + cache_write;
        let usage = Usage { input, cached_input, cache_write, output, reasoning: 0 };
        (input > 0 || output > 0).then_some(usage)
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
