//! Questions: over HTTP and on the command line.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{Rig, Served, eventually, fetch, http, start};
use serde_json::{Value, json};

const CONFIG: &str = "name = 'harbour'\n[locales]\ndefault = 'en'\nsupported = ['en', 'de']\n";

const GUIDE: &str = r#"{"type":"object","additionalProperties":false,"title":"Guide",
"x-ashlar":{"owner":"team","version":"1.0.0","route":"/{locale}/guide/{slug}","title_field":"title","index":"product"},
"properties":{
 "slug":{"type":"string","pattern":"^[a-z-]+$","x-ashlar":{"indexed":true}},
 "title":{"type":"string"},
 "body":{"type":"string","contentMediaType":"text/markdown"},
 "audience":{"type":"string","enum":["partner"]}},
"required":["slug","title","body"]}"#;

const PLAN: &str = r#"{"type":"object","additionalProperties":false,"title":"Pricing plan",
"x-ashlar":{"owner":"team","version":"1.0.0","title_field":"name","index":"product"},
"properties":{
 "name":{"type":"string","description":"The name of the plan."},
 "tagline":{"type":"string","description":"Whom it is for."},
 "price_minor":{"type":"integer","description":"Price per month, before tax.",
  "x-ashlar":{"semantics":"Price per month before tax, in minor units of the currency.","unit":"minor currency units per month"}},
 "currency":{"type":"string","enum":["EUR"],"description":"The currency of the price."}},
"required":["name","tagline","price_minor","currency"]}"#;

const RETRIEVAL: &str = "[attributes]\naudience = 'audience'\n[readers.partner]\naudience = ['partner']\n";

const TIDES: &str = "# Tides\n\nHigh water comes twice a day. The **harbour office** was opened in 1987 by Anna Lindqvist.\n\n## Slack water\n\nCrossing the bar is safe between the tides.";

struct Site {
    rig: Rig,
    _server: Served,
    url: String,
    admin: String,
}

fn plan(name: &str, price: u32) -> Value {
    json!({"name": name, "tagline": "For a marina.", "price_minor": price, "currency": "EUR"})
}

impl Site {
    fn new() -> Self {
        let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "data".to_owned() };
        std::fs::create_dir_all(rig.path().join("site/contracts")).unwrap();
        rig.write("site/ashlar.toml", CONFIG);
        rig.write("site/contracts/guide.v1.json", GUIDE);
        rig.write("site/contracts/pricing-plan.v1.json", PLAN);
        rig.write("site/retrieval.toml", RETRIEVAL);
        let out = rig.run(&["push", "site"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let (server, ready) = start(&rig, &["serve", "--data", "data"]);
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let site =
            Self { url: text(&ready["url"]), admin: text(&ready["keys"]["admin"]), _server: server, rig };
        site.put("guide", "tides", &json!({"slug": "tides", "title": "Tides", "body": TIDES}));
        let insurance = "The harbour lends life jackets to every guest. Ask at the pier.";
        site.put("guide", "jackets", &json!({"slug": "jackets", "title": "Life jackets", "body": insurance}));
        let rebate = "Partners get a rebate of 12 percent on berths.";
        let fields = json!({"slug": "rebate", "title": "Rebate", "body": rebate, "audience": "partner"});
        site.put("guide", "rebate", &fields);
        site.put("pricing-plan", "basin", &plan("Basin", 14_900));
        site.put("pricing-plan", "jetty", &plan("Jetty", 4_900));
        site.release();
        site
    }

    fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, _, answer) =
            http(&self.url, method, &format!("/api/v1{path}"), &self.admin, &body.to_string());
        assert!(matches!(status, 200 | 201), "{method} {path}: {status} {answer}");
        serde_json::from_str(&answer).unwrap_or_default()
    }

    fn put(&self, type_name: &str, id: &str, fields: &Value) {
        self.api("PUT", &format!("/entries/{type_name}/{id}?locale=en"), &json!({"fields": fields}));
    }

    fn release(&self) {
        let candidate = self.api("POST", "/candidates", &json!({}));
        assert_eq!(candidate["status"], "passed", "{candidate}");
        let id = candidate["candidate"].as_str().unwrap();
        self.api("POST", &format!("/candidates/{id}/promote"), &json!({}));
    }

    fn post(&self, target: &str, key: &str, body: &Value) -> (u16, Value) {
        let (status, answer) = posted(&self.url, target, key, &body.to_string());
        (status, serde_json::from_str(&answer).unwrap_or_default())
    }

    fn ask(&self, question: &str, key: &str) -> Value {
        let (status, answer) = self.post("/v1/answers", key, &json!({"question": question}));
        assert_eq!(status, 200, "{question}: {answer}");
        answer
    }
}

