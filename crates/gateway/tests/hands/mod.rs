//! A stand-in for tool servers and for people who approve.

#![allow(dead_code, reason = "each test uses what it needs")]

use std::sync::{Arc, Mutex};

use ashlar_gateway::{
    tools::{Asks, Decision, Order, Pending, Servers, ToolFailure},
    upstream::Kind,
    wire::Fault,
};
use ashlar_model::TenantId;
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::{
    rig::{Rig, rig},
    standin::{Standin, Step},
};

/// Tools of all sorts. `secret-tool` is not one of the feature.
pub const TOML: &str = r#"
[routes.fast]
targets = [{ provider = "a", model = "m" }]
retries = 0

[features.default]
routes = ["fast", "extractive"]
tools = ["order-status", "refund", "notes"]
tool_rounds = 3

[tools.order-status]
description = "Looks up the state of an order by its number."
server = "shop"
method = "GET"
path = "/orders/{number}"
# timeout
[tools.order-status.input]
type = "object"
properties = { number = { type = "string", maxLength = 40 }, customer = { type = "string" } }
required = ["number", "customer"]
additionalProperties = false
[tools.order-status.bind]
customer = "user"

[tools.refund]
description = "Pays money back."
server = "shop"
path = "/refunds"
effects = true
input = { type = "object", properties = { number = { type = "string" }, cents = { type = "integer", minimum = 1 } }, required = ["number", "cents"], additionalProperties = false }

[tools.notes]
description = "Notes of the team about an order."
server = "notes"
kind = "mcp"
input = { type = "object", properties = { number = { type = "string" } }, required = ["number"], additionalProperties = false }

[tools.secret-tool]
description = "Deletes everything."
server = "shop"
path = "/everything"
input = { type = "object" }
"#;

type Script = dyn Fn(&Order<'_>) -> Result<String, ToolFailure> + Send + Sync;

pub struct Hands {
    script: Box<Script>,
    ran: Mutex<Vec<String>>,
    decision: Mutex<Decision>,
    used: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Hands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hands")
    }
}

impl Hands {
    /// What was run: server, method, path, body, or tool and arguments.
    pub fn ran(&self) -> Vec<String> {
        self.ran.lock().unwrap().clone()
    }

    pub fn decide(&self, decision: Decision) {
        *self.decision.lock().unwrap() = decision;
    }

    /// A tool that never answers.
    pub fn hangs(_: &Order<'_>) -> Result<String, ToolFailure> {
        Err(ToolFailure::new(HANG))
    }
}

/// What makes a stand-in wait for ever.
const HANG: &str = "hang";

#[async_trait]
impl Servers for Hands {
    async fn run(&self, order: Order<'_>) -> Result<String, ToolFailure> {
        let shown = match &order.asks {
            Asks::Http(asked) => {
                format!(
                    "{} {} {} {}",
                    order.server,
                    asked.method.name(),
                    asked.path,
                    asked.body.clone().unwrap_or_default()
                )
            }
            Asks::Mcp { tool, arguments } => format!("{} mcp {tool} {arguments}", order.server),
        };
        self.ran.lock().unwrap().push(shown);
        let result = (self.script)(&order);
        if matches!(&result, Err(failure) if failure.message == HANG) {
            std::future::pending::<()>().await;
        }
        result
    }

    async fn secret(&self, _: &TenantId) -> Result<[u8; 32], Fault> {
        Ok([7; 32])
    }

    async fn redeem(&self, _: &TenantId, pending: &Pending, uses: bool) -> Result<Decision, Fault> {
        let mut used = self.used.lock().unwrap();
        let decision = *self.decision.lock().unwrap();
        if used.contains(&pending.id) {
            return Ok(Decision::Used);
        }
        if uses && decision == Decision::Approved {
            used.push(pending.id.clone());
        }
        Ok(decision)
    }
}

/// A desk with the tools of a `gateway.toml`, and what runs them.
pub fn tooled(
    toml: &str,
    standin: &Standin,
    script: impl Fn(&Order<'_>) -> Result<String, ToolFailure> + Send + Sync + 'static,
) -> (Arc<Hands>, Rig) {
    let hands = Arc::new(Hands {
        script: Box::new(script),
        ran: Mutex::default(),
        decision: Mutex::new(Decision::Open),
        used: Mutex::default(),
    });
    let mut rig = rig(toml, &[("a", Kind::OpenAi, standin)]);
    rig.desk.servers = Some(hands.clone());
    (hands, rig)
}

/// A call that may use these tools.
pub fn asks(tools: &[&str]) -> Value {
    json!({"model": "fast", "user": "ines", "messages": [{"role": "user", "content": "Where is A-1?"}], "ashlar": {"tools": tools}})
}

fn answer(message: &Value, finish: &str) -> Step {
    let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m-1",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}});
    Step::json(200, &body.to_string())
}

/// The model answers.
pub fn said(text: &str) -> Step {
    answer(&json!({"role": "assistant", "content": text}), "stop")
}

/// The model asks for tools.
pub fn called(text: &str, calls: &[(&str, &str, Value)]) -> Step {
    let calls: Vec<Value> = calls
        .iter()
        .map(|(id, name, arguments)| {
            json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments.to_string()}})
        })
        .collect();
    answer(&json!({"role": "assistant", "content": text, "tool_calls": calls}), "tool_calls")
}
