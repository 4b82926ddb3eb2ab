//! The record of a call, and its way to whoever stores it.
//!
//! Nothing waits for a record. They are stored in batches, several times a second; an orderly stop stores what waits. A process that is killed
//! loses what waited: half a second of calls, and those of a batch that was being written.

mod otel;
mod otlp;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use ashlar_model::TenantId;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

pub use otlp::export;

use crate::{
    price::{Money, Tokens},
    review::Sampling,
};

/// Records that wait to be stored. Further ones are dropped and counted.
pub const WAITING_MAX: usize = 65_536;
/// Bytes of texts that wait to be stored. Further records wait without their text.
pub const TEXT_WAITING_BYTES_MAX: usize = 64 << 20;
/// The longest text of a call that is stored, input and output each, in bytes.
pub const TEXT_BYTES_MAX: usize = 256 << 10;
/// The most sources that are stored with the text of a call.
pub const SOURCES_MAX: usize = 20;
/// The longest text of a source that is stored, in bytes.
pub const SOURCE_BYTES_MAX: usize = 2 << 10;
/// The verdict of an answer that is a refusal; its value is the code of the refusal.
pub const REFUSAL: &str = "refusal";
/// What the verdict `tools` says of a tool that a person must approve first.
pub const WAITS: &str = "waits for approval";
/// The outcome of a call that was answered.
pub const OK: &str = "ok";

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(default)]
#[schemars(rename = "ModelCall")]
pub struct Record {
    /// Its name. Later calls have greater names. Given when it is stored.
    pub id: String,
    /// When it began, RFC 3339.
    pub at: String,
    /// The trace of the request.
    pub trace: String,
    /// The span of the call.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub span: String,
    /// The span of the client, as it named it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub parent: String,
    /// What was asked for: `chat` or `embeddings`.
    pub operation: String,
    /// The feature.
    pub feature: String,
    /// The key.
    pub key: String,
    /// A keyed hash of the end user; empty when the call named none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The release that decided.
    pub release: String,
    /// The prompt, with its version: `support-answer/v12`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prompt: String,
    /// The route that the call named.
    pub route: String,
    /// The provider that answered last.
    pub provider: String,
    /// The model that was asked for.
    pub model: String,
    /// What the provider calls the model that answered.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub answered_by: String,
    /// Routes that were tried before, because every target of theirs failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fell_back: Vec<String>,
    /// How many requests were sent to providers.
    pub attempts: u32,
    /// Which target answered when a second one was asked because the first was slow: `first`, `second` or `none`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hedged: String,
    /// `ok`, or the code of what went wrong.
    pub outcome: String,
    /// The status of HTTP.
    pub status: u16,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// Tokens of the input, those of a cache included.
    pub input_tokens: u64,
    /// Of these, tokens that the provider read from its cache.
    pub cached_input_tokens: u64,
    /// Of these, tokens that the provider wrote to its cache.
    pub cache_write_tokens: u64,
    /// Tokens of the output.
    pub output_tokens: u64,
    /// What it cost, as a decimal number.
    #[schemars(with = "String")]
    pub cost: Money,
    /// The currency; empty when the project has no prices.
    pub currency: String,
    /// How long the first token took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// How long the call took, in milliseconds.
    pub total_ms: u64,
    /// What a cache of answers did: `hit`, `miss`, or nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cache: String,
    /// Chunks of content that the prompt contained.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chunks: Vec<String>,
    /// Tools that were called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// What checks said of the answer: `output` → `repaired`, `grounding` → `0.92`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub verdicts: BTreeMap<String, String>,
}

impl Record {
    /// Its tokens.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        Tokens {
            input: self.input_tokens,
            cached_input: self.cached_input_tokens,
            cache_write: self.cache_write_tokens,
            output: self.output_tokens,
        }
    }

    /// Notes what it used.
    pub fn used(&mut self, settled: &crate::policy::Settled) {
        self.cost = settled.cost;
        self.currency.clone_from(&settled.currency);
        self.input_tokens = settled.tokens.input;
        self.cached_input_tokens = settled.tokens.cached_input;
        self.cache_write_tokens = settled.tokens.cache_write;
        self.output_tokens = settled.tokens.output;
    }

    /// When it began.
    #[must_use]
    pub fn began(&self) -> Timestamp {
        self.at.parse().unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// The text of a call, redacted as its feature says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[schemars(rename = "ModelCallText")]
pub struct Text {
    /// What was sent.
    pub input: String,
    /// What was answered.
    pub output: String,
    /// The question: what the prompt searches for, or the last message of the user.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub question: String,
    /// How many messages of the user the client sent.
    #[serde(default, skip_serializing_if = "is_none")]
    pub turns: u32,
    /// The language of the answer, if the call named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// What the caller saw, if checks changed the answer or refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
    /// What the answer may be grounded in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<TextSource>,
}

/// A source of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[schemars(rename = "ModelCallSource")]
pub struct TextSource {
    /// The title of its page.
    pub title: String,
    /// Where people read it.
    pub path: String,
    /// Its text, cut.
    pub text: String,
    /// Whether the answer cites it.
    pub cited: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
const fn is_none(count: &u32) -> bool {
    *count == 0
}

impl Text {
    /// Cut to what may be stored.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        for text in [&mut self.input, &mut self.output, &mut self.question].into_iter().chain(&mut self.shown)
        {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        }
        self.sources.truncate(SOURCES_MAX);
        for text in self.sources.iter_mut().map(|source| &mut source.text) {
            text.truncate(text.floor_char_boundary(SOURCE_BYTES_MAX));
        }
        self
    }

    /// What the caller saw.
    #[must_use]
    pub fn answer(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.output)
    }

    fn bytes(&self) -> usize {
        let sources: usize = self.sources.iter().map(|s| s.title.len() + s.path.len() + s.text.len()).sum();
        let shown = self.shown.as_ref().map_or(0, String::len);
        let locale = self.locale.as_ref().map_or(0, String::len);
        self.input.len() + self.output.len() + self.question.len() + locale + shown + sources
    }
}

