//! Runs of suites over HTTP, with the worker of a node turned by hand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use ashlar_model::{ChannelName, EntryId, EntryKey, Files, Locale, Right, ServerConfig, TypeName};
use ashlar_release::{CreateCandidate, Promote, PushDefinitions, PutEntry};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Node;
use crate::jobs::evals::Evals;

const START: i64 = 1_800_000_000;
const WEEK: i64 = 7 * 24 * 3600;

/// Releases of these tests do not wait for runs: they are what the runs are about.
const SUITE: &str = "owner = 'support'\nfeature = 'support'\nlocale = 'en'\n\
    gate.definitions = 'advice'\ngate.content = 'advice'\n";
const CASES: &str = r#"{"id":"basin","input":"What does the Basin plan cost?","critical":true,"expect":{"answer":"must","facts":["159 EUR"]}}
{"id":"jetty","input":"How many berths does the Jetty plan include?","expect":{"answer":"must","facts":["40 berths"]}}
{"id":"capital","input":"What is the capital of Portugal?","expect":{"answer":"must_not"}}
"#;

/// A node with a clock that tests move, and its worker.
struct Rig {
    node: Node,
    clock: Arc<AtomicI64>,
    worker: Evals,
}

fn definitions(toml: &str, cases: &str) -> Files {
    let note = json!({
        "type": "object",
        "x-ashlar": {"owner": "team", "kind": "type", "index": "product", "title_field": "title"},
        "properties": {"title": {"type": "string"}, "text": {"type": "string"}},
    });
    let mut files = Files::new();
    files
        .insert("ashlar.toml", b"name = 'x'\n[locales]\ndefault = 'en'\nsupported = ['en']\n".to_vec())
        .unwrap();
    files.insert("contracts/note.v1.json", note.to_string().into_bytes()).unwrap();
    files.insert("gateway.toml", b"[features.support]\nroutes = ['extractive']\n".to_vec()).unwrap();
    files.insert("evals/plans.toml", format!("{SUITE}{toml}").into_bytes()).unwrap();
    files.insert("evals/plans.jsonl", cases.as_bytes().to_vec()).unwrap();
    files
}

impl Rig {
    /// `places`: how many cases the node asks at a time.
    async fn new(places: usize) -> Self {
        let clock = Arc::new(AtomicI64::new(START));
        let time = clock.clone();
        let now = move || Timestamp::from_second(time.load(Ordering::SeqCst)).unwrap();
        let node = Node::at(ServerConfig::default(), now).await;
        let worker = Evals::new(&node.app, &node.engine, places);
        Self { node, clock, worker }
    }

    fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Pushes definitions and entries of a tenant, and releases them.
    async fn release(&self, tenant: &str, files: Files, notes: &[(&str, &str, &str)]) {
        let (ctx, engine) = (Node::ctx(tenant), &self.node.engine);
        engine.run(&ctx, PushDefinitions { files }).await.unwrap();
        for (id, title, text) in notes {
            let key = EntryKey {
                type_name: TypeName::new("note").unwrap(),
                id: EntryId::new(id).unwrap(),
                locale: Locale::new("en").unwrap(),
            };
            let fields = json!({"title": title, "text": text}).as_object().unwrap().clone();
            engine.run(&ctx, PutEntry { key, fields, expected_version: None, major: None }).await.unwrap();
        }
        let made = engine.run(&ctx, CreateCandidate::default()).await.unwrap();
        let promote = Promote { candidate: made.candidate, channel: None, note: String::new() };
        engine.run(&ctx, promote).await.unwrap();
        let production = ChannelName::new("production").unwrap();
        let state = engine.channel_state(&ctx.tenant, &production).await.unwrap().unwrap();
        let (serving, tenant) = (self.node.app.serving.clone(), ctx.tenant.clone());
        tokio::task::spawn_blocking(move || serving.apply(&tenant, state)).await.unwrap();
    }

    async fn mooring(&self, tenant: &str, toml: &str, basin: &str) {
        let notes = [
            ("basin", "Basin plan", basin),
            ("jetty", "Jetty plan", "The Jetty plan includes 40 berths. It is made for small harbours."),
        ];
        self.release(tenant, definitions(toml, CASES), &notes).await;
    }

    async fn key(&self, tenant: &str) -> String {
        self.node.key(tenant, [Right::Release, Right::Preview]).await
    }

    async fn call(&self, method: &str, path: &str, key: &str, body: &str) -> (u16, Value) {
        let got = self.node.call(method, &format!("/api/v1/evals/runs{path}"), Some(key), &[], body).await;
        (got.status, got.json())
    }

