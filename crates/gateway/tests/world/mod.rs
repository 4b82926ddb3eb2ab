//! What calls of a story meet: a provider, rows of budgets, and callers.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use ashlar_gateway::{
    call::{Answer, BuiltIn, Question, Wanted},
    ground::Source,
    wire::Fault,
};
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::{
    rig::Quoted,
    standin::{Standin, Step},
};

/// What the stand-in reports of an answer, and the most that a call asks for.
pub const TOKENS_IN: u64 = 40;
pub const TOKENS_OUT: u64 = 10;
pub const TOKENS_MAX: u64 = 20;
/// The versions of each prompt.
pub const VERSIONS: u32 = 3;

/// What the provider does with a call that reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    Answer,
    Refuse,
    Fail,
    /// Breaks off in the middle of an answer.
    Cut,
    /// Begins a stream whose client goes away.
    Gone,
    /// Answers `shape` with what breaks its contract first.
    Repair,
}

/// A built-in model for callers who may see this.
pub struct Seen(pub u8);

#[async_trait]
impl BuiltIn for Seen {
    async fn answer(&self, question: Question) -> Result<Answer, Fault> {
        Quoted.answer(question).await
    }

    fn audience(&self) -> String {
        format!("reader {}", self.0)
    }

    async fn sources(&self, wanted: Wanted) -> Result<Vec<Source>, Fault> {
        Quoted.sources(wanted).await
    }
}

/// What the stand-in does next, and what it waits for.
pub struct Control {
    pub says: Mutex<Says>,
    pub waits: AtomicBool,
    pub waiting: AtomicBool,
}

pub fn system(version: u32) -> String {
    format!("You are version {version}.")
}

/// The version that a request was made with.
pub fn version_of(request: &Value) -> u32 {
    let text = request["messages"][0]["content"].as_str().unwrap();
    (1..=VERSIONS).find(|version| text == system(*version)).unwrap()
}

pub fn answers(control: Arc<Control>) -> Standin {
    Standin::new(move |asked, number| {
        let request = asked.json();
        let messages = request["messages"].to_string();
        // A call that waits is asked twice: the first answer breaks its contract.
        let during = messages.contains("during");
        let again = messages.contains("no JSON");
        if during && !again {
            control.waiting.store(true, Ordering::SeqCst);
            while control.waits.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
        }
        let says = if during { Says::Repair } else { *control.says.lock().unwrap() };
        let text = match says {
            Says::Repair if !again => "no JSON".to_owned(),
            _ => json!({"n": number, "v": version_of(&request)}).to_string(),
        };
        let usage = json!({"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT, "total_tokens": TOKENS_IN + TOKENS_OUT});
        let piece = |delta: Value, finish: Option<&str>| {
            let body = json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
            format!("data: {body}\n\n")
        };
        let streams = request["stream"] == true;
        match says {
            Says::Refuse => vec![Step::json(400, "{}")],
            Says::Fail => vec![Step::json(500, "{}")],
            Says::Cut if !streams => {
                vec![Step::text("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"), Step::Close]
            }
            Says::Cut => vec![Step::begin_events(), Step::Close],
            Says::Gone if streams => vec![Step::begin_events(), Step::text(&piece(json!({"content": "12345678"}), None)), Step::Wait(Duration::from_secs(1))],
            _ if streams => vec![Step::events(&[
                piece(json!({"content": text}), None),
                piece(json!({}), Some("stop")),
                format!("data: {}\n\n", json!({"id": "c", "model": "m", "choices": [], "usage": usage})),
                "data: [DONE]\n\n".to_owned(),
            ])],
            _ => vec![Step::json(200, &json!({"id": "c", "model": "m", "usage": usage,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}).to_string())],
        }
    })
}
