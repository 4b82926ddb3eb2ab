//! Calls of models with clients and providers that misbehave: the real binary, real connections.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;
#[path = "../../gateway/tests/standin/mod.rs"]
mod standin;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::Duration,
};

use common::{Demo, Rig, eventually, http, start};
use serde_json::{Value, json};
use standin::{Standin, Step};

const GATEWAY: &str = "[routes.fast]\ntargets = [{ provider = \"a\", model = \"m\" }]\nretries = 0\n\
    timeout = { connect = 1.0, first_token = 5.0, total = 10.0 }\n\
    [[prices]]\nmodel = \"a/m\"\nfrom = \"2020-01-01\"\ncurrency = \"USD\"\ninput = \"1.00\"\noutput = \"10.00\"\n\
    [features.default]\nroutes = [\"fast\"]\nbudget = { day = \"1000\" }\nredact = { sending = [\"email\"] }\n";
const CHAT: &str = "/llm/v1/chat/completions";

/// A server whose provider `a` is at this address, and a key for calls.
fn served(url: &str, more: &str) -> (Demo, String) {
    let rig = Rig::new();
    rig.write("site/gateway.toml", GATEWAY);
    std::fs::create_dir_all(rig.path().join("data")).unwrap();
    rig.write(
        "data/models.toml",
        &format!("[providers.a]\nkind = \"openai\"\nurl = \"{url}/v1\"\nprivate = true\n{more}"),
    );
    rig.push();
    rig.release();
    let key = |scope: &str| -> String {
        let made = rig.json(0, &["key", "create", "--name", scope, "--scope", scope, "--format", "json"]);
        made["key"].as_str().unwrap().to_owned()
    };
    let (key, admin) = (key("llm"), key("admin"));
    let (server, ready) = start(&rig, &["serve", "--data", "data"]);
    let url = ready["url"].as_str().unwrap().to_owned();
    let demo = Demo { rig, server, url, admin };
    (demo, key)
}

fn ask(text: &str, stream: bool) -> String {
    json!({"model": "fast", "stream": stream, "max_tokens": 50, "messages": [{"role": "user", "content": text}]})
        .to_string()
}

fn answer(said: &str, usage: &Value) -> Step {
    let body = json!({"id": "c", "model": "m", "usage": usage,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}]});
    Step::json(200, &body.to_string())
}

fn records(demo: &Demo, count: usize) -> Vec<Value> {
    eventually("records", || {
        let (status, _, body) = http(&demo.url, "GET", "/api/v1/llm/calls", &demo.admin, "");
        assert_eq!(status, 200, "{body}");
        let page: Value = serde_json::from_str(&body).unwrap();
        page["items"].as_array().filter(|items| items.len() == count).cloned()
    })
}

#[test]
fn figures_that_cannot_be_harm_neither_budgets_nor_records() {
    let huge = json!({"prompt_tokens": u64::MAX / 2, "completion_tokens": u64::MAX / 2});
    let standin = Standin::new(move |_, _| vec![answer("High.", &huge)]);
    let (demo, key) = served(&standin.url, "");
    for _ in 0..3 {
        let (status, _, body) = http(&demo.url, "POST", CHAT, &key, &ask("Tide?", false));
        assert_eq!(status, 200, "{body}");
    }
    let cost = |record: &Value| record["cost"].as_str().unwrap().parse::<f64>().unwrap();
    assert!(records(&demo, 3).iter().all(|record| cost(record) < 0.001));
}

#[test]
fn large_calls_are_redacted_and_answered() {
    let standin = Standin::new(|request, _| {
        let sent = String::from_utf8_lossy(&request.body).into_owned();
        assert!(!sent.contains("ines@example.com"));
        vec![answer("Write to [EMAIL_1].", &json!({"prompt_tokens": 5, "completion_tokens": 2}))]
    });
    let (demo, key) = served(&standin.url, "");
    let text = format!("{} ines@example.com", "boats ".repeat(60_000));
    let (status, _, body) = http(&demo.url, "POST", CHAT, &key, &ask(&text, false));
    assert!(status == 200 && body.contains("ines@example.com"), "{status} {body}");
    let broken = format!("{}\"", ask(&text, false));
    let (status, _, body) = http(&demo.url, "POST", CHAT, &key, &broken);
    assert!(status == 400 && body.contains("invalid_json"), "{status} {body}");
}

