//! Answers that are given again. The provider is a stand-in that counts its answers.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod rig;
mod standin;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use ashlar_contracts::ContractSet;
use ashlar_gateway::{
    call::{Answer, BuiltIn, Closing, Facts, Question, Wanted},
    ground::Source,
    prompts::Prompts,
    upstream::Kind,
    wire::{Fault, anthropic, openai},
};
use ashlar_model::{Files, TenantId};
use async_trait::async_trait;
use proptest::prelude::*;
use rig::{Contracts, Quoted, Rig, caller, read, rig};
use serde_json::{Value, json};
use standin::{Asked, Standin, Step};

const TOML: &str = "[routes.fast]\ntargets = [{ provider = \"a\", model = \"m\" }]\nretries = 0\n\
    [routes.slow]\ntargets = [{ provider = \"a\", model = \"m\" }]\nretries = 0\nfallbacks = [\"fast\"]\n\
    [features.default]\ncache = { exact_seconds = 60 }\nredact = { sending = [\"email\"] }\n\
    [features.other]\ncache = { exact_seconds = 60 }\n[features.plain]\n";

fn whole(text: &str, finish: &str) -> String {
    json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m-1", "system_fingerprint": "f", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}})
    .to_string()
}

fn piece(delta: &Value, finish: Option<&str>) -> String {
    let body = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    format!("data: {body}\n\n")
}

/// What a stand-in says, in the form that was asked for.
fn says(asked: &Asked, text: &str) -> Vec<Step> {
    if asked.json()["stream"] != true {
        return vec![Step::json(200, &whole(text, "stop"))];
    }
    let middle = text.len() / 2;
    vec![Step::events(&[
        piece(&json!({"role": "assistant", "content": text[..middle]}), None),
        piece(&json!({"content": text[middle..]}), None),
        piece(&json!({}), Some("stop")),
        "data: [DONE]\n\n".to_owned(),
    ])]
}

/// Answers with its number and the placeholders that it was sent.
fn counting() -> Standin {
    Standin::new(|asked, number| {
        let sent = asked.json()["messages"].to_string();
        let known = if sent.contains("[EMAIL_1]") { " [EMAIL_1]" } else { "" };
        says(asked, &format!("answer {number}{known}"))
    })
}

/// The last facts of a rig.
#[derive(Default)]
struct Notes(Mutex<Vec<Facts>>);

impl Closing for Notes {
    fn closed(&self, facts: Facts) {
        self.0.lock().unwrap().push(facts);
    }
}

fn noting(standin: &Standin) -> (Rig, Arc<Notes>) {
    let (mut rig, notes) = (rig(TOML, &[("a", Kind::OpenAi, standin)]), Arc::<Notes>::default());
    rig.scene.closing = Some(notes.clone());
    (rig, notes)
}

