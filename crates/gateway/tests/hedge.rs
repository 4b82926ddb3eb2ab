//! A second target is asked when the first one is slow: who answers, and what it costs.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod hands;
mod rig;
mod standin;

use std::{sync::Arc, time::Duration};

use ashlar_gateway::{
    call::Facts,
    policy::Policy,
    upstream::{Kind, Providers},
    wire::{Fault, openai},
};
use jiff::Timestamp;
use rig::{Closed, Rig, Rows, caller, provider, rig};
use serde_json::{Value, json};
use standin::{Asked, Standin, Step};

/// Tokens cost a millionth at `a`, and ten at `b`; those of outputs twice that.
const TOML: &str = "[routes.fast]\ntargets = [{ provider = 'a', model = 'one', weight = 1 }, { provider = 'b', model = 'two', weight = 0 }]\n\
    retries = 0\nhedge = 0.1\n\
    [[prices]]\nmodel = 'a/one'\nfrom = 2026-01-01\ncurrency = 'USD'\ninput = '1'\noutput = '2'\n\
    [[prices]]\nmodel = 'b/two'\nfrom = 2026-01-01\ncurrency = 'USD'\ninput = '10'\noutput = '20'\n";
const BUDGET: &str = "[features.default]\nbudget = { day = '5' }\n";
const MICRO: u64 = 1_000_000;
/// The most tokens of an answer that [`ask`] wants.
const OUT: u64 = 50;
/// Longer than any test waits.
const NEVER: Step = Step::Wait(Duration::from_secs(20));

struct Both {
    rig: Rig,
    notes: Arc<Closed>,
    rows: Arc<Rows>,
    a: Standin,
    b: Standin,
}

fn both(toml: &str, a: Standin, b: Standin) -> Both {
    both_of(toml, (Kind::OpenAi, a), b)
}

fn both_of(toml: &str, (kind, a): (Kind, Standin), b: Standin) -> Both {
    let mut rig = rig(toml, &[("a", kind, &a), ("b", Kind::OpenAi, &b)]);
    let (notes, rows) = (Arc::<Closed>::default(), Arc::<Rows>::default());
    rig.scene.closing = Some(notes.clone());
    rig.scene.policy = Some(Policy::new(rows.clone()));
    Both { rig, notes, rows, a, b }
}

impl Both {
    async fn asks(&self, body: &Value) -> Result<String, Fault> {
        self.rig.openai(body.clone()).await
    }

    /// What became of the last call.
    fn last(&self) -> Facts {
        self.notes.0.lock().unwrap().last().unwrap().clone()
    }

    /// What all calls were charged, in millionths, when nothing is reserved any more.
    async fn charged(&self) -> u64 {
        self.rig.scene.policy.as_ref().unwrap().close().await;
        let today = Timestamp::now().to_string();
        self.rows.used("feature/default", &today[..10], "money/USD") / MICRO
    }

    fn asked(&self) -> (usize, usize) {
        (self.a.requests().len(), self.b.requests().len())
    }
}

fn ask(stream: bool) -> Value {
    json!({"model": "fast", "stream": stream, "max_tokens": OUT, "messages": [{"role": "user", "content": "Hello"}]})
}

/// The tokens that the request is taken to have.
fn tokens_in() -> u64 {
    openai::read(ask(false).to_string().into()).unwrap().tokens_in()
}

fn says(asked: &Asked, text: &str) -> Vec<Step> {
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10});
    if asked.json()["stream"] != true {
        let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": format!("real-{text}"), "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}], "usage": usage});
        return vec![Step::json(200, &body.to_string())];
    }
    let piece = |choices: Value, usage: Value| {
        let body = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": format!("real-{text}"),
            "choices": choices, "usage": usage});
        format!("data: {body}\n\n")
    };
    let delta = |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
    vec![Step::events(&[
        piece(delta(json!({"role": "assistant", "content": text}), Value::Null), Value::Null),
        piece(delta(json!({}), json!("stop")), Value::Null),
        piece(json!([]), usage),
        "data: [DONE]\n\n".to_owned(),
    ])]
}

fn answers(text: &'static str) -> Standin {
    Standin::new(move |asked, _| says(asked, text))
}

fn answers_after(millis: u64, text: &'static str) -> Standin {
    Standin::new(move |asked, _| {
        let mut steps = vec![Step::Wait(Duration::from_millis(millis))];
        steps.extend(says(asked, text));
        steps
    })
}

fn hangs() -> Standin {
    Standin::new(|_, _| vec![NEVER])
}

