//! Values of fields and variables that are declared as personal: nothing of them is sent, and answers have them again.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod hands;
mod rig;
mod standin;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use ashlar_contracts::ContractSet;
use ashlar_gateway::{
    call::{Closing, Facts},
    config::Kind,
    prompts::Prompts,
    redact::{Declared, Names, Rules, Values, Vault, masked},
    upstream,
};
use ashlar_model::Files;
use hands::{called, said, tooled};
use proptest::prelude::*;
use rig::{Contracts, Rig, rig};
use serde_json::{Value, json};
use standin::{Standin, Step};

const TOML: &str = "[routes.fast]\ntargets = [{ provider = \"a\", model = \"m\" }]\nretries = 0\n\
    [features.default]\nredact = { sending = [\"field\"] }\ntext = { keep_days = 1 }\ntools = [\"find\"]\n\
    [tools.find]\ndescription = \"Finds people.\"\nserver = \"s\"\npath = \"/find\"\n[tools.find.input]\ntype = \"object\"\n\
    properties.town = { type = \"string\", x-ashlar = { sensitivity = \"pii\" } }\nproperties.age = { type = \"integer\" }\n";
const LETTER: &str = "---\nowner: support\nchangelog: First version.\nroute: fast\noutput: none\n\
    variables:\n  guest: { type: string, sensitivity: pii }\n  surname: { type: string, trusted: true }\n  berth: { type: integer }\n---\n\n\
    ## system\n\nWrite to {{ surname | upper }}.\n\n## user\n\n{{ guest }} at {{ berth }}\n";
const SHAPED: &str = "---\nowner: support\nchangelog: First version.\nroute: fast\noutput: reply.v1\n\
    variables:\n  guest: { type: string, sensitivity: pii }\n---\n\n## user\n\n{{ guest }}\n";
const REPLY: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0","owner":"support","kind":"output"},
    "properties":{"to":{"type":"string"},"price":{"type":"integer"}},"required":["to","price"],"additionalProperties":false}"#;
const PERSON: &str = r#"{"type":"object","description":"A person.","x-ashlar":{"version":"1.0.0","owner":"support","kind":"type","title_field":"surname"},
    "properties":{"surname":{"type":"string","x-ashlar":{"sensitivity":"pii"}},"plan":{"type":"string"},
    "home":{"type":"object","x-ashlar":{"sensitivity":["legal","pii"]},"properties":{"street":{"type":"string"}}},
    "wage":{"type":"integer","x-ashlar":{"sensitivity":"pii"}}}}"#;

#[derive(Default)]
struct Notes(Mutex<Vec<Facts>>);

impl Closing for Notes {
    fn closed(&self, facts: Facts) {
        self.0.lock().unwrap().push(facts);
    }
}

/// Gives a rig the definitions above, as a node does.
fn released(rig: &mut Rig) -> Arc<Notes> {
    let mut files = Files::new();
    for (path, text) in [
        ("prompts/letter/v1.md", LETTER),
        ("prompts/shaped/v1.md", SHAPED),
        ("contracts/reply.v1.json", REPLY),
        ("contracts/person.v1.json", PERSON),
    ] {
        files.insert(path, text.as_bytes().to_vec()).unwrap();
    }
    let (prompts, found) = Prompts::parse(&files);
    assert!(prompts.len() == 2, "{found:?}");
    let contracts = ContractSet::load(&files).0;
    let tools = rig.scene.gateway.tools.iter().map(|(name, tool)| (name.clone(), tool.personal_fields()));
    rig.scene.declared = Arc::new(Declared::new(contracts.personal_fields(), tools.collect()));
    rig.scene.prompts = Arc::new(prompts);
    rig.scene.contracts = Arc::new(Contracts(contracts));
    let notes = Arc::<Notes>::default();
    rig.scene.closing = Some(notes.clone());
    notes
}

fn answering(standin: &Standin) -> (Rig, Arc<Notes>) {
    let mut rig = rig(TOML, &[("a", upstream::Kind::OpenAi, standin)]);
    let notes = released(&mut rig);
    (rig, notes)
}

