//! Searching: over HTTP, in the pages of a site and on the command line.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{Rig, Served, eventually, fetch, http, start};
use serde_json::{Value, json};
use sha2::Digest as _;

const CONFIG: &str = "name = 'harbour'\n[locales]\ndefault = 'en'\nsupported = ['en', 'de']\n";

const GUIDE: &str = r#"{"type":"object","additionalProperties":false,
"x-ashlar":{"owner":"team","version":"1.0.0","route":"/{locale}/guide/{slug}","title_field":"title","index":"product"},
"properties":{
 "slug":{"type":"string","pattern":"^[a-z-]+$","x-ashlar":{"indexed":true}},
 "title":{"type":"string"},
 "body":{"type":"string","contentMediaType":"text/markdown"},
 "audience":{"type":"string","enum":["partner","staff"]},
 "regions":{"type":"array","items":{"enum":["eu","us"]}},
 "applies_to":{"type":"string","pattern":"^[<>=0-9., ]+$"},
 "until":{"type":"string","format":"date"}},
"required":["slug","title","body"]}"#;

const NOTICE: &str = r#"{"type":"object","additionalProperties":false,
"x-ashlar":{"owner":"team","version":"1.0.0","route":"/{locale}/legal/{slug}","title_field":"title","index":"legal"},
"properties":{"slug":{"type":"string","pattern":"^[a-z-]+$"},"title":{"type":"string"},"text":{"type":"string"}},
"required":["slug","title","text"]}"#;

const RETRIEVAL: &str = r#"
[log]
days = 30
[indexes.product]
title = "Handbook"
[indexes.legal]
title = "Legal"
alone = true
default = false
[attributes]
audience = "audience"
region = "regions"
versions = "applies_to"
until = "until"
[readers.partner]
audience = ["partner"]
[[routes]]
words = ["liability"]
indexes = { legal = 1.0 }
[synonyms.en]
berth = ["mooring"]
[[pins]]
query = "opening hours"
entry = "guide/tides"
"#;

const FIND: &str = "query Find($q: String!, $filters: [SearchFilter!], $limit: Int = 5) {
  search(query: $q, filters: $filters, limit: $limit, facets: [\"type\"]) {
    query total didYouMean facets { name values { value count } }
    hits { id title titleMarks path anchor pinned snippet { text marks } entry { _id _locale ... on Guide { body } } }
  }
}
query Ask($question: String!, $locale: String) {
  answer(question: $question, locale: $locale) {
    answer confidence release citations { id text from to entry { _type } } refusal { code } retrieved { id }
  }
}
";

/// A server with guides and notices.
struct Site {
    rig: Rig,
    _server: Served,
    url: String,
    admin: String,
}

fn guides() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (
            "guide",
            "tides",
            json!({"slug": "tides", "title": "Tides", "body": "High water comes twice a day.\n\n## Slack water\n\nBetween the **tides** the water stands. Crossing the bar is safe then."}),
        ),
        (
            "guide",
            "berths",
            json!({"slug": "berths", "title": "Berths", "body": "A berth is booked by the night. The harbour master gives it.", "regions": ["eu"]}),
        ),
        (
            "guide",
            "cranes",
            json!({"slug": "cranes", "title": "Cranes", "body": "The crane lifts boats of ten tonnes.", "regions": ["us"], "applies_to": ">=2.0.0"}),
        ),
        (
            "guide",
            "discounts",
            json!({"slug": "discounts", "title": "Discounts", "body": "Partners berth boats at a zinnwald rate.", "audience": "partner"}),
        ),
        (
            "guide",
            "salaries",
            json!({"slug": "salaries", "title": "Salaries", "body": "Staff who berth boats earn more.", "audience": "staff"}),
        ),
        (
            "guide",
            "regatta",
            json!({"slug": "regatta", "title": "Regatta", "body": "The regatta berth is over.", "until": "2020-01-01"}),
        ),
        (
            "notice",
            "liability",
            json!({"slug": "liability", "title": "Liability", "text": "The harbour has no liability for a berth in a storm."}),
        ),
    ]
}

