//! The formats of providers as they really send them, with what sets each apart, and figures that cannot be.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod rig;
mod standin;

use std::{sync::Arc, time::Duration};

use ashlar_gateway::{
    call::{Body, Facts},
    policy::Policy,
    upstream::Kind,
    wire::{TOKENS_REPORTED_MAX, anthropic, openai},
};
use futures::StreamExt as _;
use rig::{Closed, Quoted, Rig, Rows, caller, rig};
use serde_json::{Value, json};
use standin::{Standin, Step};

const PRICED: &str = "[routes.fast]\ntargets = [{ provider = \"a\", model = \"m\" }]\nretries = 0\n\
    timeout = { connect = 5.0, first_token = 2.0, total = 20.0 }\n\
    [[prices]]\nmodel = \"a/m\"\nfrom = \"2020-01-01\"\ncurrency = \"USD\"\ninput = \"1.00\"\noutput = \"10.00\"\n\
    [features.default]\nroutes = [\"fast\"]\nbudget = { day = \"1.00\" }\n";

/// A rig with prices and budgets, and what becomes of its calls.
fn priced(kind: Kind, standin: &Standin) -> (Rig, Arc<Closed>) {
    let mut rig = rig(PRICED, &[("a", kind, standin)]);
    let closed = Arc::new(Closed::default());
    rig.scene.policy = Some(Policy::new(Arc::new(Rows::default())));
    rig.scene.closing = Some(closed.clone());
    (rig, closed)
}

fn last(closed: &Closed) -> Facts {
    closed.0.lock().unwrap().last().cloned().unwrap()
}

fn ask(stream: bool) -> Value {
    json!({"model": "fast", "max_tokens": 50, "stream": stream, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "When is the tide high?"}]})
}

fn ask_anthropic(stream: bool) -> Value {
    json!({"model": "fast", "max_tokens": 50, "stream": stream,
        "messages": [{"role": "user", "content": "When is the tide high?"}]})
}

fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// The data of the events of an answer.
fn events(said: &str) -> Vec<Value> {
    let data = said.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

#[tokio::test]
async fn figures_that_cannot_be_are_no_figures() {
    let strange = [
        json!({"prompt_tokens": -5, "completion_tokens": 2}),
        json!({"prompt_tokens": 9_223_372_036_854_775_808_u64, "completion_tokens": 9_223_372_036_854_775_808_u64}),
        json!({"prompt_tokens": 5, "completion_tokens": TOKENS_REPORTED_MAX + 1}),
        json!({"prompt_tokens": "5", "completion_tokens": [1]}),
        json!({"prompt_tokens": 1.5, "completion_tokens": 1e300}),
        json!({"prompt_tokens": 0, "completion_tokens": 0}),
        json!({}),
        Value::Null,
    ];
    for usage in strange {
        let shown = usage.to_string();
        let standin = Standin::new(move |request, _| {
            match request.json()["stream"].as_bool() {
            Some(true) => vec![Step::events(&[
                data(&json!({"id": "c", "choices": [{"index": 0, "delta": {"content": "12345678"}, "finish_reason": "stop"}]})),
                data(&json!({"id": "c", "choices": [], "usage": usage})),
                "data: [DONE]\n\n".to_owned(),
            ])],
            _ => vec![Step::json(
                200,
                &json!({"id": "c", "usage": usage, "choices": [{"index": 0, "message": {"role": "assistant", "content": "12345678"}}]})
                    .to_string(),
            )],
        }
        });
        let (rig, closed) = priced(Kind::OpenAi, &standin);
        for stream in [false, true] {
            let said = rig.openai(ask(stream)).await.unwrap_or_else(|fault| panic!("{shown}: {fault:?}"));
            assert!(said.contains("12345678"), "{shown}: {said}");
            // Eight bytes are two tokens; the request is taken to have ten.
            let facts = last(&closed);
            assert_eq!(
                (facts.tokens.output, facts.tokens.input, facts.outcome.as_str()),
                (2, 10, "ok"),
                "{shown}"
            );
        }
        rig.anthropic(ask_anthropic(true)).await.unwrap();
    }
    let vectors = Standin::new(|_, _| {
        vec![Step::json(
            200,
            r#"{"object":"list","data":[{"index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":-1}}"#,
        )]
    });
    let (rig, closed) = priced(Kind::OpenAi, &vectors);
    let asked =
        openai::Embeddings::read(json!({"model": "fast", "input": "12345678"}).to_string().into()).unwrap();
    rig.desk.embed(&rig.scene, &caller(), &asked).await.map(|reply| drop(reply.body)).unwrap();
    assert!(last(&closed).tokens.input > 0, "what was sent is charged when nothing is reported");
}

#[tokio::test]
async fn an_answer_of_anthropic_that_is_not_waited_for_is_charged_for_what_came() {
    let start = json!({"type": "message_start", "message": {"id": "m1", "type": "message", "role": "assistant", "model": "claude",
        "content": [], "usage": {"input_tokens": 7, "cache_read_input_tokens": 3, "output_tokens": 1}}});
    let text = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x".repeat(80)}});
    let head = format!(
        "event: message_start\n{}event: ping\ndata: {{\"type\":\"ping\"}}\n\nevent: content_block_delta\n{}",
        data(&start),
        data(&text)
    );
    let standin = Standin::new(move |_, _| {
        vec![Step::begin_events(), Step::text(&head), Step::Wait(Duration::from_secs(3))]
    });
    let (rig, closed) = priced(Kind::Anthropic, &standin);
    let call = anthropic::read(ask_anthropic(true).to_string().into()).unwrap();
    let reply = rig.desk.chat(&rig.scene, &caller(), call, &Quoted).await.unwrap();
    let Body::Stream(mut stream) = reply.body else { panic!("a stream") };
    assert!(stream.next().await.is_some());
    drop(stream);
    let facts = last(&closed);
    assert_eq!((facts.outcome.as_str(), facts.status), ("client_gone", 499));
    // The provider said one token before it began; eighty bytes came.
    assert_eq!((facts.tokens.input, facts.tokens.cached_input, facts.tokens.output), (10, 3, 20));
}

#[tokio::test]
async fn a_model_that_reasons_has_begun() {
    // Reasoning takes longer than the first token may.
    let thought = |number: u32| {
        data(
            &json!({"id": "c", "model": "r1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": null,
            "reasoning_content": format!("step {number} ")}, "finish_reason": null}]}),
        )
    };
    let mut steps = vec![Step::begin_events()];
    for number in 0..5 {
        steps.extend([Step::text(&thought(number)), Step::Wait(Duration::from_millis(500))]);
    }
    steps.push(Step::text(&data(
        &json!({"id": "c", "choices": [{"index": 0, "delta": {"content": "At noon."}, "finish_reason": "stop"}]}),
    )));
    steps.push(Step::text("data: [DONE]\n\n"));
    let standin = Standin::new(move |_, _| steps.clone());
    let (open, _) = priced(Kind::OpenAi, &standin);
    let event = |value: Value| format!("event: {}\n{}", value["type"].as_str().unwrap(), data(&value));
    let mut steps = vec![
        Step::begin_events(),
        Step::text(&event(
            json!({"type": "message_start", "message": {"id": "m", "model": "claude", "content": [],
            "usage": {"input_tokens": 7, "output_tokens": 1}}}),
        )),
        Step::text(&event(json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""}}))),
    ];
    for _ in 0..5 {
        let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm. "}});
        steps.extend([Step::text(&event(delta)), Step::Wait(Duration::from_millis(500))]);
    }
    for rest in [
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "At noon."}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 44}}),
        json!({"type": "message_stop"}),
    ] {
        steps.push(Step::text(&event(rest)));
    }
    let standin = Standin::new(move |_, _| steps.clone());
    let (rig, closed) = priced(Kind::Anthropic, &standin);
    let (passed, written, ours, other) = tokio::join!(
        open.openai(ask(true)),
        open.anthropic(ask_anthropic(true)),
        rig.anthropic(ask_anthropic(true)),
        rig.openai(ask(true))
    );
    let (passed, written) = (passed.unwrap(), written.unwrap());
    assert!(
        passed.contains("step 4 ") && passed.contains("At noon.") && passed.ends_with("data: [DONE]\n\n"),
        "{passed}"
    );
    assert!(
        written.contains("At noon.") && written.contains("message_stop") && !written.contains("step"),
        "{written}"
    );
    let (ours, other) = (ours.unwrap(), other.unwrap());
    assert!(
        ours.contains("thinking_delta") && ours.contains("c2ln") && ours.contains("message_stop"),
        "{ours}"
    );
    assert!(
        other.contains("At noon.") && other.ends_with("data: [DONE]\n\n") && !other.contains("Hm."),
        "{other}"
    );
    assert_eq!((last(&closed).tokens.input, last(&closed).tokens.output), (7, 44));
}