fn sent(standin: &Standin) -> String {
    standin.requests().iter().map(|asked| asked.json().to_string()).collect::<Vec<_>>().join("\n")
}

/// The content of the last message that was sent.
fn last(standin: &Standin) -> String {
    let request = standin.requests().last().unwrap().json();
    request["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned()
}

fn content(answer: &str) -> String {
    let whole: Value = serde_json::from_str(answer).unwrap();
    whole["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn values_of_personal_variables_are_not_sent_wherever_they_occur() {
    let standin = Standin::new(|asked, _| {
        if asked.json()["stream"] == true {
            let piece = |text: &str| {
                let body = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                    "choices": [{"index": 0, "delta": {"content": text}}]});
                format!("data: {body}\n\n")
            };
            let end = json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
            return vec![Step::events(&[
                piece("Dear [FIE"),
                piece("LD_1"),
                piece("], [FIELD_2] [FIELD"),
                format!("data: {end}\n\n"),
                "data: [DONE]\n\n".to_owned(),
            ])];
        }
        vec![said("Dear [FIELD_1], [FIELD_2]")]
    });
    let (rig, notes) = answering(&standin);
    let mut body = json!({"model": "fast",
        "messages": [{"role": "user", "content": "Lovelace, ADA <B> and Ada <B>son: is berth 12 free? {\"berth\": 12}"}],
        "ashlar": {"prompt": "letter", "variables": {"guest": " Ada <B>", "surname": "Lovelace", "berth": 12}}});
    let answer = content(&rig.openai(body.clone()).await.unwrap());
    assert!(answer.starts_with("Dear LOVELACE, Ada &lt;B>"), "{answer}");
    let out = sent(&standin).to_lowercase();
    assert!(!out.contains("lovelace") && !out.contains("ada"), "{out}");
    // What is not declared is sent, and values inside words are not.
    assert_eq!(last(&standin), "[FIELD_3], [FIELD_4] and [FIELD_5]son: is berth 12 free? {\"berth\": 12}");
    body["stream"] = json!(true);
    let streamed = rig.openai(body.clone()).await.unwrap();
    assert!(
        streamed.contains("LOVELACE") && streamed.contains("Ada &lt;B>") && streamed.contains("[FIELD\""),
        "{streamed}"
    );
    for facts in notes.0.lock().unwrap().iter() {
        let (text, _) = facts.text.as_ref().unwrap();
        let stored = format!("{} {}", text.input, text.output).to_lowercase();
        assert!(!stored.contains("lovelace") && !stored.contains("ada "), "{stored}");
        assert!(text.input.contains("[FIELD]") && text.output.contains("[FIELD]"), "{text:?}");
    }
    body["ashlar"]["variables"]["guest"] = json!("ab".repeat(1_500));
    rig.openai(body.clone()).await.unwrap();
    body["ashlar"]["variables"] = json!({"guest": "x y", "surname": "ö".repeat(7_000), "berth": 1});
    rig.openai(body.clone()).await.unwrap();
    assert!(!sent(&standin).contains("öö"));
}

