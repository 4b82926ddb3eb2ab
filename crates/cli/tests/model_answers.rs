//! The cache of answers and declared fields over HTTP: a server, and a stand-in for its provider.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;
#[path = "common/standin.rs"]
mod standin;

use common::{Rig, eventually, http, start};
use serde_json::{Value, json};
use standin::{JSON, Standin};

const GATEWAY: &str = "[routes.fast]\ntargets = [{ provider = \"model\", model = \"m\" }]\n\
    [features.default]\nroutes = [\"fast\"]\ncache = { exact_seconds = 300 }\nredact = { sending = [\"email\", \"field\"] }\n";
const GUEST: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0","owner":"commerce","kind":"tool"},
 "properties":{"surname":{"type":"string","x-ashlar":{"sensitivity":"pii"}}}}"#;

/// Answers with its number and what it read.
fn model() -> Standin {
    Standin::new(|asked, number| {
        let read = asked.body["messages"][0]["content"].as_str().unwrap_or_default();
        let message = json!({"role": "assistant", "content": format!("{number}: {read}")});
        let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}});
        (200, JSON.to_owned(), body.to_string())
    })
}

#[test]
fn equal_calls_share_an_answer_and_nobody_sees_the_values_of_others() {
    let model = model();
    let rig = Rig::new();
    rig.write("site/gateway.toml", GATEWAY);
    rig.write("site/contracts/guest.v1.json", GUEST);
    rig.push();
    rig.put("basin", &json!({"slug": "basin", "name": "Basin", "price": 14_900}), "mara");
    rig.json(0, &["candidate", "create", "--format", "json"]);
    rig.json(0, &["candidate", "approve", "c1", "--right", "pricing", "--as", "ines", "--format", "json"]);
    rig.json(0, &["release", "promote", "c1", "--format", "json"]);
    let provider = format!("[providers.model]\nkind = \"openai\"\nurl = \"{}\"\nprivate = true\n", model.url);
    rig.write("data/models.toml", &provider);
    let key = ["key", "create", "--name", "app", "--scope", "llm", "--format", "json"];
    let key = rig.json(0, &key)["key"].as_str().unwrap().to_owned();
    let (_served, ready) = start(&rig, &["serve", "--data", "data"]);
    let url = ready["url"].as_str().unwrap();

    // What the header says, and the text of the answer.
    let ask = |mail: &str, surname: &str, more: Value| {
        let guest = format!(r#"{{"plan":"basin","surname":"{surname}"}}"#);
        let mut body = json!({"model": "fast", "messages": [{"role": "user", "content": format!("I am {mail}: {guest}")}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, head, said) = http(url, "POST", "/llm/v1/chat/completions", &key, &body.to_string());
        assert_eq!(status, 200, "{said}");
        let cache = head.lines().find_map(|line| line.strip_prefix("ashlar-cache: ")).map(str::to_owned);
        (cache, said)
    };
    let text = |said: &str| -> String {
        let whole: Value = serde_json::from_str(said).unwrap();
        whole["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    };
    let (cache, said) = ask("jo@example.com", "Lovelace", json!({}));
    assert_eq!(cache.as_deref(), Some("miss"));
    assert_eq!(text(&said), r#"0: I am jo@example.com: {"plan":"basin","surname":"Lovelace"}"#);
    let (cache, said) = ask("ed@example.com", "Hopper", json!({"user": "u-2"}));
    assert_eq!(cache.as_deref(), Some("hit"));
    assert_eq!(text(&said), r#"0: I am ed@example.com: {"plan":"basin","surname":"Hopper"}"#);
    let (cache, said) = ask("al@example.com", "Noether", json!({"stream": true}));
    assert_eq!(cache.as_deref(), Some("hit"));
    assert!(
        said.contains("Noether") && said.contains("al@example.com") && said.contains("data: [DONE]"),
        "{said}"
    );
    assert_eq!(model.asked().len(), 1);
    let (cache, said) = ask("jo@example.com", "Lovelace", json!({"temperature": 1}));
    assert_eq!((cache.as_deref(), &text(&said)[..2]), (Some("miss"), "1:"));
    let (cache, said) = ask("jo@example.com", "Lovelace", json!({"ashlar": {"cache": false}}));
    assert_eq!((cache, &text(&said)[..2]), (None, "2:"));
    for asked in model.asked() {
        let sent = asked.body["messages"][0]["content"].as_str().unwrap().to_owned();
        assert_eq!(sent, r#"I am [EMAIL_1]: {"plan":"basin","surname":"[FIELD_1]"}"#);
    }

    // What the server says about these calls.
    let admin = ready["keys"]["admin"].as_str().unwrap();
    let records = eventually("the records", || {
        let (_, _, body) = http(url, "GET", "/api/v1/llm/calls", admin, "");
        let page: Value = serde_json::from_str(&body).unwrap();
        page["items"].as_array().filter(|items| items.len() == 5).cloned()
    });
    let hits: Vec<&Value> = records.iter().filter(|record| record["cache"] == "hit").collect();
    assert_eq!(hits.len(), 2, "{records:?}");
    assert!(hits.iter().all(|hit| hit["input_tokens"] == 0 && hit["outcome"] == "ok"), "{hits:?}");
    let (_, _, metrics) = http(url, "GET", "/metrics", admin, "");
    let counted = |cache: &str| {
        let mut lines = metrics.lines().filter(|line| line.starts_with("ashlar_llm_cache_total{"));
        lines.any(|line| line.contains(&format!("cache=\"{cache}\"")) && line.ends_with(" 2"))
    };
    assert!(counted("hit") && counted("miss"), "{metrics}");
}