    /// Starts a run and returns its name.
    async fn start(&self, key: &str) -> String {
        let (status, said) = self.call("POST", "", key, r#"{"suite":"plans"}"#).await;
        assert_eq!(status, 201, "{said}");
        said["run"].as_str().unwrap().to_owned()
    }

    /// Turns the worker until a run of a tenant has ended, and returns it.
    async fn ended(&mut self, key: &str, run: &str) -> Value {
        for _ in 0..2_000 {
            self.worker.turn().await;
            let (status, said) = self.call("GET", &format!("/{run}"), key, "").await;
            assert_eq!(status, 200, "{said}");
            if said["state"] != "running" {
                return said;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{run} did not end");
    }

    /// Events of runs, without those of the evidence that they leave.
    async fn events(&self, tenant: &str) -> Vec<(String, Value)> {
        let events = self.node.engine.events(&Node::ctx(tenant), 0, None).await.unwrap().items;
        let ours = events
            .into_iter()
            .filter(|event| event.kind.starts_with("eval.") && event.kind != "eval.recorded");
        ours.map(|event| (event.kind, event.data)).collect()
    }
}

const GOOD: &str = "The Basin plan costs 159 EUR a month. It is made for marinas.";

#[tokio::test]
async fn a_run_asks_what_was_served_when_it_began() {
    let mut rig = Rig::new(2).await;
    rig.node.app.records.follow();
    rig.mooring("main", "", GOOD).await;
    let key = rig.key("main").await;
    let run = rig.start(&key).await;
    // The channel moves on before anything was asked.
    rig.mooring("main", "", "The Basin plan costs 189 EUR a month. It is made for marinas.").await;
    let ended = rig.ended(&key, &run).await;
    assert_eq!(
        (&ended["verdict"], &ended["of"], &ended["passed"]),
        (&json!("pass"), &json!("r1"), &json!(3)),
        "{ended}"
    );
    assert_eq!(ended["figures"]["releases"], json!(["r1"]));
    assert_eq!(ended["figures"]["metrics"]["pass_rate"]["value"], 1.0);
    let again = rig.start(&key).await;
    let ended = rig.ended(&key, &again).await;
    assert_eq!((&ended["verdict"], &ended["of"]), (&json!("fail"), &json!("r2")), "{ended}");
    assert_eq!(ended["failed"], json!(["basin"]));
    // The calls are recorded like all others, and cost the same budgets.
    let records = rig.node.app.records.take(100);
    assert_eq!(records.len(), 6);
    assert!(
        records.iter().all(|waiting| waiting.record.key == "evals" && waiting.record.feature == "support")
    );
    assert!(
        records.iter().all(|waiting| waiting.record.user.len() > 8 && !waiting.record.user.contains("basin"))
    );
    let kinds: Vec<String> = rig.events("main").await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["eval.started", "eval.finished", "eval.started", "eval.finished"]);

    // What a run leaves.
    let got = rig.node.get(&format!("/api/v1/evals/runs/{run}/metrics.json"), Some(&key)).await;
    assert_eq!((got.status, got.header("content-type")), (200, "application/json"));
    assert_eq!(got.json()["results"].as_array().unwrap().len(), 3);
    let got = rig.node.get(&format!("/api/v1/evals/runs/{run}/report.html"), Some(&key)).await;
    assert_eq!(got.status, 200);
    assert!(got.header("content-security-policy").starts_with("default-src 'none'"));
    assert!(String::from_utf8_lossy(&got.body).contains("What does the Basin plan cost?"));
    let (_, listed) = rig.call("GET", "?limit=1", &key, "").await;
    assert_eq!((&listed["items"][0]["run"], &listed["next_cursor"]), (&json!("e2"), &json!("2")), "{listed}");
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_and_what_runs_can_be_cancelled() {
    let mut rig = Rig::new(2).await;
    rig.mooring("main", "", GOOD).await;
    let key = rig.key("main").await;
    for (body, status, says) in [
        (r#"{"suite":"plan"}"#, 404, "plans"),
        (r#"{"suite":"plans","of":"r9"}"#, 404, "r9"),
        (r#"{"suite":"plans","of":"draft"}"#, 400, "draft"),
        (r#"{"suite":"plans","of":"no such thing"}"#, 400, "no such thing"),
        (r#"{"suite":"../ashlar"}"#, 404, "suite"),
    ] {
        let (got, said) = rig.call("POST", "", &key, body).await;
        assert_eq!(got, status, "{body}: {said}");
        assert!(said.to_string().contains(says), "{body}: {said}");
    }
    let run = rig.start(&key).await;
    let reader = rig.node.key("main", [Right::Preview]).await;
    let (status, said) = rig.call("POST", &format!("/{run}/cancel"), &reader, "").await;
    assert_eq!(status, 403, "{said}");
    let (status, said) = rig.call("POST", &format!("/{run}/cancel"), &key, "").await;
    assert_eq!(
        (status, &said["state"], &said["verdict"]),
        (200, &json!("cancelled"), &json!("incomplete")),
        "{said}"
    );
    assert_eq!(rig.call("POST", &format!("/{run}/cancel"), &key, "").await.0, 409);
    assert_eq!(rig.call("GET", &format!("/{run}/metrics.json"), &key, "").await.0, 409);
    assert_eq!(rig.call("GET", "/e9", &key, "").await.0, 404);
    rig.worker.turn().await;
    let (_, said) = rig.call("GET", &format!("/{run}"), &key, "").await;
    assert_eq!((&said["done"], &said["state"]), (&json!(0), &json!("cancelled")), "{said}");
}

#[tokio::test]
async fn tenants_take_turns_and_see_their_own_runs() {
    // One place in the node: whoever has more must wait for whoever has less.
    let mut rig = Rig::new(2).await;
    rig.node.tenant("acme", "acme.example").await;
    let many: String = (0..400)
        .map(|n| format!("{{\"id\":\"c{n}\",\"input\":\"What is the capital of land {n}?\",\"expect\":{{\"answer\":\"must_not\"}}}}\n"))
        .collect();
    rig.release("main", definitions("", &many), &[("basin", "Basin plan", GOOD)]).await;
    rig.mooring("acme", "", GOOD).await;
    let (key, theirs) = (rig.key("main").await, rig.key("acme").await);
    let large = rig.start(&key).await;
    rig.worker.turn().await;
    let small = rig.start(&theirs).await;
    let ended = rig.ended(&theirs, &small).await;
    assert_eq!((&ended["verdict"], &ended["passed"]), (&json!("pass"), &json!(3)), "{ended}");
    let (_, said) = rig.call("GET", &format!("/{large}"), &key, "").await;
    let done = said["done"].as_u64().unwrap();
    assert!(said["state"] == "running" && done < 200, "three cases waited for {done} of another tenant");
    // Both have an e1, and see their own.
    assert_eq!((large.as_str(), small.as_str()), ("e1", "e1"));
    assert_eq!(said["replies"], 400);
    let (_, listed) = rig.call("GET", "", &theirs, "").await;
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["replies"]), (1, &json!(3)));
}

#[tokio::test]
async fn a_scheduled_run_that_is_worse_is_a_drift() {
    let mut rig = Rig::new(4).await;
    rig.mooring("main", "schedule = 'weekly'\n", GOOD).await;
    let key = rig.key("main").await;
    // Not with the first release.
    rig.worker.begin_due().await;
    assert!(rig.events("main").await.is_empty());
    rig.pass(WEEK);
    rig.worker.begin_due().await;
    // Each turn has one run, whoever looks.
    let mut other = Evals::new(&rig.node.app, &rig.node.engine, 4);
    other.begin_due().await;
    let ended = rig.ended(&key, "e1").await;
    assert_eq!((&ended["verdict"], &ended["reason"]), (&json!("pass"), &json!("schedule")), "{ended}");
    rig.worker.begin_due().await;
    assert_eq!(rig.events("main").await.len(), 2);

    // Nothing changed: no drift.
    rig.pass(WEEK);
    rig.worker.begin_due().await;
    rig.ended(&key, "e2").await;
    let (kind, data) = rig.events("main").await.pop().unwrap();
    assert_eq!((kind.as_str(), &data["baseline"]["run"]), ("eval.finished", &json!("e1")), "{data}");

    // Content changed so that an answer is wrong.
    rig.mooring(
        "main",
        "schedule = 'weekly'\n",
        "The Basin plan costs 189 EUR a month. It is made for marinas.",
    )
    .await;
    rig.pass(WEEK);
    rig.worker.begin_due().await;
    let ended = rig.ended(&key, "e3").await;
    assert_eq!((&ended["verdict"], &ended["of"]), (&json!("fail"), &json!("r2")), "{ended}");
    let (kind, data) = rig.events("main").await.pop().unwrap();
    assert_eq!(kind, "eval.drift", "{data}");
    assert_eq!(data["baseline"]["critical_regressions"], json!(["basin"]), "{data}");
    assert_eq!(data["broken"], json!(["critical_failures"]), "{data}");
    let metrics = rig.node.get("/metrics", Some(&rig.node.key("main", [Right::Admin]).await)).await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("ashlar_eval_drifts_total{tenant=\"main\"} 1"), "{metrics}");

    // A suite that is off is left alone, and one that says nothing runs weekly, since this node can ask the built-in model.
    rig.mooring("main", "schedule = 'off'\n", GOOD).await;
    rig.pass(WEEK);
    rig.worker.begin_due().await;
    assert_eq!(rig.node.engine.running_evals().await.unwrap().len(), 0);
    rig.mooring("main", "", GOOD).await;
    rig.worker.begin_due().await;
    assert_eq!(rig.node.engine.running_evals().await.unwrap().len(), 1);
    // None while one of the suite goes on.
    rig.pass(WEEK);
    rig.worker.begin_due().await;
    assert_eq!(rig.node.engine.running_evals().await.unwrap().len(), 1);
}