/// Posts JSON.
fn posted(url: &str, target: &str, key: &str, body: &str) -> (u16, String) {
    use std::io::{Read, Write};
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let auth = if key.is_empty() { String::new() } else { format!("authorization: Bearer {key}\r\n") };
    let head = format!(
        "POST {target} HTTP/1.1\r\nhost: {address}\r\n{auth}connection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // A server that refuses a body early closes before all of it is sent; its answer is there all the same.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

const PRICE: &str = "How much does the Basin plan cost each month?";

#[test]
fn answers_cite_what_is_released() {
    let site = Site::new();
    let answer = site.ask(PRICE, "");
    assert_eq!(answer["answer"], "Basin: Price per month, before tax: 149.00 EUR.", "{answer}");
    let cited = &answer["citations"][0];
    assert_eq!(
        (&cited["type"], &cited["id"], &cited["locale"]),
        (&json!("pricing-plan"), &json!("basin"), &json!("en"))
    );
    assert_eq!(
        (&cited["field"], &cited["from"], &cited["to"], &cited["text"], &cited["chunk"]),
        (&json!("/price_minor"), &json!(0), &json!(5), &json!("14900"), &Value::Null)
    );
    assert_eq!((&answer["release"], &answer["refusal"]), (&json!("r1"), &Value::Null));
    assert!(answer["confidence"].as_f64().unwrap() > 0.9);

    // The bytes of a quote are those of the released entry, markup included.
    let answer = site.ask("When was the harbour office opened?", "");
    assert_eq!(answer["answer"], "The harbour office was opened in 1987 by Anna Lindqvist.", "{answer}");
    let cited = &answer["citations"][0];
    let range = cited["from"].as_u64().unwrap() as usize..cited["to"].as_u64().unwrap() as usize;
    let entry: Value =
        serde_json::from_slice(&fetch(&site.url, "/v1/entries/guide/tides", &[]).body).unwrap();
    assert_eq!(&entry["body"].as_str().unwrap()[range], cited["text"].as_str().unwrap());
    assert!(cited["text"].as_str().unwrap().contains("**harbour office**"));
    assert_eq!((&cited["path"], cited["chunk"].as_str().unwrap().len()), (&json!("/en/guide/tides"), 32));
    assert!(!answer["retrieved"].as_array().unwrap().is_empty());
}

#[test]
fn what_nothing_says_is_refused_with_the_reason() {
    let site = Site::new();
    for (question, code, word) in [
        ("How much does the Harbour insurance cost?", "not_covered", "insurance"),
        ("How much does the Basin crane cost?", "not_covered", "crane"),
        ("Who painted the zeppelin?", "nothing_found", "Nothing"),
    ] {
        let answer = site.ask(question, "");
        assert_eq!((&answer["answer"], &answer["citations"]), (&Value::Null, &json!([])), "{answer}");
        assert_eq!(answer["refusal"]["code"], code, "{answer}");
        assert!(answer["refusal"]["reason"].as_str().unwrap().contains(word), "{answer}");
    }
    assert_eq!(site.ask("What is it?", "")["refusal"]["code"], "no_question");
    // Operators see how often that happens.
    http(&site.url, "GET", "/v1/search?q=zeppelin", "", "");
    let (_, _, metrics) = http(&site.url, "GET", "/metrics", &site.admin, "");
    for line in
        ["ashlar_questions_total 4", "ashlar_questions_refused_total 4", "ashlar_searches_empty_total 1"]
    {
        assert!(metrics.lines().any(|found| found == line), "{line} is missing in\n{metrics}");
    }
}

#[test]
fn answers_follow_the_channel_and_traces_answer_again() {
    let site = Site::new();
    let first = site.ask(PRICE, "");
    let trace = first["trace"].as_str().unwrap();
    site.put("pricing-plan", "basin", &plan("Basin", 15_900));
    site.release();
    let second = site.ask(PRICE, "");
    assert!(second["answer"].as_str().unwrap().contains("159.00 EUR"), "{second}");
    assert_eq!(second["release"], "r2");

    // The trace answers from its own release, here and over HTTP.
    let remote = ["--server", site.url.as_str(), "--key", site.admin.as_str()];
    for target in [&["--data", "data"][..], &remote] {
        let out = site.rig.run(&[&["replay", trace, "--format", "json"], target].concat());
        assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
        let replayed: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!((&replayed["same"], &replayed["release"]), (&json!(true), &json!("r1")));
        assert_eq!(replayed["answer"]["answer"], first["answer"]);
    }
    // A trace that promises another answer.
    let changed = retraced(trace, |json| json["answer"] = json!("0".repeat(64)));
    let out = site.rig.run(&["replay", &changed, "--data", "data"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stdout).contains("The answer has changed."));
    let missing = retraced(trace, |json| json["release"] = json!("r99"));
    assert_eq!(site.rig.run(&["replay", &missing, "--data", "data"]).status.code(), Some(2));
    assert_eq!(site.rig.run(&["replay", "nonsense", "--data", "data"]).status.code(), Some(2));
    // Nobody reads an old release, or as another reader, with a trace alone.
    let (status, problem) = site.post("/v1/answers", "", &json!({"trace": trace}));
    assert_eq!(status, 400, "{problem}");
    assert_eq!(site.post("/v1/answers?at=r1", "", &json!({"trace": trace})).0, 401);
    assert_eq!(site.post("/v1/answers?at=r2", &site.admin, &json!({"trace": trace})).0, 400);

    site.api("POST", "/releases/r1/rollback", &json!({"reason": "wrong price"}));
    let back = site.ask(PRICE, "");
    assert_eq!((&back["answer"], &back["release"]), (&first["answer"], &json!("r1")));
}

/// A trace with something changed in it.
fn retraced(trace: &str, change: impl FnOnce(&mut Value)) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut json: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(trace).unwrap()).unwrap();
    change(&mut json);
    URL_SAFE_NO_PAD.encode(json.to_string())
}

