//! HTTP as specifications and clients expect it: other origins, preconditions, creation, parts of files, one address for a
//! page, and a description that says what is true.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
};

use common::{Demo, Rig};
use serde_json::{Value, json};

/// An answer to any request.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|l| l.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v))
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }
}

impl Demo {
    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        write!(stream, "{head}\r\n{body}").unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        Answer { status: head[9..12].parse().unwrap(), head, body: answer[end + 4..].to_vec() }
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, "")
    }

    /// A request of the management API with the key of the administrator.
    fn api(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let key = format!("Bearer {}", self.admin);
        let mut all = vec![("authorization", key.as_str()), ("content-type", "application/json")];
        all.extend_from_slice(headers);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, &format!("/api/v1{path}"), &all, &body)
    }
}

#[test]
fn pages_of_other_origins_read_what_needs_no_key() {
    let demo = Demo::new();
    let page = ("origin", "https://app.example");
    for path in [
        "/v1/entries/pricing-plan/port",
        "/v1/entries/nothing/x",
        "/v1/tokens",
        "/assets/nothing",
        "/api/openapi.json",
    ] {
        for headers in [&[page][..], &[]] {
            let answer = demo.get(path, headers);
            // A cache keeps an answer to one page for all of them.
            if !headers.is_empty() || path.starts_with("/v1/entries/pricing") {
                assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path} {}", answer.head);
                let exposed = answer.header("access-control-expose-headers").unwrap();
                assert!(
                    ["ETag", "Ashlar-Release", "Link", "Deprecation"].iter().all(|n| exposed.contains(n)),
                    "{exposed}"
                );
            }
        }
    }
    let ask = |path: &str, method: &str, sent: &str| {
        let headers =
            [page, ("access-control-request-method", method), ("access-control-request-headers", sent)];
        demo.send("OPTIONS", path, &headers, "")
    };
    let allowed = ask("/v1/plans/port", "GET", "if-none-match,accept-language");
    assert_eq!(
        (allowed.status, allowed.header("access-control-allow-origin")),
        (204, Some("*")),
        "{}",
        allowed.head
    );
    assert_eq!(ask("/graphql", "POST", "content-type").status, 204);
    // A key, and what needs one, is for origins that the configuration names.
    for (path, method, sent) in [
        ("/v1/plans/port", "GET", "authorization"),
        ("/api/v1/releases", "GET", "authorization"),
        ("/api/v1/candidates", "POST", "content-type"),
    ] {
        let refused = ask(path, method, sent);
        assert_eq!((refused.status, refused.header("access-control-allow-origin")), (403, None), "{path}");
        assert!(refused.json()["help"].as_str().unwrap().contains("server.cors_origins"));
    }
    let secret = demo.api("GET", "/releases", &[page], &Value::Null);
    assert_eq!((secret.status, secret.header("access-control-allow-origin")), (200, None));
}

#[test]
fn named_origins_use_the_management_api() {
    let rig = Rig::new();
    rig.write("site/ashlar.toml", "name = 'x'\n[server]\ncors_origins = ['https://App.example:443']\n");
    assert!(rig.run(&["push", "site"]).status.success());
    let demo = Demo::of(rig, &["serve", "--data", "data"]);
    let page = ("origin", "https://app.example");
    let asked =
        [page, ("access-control-request-method", "PUT"), ("access-control-request-headers", "authorization")];
    let allowed = demo.send("OPTIONS", "/api/v1/entries/plan/pro", &asked, "");
    assert_eq!(allowed.status, 204, "{}", allowed.head);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(allowed.header("access-control-allow-headers").unwrap().contains("Authorization"));
    let answer = demo.api("GET", "/releases", &[page], &Value::Null);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(answer.head.to_ascii_lowercase().contains("vary: origin"), "{}", answer.head);
    let other = demo.api("GET", "/releases", &[("origin", "https://evil.example")], &Value::Null);
    assert_eq!(other.header("access-control-allow-origin"), None);
    demo.rig.write("site/ashlar.toml", "name = 'x'\n[server]\ncors_origins = ['https://app.example/']\n");
    assert_eq!(demo.rig.run(&["check", "site"]).status.code(), Some(2), "a path is no origin");
}