#[test]
fn bodies_that_are_no_calls_are_refused_with_their_reason() {
    let standin =
        Standin::new(|_, _| vec![answer("High.", &json!({"prompt_tokens": 5, "completion_tokens": 2}))]);
    let (demo, key) = served(&standin.url, "");
    let deep = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
    let turn = r#""messages":[{"role":"user","content":"x"}]"#;
    let tools: Vec<Value> =
        (0..10_000).map(|n| json!({"type": "function", "function": {"name": format!("t{n}")}})).collect();
    let schema = |schema: &str| {
        format!(
            r#"{{"model":"fast",{turn},"response_format":{{"type":"json_schema","json_schema":{{"name":"a","schema":{schema}}}}}}}"#
        )
    };
    for (body, want) in [
        (
            format!("{{\"model\":\"fast\",{turn},\"tools\":{}}}", json!(tools)),
            (400, "`tools` has 10000 items"),
        ),
        (format!("{{\"model\":\"fast\",\"messages\":{}}}", "[".repeat(100_000)), (400, "invalid_json")),
        (schema(&deep(10_000)), (400, "response_format")),
        (format!("{{\"model\":\"fast\",{turn},\"max_tokens\":-1}}"), (400, "`max_tokens`")),
        (
            format!("{{\"model\":\"fast\",{turn},\"max_tokens\":18446744073709551615}}"),
            (429, "budget_exceeded"),
        ),
        (format!("{{\"model\":\"fast\",{turn},\"model\":\"fast\"}}"), (400, "occurs twice")),
        (
            "{\"model\":\"fast\",\"messages\":[{\"role\":\"user\",\"content\":\"\\ud800\"}]}".to_owned(),
            (400, "messages[0].content"),
        ),
        ("{\"model\":\"fast\",\"messages\":[[]]}".to_owned(), (400, "\"messages[0]\"")),
        ("\u{feff}{}".to_owned(), (400, "invalid_json")),
        (String::new(), (400, "invalid_json")),
    ] {
        let shown: String = body.chars().take(80).collect();
        let (status, _, said) = http(&demo.url, "POST", CHAT, &key, &body);
        assert!(
            status == want.0 && said.contains(want.1) && said.contains("\"error\""),
            "{shown}: {status} {said}"
        );
    }
    assert!(standin.requests().is_empty(), "nothing of it is sent");
    // What is deep and only passed on harms nobody.
    let passed = format!("{{\"model\":\"fast\",{turn},\"metadata\":{}}}", deep(50_000));
    let (status, _, said) = http(&demo.url, "POST", CHAT, &key, &passed);
    assert_eq!(status, 200, "{said}");
}

/// A provider that begins to answer when `begins`, and tells when its connection ends.
fn watched(begins: bool) -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut read = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            while read.read_line(&mut line).is_ok_and(|n| n > 2) {
                line.clear();
            }
            let mut write = stream;
            if begins {
                let _ = write.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
                let piece =
                    json!({"id": "c", "choices": [{"index": 0, "delta": {"content": "x".repeat(40)}}]});
                let _ = write.write_all(format!("data: {piece}\n\n").as_bytes());
            }
            // The rest of the request, and then the end of the connection.
            let mut rest = Vec::new();
            let _ = read.read_to_end(&mut rest);
            let _ = send.send(());
        }
    });
    (url, receive)
}

#[test]
fn a_client_that_goes_away_ends_the_call_and_its_reservation() {
    for (begins, stream, output) in [(false, false, 50), (false, true, 50), (true, true, 10)] {
        let (url, ended) = watched(begins);
        let (demo, key) = served(&url, "");
        let address = demo.url.strip_prefix("http://").unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        let body = ask("Tide?", stream);
        write!(
            client,
            "POST {CHAT} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        match begins {
            true => drop(client.read(&mut [0; 100]).unwrap()),
            false => std::thread::sleep(Duration::from_millis(300)),
        }
        assert!(ended.try_recv().is_err(), "the provider still answers");
        drop(client);
        assert!(ended.recv_timeout(Duration::from_secs(5)).is_ok(), "the request to the provider goes on");
        let record = records(&demo, 1).remove(0);
        assert_eq!((&record["outcome"], &record["output_tokens"]), (&json!("client_gone"), &json!(output)));
    }
}

