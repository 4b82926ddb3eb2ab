//! Models of an operator: directories and endpoints that releases are searched with.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use common::{Rig, Served, eventually, http, start};
use serde_json::{Value, json};

const GUIDE: &str = r#"{"type":"object","additionalProperties":false,
"x-ashlar":{"owner":"team","version":"1.0.0","route":"/guide/{slug}","title_field":"title"},
"properties":{"slug":{"type":"string","x-ashlar":{"search":"off"}},"title":{"type":"string"},"body":{"type":"string"}},
"required":["slug","title","body"]}"#;

const GUIDES: [(&str, &str, &str); 4] = [
    ("cars", "Parking", "I bought a new car and drove it along the road."),
    ("fish", "Wildlife", "Salmon swim up the river every autumn."),
    ("food", "Kitchen", "Bread is baked with flour, water and salt."),
    ("boats", "Berths", "A berth for your yacht costs ten euros a night."),
];

/// How the stand-in answers.
#[derive(Debug, Clone, PartialEq)]
enum Manner {
    Well,
    /// With vectors of another length.
    Dimensions(usize),
    /// With a status and a header.
    Status(u16, &'static str),
    /// After a time.
    Slowly(Duration),
    /// With something else.
    Body(&'static str),
}

/// A stand-in for an endpoint: it speaks the formats of OpenAI (`/v1/embeddings`) and of Cohere, Jina and vLLM (`/v1/rerank`).
struct StandIn {
    url: String,
    manner: Arc<Mutex<Manner>>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

/// Words that mean the same have the same place in a vector.
fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    const TOPICS: [&[&str]; 4] = [
        &["car", "automobile", "road", "parking", "vehicle"],
        &["salmon", "river", "fish", "animals"],
        &["bread", "flour", "baked", "kitchen", "loaf"],
        &["berth", "yacht", "ship", "mooring"],
    ];
    let mut out = vec![0.01; dimensions];
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        let word = word.to_lowercase();
        if let Some(topic) = TOPICS.iter().position(|words| words.contains(&word.as_str())) {
            out[topic % dimensions] += 1.0;
        }
    }
    out
}

fn answer(path: &str, body: &Value, dimensions: usize) -> Value {
    if path.ends_with("/rerank") {
        // The longest text is the best.
        let texts = body["documents"].as_array().unwrap();
        let results: Vec<Value> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| json!({"index": index, "relevance_score": text.as_str().unwrap().len() as f64 / 1e3}))
            .collect();
        return json!({"id": "r", "results": results, "meta": {}});
    }
    assert_eq!(body["encoding_format"], "float");
    let data: Vec<Value> = body["input"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(index, text)| {
            json!({"object": "embedding", "index": index, "embedding": vector(text.as_str().unwrap(), dimensions)})
        })
        .collect();
    json!({"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": 1, "total_tokens": 1}})
}