#[test]
fn drafts_keep_preconditions_and_say_where_they_are() {
    let demo = Demo::new();
    let at = "/entries/pricing-plan/port?locale=en";
    let read = demo.api("GET", at, &[], &Value::Null);
    let tag = read.header("etag").unwrap().to_owned();
    let draft = read.json();
    assert!(tag.starts_with(&format!("\"{}.", draft["version"])), "{tag}");
    let known = demo.api("GET", at, &[("if-none-match", &tag)], &Value::Null);
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, Some(tag.as_str())));

    let put = |path: &str, headers: &[(&str, &str)], title: &str| {
        let mut fields = draft["fields"].clone();
        fields["name"] = json!(title);
        demo.api("PUT", path, headers, &json!({ "fields": fields }))
    };
    let there = put(at, &[("if-none-match", "*")], "a");
    assert_eq!(
        (there.status, &there.json()["type"]),
        (412, &json!("urn:ashlar:problem:precondition-failed"))
    );
    assert_eq!(put(at, &[("if-match", "\"99\"")], "a").status, 412);
    assert_eq!(put(at, &[("if-match", "yesterday")], "a").status, 400);
    let first = put(at, &[("if-match", &tag)], "a");
    assert_eq!((first.status, first.header("location")), (200, None));
    // The tag is that of the version before.
    assert_eq!(put(at, &[("if-match", &tag)], "b").status, 412);
    let version = format!("\"7\", \"{}\"", first.json()["version"]);
    assert_eq!(put(at, &[("if-match", &version)], "b").status, 200);
    assert_eq!(put(at, &[("if-match", "*")], "c").status, 200);

    let new = "/entries/pricing-plan/harbour-new?locale=en";
    assert_eq!(put(new, &[("if-match", "*")], "a").status, 412);
    let made = put(new, &[("if-none-match", "*")], "a");
    assert_eq!(made.status, 201, "{}", String::from_utf8_lossy(&made.body));
    let location = made.header("location").unwrap().to_owned();
    assert_eq!(
        demo.api("GET", location.strip_prefix("/api/v1").unwrap(), &[], &Value::Null).json()["id"],
        "harbour-new"
    );
    assert_eq!(put(new, &[], "a").status, 200);
    assert_eq!(demo.api("DELETE", new, &[("if-match", "\"9\"")], &Value::Null).status, 412);
    assert_eq!(demo.api("DELETE", new, &[("if-match", "*")], &Value::Null).status, 200);

    for (path, body) in [
        ("/changesets", json!({"name": "spring"})),
        ("/candidates", json!({})),
        ("/keys", json!({"name": "reader", "scopes": ["read"]})),
        ("/previews", json!({"at": "draft"})),
        ("/tenants", json!({"tenant": "second"})),
    ] {
        let made = demo.api("POST", path, &[], &body);
        let said = String::from_utf8_lossy(&made.body).into_owned();
        assert!(
            made.status == 201 && made.header("location").is_some_and(|l| l.starts_with('/')),
            "{path}: {said}"
        );
    }
    assert_eq!(demo.api("POST", "/tenants", &[], &json!({"tenant": "second"})).status, 200);
}

#[test]
fn files_are_read_in_parts_and_pages_have_one_address() {
    let demo = Demo::new();
    let page = demo.get("/en/about", &[]);
    let html = String::from_utf8_lossy(&page.body).into_owned();
    let from = html.find("/assets/").unwrap();
    let file = &html[from..from + html[from..].find(['"', '\'', ' ', ')']).unwrap()];
    let whole = demo.get(file, &[]);
    assert_eq!((whole.status, whole.header("accept-ranges")), (200, Some("bytes")), "{file}");
    let len = whole.body.len();
    let part = demo.get(file, &[("range", "bytes=2-5"), ("accept-encoding", "br")]);
    assert_eq!((part.status, part.body.as_slice()), (206, &whole.body[2..=5]));
    assert_eq!(part.header("content-range"), Some(format!("bytes 2-5/{len}").as_str()));
    assert_eq!(part.header("etag"), whole.header("etag"));
    assert_eq!(demo.get(file, &[("range", "bytes=-3")]).body, whole.body[len - 3..]);
    let beyond = demo.get(file, &[("range", &format!("bytes={len}-"))]);
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, Some(format!("bytes */{len}").as_str()))
    );
    let other = demo.get(file, &[("range", "bytes=0-1"), ("if-range", "\"other\"")]);
    assert_eq!((other.status, other.body.len()), (200, len));

    // One address leads to the other, and keeps its query.
    let twice = demo.get("/en/about/?surface=app", &[]);
    assert_eq!((twice.status, twice.header("location")), (308, Some("/en/about?surface=app")));
    assert_eq!(demo.get("/en/nothing/", &[]).status, 404);
    // Letters may be escaped anywhere.
    for path in [
        "/%65n/about",
        "/v1/%70lans/port",
        "/v1/entries/%70ricing%2Dplan/port",
        "/%76%31/entries/pricing-plan/p%6Frt",
    ] {
        assert_eq!(demo.get(path, &[]).status, 200, "{path}");
    }
    assert_eq!(demo.api("GET", "/%72eleases", &[], &Value::Null).status, 200);
    // What is not a method of an address says so in a body, and which ones are.
    for path in [
        "/v1/tokens",
        "/healthz",
        "/api/v1/releases",
        "/npm/-/ping",
        "/studio/components",
        "/v1/plans/port",
        "/en/about",
    ] {
        let wrong = demo.send("DELETE", path, &[], "");
        assert_eq!(wrong.status, 405, "{path}");
        assert!(wrong.header("allow").is_some_and(|a| a.contains("GET")), "{path}: {}", wrong.head);
        assert_eq!(wrong.json()["type"], "urn:ashlar:problem:method-not-allowed", "{path}");
    }
}

