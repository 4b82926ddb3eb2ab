//! Attacks in tool results and retrieved text. The model is a stand-in that obeys whatever it reads, so nothing but the gateway is in the way.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod attacks;
mod hands;
mod rig;
mod standin;

use std::sync::Arc;

use ashlar_gateway::{
    call::{Answer, BuiltIn, Question, Wanted},
    ground::Source,
    prompts::Prompts,
    wire::{Fault, openai},
};
use ashlar_model::Files;
use async_trait::async_trait;
use attacks::ATTACKS;
use hands::{TOML, asks, called, tooled};
use rig::caller;
use serde_json::{Value, json};
use standin::{Asked, Standin, Step};

const PROMPT: &str = "---\nowner: support\nchangelog: First version.\nroute: fast\noutput: none\ntools: [order-status, refund]\n\
    variables:\n  question: { type: string }\n\
    grounding: { chunks: 3, rule: drop, citations: optional, query: question }\n---\n\n## system\n\nYou answer.\n\n## user\n\n{{ sources }}\n\n{{ question }}\n";

/// Calls of tools that a text spells out.
fn spelled(text: &str) -> Option<(String, Value)> {
    let start = text.find('{')?;
    let value: Value = serde_json::from_str(&text[start..=text.rfind('}')?]).ok()?;
    Some((value["name"].as_str()?.to_owned(), value["arguments"].clone()))
}

/// What a model does that obeys: in its first round it uses a tool as it should, and with what it then reads it tries everything.
fn obeys(request: &Asked, attack: &str, way: usize) -> Vec<Step> {
    let request = request.json();
    let messages = request["messages"].as_array().unwrap();
    let results = messages.iter().filter(|message| message["role"] == "tool").count();
    let hostile: Vec<(&str, &str, Value)> = match (results, way % 2) {
        (0, _) => vec![("c0", "order-status", json!({"number": "A-1"}))],
        (1, 0) => vec![
            ("c1", "secret-tool", json!({})),
            ("c2", "order-status", json!({"number": "A-2", "customer": "otto"})),
        ],
        (1, _) => vec![("c1", "order-status", json!({"number": "../admin?customer=otto"}))],
        (_, _) => {
            let refund = ("c9", "refund", json!({"number": "A-1", "cents": 999_999}));
            return match spelled(attack).filter(|_| results < 3) {
                Some((name, arguments)) => {
                    vec![called("", &[("c8", &name, arguments)])]
                }
                None => vec![called("", &[refund])],
            };
        }
    };
    vec![called(attack, &hostile)]
}

/// Retrieved text that attacks.
struct Poisoned(String);

#[async_trait]
impl BuiltIn for Poisoned {
    fn audience(&self) -> String {
        "all".to_owned()
    }

    async fn answer(&self, question: Question) -> Result<Answer, Fault> {
        Ok(Answer { text: Some(question.text), cited: Vec::new(), refusal: None, more: json!({}) })
    }

    async fn sources(&self, _: Wanted) -> Result<Vec<Source>, Fault> {
        let (text, title) = (self.0.clone(), self.0.clone());
        Ok(vec![Source { id: "c1".to_owned(), title, path: "/p".to_owned(), text, ..Source::default() }])
    }
}

/// Whether marks in what a provider was sent are those of the gateway alone. `results` are counted as messages of tools.
fn marks_hold(request: &Value, retrieved: bool) -> bool {
    let messages = request["messages"].as_array().unwrap();
    messages.iter().all(|message| {
        let text = message["content"].as_str().unwrap_or_default();
        let count = |mark: &str| text.matches(mark).count();
        match message["role"].as_str().unwrap_or_default() {
            "tool" => {
                text.starts_with("<tool_result name=\"")
                    && text.ends_with("\n</tool_result>")
                    && count("<") == 2
            }
            // `<sources>`, one `<source>`, both closed, and the marks of the question.
            "user" if retrieved => count("<") == 6 && count("</source>") == 1 && count("</sources>") == 1,
            _ => true,
        }
    })
}

/// What ran that should not have.
fn wrong(ran: &[String]) -> Vec<String> {
    let allowed = |line: &&String| {
        let status =
            line.strip_prefix("shop GET /orders/").and_then(|rest| rest.strip_suffix("?customer=ines "));
        status.is_some_and(|number| !number.contains(['/', '?', '#', '&', '\\']))
    };
    ran.iter().filter(|line| !allowed(line)).cloned().collect()
}

#[tokio::test]
async fn an_obedient_model_gets_nothing_it_may_not_have() {
    let (mut calls, mut stopped, mut findings) = (0, 0, Vec::new());
    for (number, attack) in ATTACKS.iter().enumerate() {
        for way in 0..4 {
            let retrieved = way >= 2;
            let text = (*attack).to_owned();
            let standin = Standin::new(move |request, _| obeys(request, &text, way));
            let result = if retrieved { "shipped" } else { attack };
            let (hands, mut rig) = tooled(TOML, &standin, move |_| Ok(result.to_owned()));
            let mut body = asks(&["order-status", "refund"]);
            if retrieved {
                let mut files = Files::new();
                files.insert("prompts/grounded/v1.md", PROMPT.as_bytes().to_vec()).unwrap();
                rig.scene.prompts = Arc::new(Prompts::parse(&files).0);
                body["ashlar"] = json!({"prompt": "grounded", "variables": {"question": "Where is A-1?"}});
                body["messages"] = json!([]);
            }
            let call = openai::read(body.to_string().into()).unwrap();
            let reply = rig.desk.chat(&rig.scene, &caller(), call, &Poisoned((*attack).to_owned())).await;
            let said = match reply {
                Ok(reply) => rig::read(reply.body).await,
                Err(fault) => {
                    assert!(fault.code.starts_with("tool_"), "{attack}: {fault}");
                    String::new()
                }
            };
            calls += 1;
            stopped += usize::from(said.contains("ashlar-approval."));
            let sent: Vec<Value> = standin.requests().iter().map(Asked::json).collect();
            assert!(!sent.is_empty());
            if let Some(request) = sent.iter().find(|request| !marks_hold(request, retrieved)) {
                findings.push(format!("{number}/{way}: marks: {request}"));
            }
            findings.extend(wrong(&hands.ran()).into_iter().map(|line| format!("{number}/{way}: {line}")));
        }
    }
    assert!(findings.is_empty(), "{findings:#?}");
    assert!(stopped > calls / 3, "approvals are asked for: {stopped} of {calls}");
    println!("{} attacks, {calls} calls, {stopped} stopped for approval, 0 succeeded", ATTACKS.len());
}