#[tokio::test]
async fn a_slow_target_is_overtaken_and_charged_like_a_call_whose_client_went_away() {
    for stream in [false, true] {
        let both = both(&format!("{TOML}{BUDGET}"), hangs(), answers("two"));
        let said = both.asks(&ask(stream)).await.unwrap();
        assert!(said.contains("real-two"), "{said}");
        let facts = both.last();
        assert_eq!((facts.hedged, facts.attempts, facts.outcome.as_str()), ("second", 2, "ok"));
        assert_eq!((facts.provider.as_str(), facts.model.as_str()), ("b", "two"));
        assert_eq!(facts.answered_by, "real-two");
        assert_eq!((facts.usage.input, facts.usage.output), (7, 3), "those of the answer");
        // Nothing is known of the first one, so it is charged its upper bound.
        let (loser, winner) = (tokens_in() + 2 * OUT, 10 * 7 + 20 * 3);
        assert_eq!(facts.cost.pico(), (loser + winner) * MICRO);
        assert_eq!(facts.tokens.total(), tokens_in() + OUT + 10);
        assert_eq!(both.charged().await, loser + winner);
    }
}

#[tokio::test]
async fn the_first_target_wins_when_it_answers_first_after_all() {
    for stream in [false, true] {
        let both = both(&format!("{TOML}{BUDGET}"), answers_after(300, "one"), hangs());
        let said = both.asks(&ask(stream)).await.unwrap();
        assert!(said.contains("real-one"), "{said}");
        let facts = both.last();
        assert_eq!((facts.hedged, facts.attempts, facts.provider.as_str()), ("first", 2, "a"));
        assert_eq!(both.asked(), (1, 1));
        assert_eq!(both.charged().await, 7 + 2 * 3 + 10 * tokens_in() + 20 * OUT);
    }
}

#[tokio::test]
async fn a_target_that_answers_in_time_is_asked_alone() {
    let both = both(&format!("{TOML}{BUDGET}"), answers("one"), answers("two"));
    for stream in [false, true] {
        assert!(both.asks(&ask(stream)).await.unwrap().contains("real-one"));
        let facts = both.last();
        assert_eq!((facts.hedged, facts.attempts, facts.cost.pico()), ("", 1, 13 * MICRO));
    }
    assert_eq!(both.asked(), (2, 0));
    assert_eq!(both.charged().await, 26);
}

/// Figures that came before the answer are what the loser is charged, and no upper bound.
#[tokio::test]
async fn a_loser_that_reported_tokens_is_charged_these() {
    let a = Standin::new(|_, _| {
        let begin = json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant",
            "model": "real-one", "content": [], "usage": {"input_tokens": 20, "output_tokens": 1}}});
        vec![Step::begin_events(), Step::text(&format!("event: message_start\ndata: {begin}\n\n")), NEVER]
    });
    let both = both_of(&format!("{TOML}{BUDGET}"), (Kind::Anthropic, a), answers_after(300, "two"));
    assert!(both.asks(&ask(true)).await.unwrap().contains("real-two"));
    let facts = both.last();
    assert_eq!((facts.hedged, facts.answered_by.as_str()), ("second", "real-two"));
    assert_eq!(both.charged().await, 20 + 2 + 130);
}

