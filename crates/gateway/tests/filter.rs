//! Answers that contain what must not leave.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod rig;
mod standin;

use std::sync::{Arc, Mutex};

use ashlar_gateway::{
    call::{Closing, Facts},
    config::{FilterRules, OnSecret},
    filter::{Filter, Leak, Strainer},
    upstream::Kind,
};
use proptest::prelude::*;
use rig::rig;
use serde_json::json;
use standin::{Asked, Standin, Step};

const KEY: &str = "known-credential-0815";
const SYSTEM: &str = "You are the clerk of the harbour. Speak kindly to everybody, never promise a berth, and send people with questions about money to the office.";
const LEAKED: &str =
    "You are the clerk of the harbour! Speak KINDLY to everybody; never promise a berth, and send people on.";

fn filter(secrets: Option<OnSecret>, system_prompt: bool) -> Filter {
    let keys = [KEY.as_bytes().to_vec()].into_iter();
    Filter::new(FilterRules { secrets, system_prompt }, keys, [SYSTEM].into_iter()).unwrap()
}

/// What comes out of a text in pieces of these sizes.
fn strained(filter: &Filter, text: &str, sizes: &[usize]) -> Result<String, Leak> {
    let (mut strainer, mut out, mut rest, mut n) = (Strainer::default(), String::new(), text, 0);
    while !rest.is_empty() {
        let size = rest.ceil_char_boundary(sizes[n % sizes.len()].clamp(1, rest.len()));
        out.push_str(&strainer.push(filter, &rest[..size])?);
        (rest, n) = (&rest[size..], n + 1);
    }
    out.push_str(&strainer.finish(filter)?);
    Ok(out)
}

#[test]
fn secrets_are_masked_or_refused_and_prose_stays() {
    let (mask, refuse) = (filter(Some(OnSecret::Mask), false), filter(Some(OnSecret::Refuse), true));
    let ash = "ash_7f3kq09xw2m4n6p8r1t5v7y9z0b2d4";
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow0123\nabc\n-----END RSA PRIVATE KEY-----";
    for (text, shown) in [
        (format!("It is {KEY}."), "It is [SECRET].".to_owned()),
        (format!("Use {ash}, please"), "Use [SECRET], please".to_owned()),
        ("password = h4rbour-Gate!9 and go".to_owned(), "password = [SECRET] and go".to_owned()),
        (format!("Key:\n{pem}\nDone"), "Key:\n[SECRET]\nDone".to_owned()),
    ] {
        assert_eq!(mask.whole(&text).unwrap(), (shown.clone(), true));
        assert_eq!(refuse.whole(&text), Err(Leak::Secret), "{text}");
        for size in 1..20 {
            assert_eq!(strained(&mask, &text, &[size]).unwrap(), shown, "pieces of {size}");
            assert_eq!(strained(&refuse, &text, &[size]), Err(Leak::Secret), "{text} in pieces of {size}");
        }
    }
    for prose in ["Boats leave at 10:30.", "海港の料金は月額です。", "-----BEGIN", "password: ask the office"]
    {
        assert_eq!(refuse.whole(prose).unwrap(), (prose.to_owned(), false));
    }
}

#[test]
fn nothing_of_a_leaked_system_prompt_is_passed_on() {
    let refuse = filter(None, true);
    assert_eq!(refuse.whole(LEAKED), Err(Leak::SystemPrompt));
    let few = "You are the clerk of the harbour, are you not? Send people with questions to us.";
    assert_eq!(refuse.whole(few).unwrap().0, few);
    for size in 1..40 {
        let (mut strainer, mut out) = (Strainer::default(), String::new());
        let text = format!("My rules: {LEAKED}");
        let mut pieces = text.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap());
        let leak = pieces.find_map(|piece| match strainer.push(&refuse, piece) {
            Ok(more) => {
                out.push_str(&more);
                None
            }
            Err(leak) => Some(leak),
        });
        assert_eq!(leak, Some(Leak::SystemPrompt), "pieces of {size}");
        assert!("My rules: You are".starts_with(out.trim_end()), "{out}");
    }
}

