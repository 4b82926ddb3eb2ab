//! Calls to providers. The providers are stand-ins that speak the real formats over real connections.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod rig;
mod standin;

use std::{sync::Arc, time::Duration};

use ashlar_gateway::{
    upstream::{Kind, Providers},
    wire::{FaultKind, openai},
};
use ashlar_model::TenantId;
use rig::{Quoted, caller, rig};
use serde_json::{Value, json};
use standin::{Standin, Step};

const ONE: &str = "[routes.fast]\ntargets = [{ provider = \"a\", model = \"real-model\" }]\n";

fn hello(stream: bool) -> Value {
    json!({"model": "fast", "stream": stream, "messages": [{"role": "user", "content": "Hello"}]})
}

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"real-model-2026","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","reasoning_content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;

fn chunk(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"real\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

fn pieces() -> Vec<String> {
    vec![
        chunk(r#"{"role":"assistant","content":""}"#, "null"),
        chunk(r#"{"content":"Hel"}"#, "null"),
        chunk(r#"{"content":"lo"}"#, "null"),
        chunk("{}", "\"stop\""),
        "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"real\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\n".to_owned(),
        "data: [DONE]\n\n".to_owned(),
    ]
}

#[tokio::test]
async fn requests_and_answers_of_the_same_kind_pass_unchanged() {
    let standin = Standin::new(|_, _| vec![Step::json(200, ANSWER)]);
    let rig = rig(ONE, &[("a", Kind::OpenAi, &standin)]);
    let image = json!([{"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}]);
    let said = rig
        .openai(json!({
            "model": "fast", "messages": [{"role": "user", "content": image}], "seed": 7, "user": "ines@example.com",
            "logit_bias": {"5": 1}, "ashlar": {"session": "s"},
        }))
        .await
        .unwrap();
    assert_eq!(said, ANSWER);
    let sent = standin.requests().remove(0);
    assert_eq!(sent.path, "/chat/completions");
    assert_eq!(sent.header("traceparent"), Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    assert_eq!(
        sent.json(),
        json!({"model": "real-model", "messages": [{"role": "user", "content": image}], "seed": 7, "logit_bias": {"5": 1}})
    );
}

#[tokio::test]
async fn streams_pass_and_figures_are_sent_to_those_who_ask() {
    let standin = Standin::new(|_, _| vec![Step::events(&pieces())]);
    let rig = rig(ONE, &[("a", Kind::OpenAi, &standin)]);
    let said = rig.openai(hello(true)).await.unwrap();
    let all = pieces();
    assert_eq!(said, format!("{}{}", all[..4].concat(), all[5]));
    assert_eq!(standin.requests()[0].json()["stream_options"], json!({"include_usage": true}));
    let mut asks = hello(true);
    asks["stream_options"] = json!({"include_usage": true});
    assert_eq!(rig.openai(asks).await.unwrap(), all.concat());
}

#[tokio::test]
async fn an_openai_client_calls_tools_of_an_anthropic_model() {
    let events = [
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"usage":{"input_tokens":20,"cache_read_input_tokens":5,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Let me look."}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_1","name":"tide","input":{}}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"port\":"}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"\"Kiel\"}"}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":15}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let events: Vec<String> = events
        .iter()
        .map(|data| {
            let value: Value = serde_json::from_str(data).unwrap();
            format!("event: {}\ndata: {data}\n\n", value["type"].as_str().unwrap())
        })
        .collect();
    let standin = Standin::new(move |_, _| vec![Step::events(&events)]);
    let rig = rig(ONE, &[("a", Kind::Anthropic, &standin)]);
    let said = rig
        .openai(json!({
            "model": "fast", "stream": true, "stream_options": {"include_usage": true}, "max_tokens": 50, "tool_choice": "required",
            "messages": [
                {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tide?"},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "t0", "type": "function", "function": {"name": "tide", "arguments": "{\"port\":\"Hull\"}"}}]},
                {"role": "tool", "tool_call_id": "t0", "content": "high"}, {"role": "user", "content": "And Kiel?"},
            ],
            "tools": [{"type": "function", "function": {"name": "tide", "parameters": {"type": "object"}}}],
        }))
        .await
        .unwrap();
    let sent = standin.requests().remove(0);
    assert_eq!((sent.path.as_str(), sent.header("anthropic-version")), ("/v1/messages", Some("2023-06-01")));
    let body = sent.json();
    assert_eq!((&body["system"], &body["max_tokens"]), (&json!("Be brief."), &json!(50)));
    assert_eq!(body["tool_choice"]["type"], "any");
    assert_eq!(
        body["messages"].as_array().unwrap().len(),
        3,
        "the tool's answer and the question are one turn: {body}"
    );
    assert_eq!(body["messages"][1]["content"][0]["input"], json!({"port": "Hull"}));
    let chunks: Vec<Value> = said
        .lines()
        .filter_map(|line| line.strip_prefix("data: ").filter(|data| *data != "[DONE]"))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let text: String = chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
    let calls: Vec<&Value> =
        chunks.iter().filter_map(|c| c["choices"][0]["delta"]["tool_calls"].get(0)).collect();
    let arguments: String = calls.iter().filter_map(|c| c["function"]["arguments"].as_str()).collect();
    assert_eq!((text.as_str(), arguments.as_str()), ("Let me look.", "{\"port\":\"Kiel\"}"));
    assert_eq!((&calls[0]["id"], &calls[0]["function"]["name"]), (&json!("toolu_1"), &json!("tide")));
    assert!(chunks.iter().any(|c| c["choices"][0]["finish_reason"] == "tool_calls"));
    let usage = &chunks.last().unwrap()["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(25), &json!(15)));
    assert!(said.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn an_anthropic_client_calls_an_openai_model() {
    let mut all = pieces();
    all.insert(3, chunk(r#"{"tool_calls":[{"index":0,"id":"c9","type":"function","function":{"name":"tide","arguments":"{}"}}]}"#, "null"));
    let standin = Standin::new(move |request, _| match request.json()["stream"].as_bool() {
        Some(true) => vec![Step::events(&all)],
        _ => vec![Step::json(200, ANSWER)],
    });
    let rig = rig(ONE, &[("a", Kind::OpenAi, &standin)]);
    let ask = |stream: bool| {
        json!({"model": "fast", "max_tokens": 10, "stream": stream, "system": "Brief.", "metadata": {"user_id": "u"},
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}]})
    };
    let whole: Value = serde_json::from_str(&rig.anthropic(ask(false)).await.unwrap()).unwrap();
    assert_eq!((&whole["type"], &whole["stop_reason"]), (&json!("message"), &json!("end_turn")));
    assert_eq!((&whole["content"][0]["text"], &whole["usage"]["output_tokens"]), (&json!("Hi"), &json!(2)));
    let sent = standin.requests().remove(0).json();
    assert_eq!(sent["messages"][0], json!({"role": "system", "content": "Brief."}));
    assert_eq!(sent["messages"][1]["content"][1]["image_url"]["url"], "data:image/png;base64,AAAA");
    let said = rig.anthropic(ask(true)).await.unwrap();
    let names: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(
        names,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
}

#[tokio::test]
async fn what_may_be_tried_again_is_tried_again() {
    let standin = Standin::new(|_, number| match number {
        0 => vec![Step::json(503, r#"{"error":{"message":"busy"}}"#)],
        1 => vec![Step::Close],
        2 => {
            vec![Step::text("HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n")]
        }
        _ => vec![Step::json(200, ANSWER)],
    });
    let retrying = rig(&format!("{ONE}retries = 3\n"), &[("a", Kind::OpenAi, &standin)]);
    assert_eq!(retrying.openai(hello(false)).await.unwrap(), ANSWER);
    assert_eq!(standin.requests().len(), 4);

    let wrong = Standin::new(|_, _| {
        vec![Step::json(400, r#"{"error":{"message":"`seed` is odd","param":"seed","code":null}}"#)]
    });
    let refusing = rig(&format!("{ONE}retries = 3\n"), &[("a", Kind::OpenAi, &wrong)]);
    let fault = refusing.openai(hello(true)).await.unwrap_err();
    assert_eq!((fault.status(), fault.param.as_deref(), wrong.requests().len()), (400, Some("seed"), 1));
    assert!(fault.message.contains("`seed` is odd"), "{fault}");

    let unauthorized =
        Standin::new(|_, _| vec![Step::json(401, r#"{"error":{"message":"Incorrect key: sk-abc"}}"#)]);
    let refusing = rig(ONE, &[("a", Kind::OpenAi, &unauthorized)]);
    let fault = refusing.openai(hello(false)).await.unwrap_err();
    assert_eq!((fault.status(), fault.code.as_ref()), (502, "upstream_unauthorized"));
    assert!(!fault.message.contains("sk-"), "{fault}");
}

#[tokio::test]
async fn a_provider_that_hangs_is_replaced_before_anything_is_sent() {
    let hangs = Standin::new(|_, _| {
        vec![Step::begin_events(), Step::text(&pieces()[0]), Step::Wait(Duration::from_secs(20))]
    });
    let works = Standin::new(|_, _| vec![Step::events(&pieces())]);
    let toml = "[routes.fast]\ntargets = [{ provider = \"a\", model = \"x\" }]\nfallbacks = [\"careful\"]\n\
        timeout = { connect = 1.0, first_token = 0.3, total = 5.0 }\n\
        [routes.careful]\ntargets = [{ provider = \"b\", model = \"y\" }]\n";
    let rig = rig(toml, &[("a", Kind::OpenAi, &hangs), ("b", Kind::OpenAi, &works)]);
    let said = rig.openai(hello(true)).await.unwrap();
    assert!(said.contains("Hel") && said.ends_with("[DONE]\n\n"), "{said}");
    assert_eq!(works.requests()[0].json()["model"], "y");
    let gone = Standin::gone();
    let unreachable = rig::rig(ONE, &[("a", Kind::OpenAi, &gone)]);
    let fault = unreachable.openai(hello(false)).await.unwrap_err();
    assert_eq!((fault.status(), fault.code.as_ref()), (502, "upstream_unreachable"));
}

#[tokio::test]
async fn what_breaks_in_the_middle_is_never_a_success() {
    let all = pieces();
    let pause = Step::Wait(Duration::from_millis(100));
    let cases: Vec<(Vec<Step>, &str)> = vec![
        (vec![Step::begin_events(), Step::text(&all[..2].concat()), Step::Close], "upstream_"),
        (
            vec![Step::begin_events(), Step::text(&all[1]), pause.clone(), Step::text("data: {oops\n\n")],
            "upstream_malformed",
        ),
        (
            vec![
                Step::begin_events(),
                Step::text(&all[1]),
                pause,
                Step::text("data: {\"error\":{\"message\":\"too hot\"}}\n\n"),
            ],
            "too hot",
        ),
        (
            vec![Step::begin_events(), Step::text(&all[1]), Step::Wait(Duration::from_secs(20))],
            "upstream_timeout",
        ),
    ];
    for (steps, says) in cases {
        let shown = format!("{steps:?}");
        let standin = Standin::new(move |_, _| steps.clone());
        let toml =
            format!("{ONE}retries = 2\ntimeout = {{ connect = 1.0, first_token = 0.4, total = 5.0 }}\n");
        let rig = rig(&toml, &[("a", Kind::OpenAi, &standin)]);
        let said = rig.openai(hello(true)).await.unwrap();
        let last = said.trim_end().rsplit("data: ").next().unwrap().to_owned();
        assert!(said.contains("Hel") && !said.contains("[DONE]"), "{shown}: {said}");
        assert!(last.contains("\"error\"") && last.contains(says), "{shown}: {last}");
        assert_eq!(standin.requests().len(), 1, "what was sent to the client is not sent again");
        let said = rig.anthropic(json!({"model": "fast", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "x"}]}));
        let said = said.await.unwrap();
        assert!(said.contains("event: error\n") && !said.contains("message_stop"), "{shown}: {said}");
    }
    for body in ["{}", "not json", r#"{"choices":[]}"#] {
        let standin = Standin::new(move |_, _| vec![Step::json(200, body)]);
        let rig = rig(ONE, &[("a", Kind::OpenAi, &standin)]);
        assert_eq!(rig.openai(hello(false)).await.unwrap_err().code, "upstream_malformed", "{body}");
    }
    let large = Standin::new(|_, _| vec![Step::text("HTTP/1.1 200 OK\r\ncontent-length: 99000000\r\n\r\n")]);
    let rig = rig(ONE, &[("a", Kind::OpenAi, &large)]);
    assert_eq!(rig.openai(hello(false)).await.unwrap_err().code, "upstream_too_large");
}

#[tokio::test]
async fn a_target_that_keeps_failing_is_left_alone() {
    let standin = Standin::new(|_, _| vec![Step::json(500, "{}")]);
    let rig = rig(ONE, &[("a", Kind::OpenAi, &standin)]);
    for _ in 0..8 {
        assert!(rig.openai(hello(false)).await.is_err());
    }
    assert_eq!(standin.requests().len(), 5);
    let fault = rig.openai(hello(false)).await.unwrap_err();
    assert_eq!((fault.code.as_ref(), fault.retry_after.is_some()), ("upstream_paused", true));
}

#[tokio::test]
async fn routes_and_features_are_those_of_the_release() {
    let standin = Standin::new(|_, _| vec![Step::json(200, ANSWER)]);
    let toml = format!(
        "{ONE}context = 20\n[features.default]\nroutes = [\"fast\"]\n[features.quotes]\nroutes = [\"extractive\"]\n"
    );
    let rig = rig(&toml, &[("a", Kind::OpenAi, &standin)]);
    let ask =
        |model: &str, text: &str| json!({"model": model, "messages": [{"role": "user", "content": text}]});
    for (body, status, code) in [
        (ask("fasst", "x"), 404, "model_not_found"),
        (ask("extractive", "x"), 403, "route_not_allowed"),
        (ask("fast", &"long ".repeat(40)), 400, "context_length_exceeded"),
    ] {
        let fault = rig.openai(body).await.unwrap_err();
        assert_eq!(
            (fault.status(), fault.code.as_ref(), fault.kind == FaultKind::Upstream),
            (status, code, false)
        );
    }
    assert_eq!(standin.requests().len(), 0);
    let mut other = caller();
    other.tenant = TenantId::new("second").unwrap();
    let call = openai::read(ask("fast", "x").to_string().into()).unwrap();
    let refused = rig.desk.chat(&rig.scene, &other, call, &Quoted).await;
    assert_eq!(refused.err().unwrap().code, "provider_unavailable", "credentials are those of a tenant");
}

#[tokio::test]
async fn azure_is_asked_at_the_address_of_a_deployment_or_for_a_model() {
    let standin = Standin::new(|_, _| vec![Step::json(200, ANSWER)]);
    for (version, path) in [
        (Some("2024-10-21"), "/openai/deployments/team%2Fgpt-4.1_a/chat/completions?api-version=2024-10-21"),
        (None, "/openai/v1/chat/completions"),
    ] {
        let mut rig = rig(&ONE.replace("real-model", "team/gpt-4.1_a"), &[("a", Kind::Azure, &standin)]);
        let mut azure = Arc::into_inner(rig::provider("a", Kind::Azure, &standin.url)).unwrap();
        azure.api_version = version.map(str::to_owned);
        rig.desk.providers = Providers(Arc::new([("a".to_owned(), Arc::new(azure))].into()));
        assert_eq!(rig.openai(hello(false)).await.unwrap(), ANSWER);
        let sent = standin.requests().pop().unwrap();
        assert_eq!((sent.path.as_str(), &sent.json()["model"]), (path, &json!("team/gpt-4.1_a")));
    }
}