#[test]
fn a_credential_is_rotated_while_calls_run() {
    let standin = Standin::new(|request, _| {
        let known =
            ["Bearer first-key", "Bearer second-key"].contains(&request.header("authorization").unwrap());
        match known {
            true => vec![answer("High.", &json!({"prompt_tokens": 5, "completion_tokens": 2}))],
            false => vec![Step::json(401, "{}")],
        }
    });
    let rig_key = |demo: &Demo, text: &str| demo.rig.write("data/a.key", text);
    let (demo, key) = served(&standin.url, "key_file = \"a.key\"\n");
    // Without its file the provider has no credentials; the message names no path.
    let (status, _, body) = http(&demo.url, "POST", CHAT, &key, &ask("Tide?", false));
    assert!(
        status == 503 && body.contains("upstream_unauthorized") && !body.contains("a.key"),
        "{status} {body}"
    );
    rig_key(&demo, "first-key\n");
    let used = |name: &str| {
        let (status, _, body) = http(&demo.url, "POST", CHAT, &key, &ask("Tide?", false));
        let last = standin.requests().last().and_then(|r| r.header("authorization").map(str::to_owned));
        (status == 200 && last.as_deref() == Some(name)).then_some(()).ok_or((status, body))
    };
    eventually("the first key", || used("Bearer first-key").ok());
    rig_key(&demo, "second-key\n");
    eventually("the second key", || match used("Bearer second-key") {
        Err((status, body)) if status != 200 => panic!("a call fails while the key changes: {status} {body}"),
        used => used.ok(),
    });
    // A key that cannot be leaves the one that is known.
    rig_key(&demo, "no\u{7f}key");
    std::thread::sleep(Duration::from_millis(1_200));
    used("Bearer second-key").unwrap();
    std::fs::remove_file(demo.rig.path().join("data/a.key")).unwrap();
    std::thread::sleep(Duration::from_millis(1_200));
    used("Bearer second-key").unwrap();
}

#[test]
fn operators_see_which_providers_do_not_answer_their_probes() {
    let standin = Standin::new(|request, _| match request.path.as_str() {
        "/v1/models" => vec![Step::json(500, "{}")],
        _ => vec![answer("High.", &json!({"prompt_tokens": 5, "completion_tokens": 2}))],
    });
    let more = "probe_seconds = 5\n[providers.theirs]\nkind = \"anthropic\"\ntenants = [\"shop\"]\n";
    let (demo, key) = served(&standin.url, more);
    let get = |path: &str, key: &str| http(&demo.url, "GET", path, key, "");
    let item = eventually("failed probes", || {
        let (status, _, body) = get("/api/v1/llm/providers", &demo.admin);
        assert!(status == 200 && !body.contains(&standin.url) && !body.contains("theirs"), "{body}");
        let listed: Value = serde_json::from_str(&body).unwrap();
        listed["items"].as_array().unwrap().iter().find(|item| item["state"] == "down").cloned()
    });
    assert_eq!(
        (&item["name"], &item["kind"], &item["probe_seconds"]),
        (&json!("a"), &json!("openai"), &json!(5))
    );
    assert_eq!(item["last_failure"], "upstream_error");
    assert!(item["since"].is_string() && item["last_failure_at"].is_string(), "{item}");
    assert_eq!(get("/api/v1/llm/providers", &key).0, 403);

    let up = "ashlar_llm_provider_up{provider=\"a\",tenant=\"main\"} 0";
    assert!(get("/metrics", &demo.admin).2.contains(up));
    assert!(
        !get("/metrics", "").2.contains("ashlar_llm_provider_up{"),
        "providers are nobody else's business"
    );

    let (status, _, body) = http(&demo.url, "POST", CHAT, &key, &ask("Tide?", false));
    assert!(status == 503 && body.contains("upstream_paused"), "{status} {body}");

    let (url, admin) = (demo.url.as_str(), demo.admin.as_str());
    let listed = demo.rig.json(0, &["llm", "providers", "--server", url, "--key", admin, "--format", "json"]);
    assert_eq!(listed["items"][0]["state"], "down");
    let listed = demo.rig.json(0, &["llm", "providers", "--format", "json"]);
    assert_eq!(listed["items"][0]["state"], "unknown", "another process knows the file alone: {listed}");
}