impl Site {
    fn new() -> Self {
        let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "data".to_owned() };
        for dir in ["contracts", "queries"] {
            std::fs::create_dir_all(rig.path().join("site").join(dir)).unwrap();
        }
        rig.write("site/ashlar.toml", CONFIG);
        rig.write("site/contracts/guide.v1.json", GUIDE);
        rig.write("site/contracts/notice.v1.json", NOTICE);
        rig.write("site/retrieval.toml", RETRIEVAL);
        rig.write("site/queries/find.graphql", FIND);
        let out = rig.run(&["push", "site"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let (server, ready) = start(&rig, &["serve", "--data", "data"]);
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let site =
            Self { url: text(&ready["url"]), admin: text(&ready["keys"]["admin"]), _server: server, rig };
        for (type_name, id, fields) in guides() {
            site.put(type_name, id, "en", &fields);
        }
        site.release();
        site
    }

    fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, _, answer) =
            http(&self.url, method, &format!("/api/v1{path}"), &self.admin, &body.to_string());
        assert!(matches!(status, 200 | 201), "{method} {path}: {status} {answer}");
        serde_json::from_str(&answer).unwrap_or_default()
    }

    fn put(&self, type_name: &str, id: &str, locale: &str, fields: &Value) {
        let body = json!({"fields": fields});
        self.api("PUT", &format!("/entries/{type_name}/{id}?locale={locale}"), &body);
    }

    fn release(&self) -> String {
        let candidate = self.api("POST", "/candidates", &json!({}));
        assert_eq!(candidate["status"], "passed", "{candidate}");
        let id = candidate["candidate"].as_str().unwrap();
        let made = self.api("POST", &format!("/candidates/{id}/promote"), &json!({}));
        made["release"].as_str().unwrap().to_owned()
    }

    fn key(&self, reader: Option<&str>) -> String {
        let made = self.api("POST", "/keys", &json!({"name": "app", "scopes": ["read"], "reader": reader}));
        made["key"].as_str().unwrap().to_owned()
    }

    /// What a search answers. A new key is known after a moment.
    fn search(&self, query: &str, key: &str) -> Value {
        let (status, _, body) = http(&self.url, "GET", &format!("/v1/search?{query}"), key, "");
        assert_eq!(status, 200, "{query}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    fn problem(&self, query: &str) -> (u16, String) {
        let (status, _, body) = http(&self.url, "GET", &format!("/v1/search?{query}"), "", "");
        let body: Value = serde_json::from_str(&body).unwrap();
        let code = body["type"].as_str().unwrap().trim_start_matches("urn:ashlar:problem:").to_owned();
        (status, format!("{code}: {} {}", body["detail"].as_str().unwrap(), body["help"].as_str().unwrap()))
    }
}

