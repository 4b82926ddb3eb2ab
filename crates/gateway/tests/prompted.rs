//! Prompts, contracts of output, grounding and policy around calls. The providers are stand-ins.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod rig;
mod standin;

use std::sync::Arc;

use ashlar_contracts::ContractSet;
use ashlar_gateway::{call::Body, policy::Policy, prompts::Prompts, upstream::Kind, wire::openai};
use ashlar_model::Files;
use futures::StreamExt as _;
use rig::{Closed, Contracts, Quoted, Rig, Rows, caller, rig};
use serde_json::{Value, json};
use standin::{Standin, Step};

const TOML: &str = "[routes.fast]\ntargets = [{ provider = \"a\", model = \"m\" }]\nretries = 0\n\
    [features.default]\nroutes = [\"fast\", \"extractive\"]\nprompts = [\"grounded\", \"shaped\"]\n\
    [features.other]\nprompts = []\n";
const GROUNDED: &str = "---\nowner: support\nchangelog: First version.\nroute: fast\noutput: none\nparams: { temperature: 0.5, max_tokens: 77 }\n\
    variables:\n  question: { type: string, max_length: 200, description: The question. }\n\
    grounding: { chunks: 3, rule: refuse, query: question }\n---\n\n## system\n\nYou answer.\n\n## user\n\n{{ sources }}\n\n{{ question }}\n";
const SHAPED: &str = "---\nowner: support\nchangelog: First version.\nroute: fast\noutput: reply.v1\n---\n\n## system\n\nAnswer with JSON.\n";
const REPLY: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0","owner":"support","kind":"output"},
    "properties":{"price":{"type":"integer"}},"required":["price"],"additionalProperties":false}"#;

fn said(text: &str) -> Step {
    let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m-1", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}});
    Step::json(200, &body.to_string())
}

/// A desk whose release has the prompts above.
fn prompted(toml: &str, standin: &Standin) -> Rig {
    let mut rig = rig(toml, &[("a", Kind::OpenAi, standin)]);
    let mut files = Files::new();
    for (path, text) in [
        ("prompts/grounded/v1.md", GROUNDED),
        ("prompts/shaped/v1.md", SHAPED),
        ("contracts/reply.v1.json", REPLY),
    ] {
        files.insert(path, text.as_bytes().to_vec()).unwrap();
    }
    let (prompts, _) = Prompts::parse(&files);
    assert_eq!(prompts.len(), 2);
    rig.scene.prompts = Arc::new(prompts);
    rig.scene.contracts = Arc::new(Contracts(ContractSet::load(&files).0));
    rig
}

fn ask(prompt: &str, stream: bool) -> Value {
    let variables =
        if prompt == "grounded" { json!({"question": "What does Basin cost?"}) } else { json!({}) };
    json!({"model": "default", "stream": stream, "messages": [{"role": "user", "content": "Go on."}],
        "ashlar": {"prompt": prompt, "variables": variables}})
}

#[tokio::test]
async fn an_answer_is_shown_when_its_sources_say_it() {
    let standin = Standin::new(|_, number| match number {
        0 | 1 => vec![said("The Basin plan costs 149 euros each month [1].")],
        _ => vec![said("The Basin plan costs 3 dollars and includes a crane [1].")],
    });
    let rig = prompted(TOML, &standin);
    let whole: Value = serde_json::from_str(&rig.openai(ask("grounded", false)).await.unwrap()).unwrap();
    let message = &whole["choices"][0]["message"];
    assert_eq!(message["content"], "The Basin plan costs 149 euros each month [1].");
    assert_eq!(message["annotations"][0]["url_citation"]["url"], "/basin");
    assert_eq!(
        (&whole["ashlar"]["prompt"], &whole["ashlar"]["groundedness"]),
        (&json!("grounded@v1"), &json!(1.0))
    );
    let sent = standin.requests().remove(0).json();
    assert_eq!(
        (&sent["temperature"], &sent["max_tokens"], &sent["model"]),
        (&json!(0.5), &json!(77), &json!("m"))
    );
    let text = sent["messages"].to_string();
    assert!(
        text.contains("149 euros") && text.contains("What does Basin cost?") && text.contains("Go on."),
        "{text}"
    );
    assert!(sent.get("ashlar").is_none());

    let streamed = rig.openai(ask("grounded", true)).await.unwrap();
    assert!(streamed.contains("149") && streamed.ends_with("data: [DONE]\n\n"), "{streamed}");
    assert!(
        standin.requests()[1].json().get("stream").is_none(),
        "what is judged is not streamed by the provider"
    );

    let refused: Value = serde_json::from_str(&rig.openai(ask("grounded", false)).await.unwrap()).unwrap();
    let message = &refused["choices"][0]["message"];
    assert!(message["refusal"].is_string() && !refused.to_string().contains("crane"), "{refused}");
    assert_eq!(refused["ashlar"]["refusal"]["code"], "not_grounded");
    // The built-in model is asked what the prompt searches for.
    let mut quoted = ask("grounded", false);
    quoted["model"] = json!("extractive");
    let quoted: Value = serde_json::from_str(&rig.openai(quoted).await.unwrap()).unwrap();
    assert_eq!(quoted["choices"][0]["message"]["content"], "What does Basin cost?");
}