#[tokio::test]
async fn tools_of_ollama_and_vllm_become_blocks_of_anthropic() {
    // Ollama numbers every call 0 and sends each whole; ids may be missing altogether.
    let of_ollama = |id: Value, port: &str| {
        json!({"id": "chatcmpl-7", "model": "qwen", "choices": [{"index": 0, "finish_reason": null, "delta": {"role": "assistant", "content": "",
            "tool_calls": [{"index": 0, "id": id, "type": "function", "function": {"name": "tide", "arguments": format!("{{\"port\":\"{port}\"}}")}}]}}]})
    };
    let end = json!({"id": "chatcmpl-7", "model": "qwen", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""},
        "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 20, "completion_tokens": 8}});
    let ollama = [
        data(&of_ollama(json!("call_a"), "Kiel")),
        data(&of_ollama(json!("call_b"), "Hull")),
        data(&end),
        "data: [DONE]\n\n".to_owned(),
    ];
    // vLLM sends several calls in one piece, repeats empty names, and says "" where it has not finished.
    let vllm = [
        data(
            &json!({"id": "chatcmpl-8", "model": "q", "choices": [{"index": 0, "finish_reason": "", "delta": {"tool_calls": [
            {"index": 0, "id": "call_a", "type": "function", "function": {"name": "tide", "arguments": "{\"port\":"}},
            {"index": 1, "type": "function", "function": {"name": "tide", "arguments": "{\"port\":\"Hull\"}"}}]}}]}),
        ),
        data(
            &json!({"id": "chatcmpl-8", "model": "q", "choices": [{"index": 0, "finish_reason": null, "delta": {"tool_calls": [
            {"index": 0, "id": "call_a", "function": {"name": "", "arguments": "\"Kiel\"}"}}]}}]}),
        ),
        data(&end),
        "data: [DONE]\n\n".to_owned(),
    ];
    for (who, pieces) in [("ollama", ollama), ("vllm", vllm)] {
        let standin = Standin::new(move |_, _| vec![Step::events(&pieces)]);
        let (rig, closed) = priced(Kind::OpenAi, &standin);
        let said = events(&rig.anthropic(ask_anthropic(true)).await.unwrap());
        let blocks: Vec<&Value> = said.iter().filter(|e| e["type"] == "content_block_start").collect();
        assert_eq!(blocks.len(), 2, "{who}: {said:?}");
        let ids: Vec<&str> = blocks.iter().filter_map(|b| b["content_block"]["id"].as_str()).collect();
        assert!(ids[0] == "call_a" && !ids[1].is_empty() && ids[0] != ids[1], "{who}: {ids:?}");
        if who == "ollama" {
            let of = |index: u64| -> String {
                let deltas =
                    said.iter().filter(|e| e["type"] == "content_block_delta" && e["index"] == index);
                deltas.filter_map(|e| e["delta"]["partial_json"].as_str()).collect()
            };
            assert_eq!((of(0), of(1)), (r#"{"port":"Kiel"}"#.to_owned(), r#"{"port":"Hull"}"#.to_owned()));
        }
        let delta = said.iter().find(|e| e["type"] == "message_delta").unwrap();
        assert_eq!(
            (&delta["delta"]["stop_reason"], &delta["usage"]["output_tokens"]),
            (&json!("tool_use"), &json!(8)),
            "{who}"
        );
        assert_eq!(last(&closed).tokens.output, 8, "{who}");
    }
    // Whole answers: an id that is null, arguments that are no text, a reason that is empty.
    let whole = json!({"id": "chatcmpl-9", "object": "chat.completion", "model": "qwen", "choices": [{"index": 0, "finish_reason": "", "message":
        {"role": "assistant", "content": null, "tool_calls": [{"id": null, "type": "function", "function": {"name": "tide", "arguments": {"port": "Kiel"}}}]}}]});
    let standin = Standin::new(move |_, _| vec![Step::json(200, &whole.to_string())]);
    let (rig, _) = priced(Kind::OpenAi, &standin);
    let said: Value = serde_json::from_str(&rig.anthropic(ask_anthropic(false)).await.unwrap()).unwrap();
    assert_eq!(
        (&said["content"][0]["input"], &said["stop_reason"]),
        (&json!({"port": "Kiel"}), &json!("tool_use"))
    );
    assert!(said["content"][0]["id"].as_str().is_some_and(|id| !id.is_empty()), "{said}");
}

#[tokio::test]
async fn filters_and_pieces_of_azure_are_understood() {
    let filtered = json!({"hate": {"filtered": false, "severity": "safe"}});
    let pieces = [
        // What Azure says of the prompt comes first, with no choices and an empty name.
        data(&json!({"id": "", "object": "", "created": 0, "model": "", "choices": [],
            "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": filtered}]})),
        data(
            &json!({"id": "c1", "model": "gpt-4o", "system_fingerprint": null, "choices": [{"index": 0, "logprobs": null,
            "content_filter_results": {}, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]}),
        ),
        data(
            &json!({"id": "c1", "model": "gpt-4o", "choices": [{"index": 0, "content_filter_results": filtered,
            "delta": {"content": "At noon."}, "finish_reason": null}], "usage": null}),
        ),
        // An asynchronous filter has no delta.
        data(
            &json!({"id": "", "model": "", "choices": [{"index": 0, "finish_reason": null, "content_filter_results": filtered,
            "content_filter_offsets": {"check_offset": 44, "start_offset": 44, "end_offset": 198}}]}),
        ),
        data(
            &json!({"id": "c1", "model": "gpt-4o", "choices": [{"index": 0, "content_filter_results": {}, "delta": {}, "finish_reason": "content_filter"}]}),
        ),
        data(
            &json!({"id": "c1", "model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16,
            "completion_tokens_details": {"reasoning_tokens": 0}, "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 0}}}),
        ),
        "data: [DONE]\n\n".to_owned(),
    ];
    let standin = Standin::new(move |request, number| match (request.json()["stream"].as_bool(), number) {
        (Some(true), _) => vec![Step::events(&pieces)],
        (_, 2) => vec![Step::json(
            200,
            r#"{"id":"c2","model":"gpt-4o","choices":[{"index":0,"finish_reason":"content_filter","content_filter_results":{"hate":{"filtered":true,"severity":"high"}}}],"usage":{"prompt_tokens":12,"completion_tokens":0}}"#,
        )],
        _ => vec![Step::json(
            400,
            r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"}}}}}"#,
        )],
    });
    let (rig, closed) = priced(Kind::Azure, &standin);
    let said = rig.openai(ask(true)).await.unwrap();
    assert!(said.contains("prompt_filter_results") && said.contains("content_filter_offsets"), "{said}");
    assert_eq!((last(&closed).answered_by.as_str(), last(&closed).tokens.output), ("gpt-4o", 4));
    assert_eq!(standin.requests()[0].path, "/openai/v1/chat/completions");
    let said = rig.anthropic(ask_anthropic(true)).await.unwrap();
    assert!(said.contains("\"stop_reason\":\"refusal\"") && said.contains("At noon."), "{said}");
    let said: Value = serde_json::from_str(&rig.anthropic(ask_anthropic(false)).await.unwrap()).unwrap();
    assert_eq!(said["stop_reason"], "refusal");
    let fault = rig.openai(ask(false)).await.unwrap_err();
    assert_eq!(
        (fault.status(), fault.code.as_ref(), fault.param.as_deref()),
        (400, "content_filter", Some("prompt"))
    );
}

#[tokio::test]
async fn errors_of_each_provider_keep_their_reason() {
    let vllm = r#"{"object":"error","message":"max_tokens must be at least 1, got 0.","type":"BadRequestError","param":null,"code":400}"#;
    let fastapi = r#"{"detail":"the model is still loading"}"#;
    let ollama =
        r#"{"error":{"message":"model 'qwen' not found","type":"not_found_error","param":null,"code":null}}"#;
    let anthropic =
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#;
    let long = json!({"error": {"message": "no", "code": "x".repeat(5_000)}}).to_string();
    for (kind, status, body, want) in [
        (Kind::OpenAi, 400, vllm, (400, "invalid_request", "max_tokens must be at least 1")),
        (Kind::OpenAi, 503, fastapi, (503, "upstream_overloaded", "still loading")),
        (Kind::OpenAi, 404, ollama, (502, "upstream_not_found", "model 'qwen' not found")),
        (Kind::Anthropic, 529, anthropic, (503, "upstream_overloaded", "Overloaded")),
        (Kind::OpenAi, 400, long.as_str(), (400, "invalid_request", "no")),
    ] {
        let body = body.to_owned();
        let standin = Standin::new(move |_, _| vec![Step::json(status, &body)]);
        let (rig, closed) = priced(kind, &standin);
        let fault = rig.openai(ask(false)).await.unwrap_err();
        assert_eq!((fault.status(), fault.code.as_ref()), (want.0, want.1), "{fault:?}");
        assert!(fault.message.contains(want.2), "{fault:?}");
        assert_eq!(last(&closed).cost.pico(), 0, "a provider that refuses charges nothing");
    }
    // What is no answer was work all the same.
    let endless = Standin::new(|_, _| vec![Step::begin_events(), Step::Send(vec![b'x'; 9 << 20])]);
    let (rig, closed) = priced(Kind::OpenAi, &endless);
    let fault = rig.openai(ask(true)).await.unwrap_err();
    assert_eq!(fault.code, "upstream_malformed");
    assert_eq!((last(&closed).tokens.input, last(&closed).cost.pico()), (10, 10_000_000));
}

#[tokio::test]
async fn what_is_private_leaves_in_no_part_and_in_no_text_that_is_embedded() {
    let standin = Standin::new(|request, _| match request.path.ends_with("embeddings") {
        true => vec![Step::json(200, r#"{"object":"list","data":[{"index":0,"embedding":[0.5]}]}"#)],
        false => vec![Step::json(
            200,
            r#"{"id":"c","choices":[{"index":0,"message":{"content":"Hello [EMAIL_1]."}}]}"#,
        )],
    });
    let toml = format!("{PRICED}redact = {{ sending = [\"email\"] }}\n");
    let rig = rig(&toml, &[("a", Kind::OpenAi, &standin)]);
    let mut call = ask(false);
    call["messages"][0]["content"] = json!([
        {"type": "text", "text": "I am ines@example.com.", "cache_control": {"type": "ephemeral"}},
        {"type": "input_audio", "input_audio": {"data": "AA@b.example", "format": "wav"}},
    ]);
    let said = rig.openai(call).await.unwrap();
    assert!(said.contains("Hello ines@example.com."), "{said}");
    for input in [json!("of ines@example.com"), json!(["a", "of ines@example.com"])] {
        let body = json!({"model": "fast", "dimensions": 8, "input": input}).to_string();
        let asked = openai::Embeddings::read(body.into()).unwrap();
        rig.desk.embed(&rig.scene, &caller(), &asked).await.map(|reply| drop(reply.body)).unwrap();
    }
    for sent in standin.requests() {
        let sent = String::from_utf8(sent.body).unwrap();
        assert!(!sent.contains("ines@") && sent.contains("[EMAIL_1]"), "{sent}");
    }
    let sent = standin.requests()[0].json();
    assert_eq!(sent["messages"][0]["content"][1]["input_audio"]["data"], "AA@b.example");
    assert_eq!(standin.requests()[1].json()["dimensions"], 8);
}