/// A record that waits to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// The tenant.
    pub tenant: TenantId,
    /// What became of the call.
    pub record: Record,
    /// Its text with the days for which it is kept, when the feature asks for it.
    pub text: Option<(Text, u32)>,
    /// Which calls of its feature people look at.
    pub review: Option<Sampling>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    text_bytes: usize,
}

/// Records on their way to whoever stores them.
#[derive(Default)]
pub struct Records {
    queue: Mutex<Queue>,
    /// Wakes the reader when much waits.
    pressed: Notify,
    dropped: AtomicU64,
    followed: AtomicBool,
}

impl Records {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody stores records from now on. Before that, none is kept.
    pub fn follow(&self) {
        self.followed.store(true, Ordering::Relaxed);
    }

    /// Adds a record, if somebody stores records and there is room.
    pub fn add(&self, mut waiting: Waiting) {
        if !self.followed.load(Ordering::Relaxed) {
            return;
        }
        waiting.text = waiting.text.filter(|(_, days)| *days > 0).map(|(text, days)| (text.bounded(), days));
        let mut queue = self.lock();
        if queue.waiting.len() >= WAITING_MAX {
            drop(queue);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let bytes = waiting.text.as_ref().map_or(0, |(text, _)| text.bytes());
        if queue.text_bytes + bytes > TEXT_WAITING_BYTES_MAX {
            waiting.text = None;
        } else {
            queue.text_bytes += bytes;
        }
        queue.waiting.push_back(waiting);
        let pressed = queue.waiting.len() == WAITING_MAX / 4;
        drop(queue);
        if pressed {
            self.pressed.notify_one();
        }
    }

    /// Waits until a quarter of the room is used.
    pub async fn pressed(&self) {
        self.pressed.notified().await;
    }

    /// Takes the oldest records, at most so many.
    #[must_use]
    pub fn take(&self, max: usize) -> Vec<Waiting> {
        let mut queue = self.lock();
        let count = queue.waiting.len().min(max);
        let taken: Vec<Waiting> = queue.waiting.drain(..count).collect();
        let bytes: usize = taken.iter().filter_map(|w| w.text.as_ref()).map(|(text, _)| text.bytes()).sum();
        queue.text_bytes = queue.text_bytes.saturating_sub(bytes);
        taken
    }

    /// Puts back what could not be stored, before everything else. What has no room any more is dropped and counted.
    pub fn put_back(&self, taken: Vec<Waiting>) {
        let mut queue = self.lock();
        for waiting in taken.into_iter().rev() {
            if queue.waiting.len() >= WAITING_MAX {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            queue.text_bytes += waiting.text.as_ref().map_or(0, |(text, _)| text.bytes());
            queue.waiting.push_front(waiting);
        }
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// How many were dropped, because too many waited.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    fn waiting(id: &str) -> Waiting {
        let record = Record { id: id.to_owned(), ..Record::default() };
        Waiting { tenant: TenantId::main(), record, text: None, review: None }
    }

    #[test]
    fn nothing_waits_and_what_has_no_room_is_counted() {
        let records = Records::default();
        records.add(waiting("nobody stores it"));
        records.follow();
        for n in 0..WAITING_MAX + 3 {
            records.add(waiting(&n.to_string()));
        }
        assert_eq!((records.waiting(), records.dropped()), (WAITING_MAX, 3));
        let taken = records.take(10);
        assert_eq!((taken.len(), taken[0].record.id.as_str()), (10, "0"));
        records.add(waiting("last"));
        records.put_back(taken);
        // Nine of ten have room again.
        assert_eq!((records.waiting(), records.dropped()), (WAITING_MAX, 4));
        assert_eq!(records.take(1)[0].record.id, "1");
    }

    #[test]
    fn texts_are_bounded_one_by_one_and_together() {
        let records = Records::default();
        records.follow();
        let long = Text { input: "ä".repeat(TEXT_BYTES_MAX), ..Text::default() };
        for _ in 0..300 {
            records.add(Waiting { text: Some((long.clone(), 7)), ..waiting("a") });
        }
        records.add(Waiting { text: Some((long, 0)), ..waiting("none") });
        let taken = records.take(1_000);
        let kept: Vec<usize> = taken.iter().filter_map(|w| Some(w.text.as_ref()?.0.bytes())).collect();
        assert_eq!((kept.len(), kept[0]), (TEXT_WAITING_BYTES_MAX / TEXT_BYTES_MAX, TEXT_BYTES_MAX));
        records.add(Waiting { text: Some((Text::default(), 7)), ..waiting("b") });
        assert!(records.take(1)[0].text.is_some());
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let record = Record { cost: "0.0019".parse().unwrap(), feature: "a".to_owned(), ..Record::default() };
        let json = serde_json::to_string(&record).unwrap();
        assert!(json.contains(r#""cost":"0.0019""#), "{json}");
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
        assert_eq!(serde_json::from_str::<Record>("{}").unwrap(), Record::default());
    }
}
