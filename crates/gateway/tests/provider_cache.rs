//! What providers find again in their caches: the beginning of the bytes that they are sent.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod rig;
mod standin;

use std::sync::Arc;

use ashlar_gateway::{prompts::Prompts, upstream::Kind};
use ashlar_model::Files;
use rig::{Rig, rig};
use serde_json::{Value, json};
use standin::{Standin, Step};

const TOML: &str = "[routes.fast]\ntargets = [{ provider = 'a', model = 'm' }]\nretries = 0\n";
const SYSTEM: &str = "You answer questions about harbours. Be brief, and say what you do not know.";

const SHORT: &str = "---\nowner: support\nchangelog: First version.\nroute: fast\noutput: none\nprovider_cache: true\n---\n\n## user\n\nHello.\n";

fn prompt(fields: &str, sections: &str) -> String {
    format!(
        "---\nowner: support\nchangelog: First version.\nroute: fast\noutput: none\nparams: {{ temperature: 0.5 }}\n{fields}\
        variables:\n  question: {{ type: string, max_length: 200, description: The question. }}\n---\n\n{sections}"
    )
}

/// The prompts `kept`, `plain` and `short`, and an answer of the provider in its format.
fn prompted(kind: Kind) -> (Rig, Standin) {
    let answer = match kind {
        Kind::Anthropic => {
            json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
            "content": [{"type": "text", "text": "Hi"}], "usage": {"input_tokens": 9, "output_tokens": 2}})
        }
        Kind::OpenAi | Kind::Azure => {
            json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]})
        }
    };
    let standin = Standin::new(move |_, _| vec![Step::json(200, &answer.to_string())]);
    let mut rig = rig(TOML, &[("a", kind, &standin)]);
    let sections = format!("## system\n\n{SYSTEM}\n\n## user\n\n{{{{ question }}}}\n");
    let mut files = Files::new();
    for (name, text) in [
        ("kept", prompt("provider_cache: true\n", &sections)),
        ("plain", prompt("", &sections)),
        ("short", SHORT.to_owned()),
    ] {
        files.insert(&format!("prompts/{name}/v1.md"), text.into_bytes()).unwrap();
    }
    let (prompts, findings) = Prompts::parse(&files);
    assert_eq!(prompts.len(), 3, "{findings:#?}");
    rig.scene.prompts = Arc::new(prompts);
    (rig, standin)
}

fn tools() -> Value {
    let tool = |name: &str| {
        let parameters = json!({"type": "object", "required": ["port"], "properties": {"port": {"type": "string"}, "at": {"type": "string"}}});
        json!({"type": "function", "function": {"name": name, "description": "Looks it up.", "parameters": parameters}})
    };
    json!([tool("tide"), tool("berth")])
}

fn ask(prompt: &str, question: &str, said: &str) -> Value {
    json!({"model": "default", "tools": tools(), "messages": [{"role": "user", "content": said}],
        "ashlar": {"prompt": prompt, "variables": {"question": question}}})
}

/// What two requests have in common at their beginning.
fn common(standin: &Standin) -> String {
    let asked = standin.requests();
    let [.., one, two] = asked.as_slice() else { panic!("two requests") };
    let same = one.body.iter().zip(&two.body).take_while(|(a, b)| a == b).count();
    String::from_utf8_lossy(&one.body[..same]).into_owned()
}

#[tokio::test]
async fn what_stays_the_same_comes_first() {
    for kind in [Kind::OpenAi, Kind::Anthropic] {
        for name in ["kept", "plain"] {
            let (rig, standin) = prompted(kind);
            rig.openai(ask(name, "When is high tide?", "In Kiel.")).await.unwrap();
            rig.openai(ask(name, "Where is a berth?", "And in Hull?")).await.unwrap();
            let common = common(&standin);
            for part in ["\"berth\"", "\"tide\"", "\"temperature\":0.5", SYSTEM] {
                assert!(common.contains(part), "{kind:?} {name}: {part} is not in {common}");
            }
            assert!(!common.contains("tide?") && !common.contains("Kiel"), "{common}");
            let marked = kind == Kind::Anthropic && name == "kept";
            assert_eq!(
                common.matches("\"cache_control\":{\"type\":\"ephemeral\"}").count(),
                usize::from(marked)
            );
        }
    }
}

#[tokio::test]
async fn anthropic_is_asked_to_keep_what_the_prompt_says() {
    let (rig, standin) = prompted(Kind::Anthropic);
    let ephemeral = json!({"type": "ephemeral"});
    // The text of the client is no part of it.
    let mut more = ask("kept", "Tide?", "In Kiel.");
    more["messages"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({"role": "system", "content": "Today is Monday."}));
    rig.openai(more).await.unwrap();
    let sent = standin.requests().pop().unwrap().json();
    let system = sent["system"].as_array().unwrap();
    assert!(system[0]["text"].as_str().unwrap().starts_with(SYSTEM), "{sent}");
    assert_eq!((&system[0]["cache_control"], &system[1]["text"]), (&ephemeral, &json!("Today is Monday.")));
    assert!(system[1].get("cache_control").is_none() && system.len() == 2);
    assert!(sent["tools"].as_array().unwrap().iter().all(|tool| tool.get("cache_control").is_none()));

    let (rig, standin) = prompted(Kind::Anthropic);
    rig.openai(ask("plain", "Tide?", "In Kiel.")).await.unwrap();
    assert!(standin.requests()[0].json()["system"].is_string());

    // What a client says itself goes before it.
    let own = json!({"model": "default", "max_tokens": 9, "cache_control": ephemeral, "messages": [{"role": "user", "content": "In Kiel."}],
        "ashlar": {"prompt": "kept", "variables": {"question": "Tide?"}}});
    rig.anthropic(own).await.unwrap();
    let sent = standin.requests().pop().unwrap();
    assert_eq!(sent.json()["cache_control"], ephemeral);
    assert_eq!(String::from_utf8_lossy(&sent.body).matches("cache_control").count(), 1);
}

#[tokio::test]
async fn tools_are_kept_without_a_system_message() {
    let (rig, standin) = prompted(Kind::Anthropic);
    let mut body = ask("short", "", "In Kiel.");
    body["ashlar"] = json!({"prompt": "short"});
    rig.openai(body).await.unwrap();
    let sent = standin.requests().pop().unwrap().json();
    assert_eq!(sent.get("system"), None);
    assert_eq!(sent["tools"][0].get("cache_control"), None);
    assert_eq!(sent["tools"][1]["cache_control"], json!({"type": "ephemeral"}), "the last one: {sent}");
}
