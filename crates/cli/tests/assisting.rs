//! `ashlar assist` on the demo project: a model drafts questions about a plan. A wrong price is published by no path, and what is right by people alone.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;
#[path = "common/standin.rs"]
mod standin;

use common::{Rig, found, start};
use serde_json::{Value, json};
use standin::{JSON, Standin};

/// Drafts a question about Basin: with a wrong price if the brief begins with `wrong`.
fn model() -> Standin {
    Standin::new(|asked, _| {
        let messages = asked.body["messages"].as_array().cloned().unwrap_or_default();
        let last = messages.last().unwrap()["content"].as_str().unwrap_or_default().to_owned();
        let wrong = last.contains("Brief: wrong") || last.contains(">wrong");
        let answer = match wrong {
            true => "The Basin plan costs 99.00 EUR a month. It is for a marina with visitors.",
            false => "The Basin plan is for a marina with visitors.",
        };
        let question = "Who is the Basin plan for?";
        let said = json!({"question": question, "answer": answer, "category": "money"});
        let message = json!({"role": "assistant", "content": said.to_string()});
        let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}});
        (200, JSON.to_owned(), body.to_string())
    })
}

/// A key with scopes, for a person.
fn key(rig: &Rig, name: &str, scopes: &[&str]) -> String {
    let mut args = vec!["key", "create", "--name", name, "--format", "json"];
    scopes.iter().for_each(|scope| args.extend(["--scope", scope]));
    rig.json(0, &args)["key"].as_str().unwrap().to_owned()
}

fn codes(made: &Value, gate: &str) -> Vec<String> {
    found(made, gate).into_iter().map(|(code, ..)| code).collect()
}

#[test]
fn a_wrong_price_of_a_model_is_published_by_no_path() {
    let (model, rig) = (model(), Rig::demo());
    rig.edit(
        "site/gateway.toml",
        "[features.assist]\nroutes = [\"extractive\"]",
        "[routes.writer]\ntargets = [{ provider = \"model\", model = \"m\" }]\n\n[features.assist]\nroutes = [\"writer\"]",
    );
    assert!(rig.run(&["push", "site", "--content"]).status.success());
    rig.candidate();
    for (right, who) in [("legal", "omar"), ("pricing", "ines"), ("claim", "teodor")] {
        assert!(rig.run(&["candidate", "approve", "c1", "--right", right, "--as", who]).status.success());
    }
    assert!(rig.run(&["release", "promote", "c1"]).status.success());
    let provider = format!("[providers.model]\nkind = \"openai\"\nurl = \"{}\"\nprivate = true\n", model.url);
    rig.write("demo/models.toml", &provider);
    let everything =
        ["assist", "write", "preview", "release", "waive", "approve:assisted", "approve:pricing"];
    let (omar, ines) = (
        key(&rig, "omar", &["preview", "release", "approve:assisted", "waive"]),
        key(&rig, "ines", &["preview", "approve:pricing"]),
    );
    // Teodor asks. He may approve what others asked for.
    let teodor = key(&rig, "teodor", &everything);
    let (_served, ready) = start(&rig, &["serve", "--data", "demo"]);
    let url = ready["url"].as_str().unwrap();
    let by = |exit: i32, key: &str, args: &[&str]| -> Value {
        rig.json(exit, &[args, &["--server", url, "--key", key, "--format", "json"]].concat())
    };
    let draft = |exit: i32, id: &str, brief: &str| -> Value {
        let from = "pricing-plan/basin";
        by(exit, &teodor, &["assist", "draft", "faq-item", id, "--brief", brief, "--from", from])
    };
    let candidate = |exit: i32, id: &str| -> Value {
        let changeset = format!("assist-draft-faq-item-{id}-en");
        by(exit, &teodor, &["candidate", "create", "--changeset", &changeset])
    };

    let written = draft(0, "basin-cheap", "wrong: what Basin costs");
    assert_eq!(written["draft"]["made"]["by"][0]["requested_by"], "teodor", "{written}");
    let made = candidate(0, "basin-cheap");
    assert_eq!(made["status"], "failed");
    assert!(codes(&made, "assisted").contains(&"assisted-unsupported".to_owned()), "{made}");
    assert!(codes(&made, "approvals").iter().all(|code| code == "assisted-approval-missing"), "{made}");
    let name = made["candidate"].as_str().unwrap();
    // Neither who asked, nor a waiver, nor the approvals of others publish it.
    for right in ["assisted", "pricing"] {
        let refused = by(1, &teodor, &["candidate", "approve", name, "--right", right]);
        assert_eq!(refused["error"]["code"], "own-change", "{refused}");
    }
    by(1, &teodor, &["release", "promote", name]);
    let waived = by(1, &teodor, &["candidate", "waive", name, "--gate", "approvals", "--reason", "now"]);
    assert!(waived.to_string().contains("waive"), "{waived}");
    by(0, &omar, &["candidate", "approve", name, "--right", "assisted"]);
    by(0, &ines, &["candidate", "approve", name, "--right", "pricing"]);
    by(1, &omar, &["release", "promote", name]);
    assert_eq!(by(0, &teodor, &["release", "list"])["items"].as_array().unwrap().len(), 1);

    let written = draft(0, "basin-price", "right: what Basin has");
    assert_eq!(written["prompt"], "draft-faq@v1");
    let made = candidate(0, "basin-price");
    assert_eq!(codes(&made, "assisted"), Vec::<String>::new(), "{made}");
    let name = made["candidate"].as_str().unwrap();
    by(1, &omar, &["release", "promote", name]);
    by(0, &omar, &["candidate", "approve", name, "--right", "assisted"]);
    by(0, &omar, &["release", "promote", name]);
    let texts = by(0, &teodor, &["assist", "texts", "r2"]);
    assert!(texts.to_string().contains("basin-price"), "{texts}");

    by(0, &omar, &["assist", "stop", "--reason", "wrong prices"]);
    let refused = draft(1, "basin-again", "right: what Basin has");
    assert_eq!(refused["error"]["code"], "assist-stopped", "{refused}");
    by(0, &omar, &["assist", "start"]);
    draft(0, "basin-again", "right: what Basin has");
}