impl StandIn {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (manner, asked) = (Arc::new(Mutex::new(Manner::Well)), Arc::default());
        let stand_in = Self { url, manner: manner.clone(), asked: Arc::clone(&asked) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, manner, asked) = (stream.unwrap(), manner.clone(), asked.clone());
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                    let (mut length, mut key) = (0, String::new());
                    loop {
                        line.clear();
                        reader.read_line(&mut line).unwrap();
                        let Some((name, value)) = line.trim().split_once(": ") else { break };
                        match name.to_lowercase().as_str() {
                            "content-length" => length = value.parse().unwrap(),
                            "authorization" => key = value.to_owned(),
                            _ => {}
                        }
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    let body: Value = serde_json::from_slice(&body).unwrap();
                    asked.lock().unwrap().push((key, body.clone()));
                    let manner = manner.lock().unwrap().clone();
                    let (status, header, text) = match manner {
                        Manner::Well => (200, "", answer(&path, &body, 8).to_string()),
                        Manner::Dimensions(n) => (200, "", answer(&path, &body, n).to_string()),
                        Manner::Status(status, header) => (status, header, r#"{"error":"no"}"#.to_owned()),
                        Manner::Slowly(wait) => {
                            std::thread::sleep(wait);
                            (200, "", answer(&path, &body, 8).to_string())
                        }
                        Manner::Body(text) => (200, "", text.to_owned()),
                    };
                    // Whoever asked may be gone.
                    let _ = write!(
                        stream,
                        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n{header}content-length: {}\r\n\r\n{text}",
                        text.len()
                    );
                });
            }
        });
        stand_in
    }

    fn now(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// What was asked since the last time.
    fn asked(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn texts(&self) -> Vec<String> {
        let all = self.asked();
        let inputs = all.iter().filter_map(|(_, body)| body["input"].as_array());
        inputs.flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    /// An embedder in `models.toml`.
    fn embedder(&self) -> String {
        format!(
            "[embedders.words]\nurl = \"{}/v1/embeddings\"\nmodel = \"stand-in\"\ndimensions = 8\nbatch = 3\n\
             private = true\nkey_file = \"key\"\ntimeout = 2.0\nquery_timeout = 0.3\n",
            self.url
        )
    }
}

/// A served project.
struct Site {
    rig: Rig,
    server: Option<Served>,
    url: String,
    admin: String,
}

impl Site {
    fn new(models: &str, retrieval: &str) -> Self {
        let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "data".to_owned() };
        std::fs::create_dir_all(rig.path().join("site/contracts")).unwrap();
        std::fs::create_dir_all(rig.path().join("data")).unwrap();
        rig.write("site/ashlar.toml", "name = 'harbour'\n");
        rig.write("site/contracts/guide.v1.json", GUIDE);
        rig.write("site/retrieval.toml", retrieval);
        rig.write("data/key", "sk-very-secret\n");
        rig.write("data/models.toml", models);
        rig.push();
        let mut site = Self { rig, server: None, url: String::new(), admin: String::new() };
        site.start();
        for (id, title, body) in GUIDES {
            site.put(id, title, body);
        }
        site.release();
        site
    }

    fn start(&mut self) {
        drop(self.server.take());
        let (server, ready) = start(&self.rig, &["serve", "--data", "data"]);
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        (self.url, self.admin) = (text(&ready["url"]), text(&ready["keys"]["admin"]));
        self.server = Some(server);
    }

    fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/api/v1{path}");
        let (status, _, answer) = http(&self.url, method, &path, &self.admin, &body.to_string());
        assert!(matches!(status, 200 | 201), "{method} {path}: {status} {answer}");
        serde_json::from_str(&answer).unwrap_or_default()
    }

    fn put(&self, id: &str, title: &str, body: &str) {
        let fields = json!({"fields": {"slug": id, "title": title, "body": body}});
        self.api("PUT", &format!("/entries/guide/{id}?locale=en"), &fields);
    }

    fn release(&self) {
        let candidate = self.api("POST", "/candidates", &json!({}));
        assert_eq!(candidate["status"], "passed", "{candidate}");
        let id = candidate["candidate"].as_str().unwrap();
        self.api("POST", &format!("/candidates/{id}/promote"), &json!({}));
    }

    fn search(&self, query: &str) -> Value {
        let (status, _, body) = http(&self.url, "GET", &format!("/v1/search?{query}"), "", "");
        assert_eq!(status, 200, "{query}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until a search looks at meaning.
    fn meaning(&self, query: &str) -> Value {
        eventually("vectors", || Some(self.search(query)).filter(|found| found["vectors"] == true))
    }

    fn metric(&self, name: &str) -> u64 {
        let (_, _, text) = http(&self.url, "GET", "/metrics", &self.admin, "");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is missing in\n{text}")).parse().unwrap()
    }
}

fn ids(found: &Value) -> Vec<&str> {
    found["hits"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

fn endpoint_site(stand_in: &StandIn, more: &str) -> Site {
    let retrieval = format!("{more}[embedder]\nkind = \"endpoint\"\nmodel = \"words\"\n");
    Site::new(&stand_in.embedder(), &retrieval)
}

#[test]
fn an_endpoint_makes_the_vectors_of_a_release() {
    let stand_in = StandIn::new();
    let site = endpoint_site(&stand_in, "");
    // No word is the same; the stand-in knows what it means.
    let found = site.meaning("q=automobile");
    assert_eq!(ids(&found)[0], "cars", "{found}");
    let asked = stand_in.asked();
    assert!(asked.iter().all(|(key, _)| key == "Bearer sk-very-secret"));
    assert!(asked.iter().all(|(_, body)| body["input"].as_array().unwrap().len() <= 3));
    assert_eq!(asked[0].1["model"], "stand-in");
    let sent: usize = asked.iter().map(|(_, body)| body["input"].as_array().unwrap().len()).sum();
    assert_eq!(sent, 5, "four chunks and a query");

    // Only what changed is sent again; the same query is not.
    site.put("food", "Kitchen", "A loaf is baked in the evening.");
    site.release();
    let found = eventually("the new text by its meaning", || {
        Some(site.meaning("q=bread")).filter(|found| ids(found).first() == Some(&"food"))
    });
    assert!(found["hits"][0]["snippet"]["text"].as_str().unwrap().contains("loaf"));
    assert_eq!(ids(&site.search("q=automobile"))[0], "cars");
    let mut texts = stand_in.texts();
    texts.sort();
    assert_eq!(texts, ["Kitchen\n\nA loaf is baked in the evening.", "bread"]);
    assert!(site.metric("ashlar_model_texts_total") >= 7);
    assert_eq!(site.metric("ashlar_model_failures_total"), 0);
}

#[test]
fn a_release_does_not_wait_for_a_model_that_fails() {
    let stand_in = StandIn::new();
    stand_in.now(Manner::Status(503, ""));
    let site = endpoint_site(&stand_in, "");
    let found = site.search("q=berth");
    assert_eq!((ids(&found), &found["vectors"]), (vec!["boats"], &json!(false)));
    eventually("a failure", || (site.metric("ashlar_model_failures_total") > 0).then_some(()));
    let report = site.rig.run(&["doctor", "--data", "data", "--format", "json"]);
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let of = |name: &str| checks.iter().find(|check| check["check"] == name).unwrap().clone();
    assert_eq!(of("models")["status"], "error", "{report}");
    assert!(of("models")["message"].as_str().unwrap().contains("it answered 503"), "{report}");
    assert!(of("vectors")["message"].as_str().unwrap().contains("without its vectors"), "{report}");
    // Another length, a number that is none, and something else are failures too.
    for manner in [Manner::Dimensions(5), Manner::Body(r#"{"data":[]}"#), Manner::Body("[1e999]")] {
        let before = site.metric("ashlar_model_failures_total");
        stand_in.now(manner);
        eventually("another failure", || (site.metric("ashlar_model_failures_total") > before).then_some(()));
        assert_eq!(site.search("q=berth")["vectors"], false);
    }
    // As soon as it answers as it should, the release has its vectors.
    stand_in.now(Manner::Well);
    assert_eq!(ids(&site.meaning("q=automobile"))[0], "cars");
}

#[test]
fn a_search_does_not_wait_for_a_slow_model() {
    let stand_in = StandIn::new();
    let site = endpoint_site(&stand_in, "");
    site.meaning("q=automobile");
    stand_in.now(Manner::Slowly(Duration::from_secs(5)));
    let begun = Instant::now();
    let found = site.search("q=yacht");
    assert_eq!((ids(&found), &found["vectors"]), (vec!["boats"], &json!(false)));
    // What it was asked before is known.
    assert_eq!(site.search("q=automobile")["vectors"], true);
    // It is left alone for a while, so the next query does not wait at all.
    assert_eq!(site.search("q=salmon")["vectors"], false);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(site.metric("ashlar_searches_without_vectors_total") >= 2);

    // An answer without vectors says so in its trace, and can be made again.
    let question = "What does a berth for a yacht cost?";
    let answered = site.rig.json(0, &["ask", question, "--data", "data", "--format", "json"]);
    let trace = answered["trace"].as_str().unwrap();
    let again = site.rig.json(0, &["replay", trace, "--data", "data", "--format", "json"]);
    assert_eq!(again["same"], true, "{again}");
}

#[test]
fn an_endpoint_says_how_long_to_wait() {
    let stand_in = StandIn::new();
    stand_in.now(Manner::Status(429, "retry-after: 3600\r\n"));
    let site = endpoint_site(&stand_in, "");
    eventually("a failure", || (site.metric("ashlar_model_failures_total") > 0).then_some(()));
    std::thread::sleep(Duration::from_millis(900));
    // The follower has tried again, and the endpoint was left alone.
    assert_eq!(stand_in.asked().len(), 1);
    assert_eq!(ids(&site.search("q=berth")), ["boats"]);
}

#[test]
fn the_best_hits_are_ranked_again() {
    let stand_in = StandIn::new();
    let models =
        format!("[rerankers.longest]\nurl = \"{}/v1/rerank\"\nmodel = \"r\"\nprivate = true\n", stand_in.url);
    let site = Site::new(&models, "[rerank]\nmodel = \"longest\"\ntop = 10\n");
    site.put("long", "Water", &format!("Water {}", "is wet and deep and cold and wide. ".repeat(4)));
    site.put("short", "Water", "Water, water, water.");
    site.release();
    let found = eventually("both", || Some(site.search("q=water")).filter(|f| ids(f).contains(&"long")));
    assert_eq!((ids(&found)[0], &found["reranked"]), ("long", &json!(true)), "{found}");
    let sent = stand_in.asked().pop().unwrap().1;
    assert_eq!((&sent["query"], sent["top_n"].as_u64()), (&json!("water"), Some(3)));
    // Pages are cut from the same order.
    let all: Vec<Value> = (0..3)
        .map(|offset| site.search(&format!("q=water&limit=1&offset={offset}"))["hits"][0]["id"].clone())
        .collect();
    assert_eq!(json!(all), json!(ids(&found)));
    // When it fails, the order stays, and the answer says so.
    stand_in.now(Manner::Status(500, ""));
    let found = site.search("q=water");
    assert_eq!((ids(&found)[0], &found["reranked"]), ("short", &json!(false)), "{found}");
    assert!(site.search("q=water&mode=words").get("reranked").is_none());
}

/// Pretrained models are where `ASHLAR_TEST_EMBEDDERS` says.
fn pretrained(name: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("ASHLAR_TEST_EMBEDDERS").map(|dir| Path::new(&dir).join(name));
    assert!(
        dir.is_some() || std::env::var_os("ASHLAR_REQUIRE_ALL").is_none(),
        "ASHLAR_TEST_EMBEDDERS is not set, and everything is required; `cargo xtask test` fetches the models"
    );
    dir
}

#[test]
fn a_directory_makes_the_vectors_of_a_release() {
    let (Some(words), Some(minilm)) = (pretrained("wordllama"), pretrained("minilm")) else {
        eprintln!("skipped: ASHLAR_TEST_EMBEDDERS is not set");
        return;
    };
    let models = format!("[embedders.model]\ndirectory = \"{}\"\n", words.display());
    let mut site = Site::new(&models, "[embedder]\nkind = \"static\"\nmodel = \"model\"\n");
    assert_eq!(ids(&site.meaning("q=automobile"))[0], "cars");
    // The command line searches with the same model.
    let found = site.rig.json(0, &["search", "automobile", "--data", "data", "--format", "json"]);
    assert_eq!((ids(&found)[0], &found["vectors"]), ("cars", &json!(true)));

    // Another model under the same name is another generation: until it is built, words alone are searched.
    site.rig.write("data/models.toml", &format!("[embedders.model]\ndirectory = \"{}\"\n", minilm.display()));
    let found = site.rig.json(0, &["search", "automobile", "--data", "data", "--format", "json"]);
    assert_eq!(found["vectors"], false);
    site.start();
    assert_eq!(site.search("q=automobile")["vectors"], false, "retrieval.toml says that it is static");
    site.rig.edit("site/retrieval.toml", "static", "transformer");
    site.rig.push();
    site.release();
    assert_eq!(ids(&site.meaning("q=automobile"))[0], "cars");
}

#[test]
fn what_is_wrong_with_models_is_said() {
    let rig = Rig::new();
    rig.push();
    rig.write(
        "data/models.toml",
        "[embedders.x]\nurl = \"http://127.0.0.1:9/\"\nmodel = \"m\"\ndimensions = 8\n",
    );
    let out = rig.run(&["search", "x"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("models.toml:2") && said.contains("private = true"), "{said}");
    rig.write("site/retrieval.toml", "[embedder]\nkind = \"statik\"\n[rerank]\nmodel = \"m\"\ntop = 400\n");
    rig.write("data/models.toml", "");
    let out = rig.run(&["check", "site"]);
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(said.contains("did you mean `static`?") && said.contains("from 2 to 50"), "{said}");
}
