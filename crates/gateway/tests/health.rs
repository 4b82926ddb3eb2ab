//! Probes: what is asked of which provider, and what follows from the answer.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod rig;
mod standin;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use ashlar_gateway::{
    call::Desk,
    routing::{PROBES_MAX, ProviderState},
    upstream::{Client, Key, KeySource, Kind, MakeClient, Provider},
};
use rig::rig;
use serde_json::{Value, json};
use standin::{Standin, Step};

const EVERY: Duration = Duration::from_secs(30);
const TWO: &str = "[routes.fast]\ntargets = [{ provider = 'a', model = 'one', weight = 1 }, { provider = 'b', model = 'two', weight = 0 }]\nretries = 0\n";
const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;

/// A provider that answers probes with a status that can be changed, and calls always.
fn probed() -> (Standin, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let says = status.clone();
    let standin = Standin::new(move |asked, _| match asked.path.as_str() {
        "/models" => vec![Step::json(says.load(Ordering::SeqCst), r#"{"data":[]}"#)],
        _ => vec![Step::json(200, ANSWER)],
    });
    (standin, status)
}

fn hello() -> Value {
    json!({"model": "fast", "messages": [{"role": "user", "content": "Hello"}]})
}

/// How many calls a stand-in was asked to answer.
fn calls(standin: &Standin) -> usize {
    standin.requests().iter().filter(|asked| asked.path != "/models").count()
}

#[tokio::test]
async fn each_kind_is_asked_for_its_models_with_its_credential() {
    let standin = Standin::new(|_, _| vec![Step::json(200, r#"{"data":[]}"#)]);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let desk = Desk::default();
    // Any variable that is set when tests run.
    let secret = std::env::var("CARGO_PKG_NAME").unwrap();
    let bearer = format!("Bearer {secret}");
    for (kind, version, path, header, value) in [
        (Kind::OpenAi, None, "/models", "authorization", &bearer),
        (Kind::Anthropic, None, "/v1/models", "x-api-key", &secret),
        (Kind::Azure, None, "/openai/v1/models", "api-key", &secret),
        (Kind::Azure, Some("2024-10-21"), "/openai/models?api-version=2024-10-21", "api-key", &secret),
    ] {
        let make: MakeClient = Arc::new(|connect| Client::new(connect, None));
        let key = Key::new(KeySource::Env("CARGO_PKG_NAME".to_owned()));
        let mut provider = Provider::new("p", kind, &standin.url, key, make);
        provider.api_version = version.map(str::to_owned);
        desk.probe(&provider, EVERY).await;
        let asked = standin.requests().pop().unwrap();
        assert_eq!((asked.path.as_str(), asked.header(header)), (path, Some(value.as_str())));
        assert_eq!(asked.header("anthropic-version").is_some(), kind == Kind::Anthropic);
        assert!(asked.body.is_empty());
    }
    assert_eq!(desk.standing("p").state, ProviderState::Up);
}

#[tokio::test]
async fn a_provider_whose_probes_fail_is_left_alone_before_callers_see_it() {
    let ((a, status), b) = (probed(), Standin::new(|_, _| vec![Step::json(200, ANSWER)]));
    let rig = rig(TWO, &[("a", Kind::OpenAi, &a), ("b", Kind::OpenAi, &b)]);
    let provider = rig.desk.providers.0["a"].clone();
    status.store(503, Ordering::SeqCst);
    let first = rig.desk.probe(&provider, EVERY).await;
    assert!(first < Duration::from_secs(2), "a probe that failed is soon repeated");
    rig.openai(hello()).await.unwrap();
    assert_eq!((calls(&a), calls(&b)), (1, 0), "one failure may be a hiccup");
    for _ in 0..=PROBES_MAX {
        assert!(rig.desk.probe(&provider, EVERY).await <= EVERY.mul_f64(1.1));
    }
    let standing = rig.desk.standing("a");
    assert_eq!(
        (standing.state, standing.failure.as_deref()),
        (ProviderState::Down, Some("upstream_overloaded"))
    );
    assert!(standing.since.is_some() && standing.failed_at.is_some());
    rig.openai(hello()).await.unwrap();
    assert_eq!((calls(&a), calls(&b)), (1, 1), "no caller waited for it");
    status.store(200, Ordering::SeqCst);
    let wait = rig.desk.probe(&provider, EVERY).await;
    assert!(wait >= EVERY.mul_f64(0.9) && wait <= EVERY.mul_f64(1.1), "{wait:?}");
    rig.openai(hello()).await.unwrap();
    assert_eq!((calls(&a), rig.desk.standing("a").state), (2, ProviderState::Up));
}

#[tokio::test]
async fn a_probe_lets_a_provider_back_before_its_pause_ends() {
    let fails = Arc::new(AtomicU16::new(500));
    let says = fails.clone();
    let a = Standin::new(move |asked, _| match asked.path.as_str() {
        "/models" => vec![Step::json(200, r#"{"data":[]}"#)],
        _ => vec![Step::json(says.load(Ordering::SeqCst), ANSWER)],
    });
    let one = "[routes.fast]\ntargets = [{ provider = 'a', model = 'one' }]\nretries = 0\n";
    let rig = rig(one, &[("a", Kind::OpenAi, &a)]);
    for _ in 0..5 {
        assert!(rig.openai(hello()).await.is_err());
    }
    assert_eq!(rig.openai(hello()).await.unwrap_err().code, "upstream_paused");
    let standing = rig.desk.standing("a");
    assert_eq!((standing.state, standing.paused), (ProviderState::Paused, 1));
    fails.store(200, Ordering::SeqCst);
    rig.desk.probe(&rig.desk.providers.0["a"], EVERY).await;
    rig.openai(hello()).await.unwrap();
    assert_eq!((calls(&a), rig.desk.standing("a").paused), (6, 0));
}

/// A list of models may be missing, forbidden or limited where calls work.
#[tokio::test]
async fn a_provider_that_answers_is_up() {
    for (status, code) in
        [(404, "upstream_not_found"), (403, "upstream_unauthorized"), (429, "upstream_rate_limited")]
    {
        let (a, says) = probed();
        let rig = rig(TWO, &[("a", Kind::OpenAi, &a)]);
        says.store(status, Ordering::SeqCst);
        for _ in 0..3 {
            rig.desk.probe(&rig.desk.providers.0["a"], EVERY).await;
        }
        let standing = rig.desk.standing("a");
        assert_eq!((standing.state, standing.failure.as_deref()), (ProviderState::Up, Some(code)));
    }
    // Only the beginning of a list is read.
    let endless = Standin::new(|_, _| {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 99000000\r\n\r\n";
        vec![Step::text(head), Step::Send(vec![b' '; 2 << 20]), Step::Wait(Duration::from_secs(20))]
    });
    let rig = rig(TWO, &[("a", Kind::OpenAi, &endless)]);
    rig.desk.probe(&rig.desk.providers.0["a"], EVERY).await;
    assert_eq!(rig.desk.standing("a").state, ProviderState::Up);
    let gone = self::rig::rig(TWO, &[("a", Kind::OpenAi, &Standin::gone())]);
    for _ in 0..PROBES_MAX {
        gone.desk.probe(&gone.desk.providers.0["a"], EVERY).await;
    }
    let standing = gone.desk.standing("a");
    assert_eq!(
        (standing.state, standing.failure.as_deref()),
        (ProviderState::Down, Some("upstream_unreachable"))
    );
}