#[test]
fn too_many_requests_say_how_long_to_wait() {
    let demo = Demo::new();
    let unknown = format!("Bearer ash_{}_{}", "0".repeat(16), "0".repeat(64));
    let limited = (0..600)
        .map(|_| demo.get("/v1/plans/port", &[("authorization", &unknown)]))
        .find(|answer| answer.status == 429)
        .unwrap();
    assert!(limited.header("retry-after").is_some_and(|s| s.parse::<u32>().unwrap() > 0), "{}", limited.head);
}

#[test]
fn the_description_is_whole() {
    let demo = Demo::new();
    let document = demo.get("/api/openapi.json", &[]).json();
    let mut ids = BTreeSet::new();
    let mut count = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let at = format!("{method} {path}");
            count += 1;
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{at}: twice");
            assert!(operation["summary"].as_str().is_some_and(|s| s.ends_with('.')), "{at}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key("default"), "{at}");
            let named: BTreeSet<&str> = operation["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|p| p["in"] == "path")
                .map(|p| p["name"].as_str().unwrap())
                .collect();
            let wanted: BTreeSet<&str> =
                path.split('/').filter_map(|p| p.strip_prefix('{')?.strip_suffix('}')).collect();
            assert_eq!(named, wanted, "{at}");
            let done: Vec<&Value> =
                responses.iter().filter(|(status, _)| status.starts_with('2')).map(|(_, r)| r).collect();
            assert!(!done.is_empty(), "{at}: nothing says what it answers");
            let contents = done.iter().flat_map(|r| r["content"].as_object().into_iter().flatten());
            let contents =
                contents.chain(operation["requestBody"]["content"].as_object().into_iter().flatten());
            for (media, content) in contents {
                assert!(content["schema"].is_object(), "{at} {media}");
                if media == "application/json" && content.get("example").is_some() {
                    valid(&document, &content["schema"], &content["example"], &format!("{at}: example"));
                }
            }
        }
    }
    assert!(count >= 80, "{count}");
    assert_eq!(document["openapi"], "3.1.0");
}

/// Checks a value against a schema of the document.
fn valid(document: &Value, schema: &Value, value: &Value, at: &str) {
    let whole = json!({"components": document["components"], "allOf": [schema]});
    let validator = jsonschema::draft202012::new(&whole).unwrap_or_else(|e| panic!("{at}: {e}"));
    let errors: Vec<String> =
        validator.iter_errors(value).map(|e| format!("{} at {}", e, e.instance_path())).collect();
    assert!(errors.is_empty(), "{at}: {errors:?}\n{value}");
}

/// Everything that can be asked for without harm answers what its row says.
#[test]
fn answers_are_what_the_description_says() {
    let demo = Demo::new();
    let document = demo.get("/api/openapi.json", &[]).json();
    demo.api("POST", "/changesets", &[], &json!({"name": "home"}));
    demo.api("POST", "/webhooks", &[], &json!({"url": "https://www.example.com/hook"}));
    let hooks = demo.api("GET", "/webhooks", &[], &Value::Null).json();
    let hook = hooks[0]["id"].as_str().unwrap_or("none").to_owned();
    let key = format!("Bearer {}", demo.admin);
    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(operation) = item.get("get") else { continue };
        let id = operation["operationId"].as_str().unwrap();
        // A stream that does not end, and a page that needs the key of a link.
        if id == "followChanges" || path.starts_with("/preview/") {
            continue;
        }
        let mut at = path.clone();
        for (name, value) in [
            ("{type}", "pricing-plan"),
            ("{view}", "plans"),
            ("{slug}", "port"),
            ("{name}", "home"),
            ("{candidate}", "c1"),
            ("{run}", "e1"),
            ("{release}", "r1"),
            ("{other}", "r2"),
            ("/npm/-/package/{path}", "/npm/-/package/nothing/dist-tags"),
            ("{path}", "nothing@latest/tokens.css"),
        ] {
            at = at.replace(name, value);
        }
        at = at.replace("{id}", if path.contains("webhooks") { &hook } else { "port" });
        if id == "getRoute" {
            at.push_str("?path=/en/about");
        }
        let answer = demo.get(&at, &[("authorization", &key)]);
        let described = &operation["responses"][answer.status.to_string()];
        let described = match described["content"].as_object() {
            Some(content) => content,
            None => {
                panic!("{id} answers {} to {at}: {}", answer.status, String::from_utf8_lossy(&answer.body))
            }
        };
        let media = answer.header("content-type").unwrap().split(';').next().unwrap();
        let content = described.get(media).unwrap_or_else(|| panic!("{id}: {media} is not described"));
        if media.ends_with("json") && content["schema"]["format"] != "binary" {
            valid(&document, &content["schema"], &answer.json(), &format!("{id}: {at}"));
        }
        seen += usize::from(answer.status == 200);
    }
    assert!(seen > 30, "{seen}");
}