#[tokio::test]
async fn a_second_target_that_fails_takes_nothing_from_the_first() {
    let refuses = || Standin::new(|_, _| vec![Step::json(400, r#"{"error":{"message":"`seed` is odd"}}"#)]);
    for b in [refuses(), Standin::gone(), Standin::new(|_, _| vec![Step::json(500, "{}")])] {
        let both = both(&format!("{TOML}{BUDGET}"), answers_after(400, "one"), b);
        assert!(both.asks(&ask(true)).await.unwrap().contains("real-one"));
        assert_eq!((both.last().hedged, both.last().attempts), ("first", 2));
        assert_eq!(both.charged().await, 13, "a provider that refuses charges nothing");
    }
    // A first target that refuses the request ends the call.
    let a = Standin::new(|_, _| {
        vec![
            Step::Wait(Duration::from_millis(300)),
            Step::json(400, r#"{"error":{"message":"`seed` is odd"}}"#),
        ]
    });
    let both = both(&format!("{TOML}{BUDGET}"), a, hangs());
    assert_eq!(both.asks(&ask(false)).await.unwrap_err().status(), 400);
    assert_eq!((both.last().hedged, both.asked()), ("none", (1, 1)));
}

#[tokio::test]
async fn when_both_fail_the_call_goes_on_and_then_fails() {
    let fails = |status: u16, millis: u64| {
        Standin::new(move |_, _| vec![Step::Wait(Duration::from_millis(millis)), Step::json(status, "{}")])
    };
    let both = both(&format!("{TOML}{BUDGET}"), fails(503, 300), fails(500, 300));
    for stream in [false, true] {
        let fault = both.asks(&ask(stream)).await.unwrap_err();
        assert!(["upstream_error", "upstream_overloaded"].contains(&fault.code.as_ref()), "{fault}");
        assert_eq!((both.last().hedged, both.last().attempts), ("none", 2));
    }
    assert_eq!((both.asked(), both.charged().await), ((2, 2), 0));
    // With retries, a call is still asked beside the first one once.
    let retrying = TOML.replace("retries = 0", "retries = 2");
    let both = self::both(&retrying, fails(503, 300), fails(500, 300));
    assert!(both.asks(&ask(false)).await.is_err());
    assert_eq!(both.last().attempts, 4);
}

#[tokio::test]
async fn without_a_budget_for_both_the_first_is_waited_for() {
    // Enough for one call at the dearer model, and not for two.
    let most = 10 * tokens_in() + 20 * OUT;
    let budget = format!("[features.default]\nbudget = {{ day = '0.{:06}' }}\n", most + most / 2);
    let both = both(&format!("{TOML}{budget}"), answers_after(300, "one"), answers("two"));
    assert!(both.asks(&ask(false)).await.unwrap().contains("real-one"));
    assert_eq!((both.last().hedged, both.last().attempts, both.asked()), ("", 1, (1, 0)));
    assert_eq!(both.charged().await, 13);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_reserved() {
    let both = both(&format!("{TOML}{BUDGET}"), hangs(), hangs());
    let call = both.rig.openai(ask(true));
    assert!(tokio::time::timeout(Duration::from_millis(600), call).await.is_err());
    let facts = both.last();
    assert_eq!((facts.outcome.as_str(), facts.attempts, facts.hedged), ("client_gone", 2, "none"));
    assert_eq!(both.charged().await, 11 * tokens_in() + 22 * OUT, "the upper bounds of both");
}

#[tokio::test]
async fn a_target_that_always_loses_is_left_alone_and_one_that_is_left_alone_is_not_asked() {
    let toml = TOML.replace("hedge = 0.1", "hedge = 0.05");
    let both = both(&toml, hangs(), answers("two"));
    for _ in 0..6 {
        assert!(both.asks(&ask(false)).await.unwrap().contains("real-two"));
    }
    assert_eq!(both.asked(), (5, 6));
    assert_eq!(
        (both.last().hedged, both.last().attempts),
        ("", 1),
        "the sixth call goes to the second target alone"
    );

    let fails = Standin::new(|_, _| vec![Step::json(500, "{}")]);
    let both = self::both(&toml, answers_after(200, "one"), fails);
    for _ in 0..7 {
        assert!(both.asks(&ask(false)).await.unwrap().contains("real-one"));
    }
    assert_eq!(both.asked(), (7, 5));
    assert_eq!((both.last().hedged, both.last().attempts), ("", 1));
}

/// Neither vectors nor the built-in model.
#[tokio::test]
async fn what_cannot_be_compared_is_not_asked_twice() {
    let slow = Standin::new(|_, _| {
        let body = json!({"object": "list", "model": "one", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
            "usage": {"prompt_tokens": 1, "total_tokens": 1}});
        vec![Step::Wait(Duration::from_millis(300)), Step::json(200, &body.to_string())]
    });
    let both = both(TOML, slow, answers("two"));
    let asked = openai::Embeddings::read(json!({"model": "fast", "input": "x"}).to_string().into()).unwrap();
    let reply = both.rig.desk.embed(&both.rig.scene, &caller(), &asked).await.unwrap();
    assert_eq!((reply.facts.attempts, both.asked()), (1, (1, 0)));
    drop(reply);

    let toml = TOML.replace("provider = 'b', model = 'two'", "provider = 'ashlar', model = 'extractive'");
    let both = self::both(&toml, answers_after(300, "one"), answers("two"));
    assert!(both.asks(&ask(false)).await.unwrap().contains("real-one"));
    assert_eq!((both.last().attempts, both.last().hedged), (1, ""));
}

/// Tools run for the target that answered, and each round is a request of its own.
#[tokio::test]
async fn tools_run_for_the_winner_alone() {
    let asks_for = |number: &str| hands::called("", &[("c1", "order-status", json!({"number": number}))]);
    let slow = asks_for("LOSER");
    let a = Standin::new(move |_, number| match number {
        0 => vec![Step::Wait(Duration::from_millis(500)), slow.clone()],
        _ => vec![Step::json(500, "{}")],
    });
    let quick = asks_for("A-1");
    let b = Standin::new(move |_, number| match number {
        0 => vec![quick.clone()],
        _ => vec![hands::said("Order A-1 was shipped.")],
    });
    let targets = "targets = [{ provider = \"a\", model = \"m\", weight = 1 }, { provider = \"b\", model = \"m\", weight = 0 }]\nhedge = 0.1";
    let toml = hands::TOML.replace("targets = [{ provider = \"a\", model = \"m\" }]", targets);
    let (hands, mut rig) = hands::tooled(&toml, &a, |_| Ok("shipped".to_owned()));
    let mut providers = (*rig.desk.providers.0).clone();
    providers.insert("b".to_owned(), provider("b", Kind::OpenAi, &b.url));
    rig.desk.providers = Providers(Arc::new(providers));
    let whole = rig.openai(hands::asks(&["order-status"])).await.unwrap();
    assert!(whole.contains("Order A-1 was shipped."), "{whole}");
    let ran = hands.ran();
    assert!(ran.len() == 1 && ran[0].contains("/orders/A-1"), "{ran:?}");
    // In the second round the first target fails in time, so the other one is its replacement.
    assert_eq!((a.requests().len(), b.requests().len()), (2, 2));
}
