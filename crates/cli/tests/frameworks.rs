//! Frameworks that people write applications with, in front of the gateway: LangChain and the AI SDK of Vercel, each with its clients of
//! OpenAI and of Anthropic. A stand-in for a model behind the gateway speaks the format of OpenAI, so half of the calls are translated.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;
#[path = "common/installed.rs"]
mod installed;
#[path = "../../gateway/tests/standin/mod.rs"]
mod standin;

use std::{path::Path, process::Command};

use common::{Rig, Served, start};
use installed::installed;
use serde_json::{Value, json};
use standin::{Asked, Standin, Step};

const GATEWAY: &str = "[routes.fast]\ntargets = [{ provider = \"a\", model = \"m\" }]\n";
const TEXT: &str = "The tide is high at noon.";

/// Calls the first tool, follows a schema, or says a sentence.
fn answer(request: &Asked) -> Vec<Step> {
    let asked = request.json();
    let object = json!({"port": "Kiel", "hour": 12}).to_string();
    let answered = asked["messages"].as_array().unwrap().last().unwrap()["role"] == "tool";
    let tool = asked["tools"][0]["function"]["name"].as_str().filter(|_| !answered);
    let called = tool
        .map(|name| (name, if name == "tide" { r#"{"port":"Kiel"}"#.to_owned() } else { object.clone() }));
    let text = if asked["response_format"]["type"] == "json_schema" { object.as_str() } else { TEXT };
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16});
    let finish = if called.is_some() { "tool_calls" } else { "stop" };
    if asked["stream"] != true {
        let mut message = json!({"role": "assistant", "content": text});
        if let Some((name, arguments)) = &called {
            message = json!({"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}]});
        }
        let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}]});
        return vec![Step::json(200, &body.to_string())];
    }
    let piece = |choices: Value, usage: Option<&Value>| {
        let piece = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, "usage": usage});
        format!("data: {piece}\n\n")
    };
    let delta = |delta: Value| piece(json!([{"index": 0, "delta": delta, "finish_reason": null}]), None);
    let mut all = vec![delta(json!({"role": "assistant", "content": ""}))];
    match &called {
        Some((name, arguments)) => {
            let begun = json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}});
            all.push(delta(json!({"tool_calls": [begun]})));
            let (first, second) = arguments.split_at(5);
            all.extend(
                [first, second].map(|part| {
                    delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}))
                }),
            );
        }
        None => all.extend(text.split_inclusive(' ').map(|word| delta(json!({"content": word})))),
    }
    all.push(piece(json!([{"index": 0, "delta": {}, "finish_reason": finish}]), None));
    all.push(piece(json!([]), Some(&usage)));
    all.push("data: [DONE]\n\n".to_owned());
    vec![Step::events(&all)]
}

struct Gateway {
    rig: Rig,
    _server: Served,
    url: String,
    key: String,
}

fn gateway() -> Gateway {
    let standin = Standin::new(|request, _| answer(request));
    let rig = Rig::new();
    rig.write("site/gateway.toml", GATEWAY);
    std::fs::create_dir_all(rig.path().join("data")).unwrap();
    let models = format!("[providers.a]\nkind = \"openai\"\nurl = \"{}/v1\"\nprivate = true\n", standin.url);
    rig.write("data/models.toml", &models);
    rig.push();
    rig.release();
    let made = rig.json(0, &["key", "create", "--name", "app", "--scope", "llm", "--format", "json"]);
    let (server, ready) = start(&rig, &["serve", "--data", "data"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Gateway { rig, _server: server, url: text(&ready["url"]), key: text(&made["key"]) }
}

fn run(gateway: &Gateway, program: &Path, script: &str) {
    let out = Command::new(program)
        .args([script, &gateway.url, &gateway.key])
        .current_dir(gateway.rig.path())
        .env("NO_COLOR", "1")
        .env("LANGSMITH_TRACING", "false")
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success() && said.contains("called"), "{}: {said}", program.display());
}

#[test]
fn langchain_works() {
    let Some(tools) = installed("clients of model providers") else { return };
    let gateway = gateway();
    gateway.rig.write("chain.py", include_str!("frameworks/chain.py"));
    run(&gateway, &tools.join("python/bin/python"), "chain.py");
}

#[test]
fn the_ai_sdk_of_vercel_works() {
    let Some(tools) = installed("clients of model providers") else { return };
    let gateway = gateway();
    std::os::unix::fs::symlink(tools.join("node_modules"), gateway.rig.path().join("node_modules")).unwrap();
    gateway.rig.write("sdk.mjs", include_str!("frameworks/sdk.mjs"));
    run(&gateway, Path::new("node"), "sdk.mjs");
}
