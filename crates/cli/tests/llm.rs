//! Calls of models through the gateway of the demo, over HTTP and with the clients of OpenAI and Anthropic.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;
#[path = "common/installed.rs"]
mod installed;

use std::path::Path;

use common::{Demo, Rig, http, start};
use installed::{installed, run};
use serde_json::{Value, json};

const QUESTION: &str = "How much does the Basin plan cost each month?";
const NOT_SAID: &str = "Who won the football world cup in 1990?";

/// The demo, with its key for calls.
fn demo() -> (Demo, String) {
    let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "demo".to_owned() };
    let (server, ready) = start(&rig, &["demo", "--data", "demo"]);
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let llm = text(&ready["keys"]["llm"]);
    (Demo { rig, server, url: text(&ready["url"]), admin: text(&ready["keys"]["admin"]) }, llm)
}

fn ask(question: &str, more: &Value) -> String {
    let mut body = json!({"model": "extractive", "messages": [
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": question}]});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body.to_string()
}

fn chat(demo: &Demo, key: &str, body: &str) -> (u16, String, String) {
    http(&demo.url, "POST", "/llm/v1/chat/completions", key, body)
}

/// The body of an answer without the marks of chunked transfer.
fn events(body: &str) -> Vec<Value> {
    let data = body.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[test]
fn the_built_in_model_quotes_what_is_released_and_refuses_the_rest() {
    let (demo, key) = demo();
    let (status, head, body) = chat(&demo, &key, &ask(QUESTION, &json!({})));
    assert_eq!(status, 200, "{body}");
    assert!(head.contains("ashlar-release: r") && head.contains("ashlar-trace: "), "{head}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    let message = &answer["choices"][0]["message"];
    let text = message["content"].as_str().unwrap();
    let direct = demo.rig.json(0, &["ask", QUESTION, "--data", "demo", "--format", "json"]);
    assert!(text.starts_with(direct["answer"].as_str().unwrap()), "{text} | {direct}");
    let cited = &message["annotations"][0]["url_citation"];
    assert!(text.contains("[1]") && text.contains(cited["url"].as_str().unwrap()), "{text} {cited}");
    assert_eq!(answer["ashlar"]["citations"], direct["citations"]);
    assert_eq!((&message["refusal"], &answer["choices"][0]["finish_reason"]), (&Value::Null, &json!("stop")));

    let (status, _, body) = chat(&demo, &key, &ask(NOT_SAID, &json!({})));
    let refused: Value = serde_json::from_str(&body).unwrap();
    let message = &refused["choices"][0]["message"];
    assert_eq!(status, 200);
    assert!(message["refusal"].as_str().is_some_and(|why| !why.is_empty()), "{refused}");
    assert!(
        refused["ashlar"]["refusal"]["code"].is_string() && message["annotations"].is_null(),
        "{refused}"
    );

    let (_, head, streamed) = chat(&demo, &key, &ask(QUESTION, &json!({"stream": true})));
    assert!(head.contains("text/event-stream"), "{head}");
    let pieces = events(&streamed);
    let joined: String = pieces.iter().filter_map(|p| p["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(joined, text);
    assert!(streamed.contains("data: [DONE]"));

    let message = json!({"model": "extractive", "max_tokens": 100, "messages": [{"role": "user", "content": QUESTION}]});
    let (status, _, body) = http(&demo.url, "POST", "/llm/v1/messages", &key, &message.to_string());
    let said: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, said["content"][0]["text"].as_str()), (200, Some(text)), "{body}");
}

#[test]
fn what_is_wrong_is_said_in_the_format_of_the_client() {
    let (demo, key) = demo();
    let refused = |(status, _, body): (u16, String, String)| -> (u16, String) {
        let body: Value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"));
        assert!(body["error"]["message"].as_str().is_some_and(|m| !m.is_empty()), "{body}");
        assert!(body["error"]["type"].is_string(), "{body}");
        (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    let long = "x".repeat(2_000);
    let reader = demo
        .rig
        .json(0, &["key", "create", "--name", "r", "--scope", "read", "--data", "demo", "--format", "json"]);
    let reader = reader["key"].as_str().unwrap();
    let narrow = demo.rig.json(
        0,
        &["key", "create", "--name", "n", "--scope", "llm:support", "--data", "demo", "--format", "json"],
    );
    let narrow = narrow["key"].as_str().unwrap();
    for (key, body, status, code) in [
        ("", ask(QUESTION, &json!({})), 401, "invalid_api_key"),
        ("ash_nothing", ask(QUESTION, &json!({})), 401, "invalid_api_key"),
        (reader, ask(QUESTION, &json!({})), 403, "feature_not_allowed"),
        (demo.admin.as_str(), ask(QUESTION, &json!({})), 403, "feature_not_allowed"),
        (key.as_str(), "{".to_owned(), 400, "invalid_json"),
        (key.as_str(), r#"{"model":"a","model":"b","messages":[]}"#.to_owned(), 400, "invalid_json"),
        (key.as_str(), r#"{"model":"extractive"}"#.to_owned(), 400, "invalid_request"),
        (key.as_str(), ask("", &json!({})), 400, "invalid_request"),
        (key.as_str(), ask(&long, &json!({})), 400, "invalid_input"),
        (
            key.as_str(),
            ask(QUESTION, &json!({"ashlar": {"locale": "write to jo@example.com"}})),
            400,
            "invalid_request",
        ),
        (
            key.as_str(),
            ask(QUESTION, &json!({"ashlar": {"locale": "e".repeat(4_000)}})),
            400,
            "invalid_request",
        ),
        (key.as_str(), ask(QUESTION, &json!({"model": "extractiv"})), 404, "model_not_found"),
        (
            key.as_str(),
            ask(QUESTION, &json!({"response_format": {"type": "json_object"}})),
            400,
            "unsupported_parameter",
        ),
    ] {
        assert_eq!(refused(chat(&demo, key, &body)), (status, code.to_owned()), "{body}");
    }
    // A key of one feature calls as that feature, whether or not the release has it.
    let (status, _) = refused(chat(&demo, narrow, &ask(QUESTION, &json!({"model": "nothing"}))));
    assert!(status == 403 || status == 404, "{status}");
    let get = |path: &str| refused(http(&demo.url, "GET", path, &key, ""));
    assert_eq!(get("/llm/v1/nothing"), (404, "not_found".to_owned()));
    assert_eq!(get("/llm/v1/chat/completions"), (405, "method_not_allowed".to_owned()));
    assert_eq!(get("/llm/v1/models/nothing"), (404, "model_not_found".to_owned()));
    let embeds = json!({"model": "extractive", "input": "x"}).to_string();
    assert_eq!(
        refused(http(&demo.url, "POST", "/llm/v1/embeddings", &key, &embeds)).1,
        "unsupported_by_model"
    );
    let (status, _, body) =
        http(&demo.url, "POST", "/llm/v1/messages", &key, "{\"model\":\"extractive\",\"messages\":[]}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &body["type"], &body["error"]["type"]),
        (400, &json!("error"), &json!("invalid_request_error"))
    );
    let (status, _, listed) = http(&demo.url, "GET", "/llm/v1/models", &key, "");
    assert!(status == 200 && listed.contains("\"extractive\""), "{listed}");
}

/// One POST with headers.
fn post(url: &str, key: &str, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
    use std::io::{Read, Write};
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let mut head = format!(
        "POST /llm/v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nx-api-key: {key}\r\nconnection: close\r\n"
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

#[test]
fn a_call_names_a_prompt_and_the_release_decides_its_version() {
    let (demo, key) = demo();
    let asked = |prompt: Value| {
        let body = json!({"model": "default", "messages": [{"role": "user", "content": "Please answer."}], "ashlar": prompt});
        post(&demo.url, &key, &[("ashlar-feature", "support")], &body.to_string())
    };
    let (status, head, body) =
        asked(json!({"prompt": "support-answer", "variables": {"question": QUESTION}}));
    assert_eq!(status, 200, "{body}");
    assert!(head.contains("ashlar-prompt: support-answer@v2"), "{head}");
    assert!(body.contains("[1]"), "{body}");
    // The prompt alone is a conversation.
    let alone = json!({"prompt": "support-answer", "variables": {"question": QUESTION}});
    for body in [
        json!({"model": "default", "messages": [], "ashlar": alone}),
        json!({"model": "default", "ashlar": alone}),
    ] {
        let (status, _, body) = post(&demo.url, &key, &[("ashlar-feature", "support")], &body.to_string());
        assert!(status == 200 && body.contains("[1]"), "{status} {body}");
    }
    let nothing = json!({"model": "default", "messages": []});
    let (status, _, body) = post(&demo.url, &key, &[("ashlar-feature", "support")], &nothing.to_string());
    assert!(status == 400 && body.contains("`messages` has 0 items"), "{status} {body}");
    let (_, head, _) =
        asked(json!({"prompt": "support-answer", "version": 1, "variables": {"question": QUESTION}}));
    assert!(head.contains("ashlar-prompt: support-answer@v1"), "{head}");
    let (status, _, body) = asked(json!({"prompt": "support-answer"}));
    assert!(status == 400 && body.contains("question"), "{status} {body}");
    let (status, _, body) = asked(json!({"prompt": "other"}));
    assert!(status == 403 && body.contains("prompt_not_allowed"), "{status} {body}");
    let elsewhere = ask(QUESTION, &json!({}));
    let (status, _, body) = post(&demo.url, &key, &[("ashlar-feature", "none")], &elsewhere);
    assert!(status == 403 && body.contains("unknown_feature"), "{status} {body}");
}

#[test]
fn each_call_leaves_a_record() {
    let (demo, key) = demo();
    let (_, head, _) = chat(&demo, &key, &ask(QUESTION, &json!({"user": "ines"})));
    let trace = head.lines().find_map(|line| line.strip_prefix("ashlar-trace: ")).unwrap().to_owned();
    assert_eq!(chat(&demo, &key, &ask(QUESTION, &json!({"model": "none"}))).0, 404);
    let calls = common::eventually("two records", || {
        let (status, _, body) = http(&demo.url, "GET", "/api/v1/llm/calls", &demo.admin, "");
        assert_eq!(status, 200, "{body}");
        let page: Value = serde_json::from_str(&body).unwrap();
        page["items"].as_array().filter(|items| items.len() == 2).cloned()
    });
    let answered = calls.iter().find(|call| call["trace"] == trace.as_str()).unwrap();
    assert_eq!(
        (&answered["outcome"], &answered["provider"], &answered["feature"]),
        (&json!("ok"), &json!("ashlar"), &json!("default"))
    );
    assert!(answered["user"].as_str().is_some_and(|user| !user.is_empty() && user != "ines"), "{answered}");
    assert!(
        calls.iter().any(|call| call["outcome"] == "model_not_found" && call["status"] == 404),
        "{calls:?}"
    );
}

const PYTHON: &str = r#"
import sys
import openai, anthropic

url, key, question, unsaid = sys.argv[1:]
client = openai.OpenAI(base_url=url + "/llm/v1", api_key=key)
assert "extractive" in [model.id for model in client.models.list()], "models"
assert client.models.retrieve("extractive").id == "extractive"
ask = lambda text, **more: client.chat.completions.create(
    model="extractive", messages=[{"role": "user", "content": text}], **more)
answer = ask(question)
message = answer.choices[0].message
assert "[1]" in message.content and message.annotations[0].url_citation.url in message.content, answer
assert answer.usage.total_tokens > 0 and answer.choices[0].finish_reason == "stop"
assert ask(unsaid).choices[0].message.refusal, "a refusal"
pieces = list(ask(question, stream=True, stream_options={"include_usage": True}))
text = "".join(p.choices[0].delta.content or "" for p in pieces if p.choices)
assert text == message.content, (text, message.content)
assert pieces[-1].usage.completion_tokens > 0
try:
    client.chat.completions.create(model="gpt-none", messages=[{"role": "user", "content": "x"}])
    raise AssertionError("no error")
except openai.NotFoundError as error:
    assert error.code == "model_not_found", error
try:
    openai.OpenAI(base_url=url + "/llm/v1", api_key="wrong").models.list()
    raise AssertionError("no error")
except openai.AuthenticationError as error:
    assert error.code == "invalid_api_key", error

other = anthropic.Anthropic(base_url=url + "/llm", api_key=key)
assert "extractive" in [model.id for model in other.models.list()]
turn = dict(model="extractive", max_tokens=200, messages=[{"role": "user", "content": question}])
said = other.messages.create(**turn)
assert said.content[0].text == message.content and said.stop_reason == "end_turn", said
with other.messages.stream(**turn) as stream:
    assert "".join(stream.text_stream) == message.content
    assert stream.get_final_message().usage.output_tokens > 0
try:
    other.messages.create(**{**turn, "model": "none"})
    raise AssertionError("no error")
except anthropic.NotFoundError as error:
    assert error.body["error"]["code"] == "model_not_found", error
print("called")
"#;

#[test]
fn the_python_clients_of_openai_and_anthropic_work() {
    let Some(tools) = installed("clients of model providers") else { return };
    let (demo, key) = demo();
    demo.rig.write("call.py", PYTHON);
    let said = run(
        demo.rig.path(),
        &tools.join("python/bin/python"),
        &["call.py", &demo.url, &key, QUESTION, NOT_SAID],
    );
    assert!(said.contains("called"), "{said}");
}

const NODE: &str = r#"
import OpenAI from "openai";
import Anthropic from "@anthropic-ai/sdk";

const [url, key, question] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/llm/v1`, apiKey: key });
const models = [];
for await (const model of client.models.list()) models.push(model.id);
if (!models.includes("extractive")) throw new Error(models.join());
const turn = { model: "extractive", messages: [{ role: "user", content: question }] };
const answer = await client.chat.completions.create(turn);
const text = answer.choices[0].message.content;
if (!text.includes("[1]")) throw new Error(JSON.stringify(answer));
let streamed = "";
for await (const piece of await client.chat.completions.create({ ...turn, stream: true })) {
  streamed += piece.choices[0]?.delta?.content ?? "";
}
if (streamed !== text) throw new Error(streamed);
const other = new Anthropic({ baseURL: `${url}/llm`, apiKey: key });
const message = await other.messages.stream({ ...turn, max_tokens: 100 }).finalMessage();
if (message.content[0].text !== text) throw new Error(JSON.stringify(message));
const failed = await client.chat.completions.create({ ...turn, model: "none" }).catch((error) => error);
if (failed.status !== 404 || failed.code !== "model_not_found") throw new Error(String(failed));
console.log("called");
"#;

#[test]
fn the_node_clients_of_openai_and_anthropic_work() {
    let Some(tools) = installed("clients of model providers") else { return };
    let (demo, key) = demo();
    std::os::unix::fs::symlink(tools.join("node_modules"), demo.rig.path().join("node_modules")).unwrap();
    demo.rig.write("call.mjs", NODE);
    let said = run(demo.rig.path(), Path::new("node"), &["call.mjs", &demo.url, &key, QUESTION]);
    assert!(said.contains("called"), "{said}");
}