#[tokio::test]
async fn an_answer_that_breaks_its_contract_is_repaired_once_or_refused() {
    let standin = Standin::new(|_, number| match number {
        1 => vec![said("```json\n{\"price\": 149}\n```")],
        _ => vec![said("{\"price\": \"much\"}")],
    });
    let rig = prompted(TOML, &standin);
    let whole: Value = serde_json::from_str(&rig.openai(ask("shaped", false)).await.unwrap()).unwrap();
    assert_eq!(whole["choices"][0]["message"]["content"], "{\"price\":149}");
    let asked = standin.requests();
    assert_eq!(asked[0].json()["response_format"]["json_schema"]["schema"]["required"], json!(["price"]));
    let again = asked[1].json()["messages"].as_array().unwrap().clone();
    assert_eq!((again.len(), &again[2]["content"]), (4, &json!("{\"price\": \"much\"}")));
    for stream in [false, true] {
        let fault = rig.openai(ask("shaped", stream)).await.unwrap_err();
        assert_eq!((fault.status(), fault.code.as_ref()), (422, "output_invalid"), "{fault}");
        assert!(fault.message.contains("/price"), "{fault}");
    }
    assert_eq!(standin.requests().len(), 6);
}

#[tokio::test]
async fn prompts_are_those_of_the_feature() {
    let standin = Standin::new(|_, _| vec![said("x")]);
    let rig = prompted(TOML, &standin);
    let mut other = caller();
    other.feature = "other".to_owned();
    let call = openai::read(ask("grounded", false).to_string().into()).unwrap();
    let refused = rig.desk.chat(&rig.scene, &other, call, &Quoted).await.err().unwrap();
    assert_eq!((refused.status(), refused.code.as_ref()), (403, "prompt_not_allowed"));
    let mut wrong = ask("grounded", false);
    wrong["ashlar"]["variables"] = json!({"question": 5});
    let fault = rig.openai(wrong).await.unwrap_err();
    assert_eq!((fault.status(), fault.param.as_deref()), (400, Some("ashlar.variables.question")));
    let mut wrong = ask("grounded", false);
    wrong["ashlar"]["version"] = json!(9);
    assert_eq!(rig.openai(wrong).await.unwrap_err().code, "prompt_version_not_found");
    assert!(standin.requests().is_empty());
}

const PRICED: &str = "[routes.fast]\ntargets = [{ provider = \"a\", model = \"m\" }]\nretries = 0\n\
    [[prices]]\nmodel = \"a/m\"\nfrom = \"2020-01-01\"\ncurrency = \"USD\"\ninput = \"1.00\"\noutput = \"10.00\"\n\
    [features.default]\nroutes = [\"fast\"]\nbudget = { day = \"0.001\" }\n";