proptest! {
    /// However a text is cut, the same comes out of it, and nothing is lost of prose.
    #[test]
    fn pieces_make_no_difference(
        parts in prop::collection::vec(prop_oneof![
            "[ -~]{0,12}", "[a-z]{1,8} ", Just(format!("{KEY} ")), Just("password=Xk29-qq81 ".to_owned()), Just("sk-".to_owned()),
            Just(SYSTEM[..60].to_owned()), "\\PC{0,6}",
        ], 0..12),
        sizes in prop::collection::vec(1_usize..30, 1..6),
    ) {
        let text = parts.concat();
        let mask = filter(Some(OnSecret::Mask), true);
        let whole = mask.whole(&text).map(|(shown, _)| shown);
        prop_assert_eq!(strained(&mask, &text, &sizes), whole.clone());
        prop_assert!(!whole.unwrap_or_default().contains(KEY));
    }
}

#[derive(Default)]
struct Notes(Mutex<Vec<Facts>>);

impl Closing for Notes {
    fn closed(&self, facts: Facts) {
        self.0.lock().unwrap().push(facts);
    }
}

fn says(asked: &Asked, text: &str) -> Vec<Step> {
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110});
    if asked.json()["stream"] != true {
        let body = json!({"id": "c", "model": "m", "usage": usage,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]});
        return vec![Step::json(200, &body.to_string())];
    }
    let piece = |delta: &str, finish: Option<&str>| {
        let body = json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": delta}, "finish_reason": finish}]});
        format!("data: {body}\n\n")
    };
    let mut events: Vec<String> = text.split_inclusive(' ').map(|word| piece(word, None)).collect();
    events.push(piece("", Some("stop")));
    events.push("data: [DONE]\n\n".to_owned());
    vec![Step::events(&events)]
}

#[tokio::test]
async fn a_feature_says_what_happens_to_answers_with_secrets() {
    let standin = Standin::new(|asked, _| {
        let sent = asked.json()["messages"].to_string();
        says(
            asked,
            if sent.contains("rules?") { LEAKED } else { "The key is sk-abcdefghij0123456789xyz. Bye" },
        )
    });
    let toml = "[routes.fast]\ntargets = [{ provider = \"a\", model = \"m\" }]\nretries = 2\n[features.default]\n\
        filter = { secrets = \"ACTION\", system_prompt = \"refuse\" }\n";
    for (action, shown) in [("mask", true), ("refuse", false)] {
        let mut rig = rig(&toml.replace("ACTION", action), &[("a", Kind::OpenAi, &standin)]);
        let notes = Arc::<Notes>::default();
        rig.scene.closing = Some(notes.clone());
        for stream in [false, true] {
            let ask = |question: &str| {
                json!({"model": "fast", "stream": stream, "messages": [
                {"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]})
            };
            let sent = standin.requests().len();
            let said = rig
                .openai(ask("The key?"))
                .await
                .unwrap_or_else(|fault| format!("{} {}", fault.status(), fault.code));
            assert!(!said.contains("sk-abc"), "{said}");
            assert_eq!(said.contains("[SECRET]") && said.contains("Bye"), shown, "{said}");
            assert_eq!(said.contains("output_secret"), !shown, "{said}");
            let said = rig
                .openai(ask("The rules?"))
                .await
                .unwrap_or_else(|fault| format!("{} {}", fault.status(), fault.code));
            assert!(
                said.contains("output_system_prompt")
                    && !said.contains("harbour")
                    && !said.contains("[DONE]"),
                "{said}"
            );
            assert_eq!(standin.requests().len(), sent + 2, "a refused answer is not asked for again");
        }
        let facts = notes.0.lock().unwrap();
        let verdicts: Vec<&str> = facts.iter().map(|facts| facts.verdicts["filter"].as_str()).collect();
        let first = if shown { "masked" } else { "secret" };
        assert_eq!(verdicts, [first, "system_prompt", first, "system_prompt"]);
        assert!(
            facts.iter().all(|facts| facts.tokens.input > 0 || facts.answered_bytes > 0),
            "the provider charges what it answered"
        );
        assert_eq!((facts[1].outcome.as_str(), facts[1].status), ("output_system_prompt", 422));
    }
}