#[test]
fn readers_get_answers_that_others_do_not() {
    let site = Site::new();
    let body = json!({"name": "app", "scopes": ["read"], "reader": "partner"});
    let partner = site.api("POST", "/keys", &body)["key"].as_str().unwrap().to_owned();
    let question = "What rebate do partners get on berths?";
    let answer = eventually("the key is known", || {
        let (status, answer) = site.post("/v1/answers", &partner, &json!({"question": question}));
        (status == 200).then_some(answer)
    });
    assert_eq!(answer["answer"], "Partners get a rebate of 12 percent on berths.", "{answer}");
    let public = site.ask(question, "");
    assert_eq!(public["answer"], Value::Null, "{public}");
    assert!(!public.to_string().contains("12 percent"), "{public}");
    // The command line answers as a reader as well, and its trace remembers it.
    let asked = |reader: &[&str]| {
        let out = site.rig.run(&[&["ask", question, "--data", "data", "--format", "json"], reader].concat());
        serde_json::from_slice::<Value>(&out.stdout).unwrap()
    };
    assert_eq!(asked(&[])["answer"], Value::Null);
    let of_partner = asked(&["--reader", "partner"]);
    assert_eq!(of_partner["answer"], answer["answer"]);
    let replayed = site.rig.run(&["replay", of_partner["trace"].as_str().unwrap(), "--data", "data"]);
    assert_eq!(replayed.status.code(), Some(0));
}

#[test]
fn wrong_questions_are_answered_with_what_to_ask() {
    let site = Site::new();
    let wrong = |body: Value| {
        let (status, problem) = site.post("/v1/answers", "", &body);
        assert_eq!(status, 400, "{body}: {problem}");
        format!("{} {}", problem["detail"].as_str().unwrap(), problem["help"].as_str().unwrap())
    };
    assert!(wrong(json!({"question": ""})).contains("`question` is empty"));
    assert!(wrong(json!({"question": "x", "limit": 1})).contains("unknown field `limit`"));
    assert!(wrong(json!({"question": "x", "indexes": ["produkt"]})).contains("did you mean `product`?"));
    assert!(
        wrong(json!({"question": "x", "filters": {"audiense": "a"}})).contains("did you mean `audience`?")
    );
    assert!(wrong(json!({"question": "x", "locale": "xx"})).contains("there is no locale `xx`"));
    assert!(wrong(json!({"question": "x", "filters": {"version": "two"}})).contains("not a version"));
    assert_eq!(fetch(&site.url, "/v1/answers", &[]).status, 405);
    let long = json!({"question": "x".repeat(1_001)});
    assert!(wrong(long).contains("at most 1000"));
    let huge = json!({"question": "x".repeat(300_000)}).to_string();
    let (status, _) = posted(&site.url, "/v1/answers", "", &huge);
    assert_eq!(status, 413);
    let (status, _, problem) = http(&site.url, "POST", "/v1/answers", "", "{\"question\":\"x\"}");
    assert_eq!(status, 415, "{problem}");
    let out = site.rig.run(&["ask", PRICE, "--data", "data"]);
    let shown = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        shown.contains("149.00 EUR")
            && shown.contains("[1] Basin: pricing-plan/basin (en) /price_minor bytes 0-5"),
        "{shown}"
    );
    let refused = "Who painted the harbour?";
    let out = site.rig.run(&["ask", refused, "--server", &site.url, "--key", &site.admin]);
    assert!(
        String::from_utf8_lossy(&out.stdout).starts_with("No answer. Nothing released mentions"),
        "{out:?}"
    );
}