#[tokio::test]
async fn money_is_charged_to_the_price_table_and_a_spent_budget_refuses_before_sending() {
    let pieces = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"12345678\"}}]}\n\n";
    let standin = Standin::new(move |request, _| match request.json()["stream"].as_bool() {
        Some(true) => {
            vec![Step::begin_events(), Step::text(pieces), Step::Wait(std::time::Duration::from_secs(5))]
        }
        _ => vec![said("Hello.")],
    });
    let mut rig = prompted(PRICED, &standin);
    let closed = Arc::new(Closed::default());
    rig.scene.policy = Some(Policy::new(Arc::new(Rows::default())));
    rig.scene.closing = Some(closed.clone());
    let plain = |stream: bool| json!({"model": "fast", "stream": stream, "max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]});
    rig.openai(plain(false)).await.unwrap();
    let last = || closed.0.lock().unwrap().last().cloned().unwrap();
    // 100 tokens at 1.00 and 10 tokens at 10.00 per million.
    assert_eq!(
        (last().cost.to_string(), last().currency.as_str(), last().outcome.as_str()),
        ("0.0002".to_owned(), "USD", "ok")
    );
    assert_eq!((last().answered_by.as_str(), last().attempts), ("m-1", 1));

    // A client that vanishes pays for what came.
    let call = openai::read(plain(true).to_string().into()).unwrap();
    let reply = rig.desk.chat(&rig.scene, &caller(), call, &Quoted).await.unwrap();
    let Body::Stream(mut stream) = reply.body else { panic!("a stream") };
    assert!(stream.next().await.is_some());
    drop(stream);
    assert_eq!((last().outcome.as_str(), last().tokens.output), ("client_gone", 2));
    assert!(last().cost > ashlar_gateway::price::Money::ZERO);

    let mut sent = standin.requests().len();
    let fault = loop {
        match rig.openai(plain(false)).await {
            Ok(_) => sent += 1,
            Err(fault) => break fault,
        }
        assert!(sent < 10, "the budget never ends");
    };
    assert_eq!(
        (fault.status(), fault.code.as_ref(), fault.retry_after.is_some()),
        (429, "budget_exceeded", true)
    );
    assert_eq!((standin.requests().len(), last().outcome.as_str()), (sent, "budget_exceeded"));
    let total: u64 = closed.0.lock().unwrap().iter().map(|facts| facts.cost.pico()).sum();
    assert!(total <= 1_000_000_000, "{total} picounits of 0.001 USD");
}

#[tokio::test]
async fn what_is_private_is_not_sent_and_comes_back_in_the_answer() {
    let echo = |delta: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{delta}\"}}}}]}}\n\n")
    };
    let standin = Standin::new(move |request, _| {
        assert!(!String::from_utf8_lossy(&request.body).contains("ines@"), "an address was sent");
        match request.json()["stream"].as_bool() {
            Some(true) => vec![Step::events(&[
                echo("I wrote to [EMA"),
                echo("IL_1] today"),
                "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".to_owned(),
                "data: [DONE]\n\n".to_owned(),
            ])],
            _ => vec![said("I wrote to [EMAIL_1] today")],
        }
    });
    let toml = "[routes.fast]\ntargets = [{ provider = \"a\", model = \"m\" }]\n\
        [features.default]\nroutes = [\"fast\"]\nredact = { sending = [\"email\"] }\ntext = { keep_days = 3 }\n";
    let mut rig = prompted(toml, &standin);
    let closed = Arc::new(Closed::default());
    rig.scene.closing = Some(closed.clone());
    for stream in [false, true] {
        let body = json!({"model": "fast", "stream": stream, "messages": [{"role": "user", "content": "Write to ines@example.com"}]});
        let answered = rig.openai(body).await.unwrap();
        let text: String = match stream {
            false => serde_json::from_str::<Value>(&answered).unwrap()["choices"][0]["message"]["content"]
                .as_str()
                .unwrap()
                .to_owned(),
            true => answered
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
                .filter_map(|piece| Some(piece["choices"][0]["delta"]["content"].as_str()?.to_owned()))
                .collect(),
        };
        assert_eq!(text, "I wrote to ines@example.com today");
        let facts = closed.0.lock().unwrap().last().cloned().unwrap();
        let (kept, days) = facts.text.unwrap();
        assert_eq!((kept.output.as_str(), days), ("I wrote to [EMAIL] today", 3));
        assert!(kept.input.contains("Write to [EMAIL]"), "{}", kept.input);
        assert_eq!((kept.question.as_str(), kept.turns, kept.shown), ("Write to [EMAIL]", 1, None));
    }
}