fn ask(text: &str, more: Value) -> Value {
    let mut body = json!({"model": "fast", "messages": [{"role": "user", "content": text}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// The text of an answer in the format of OpenAI, in pieces or not.
fn text(answer: &str) -> String {
    if let Ok(whole) = serde_json::from_str::<Value>(answer) {
        return whole["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
    }
    let data = answer.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let pieces = data.map(|data| serde_json::from_str::<Value>(data).unwrap());
    pieces.filter_map(|p| p["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn an_equal_call_gets_the_same_answer_and_costs_nothing() {
    let standin = counting();
    let (rig, notes) = noting(&standin);
    let first = rig.openai(ask("Hello", json!({}))).await.unwrap();
    assert_eq!(
        first,
        rig.openai(ask("Hello", json!({}))).await.unwrap(),
        "also what only the provider knows"
    );
    let streamed = rig.openai(ask("Hello", json!({"stream": true}))).await.unwrap();
    assert!(text(&streamed) == "answer 0" && streamed.ends_with("data: [DONE]\n\n"), "{streamed}");
    assert_eq!(standin.requests().len(), 1);
    let facts = std::mem::take(&mut *notes.0.lock().unwrap());
    let caches: Vec<&str> = facts.iter().map(|facts| facts.cache).collect();
    assert_eq!(caches, ["miss", "hit", "hit"]);
    assert_eq!((facts[0].tokens.input, facts[0].attempts), (100, 1));
    for hit in &facts[1..] {
        assert_eq!((hit.tokens.input, hit.tokens.output, hit.attempts), (0, 0, 0));
        assert_eq!((hit.outcome.as_str(), hit.status, hit.model.as_str()), ("ok", 200, "m"));
    }
    // What came as a stream is given again as a whole as well.
    let streamed = rig.openai(ask("Again", json!({"stream": true}))).await.unwrap();
    assert_eq!((text(&streamed).as_str(), standin.requests().len()), ("answer 1", 2));
    assert_eq!(text(&rig.openai(ask("Again", json!({}))).await.unwrap()), "answer 1");
    // Neither read nor kept.
    for (number, more) in [(2, json!({"ashlar": {"cache": false}})), (3, json!({"ashlar": {"cache": false}}))]
    {
        assert_eq!(text(&rig.openai(ask("Hello", more)).await.unwrap()), format!("answer {number}"));
    }
    assert_eq!(notes.0.lock().unwrap().last().unwrap().cache, "");
}

#[tokio::test]
async fn values_that_were_replaced_are_those_of_each_call() {
    let standin = counting();
    let (rig, _) = noting(&standin);
    for (stream, mail) in [(false, "ada@example.com"), (true, "ed@example.com"), (false, "jo@example.com")] {
        let body = ask(&format!("I am {mail}."), json!({"stream": stream}));
        assert_eq!(text(&rig.openai(body).await.unwrap()), format!("answer 0 {mail}"));
    }
    assert_eq!(standin.requests().len(), 1);
    assert!(rig.desk.cache.bytes() > 0);
    rig.desk.cache.clear(&TenantId::main());
    assert_eq!(
        text(&rig.openai(ask("I am x@example.com.", json!({}))).await.unwrap()),
        "answer 1 x@example.com"
    );
}

#[tokio::test]
async fn only_answers_that_ended_well_are_kept() {
    let standin = Standin::new(|asked, number| match number {
        0 => vec![Step::json(200, &whole("cut", "length"))],
        1 => vec![Step::json(500, "{}")],
        2 => vec![Step::json(
            200,
            r#"{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"t","type":"function","function":{"name":"pay","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#,
        )],
        3 => vec![Step::begin_events(), Step::text(&piece(&json!({"content": "bro"}), None)), Step::Close],
        _ => says(asked, &format!("answer {number}")),
    });
    let (rig, _) = noting(&standin);
    for stream in [false, false, false, true] {
        let _ = rig.openai(ask("x", json!({"stream": stream}))).await;
    }
    assert_eq!(text(&rig.openai(ask("x", json!({}))).await.unwrap()), "answer 4");
    // A fallback is tried only for now.
    let failing = Standin::new(|_, _| vec![Step::json(500, "{}")]);
    let working = counting();
    let toml = "[routes.slow]\ntargets = [{ provider = \"b\", model = \"m\" }]\nretries = 0\nfallbacks = [\"fast\"]\n\
        [routes.fast]\ntargets = [{ provider = \"a\", model = \"m\" }]\n[features.default]\ncache = { exact_seconds = 60 }\n";
    let rig = rig::rig(toml, &[("a", Kind::OpenAi, &working), ("b", Kind::OpenAi, &failing)]);
    for number in 0..2 {
        for stream in [false, true] {
            let body = ask("x", json!({"model": "slow", "stream": stream}));
            let number = number * 2 + usize::from(stream);
            assert_eq!(text(&rig.openai(body).await.unwrap()), format!("answer {number}"));
        }
    }
}

#[tokio::test]
async fn answers_expire() {
    let standin = counting();
    let toml = TOML.replace("exact_seconds = 60", "exact_seconds = 1");
    let rig = rig(&toml, &[("a", Kind::OpenAi, &standin)]);
    for _ in 0..2 {
        rig.openai(ask("x", json!({}))).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    assert_eq!(text(&rig.openai(ask("x", json!({}))).await.unwrap()), "answer 1");
}

/// A built-in model for callers who may see this.
struct Seen(String);

#[async_trait]
impl BuiltIn for Seen {
    async fn answer(&self, question: Question) -> Result<Answer, Fault> {
        Quoted.answer(question).await
    }

    fn audience(&self) -> String {
        self.0.clone()
    }

    async fn sources(&self, wanted: Wanted) -> Result<Vec<Source>, Fault> {
        Quoted.sources(wanted).await
    }
}

/// Everything that may make a difference. The user and the session make none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Story {
    tenant: u8,
    audience: u8,
    release: u8,
    feature: u8,
    prompt: u8,
    route: u8,
    surface: bool,
    temperature: u8,
    system: u8,
    text: u8,
}

prop_compose! {
    fn story()(tenant in 0..2_u8, audience in 0..2_u8, release in 0..2_u8, feature in 0..2_u8, prompt in 0..3_u8, route in 0..2_u8,
        surface in any::<bool>(), temperature in 0..2_u8, system in 0..2_u8, text in 0..2_u8) -> Story {
        Story { tenant, audience, release, feature, prompt, route, surface, temperature, system, text }
    }
}

/// A prompt of which only the number of the version changes.
const PROMPT: &str =
    "---\nowner: support\nchangelog: Same words.\noutput: none\n---\n\n## system\n\nBe brief.\n";

async fn told(rig: &mut Rig, story: &Story, (stream, user): (bool, u8)) -> String {
    let mut caller = caller();
    caller.tenant = TenantId::new(["main", "second"][usize::from(story.tenant)]).unwrap();
    caller.feature = ["other", "default"][usize::from(story.feature)].to_owned();
    caller.key = format!("k{user}");
    rig.scene.release = format!("r{}", story.release);
    let content = format!("text {}", story.text);
    let model = ["fast", "slow"][usize::from(story.route)];
    let mut body = json!({"model": model, "stream": stream, "temperature": story.temperature,
        "messages": [{"role": "user", "content": content}], "max_tokens": 50});
    if story.prompt > 0 {
        body["ashlar"] = json!({"prompt": "same", "version": story.prompt, "session": format!("s{user}")});
    }
    let system = format!("system {}", story.system);
    let call = if story.surface {
        body["user"] = json!(format!("u{user}"));
        body["messages"].as_array_mut().unwrap().insert(0, json!({"role": "system", "content": system}));
        openai::read(body.to_string().into()).unwrap()
    } else {
        body["metadata"] = json!({"user_id": format!("u{user}")});
        body["system"] = json!(system);
        anthropic::read(body.to_string().into()).unwrap()
    };
    let seen = Seen(format!("reader {}", story.audience));
    let reply = rig.desk.chat(&rig.scene, &caller, call, &seen).await.unwrap();
    let said = read(reply.body).await;
    let at = said.find("answer ").map(|at| at + 7);
    // A stream cuts the text in two, so the number is collected from its pieces.
    let said = match (stream, at) {
        (false, Some(at)) => said[at..].to_owned(),
        _ => {
            let data = said.lines().filter_map(|line| line.strip_prefix("data: {"));
            let pieces = data.map(|data| serde_json::from_str::<Value>(&format!("{{{data}")).unwrap());
            let texts = pieces.filter_map(|p| {
                let openai = p["choices"][0]["delta"]["content"].as_str();
                openai.or(p["delta"]["text"].as_str()).map(str::to_owned)
            });
            texts.collect::<String>().replace("answer ", "")
        }
    };
    said.chars().take_while(char::is_ascii_digit).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Two calls share an answer if and only if they are equal in everything that it may depend on.
    #[test]
    fn no_answer_reaches_another_tenant_audience_release_or_prompt(
        stories in prop::collection::vec((story(), any::<bool>(), 0..3_u8), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let standin = counting();
            let mut rig = rig(TOML, &[("a", Kind::OpenAi, &standin)]);
            let (mut files, tenants) = (Files::new(), vec![TenantId::main(), TenantId::new("second").unwrap()]);
            let provider = rig.desk.providers.0["a"].clone();
            let mut both = Arc::into_inner(rig::provider("a", Kind::OpenAi, &provider.url)).unwrap();
            both.tenants = tenants;
            rig.desk.providers.0 = Arc::new(BTreeMap::from([("a".to_owned(), Arc::new(both))]));
            for version in 1..3 {
                files.insert(&format!("prompts/same/v{version}.md"), PROMPT.as_bytes().to_vec()).unwrap();
            }
            rig.scene.prompts = Arc::new(Prompts::parse(&files).0);
            rig.scene.contracts = Arc::new(Contracts(ContractSet::default()));
            let (mut known, mut owners) = (HashMap::new(), HashMap::new());
            for (story, stream, user) in stories {
                let number = told(&mut rig, &story, (stream, user)).await;
                assert!(!number.is_empty());
                let owner = owners.entry(number.clone()).or_insert_with(|| story.clone());
                assert_eq!(*owner, story, "an answer of another partition");
                let first = known.entry(story).or_insert_with(|| number.clone());
                assert_eq!(*first, number, "an equal call was sent again");
            }
        });
    }
}