fn ids(found: &Value) -> Vec<&str> {
    let mut ids: Vec<&str> =
        found["hits"].as_array().unwrap().iter().map(|h| h["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn what_is_released_is_found_and_what_was_is_found_again() {
    let site = Site::new();
    let found = site.search("q=crossing+tide", "");
    let hit = &found["hits"][0];
    assert_eq!(
        (&hit["type"], &hit["id"], &hit["locale"], &hit["title"]),
        (&json!("guide"), &json!("tides"), &json!("en"), &json!("Tides"))
    );
    assert_eq!(
        (&hit["path"], &hit["anchor"], &hit["headings"]),
        (&json!("/en/guide/tides"), &json!("slack-water"), &json!(["Slack water"]))
    );
    assert_eq!((&hit["field"], &hit["index"]), (&json!("/body"), &json!("product")));
    // Marks are in the snippet, and the range in the field.
    let text = hit["snippet"]["text"].as_str().unwrap();
    let marked: Vec<&str> = hit["snippet"]["marks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &text[m[0].as_u64().unwrap() as usize..m[1].as_u64().unwrap() as usize])
        .collect();
    assert_eq!(marked, ["tides", "Crossing"], "{hit}");
    let body = guides()[0].2["body"].as_str().unwrap().to_owned();
    let range = hit["from"].as_u64().unwrap() as usize..hit["to"].as_u64().unwrap() as usize;
    assert!(body[range].contains("Crossing the bar"), "{hit}");
    assert_eq!(
        (&found["total"], &found["did_you_mean"], &found["next_offset"]),
        (&json!(1), &Value::Null, &Value::Null)
    );

    // The headers are those of other reads.
    let answer = fetch(&site.url, "/v1/search?q=tide", &[]);
    assert_eq!(answer.header("ashlar-release"), Some("r1"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert!(answer.header("surrogate-key").unwrap().contains("guide"));
    let etag = answer.header("etag").unwrap().to_owned();
    assert_eq!(fetch(&site.url, "/v1/search?q=tide", &[("if-none-match", &etag)]).status, 304);

    assert_eq!(hit["title_marks"], json!([[0, 5]]));

    // A release is searchable at once, a candidate before it, and a rollback brings back what was.
    site.put(
        "guide",
        "tides",
        "en",
        &json!({"slug": "tides", "title": "Tides", "body": "The moon pulls the quagmire."}),
    );
    let candidate = site.api("POST", "/candidates", &json!({}));
    let at = format!("q=quagmire&at={}", candidate["candidate"].as_str().unwrap());
    assert_eq!(ids(&site.search(&at, &site.admin)), ["tides"]);
    assert_eq!(ids(&site.search("q=quagmire&at=draft", &site.admin)), ["tides"]);
    assert!(ids(&site.search("q=quagmire", "")).is_empty());
    let promote = format!("/candidates/{}/promote", candidate["candidate"].as_str().unwrap());
    site.api("POST", &promote, &json!({}));
    assert_eq!(ids(&site.search("q=quagmire", "")), ["tides"]);
    assert!(ids(&site.search("q=crossing", "")).is_empty());
    site.api("POST", "/releases/r1/rollback", &json!({"reason": "wrong"}));
    assert_eq!(ids(&site.search("q=crossing", "")), ["tides"]);
    assert!(ids(&site.search("q=quagmire", "")).is_empty());
}

#[test]
fn readers_find_what_is_for_them_and_no_trace_of_the_rest() {
    let site = Site::new();
    let partner = site.key(Some("partner"));
    let unknown = site.key(Some("nobody"));
    let asked = "q=boats&facets=type,audience";
    let of_partner = eventually("the key is known", || {
        let (status, _, body) = http(&site.url, "GET", &format!("/v1/search?{asked}"), &partner, "");
        (status == 200).then(|| serde_json::from_str::<Value>(&body).unwrap())
    });
    let public = site.search(asked, "");
    assert_eq!(ids(&public), ["cranes"]);
    assert_eq!(ids(&of_partner), ["cranes", "discounts"]);
    assert_eq!((&public["total"], &of_partner["total"]), (&json!(1), &json!(2)));
    assert_eq!(public["facets"], json!({"type": {"guide": 1}}));
    assert_eq!(of_partner["facets"], json!({"type": {"guide": 2}, "audience": {"partner": 1}}));
    // A reader that does not exist is everybody's.
    assert_eq!(site.search(asked, &unknown), public);
    // A misspelt word is corrected to words that the caller may see.
    assert_eq!(site.search("q=zinwald", "")["did_you_mean"], Value::Null);
    let corrected = site.search("q=zinwald", &partner);
    assert_eq!((&corrected["did_you_mean"], ids(&corrected)), (&json!("zinnwald"), vec!["discounts"]));
    // What ended is found by nobody, and an answer to a key is for nobody else.
    assert!(!ids(&site.search("q=regatta", &partner)).contains(&"regatta"));
    let answer = fetch(&site.url, "/v1/search?q=boats", &[("authorization", &format!("Bearer {partner}"))]);
    assert!(answer.header("cache-control").unwrap().starts_with("private"));
}

#[test]
fn filters_routes_pins_synonyms_and_languages() {
    let site = Site::new();
    assert_eq!(ids(&site.search("q=boats+berth&region=us", "")), ["cranes"]);
    assert_eq!(ids(&site.search("q=crane&version=2.1", "")), ["cranes"]);
    assert!(ids(&site.search("q=crane&version=1.9.9", "")).is_empty());
    assert_eq!(ids(&site.search("q=mooring", "")), ["berths"]);
    assert_eq!(site.search("q=opening+hours", "")["hits"][0]["id"], "tides");
    assert_eq!(site.search("q=opening+hours", "")["hits"][0]["pinned"], true);
    // An index that is never mixed is searched by a route, or when it is named.
    assert_eq!(site.search("q=berth", "")["indexes"], json!(["product"]));
    let routed = site.search("q=liability+berth", "");
    assert_eq!((&routed["indexes"], ids(&routed)), (&json!(["legal"]), vec!["liability"]));
    assert_eq!(ids(&site.search("q=berth&index=legal", "")), ["liability"]);
    assert_eq!(ids(&site.search("q=harbour&type=guide", "")), ["berths"]);
    // Pages.
    let first = site.search("q=the+a+boats+berth+water+crane&limit=1", "");
    assert_eq!((first["hits"].as_array().unwrap().len(), &first["next_offset"]), (1, &json!(1)));
    let second = site.search("q=the+a+boats+berth+water+crane&limit=1&offset=1", "");
    assert_ne!(first["hits"][0]["id"], second["hits"][0]["id"]);
    // A translation is found instead of its original; what is not translated is found in the language it falls back to.
    site.put(
        "guide",
        "berths",
        "de",
        &json!({"slug": "berths", "title": "Liegeplätze", "body": "Liegeplätze gibt es im Hafen."}),
    );
    site.release();
    assert_eq!(site.search("q=Liegeplatz&locale=de", "")["hits"][0]["locale"], "de");
    assert!(ids(&site.search("q=berth&locale=de&index=product", "")).iter().all(|id| *id != "berths"));
    assert_eq!(site.search("q=crane&locale=de", "")["hits"][0]["locale"], "en");
}

#[test]
fn a_wrong_question_is_answered_with_what_to_ask() {
    let site = Site::new();
    let reported = |query: &str| {
        let (status, text) = site.problem(query);
        assert_eq!(status, 400, "{text}");
        text
    };
    assert!(reported("").starts_with("missing-query"));
    assert!(reported("q=+").starts_with("missing-query"));
    assert!(reported(&format!("q={}", "x".repeat(1_001))).starts_with("query-too-long"));
    assert!(reported("q=x&index=produkt").contains("did you mean `product`?"));
    assert!(reported("q=x&regoin=eu").contains("did you mean `region`?"));
    assert!(reported("q=x&mode=word").contains("did you mean `words`?"));
    assert!(reported("q=x&facets=audiense").contains("did you mean `audience`?"));
    assert!(reported("q=x&type=guides").contains("did you mean `guide`?"));
    assert!(reported("q=x&limit=0").starts_with("bad-limit"));
    assert!(reported("q=x&version=two").starts_with("bad-filter"));
    assert!(reported("q=x&locale=xx").starts_with("unknown-locale"));
    // Everything else is words.
    for odd in
        ["%22", "-", "a%00b", "%F0%9F%9A%A4", "%28AND+OR%29%7E2%5E3", "%D7%A9%D7%9C%D7%95%D7%9D", "潮", "%FF"]
    {
        site.search(&format!("q={odd}"), "");
    }
}

#[test]
fn the_command_line_finds_the_same() {
    let site = Site::new();
    let json_of = |args: &[&str]| -> Value {
        let out = site.rig.run(&[&["search"], args, &["--format", "json"]].concat());
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    };
    let over_http = site.search("q=high+water&limit=10&offset=0&mode=hybrid", "");
    assert_eq!(json_of(&["high water", "--data", "data"]), over_http);
    let remote = ["high water", "--server", site.url.as_str(), "--key", site.admin.as_str()];
    assert_eq!(json_of(&remote), over_http);
    let out =
        site.rig.run(&["search", "boats", "--filter", "region=us", "--facet", "type", "--data", "data"]);
    let shown = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(shown.contains("Cranes\n") && shown.contains("  guide/cranes (en)  /en/guide/cranes"), "{shown}");
    assert!(shown.contains("type: guide 1") && shown.contains("1 entry"), "{shown}");
    let out = site.rig.run(&["search", "x", "--index", "produkt", "--data", "data"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("did you mean `product`?"));
    let out = site.rig.run(&["search", "zzz", "--data", "data"]);
    assert_eq!(String::from_utf8_lossy(&out.stdout), "No results. Try fewer words.\n");
}

#[test]
fn an_edge_searches_without_a_database_and_meaning_comes_later() {
    let site = Site::new();
    assert_eq!(site.search("q=berth", "")["vectors"], false, "seven entries teach nothing");
    // More than is learned while a candidate is made.
    let words =
        ["tide", "berth", "crane", "harbour", "night", "boat", "water", "master", "gate", "price", "storm"];
    let entry = |n: usize| {
        let word = |at: usize| words[(n * 7 + at * (n % 5 + 1)) % words.len()];
        let text: Vec<&str> = (0..12).map(word).collect();
        let letter = |n: usize| char::from(b"abcdefghijklmnopqrstuvwxyz"[n % 26]);
        let slug = format!("n-{}{}", letter(n / 26), letter(n));
        json!({"type": "notice", "id": format!("n{n}"), "locale": "en",
            "fields": {"slug": slug, "title": format!("Notice {n}"), "text": text.join(" ")}})
    };
    let entries: Vec<Value> = (0..260).map(entry).collect();
    site.api("POST", "/entries", &json!({"source": "notices.json", "entries": entries}));
    site.release();
    let asked = "q=berth+at+night&index=legal";
    eventually("the vectors", || (site.search(asked, "")["vectors"] == true).then_some(()));
    let metrics =
        fetch(&site.url, "/metrics", &[("authorization", &format!("Bearer {}", site.admin))]).text();
    assert!(metrics.contains("follower=\"search\""), "{metrics}");

    // The edge has nothing but the objects.
    let objects = format!("file://{}", site.rig.path().join("data/objects").display());
    let (edge, ready) =
        start(&site.rig, &["serve", "--role", "edge", "--objects", &objects, "--cache", "cache"]);
    let url = ready["url"].as_str().unwrap().to_owned();
    let ask = |url: &str| fetch(url, &format!("/v1/search?{asked}"), &[]);
    assert_eq!(ask(&url).json(), site.search(asked, ""));
    drop(edge);

    // What is damaged is noticed and fetched again; nothing wrong is answered meanwhile.
    for pack in std::fs::read_dir(site.rig.path().join("cache/t/main/packs")).unwrap() {
        let path = pack.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let at: Vec<usize> =
            bytes.windows(7).enumerate().filter(|(_, w)| w == b"ashlseg").map(|(at, _)| at).collect();
        for at in at {
            bytes[at + 40] ^= 1;
        }
        std::fs::write(&path, bytes).unwrap();
    }
    let (_edge, ready) =
        start(&site.rig, &["serve", "--role", "edge", "--objects", &objects, "--cache", "cache"]);
    let url = ready["url"].as_str().unwrap().to_owned();
    let healed = eventually("the segments to be fetched again", || {
        let answer = ask(&url);
        match answer.status {
            200 => Some(answer.json()),
            status => {
                assert_eq!(
                    (status, answer.json()["type"].as_str()),
                    (503, Some("urn:ashlar:problem:unreadable"))
                );
                None
            }
        }
    });
    assert_eq!(healed, site.search(asked, ""));
}

/// A POST of JSON: status, head and body.
fn post(url: &str, path: &str, body: &Value) -> (u16, String, String) {
    use std::io::{Read, Write};
    let (address, body) = (url.strip_prefix("http://").unwrap(), body.to_string());
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

impl Site {
    /// What a persisted operation answers, with the headers.
    fn operation(&self, name: &str, variables: &Value, key: &str) -> (String, Value) {
        let bytes: String = variables.to_string().bytes().map(|b| format!("%{b:02X}")).collect();
        let id: String = sha2::Sha256::digest(FIND.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
        let path = format!("/graphql?documentId=sha256:{id}&operationName={name}&variables={bytes}");
        let (status, head, body) = http(&self.url, "GET", &path, key, "");
        assert_eq!(status, 200, "{body}");
        (head, serde_json::from_str(&body).unwrap())
    }

    fn suggested(&self, query: &str, key: &str) -> Value {
        let (status, _, body) = http(&self.url, "GET", &format!("/v1/search/suggest?{query}"), key, "");
        assert_eq!(status, 200, "{query}: {body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        answer["suggestions"].clone()
    }

    /// A key of a reader that is known by now.
    fn known_key(&self, reader: &str) -> String {
        let key = self.key(Some(reader));
        eventually("the key is known", || {
            (http(&self.url, "GET", "/v1/search?q=x", &key, "").0 == 200).then_some(())
        });
        key
    }
}

#[test]
fn a_persisted_operation_searches_and_answers() {
    let site = Site::new();
    let (head, found) = site.operation("Find", &json!({"q": "crossing tide"}), "");
    let found = &found["data"]["search"];
    let rest = site.search("q=crossing+tide&limit=5&facets=type", "");
    let (hit, same) = (&found["hits"][0], &rest["hits"][0]);
    for (name, member) in [
        ("id", "id"),
        ("title", "title"),
        ("titleMarks", "title_marks"),
        ("path", "path"),
        ("anchor", "anchor"),
    ] {
        assert_eq!(hit[name], same[member], "{found}");
    }
    assert_eq!((&hit["snippet"], &hit["pinned"]), (&same["snippet"], &json!(false)));
    assert_eq!((&found["total"], &found["didYouMean"]), (&json!(1), &Value::Null));
    assert_eq!(found["facets"], json!([{"name": "type", "values": [{"value": "guide", "count": 1}]}]));
    // The entry is the one of the same release.
    assert_eq!((&hit["entry"]["_id"], &hit["entry"]["_locale"]), (&json!("tides"), &json!("en")));
    assert!(hit["entry"]["body"].as_str().unwrap().starts_with("High water"), "{hit}");
    // The headers are those of a search: purged with its types, and kept no longer.
    assert!(head.contains("surrogate-key: ") && head.contains("guide"), "{head}");
    assert!(head.contains("cache-control: public, no-cache"), "{head}");

    // The rules of a reader hold, and nobody gets what was answered to another.
    let partner = site.known_key("partner");
    let total =
        |key: &str| site.operation("Find", &json!({"q": "boats"}), key).1["data"]["search"]["total"].clone();
    assert_eq!((total(""), total(&partner), total("")), (json!(1), json!(2), json!(1)));
    let filtered = json!({"q": "boats berth", "filters": [{"name": "region", "values": ["us"]}]});
    let filtered = site.operation("Find", &filtered, "").1;
    assert_eq!(filtered["data"]["search"]["hits"][0]["id"], "cranes", "{filtered}");
    // What is wrong is an error of its field.
    for (filters, told) in [
        (json!([{"name": "regoin", "values": ["us"]}]), "did you mean `region`?"),
        (json!([{"name": "limit", "values": ["1"]}]), "`limit` is not an attribute"),
    ] {
        let (head, wrong) = site.operation("Find", &json!({"q": "boats", "filters": filters}), "");
        assert_eq!(wrong["data"]["search"], Value::Null);
        assert!(wrong["errors"][0]["message"].as_str().unwrap().contains(told), "{wrong}");
        assert!(head.contains("cache-control: no-store"), "{head}");
    }

    let question = json!({"question": "How often does high water come?", "locale": "en"});
    let (head, answered) = site.operation("Ask", &question, "");
    let (status, _, body) = post(&site.url, "/v1/answers", &question);
    assert_eq!(status, 200, "{body}");
    let rest: Value = serde_json::from_str(&body).unwrap();
    let answered = &answered["data"]["answer"];
    assert_eq!((&answered["answer"], &answered["confidence"]), (&rest["answer"], &rest["confidence"]));
    assert_eq!(answered["citations"][0]["text"], rest["citations"][0]["text"], "{answered}");
    assert_eq!((&answered["release"], &answered["refusal"]), (&json!("r1"), &Value::Null));
    assert_eq!(answered["citations"][0]["entry"]["_type"], "guide");
    assert!(head.contains("cache-control: no-store"), "{head}");
}

#[test]
fn endings_of_a_word_are_suggested_from_what_the_caller_may_find() {
    let site = Site::new();
    assert_eq!(site.suggested("q=high+wa", ""), json!(["high water"]));
    assert_eq!(site.suggested("q=ber&limit=1", ""), json!(["berth"]));
    assert_eq!(site.suggested("q=zinn", ""), json!([]));
    assert_eq!(site.suggested("q=zinn", &site.known_key("partner")), json!(["zinnwald"]));
    // What ended is suggested to nobody, and a filter narrows.
    assert_eq!(site.suggested("q=regat", ""), json!([]));
    assert_eq!(site.suggested("q=cra&region=eu", ""), json!([]));
    assert_eq!(site.suggested("q=liabili&index=legal", ""), json!(["liability"]));
    assert_eq!(site.suggested("q=water+", ""), json!([]));
    for (query, told) in [
        ("", "missing-query"),
        ("q=x&mode=words", "unknown-filter"),
        ("q=x&limit=21", "bad-limit"),
        ("q=x&index=produkt", "unknown-index"),
    ] {
        let (status, _, body) = http(&site.url, "GET", &format!("/v1/search/suggest?{query}"), "", "");
        assert!(status == 400 && body.contains(told), "{query}: {body}");
    }
    let answer = fetch(&site.url, "/v1/search/suggest?q=wa", &[("origin", "https://other.example")]);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert!(answer.header("surrogate-key").unwrap().contains("guide"));
}

/// The figures of searches, once they say what is expected.
fn stats(site: &Site, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || {
        let stats = site.api("GET", "/search/stats?days=1", &Value::Null);
        is(&stats).then_some(stats)
    })
}

#[test]
fn searches_are_logged_without_names_and_counted() {
    let site = Site::new();
    let (status, _, _) = http(&site.url, "GET", "/api/v1/search/stats", "", "");
    assert_eq!(status, 401);
    for query in ["q=Crossing+TIDE", "q=crossing+tide", "q=zz%40qqqq.xx+4111+1111+1111", "q=nothingness"] {
        site.search(query, "");
    }
    // Further hits of a search, suggestions, previews and wrong queries are no searches.
    site.search("q=crossing+tide&offset=5", "");
    site.suggested("q=cro", "");
    site.search("q=crossing+tide&at=draft", &site.admin);
    site.problem("q=x&limit=0");
    site.operation("Find", &json!({"q": "nothingness"}), "");
    let click =
        json!({"query": "crossing tide", "type": "guide", "id": "tides", "position": 1, "locale": "en"});
    let report = |body: &Value| post(&site.url, "/v1/search/clicks", body);
    for _ in 0..2 {
        let (status, head, body) = report(&click);
        assert_eq!((status, body.as_str()), (204, ""), "{head}");
        assert!(head.contains("access-control-allow-origin: *") && head.contains("no-store"), "{head}");
    }
    let found = stats(&site, "all is stored", |stats| stats["log"]["searches"] == 5);
    let log = &found["log"];
    // The same click of the same caller on the same day counts once.
    assert_eq!((&log["without_results"], &log["clicks"], &log["callers"]), (&json!(3), &json!(1), &json!(1)));
    assert_eq!(log["click_through"], json!(0.2));
    let of = |list: &str| -> Vec<(String, u64, u64)> {
        let rows = log[list].as_array().unwrap().iter();
        rows.map(|row| {
            let number = |name: &str| row[name].as_u64().unwrap();
            (row["query"].as_str().unwrap().to_owned(), number("searches"), number("clicks"))
        })
        .collect()
    };
    let row = |query: &str, searches: u64, clicks: u64| (query.to_owned(), searches, clicks);
    assert_eq!(
        of("queries"),
        [row("crossing tide", 2, 1), row("nothingness", 2, 0), row("[email] [number]", 1, 0)]
    );
    assert_eq!(of("failing"), [row("nothingness", 2, 0), row("[email] [number]", 1, 0)]);
    assert_eq!((&found["log_days"], &found["node"]["clicks"]), (&json!(30), &json!(2)));
    assert_eq!((&found["node"]["stale_hits"], &found["node"]["unlogged"]), (&json!(0), &json!(0)));

    // The release came while this node ran, so how long it took is known.
    let index = &found["indexes"][1];
    assert_eq!((&index["index"], &index["target_seconds"]), (&json!("product"), &json!(5.0)));
    let whole = stats(&site, "vectors are there", |stats| stats["indexes"][1]["complete"] == true);
    let index = &whole["indexes"][1];
    assert!(index["lag_seconds"].as_f64() >= index["words_seconds"].as_f64(), "{index}");
    let (_, _, metrics) = http(&site.url, "GET", "/metrics", &site.admin, "");
    for line in [
        "ashlar_search_target_seconds{index=\"legal\",tenant=\"main\"} 5",
        "ashlar_search_clicks_total 2",
        "ashlar_search_unlogged_total 0",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line}: {metrics}");
    }
    assert!(metrics.contains("ashlar_search_lag_seconds{index=\"product\",tenant=\"main\"}"));

    // The command line shows the same, also without a server.
    let out = site.rig.run(&["search", "stats", "--data", "data"]);
    let shown = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(
        shown.starts_with("In 7 days: 5 searches, 3 without results, 1 click (0.20 for each search)\n"),
        "{shown}"
    );
    let out = site.rig.run(&["search", "stats", "--server", &site.url, "--key", &site.admin]);
    let shown = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(shown.contains("product: searchable after"), "{shown}");

    for (wrong, told) in [
        (json!({"query": "x", "type": "guide", "id": "nobody", "position": 1}), "no entry guide/nobody"),
        (json!({"query": "x", "type": "guide", "id": "tides", "position": 0}), "`position` is 0"),
        (json!({"query": " ", "type": "guide", "id": "tides", "position": 1}), "`query` has 0 bytes"),
        (
            json!({"query": "x", "type": "guide", "id": "tides", "position": 1, "locale": "xx"}),
            "no locale `xx`",
        ),
        (json!([1]), "cannot be read"),
    ] {
        let (status, _, body) = report(&wrong);
        assert!(status == 400 && body.contains(told), "{wrong}: {body}");
    }
    assert_eq!(http(&site.url, "GET", "/v1/search/clicks", "", "").0, 405);

    // A project that no longer keeps a log counts no clicks.
    let quiet = RETRIEVAL.replace("[log]\ndays = 30\n", "");
    site.rig.write("site/retrieval.toml", &quiet);
    assert!(site.rig.run(&["push", "site"]).status.success());
    site.release();
    eventually("the log is off", || (report(&click).0 == 404).then_some(()));
}