#[tokio::test]
async fn values_of_declared_fields_are_replaced_in_json() {
    let standin = Standin::new(|_, _| vec![said(r#"{"wage": "[FIELD_3]", "surname": "[FIELD_1]"}"#)]);
    let (rig, notes) = answering(&standin);
    let text = r#"Here: {"surname": "L\u00f6we", "home": {"street": "Kai 1"}, "plan": "basin", "wage": 5000, "town": "Bern"} Kai 1"#;
    let body = json!({"model": "fast", "messages": [
        {"role": "user", "content": text},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "other", "arguments": "{\"wage\":5000,\"town\":\"Bern\"}"}},
            {"id": "c2", "type": "function", "function": {"name": "find", "arguments": "{\"town\":\"Bern\",\"age\":4}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "{\"surname\": \"Löwe\"}"},
        {"role": "tool", "tool_call_id": "c2", "content": "\"{\\\"surname\\\": \\\"Bär\\\"}\""}]});
    let answer = content(&rig.openai(body).await.unwrap());
    assert_eq!(answer, r#"{"wage": 5000, "surname": "Löwe"}"#);
    let request = standin.requests()[0].json();
    let messages = request["messages"].as_array().unwrap();
    assert_eq!(
        messages[0]["content"],
        r#"Here: {"surname": "[FIELD_1]", "home": {"street": "[FIELD_2]"}, "plan": "basin", "wage": "[FIELD_3]", "town": "Bern"} Kai 1"#
    );
    let arguments =
        |at: usize| messages[1]["tool_calls"][at]["function"]["arguments"].as_str().unwrap().to_owned();
    assert_eq!(arguments(0), r#"{"wage":"[FIELD_3]","town":"Bern"}"#);
    assert_eq!(
        arguments(1),
        r#"{"town":"[FIELD_4]","age":4}"#,
        "an argument that the schema of its tool declares"
    );
    assert_eq!(messages[2]["content"], r#"{"surname": "[FIELD_1]"}"#);
    assert_eq!(messages[3]["content"], r#""{\"surname\": \"[FIELD_5]\"}""#);
    let facts = notes.0.lock().unwrap();
    let (text, _) = facts[0].text.as_ref().unwrap();
    assert!(text.input.contains(r#"{"surname": "[FIELD]", "home": {"street": "[FIELD]"}"#), "{}", text.input);
    assert_eq!(text.output, r#"{"wage": "[FIELD]", "surname": "[FIELD]"}"#);
}

#[tokio::test]
async fn tools_get_values_and_their_results_are_replaced_in_every_part() {
    let standin = Standin::new(|asked, number| match number {
        0 => vec![called("", &[("c1", "find", json!({"town": "[FIELD_1]"}))])],
        _ => {
            assert!(asked.json()["messages"].to_string().contains("[FIELD_2]"));
            vec![said("[FIELD_2] lives in [FIELD_1].")]
        }
    });
    let (hands, mut rig) =
        tooled(TOML, &standin, |_| Ok(r#"{"surname": "Noether", "plan": "port"}"#.to_owned()));
    let notes = released(&mut rig);
    let body = json!({"model": "fast", "messages": [
        {"role": "user", "content": "Who lives there?"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c0", "type": "function", "function": {"name": "find", "arguments": "{\"town\":\"Bern\"}"}}]},
        {"role": "tool", "tool_call_id": "c0", "content": "none"}], "ashlar": {"tools": ["find"]}});
    let answer = content(&rig.openai(body).await.unwrap());
    assert_eq!(answer, "Noether lives in Bern.");
    assert!(hands.ran()[0].contains("Bern"), "{:?}", hands.ran());
    let out = sent(&standin);
    assert!(!out.contains("Noether") && !out.contains("Bern") && out.contains("port"), "{out}");
    // What the model read in JSON and repeated in prose is not stored.
    let facts = notes.0.lock().unwrap();
    assert_eq!(facts[0].text.as_ref().unwrap().0.output, "[FIELD] lives in [FIELD].");
}

#[tokio::test]
async fn a_result_with_further_parts_is_replaced_in_all_of_them() {
    let standin = Standin::new(|_, _| {
        let body = json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
            "content": [{"type": "text", "text": "[FIELD_2]"}], "usage": {"input_tokens": 1, "output_tokens": 1}});
        vec![Step::json(200, &body.to_string())]
    });
    let mut rig = rig(TOML, &[("a", upstream::Kind::Anthropic, &standin)]);
    released(&mut rig);
    let body = json!({"model": "fast", "max_tokens": 9, "messages": [
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "find", "input": {"town": "Bern"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [
            {"type": "text", "text": "{\"surname\": \"Wolf\"}"},
            {"type": "search_result", "source": "x", "title": "t", "content": [{"type": "text", "text": "{\"surname\": \"Hase\"}"}]}]}]}]});
    let answer: Value = serde_json::from_str(&rig.anthropic(body).await.unwrap()).unwrap();
    assert_eq!(answer["content"][0]["text"], "Wolf");
    let request = standin.requests()[0].json();
    assert_eq!(request["messages"][1]["content"][0]["input"], json!({"town": "[FIELD_1]"}), "{request}");
    let parts = &request["messages"][2]["content"][0]["content"];
    assert_eq!(parts[1]["content"][0]["text"], r#"{"surname": "[FIELD_3]"}"#, "{request}");
    assert!(!["Bern", "Wolf", "Hase"].iter().any(|value| request.to_string().contains(value)), "{request}");
}

#[tokio::test]
async fn an_answer_that_is_repaired_is_sent_without_values() {
    let standin = Standin::new(|_, number| match number {
        0 => vec![said(r#"{"to": "[FIELD_1]", "price": "much"}"#)],
        _ => vec![said(r#"{"to": "[FIELD_1]", "price": 7}"#)],
    });
    let (rig, _) = answering(&standin);
    let body = json!({"model": "fast", "messages": [], "ashlar": {"prompt": "shaped", "variables": {"guest": "Hopper"}}});
    assert_eq!(content(&rig.openai(body).await.unwrap()), r#"{"price":7,"to":"Hopper"}"#);
    assert_eq!(standin.requests().len(), 2);
    assert!(!sent(&standin).contains("Hopper"), "{}", sent(&standin));
}

#[tokio::test]
async fn without_the_kind_nothing_is_replaced_before_sending() {
    let standin = Standin::new(|_, _| vec![said("x")]);
    let toml = TOML.replace("[\"field\"]", "[\"email\"]");
    let mut rig = rig(&toml, &[("a", upstream::Kind::OpenAi, &standin)]);
    let notes = released(&mut rig);
    let body = json!({"model": "fast", "messages": [{"role": "user", "content": "{\"surname\": \"Hopper\"}"}],
        "ashlar": {"prompt": "shaped", "variables": {"guest": "Grace"}}});
    let _ = rig.openai(body).await;
    assert!(sent(&standin).contains("Hopper") && sent(&standin).contains("Grace"));
    let facts = notes.0.lock().unwrap();
    let input = &facts[0].text.as_ref().unwrap().0.input;
    assert!(!input.contains("Hopper") && !input.contains("Grace"), "{input}");
}

fn names() -> Names {
    Names::new(["surname", "wage", "home"].map(str::to_owned).into())
}

/// JSON with declared fields at any depth, also as text inside other JSON.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        "[ -~äß€\n\t]{0,12}".prop_map(Value::from),
        "[a-zäß ]{3,12}".prop_map(Value::from),
        Just(Value::from("[FIELD_1]")),
        Just(Value::from("jo@example.com")),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let key = prop_oneof![Just("surname"), Just("wage"), Just("home"), Just("plan"), Just("x y")];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.prop_map(str::to_owned), inner.clone(), 0..5)
                .prop_map(|map: BTreeMap<String, Value>| Value::from_iter(map)),
            inner.prop_map(|inner| Value::from(inner.to_string())),
        ]
    })
}

/// The texts of declared fields, with those in JSON that is text.
fn personal(value: &Value, inside: bool, out: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if inside => drop(out.insert(text.clone())),
        Value::Number(number) if inside => drop(out.insert(number.to_string())),
        Value::Array(all) => all.iter().for_each(|value| personal(value, inside, out)),
        Value::Object(all) => {
            all.iter().for_each(|(name, value)| personal(value, inside || names().contains(name), out))
        }
        _ => {}
    }
}

/// The texts of other fields.
fn others(value: &Value, seen: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => seen(text),
        Value::Array(all) => all.iter().for_each(|value| others(value, seen)),
        Value::Object(all) => {
            all.iter().filter(|(name, _)| !names().contains(name)).for_each(|(_, value)| others(value, seen))
        }
        _ => {}
    }
}

fn leaves(value: &Value, inside: bool, check: &mut dyn FnMut(&Value)) {
    match value {
        Value::Array(all) => all.iter().for_each(|value| leaves(value, inside, check)),
        Value::Object(all) => {
            all.iter().for_each(|(name, value)| leaves(value, inside || names().contains(name), check))
        }
        leaf if inside => check(leaf),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Arguments of tools stay JSON, have no value of a declared field, and come back, whole and in pieces.
    #[test]
    fn arguments_come_back_as_they_were(value in tree(), pretty in any::<bool>(), cut in any::<prop::sample::Index>(), more in any::<bool>()) {
        let names = names();
        let kinds: BTreeSet<Kind> = if more { Kind::ALL.into() } else { [Kind::Field].into() };
        let rules = Rules { kinds: &kinds, names: Some(&names), values: None };
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let mut vault = Vault::default();
        let redacted = vault.redact_json(&text, rules).into_owned();
        if !more {
            let shown: Value = serde_json::from_str(&redacted).unwrap();
            leaves(&shown, false, &mut |leaf| match leaf {
                // A text that looks like a placeholder is replaced as a text.
                Value::String(text) => assert!(text.is_empty() || ["[FIELD_", "[TEXT_"].iter().any(|label| text.starts_with(label)) && text.ends_with(']'), "{redacted}"),
                Value::Number(_) => panic!("a number stays: {redacted}"),
                _ => {}
            });
            let back: Value = serde_json::from_str(&vault.restore_json(&redacted)).unwrap();
            prop_assert_eq!(&back, &value, "{}", redacted);
        }
        let at = redacted.floor_char_boundary(cut.index(redacted.len() + 1));
        let mut restorer = vault.restorer(true);
        let streamed = [restorer.push(&redacted[..at]), restorer.push(&redacted[at..]), restorer.finish()].concat();
        prop_assert_eq!(&streamed, &vault.restore_json(&redacted));
    }

    /// Text with JSON and values in it comes back as it was, and no value stays.
    #[test]
    fn text_comes_back_as_it_was(
        before in "[a-z<>\"{}:\\[\\]\\\\ ]{0,12}", value in tree(),
        variables in prop::collection::vec("[B-DÄ<\"]{3,6}", 0..3), after in "[a-zA-Z \"\\\\]{0,12}",
    ) {
        let (names, kinds) = (names(), BTreeSet::from([Kind::Field]));
        let known = Values::new(variables.iter().map(String::as_str)).unwrap();
        let rules = Rules { kinds: &kinds, names: Some(&names), values: known.as_ref() };
        let text = format!("{before}{value}{}{after}", variables.concat());
        let mut vault = Vault::default();
        let redacted = vault.redact(&text, rules).into_owned();
        prop_assert_eq!(&vault.restore(&redacted), &text, "{}", redacted);
        let stored = masked(&text, rules);
        for value in variables.iter().filter(|value| value.as_str() != "DDD") {
            prop_assert!(!redacted.contains(value.as_str()) && !stored.contains(value.as_str()), "{redacted} {stored}");
        }
        let mut found = BTreeSet::new();
        personal(&value, false, &mut found);
        // Only declared fields are hidden: another field may have the same text.
        others(&value, &mut |text| _ = found.remove(text));
        for one in found.iter().filter(|one| one.len() >= 3 && before.is_empty() && !one.starts_with('[')) {
            let quoted = format!(": {}", Value::from(one.as_str()));
            prop_assert!(!redacted.contains(&quoted.replace(": ", ":")), "{redacted} has {one}");
        }
        for at in (0..=redacted.len()).filter(|at| redacted.is_char_boundary(*at)) {
            let mut restorer = vault.restorer(false);
            let streamed = [restorer.push(&redacted[..at]), restorer.push(&redacted[at..]), restorer.finish()].concat();
            prop_assert_eq!(&streamed, &text, "{} {}", redacted, at);
        }
    }
}
