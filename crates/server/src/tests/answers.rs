//! Bodies, preconditions and problems.

use ashlar_model::{Right, ServerConfig};

use super::Node;

#[tokio::test]
async fn bodies_are_bounded_and_wrong_ones_say_where() {
    let node = Node::with(ServerConfig { body_bytes_max: 1_000, ..ServerConfig::default() }).await;
    let key = node.key("main", [Right::Write, Right::Preview, Right::Release]).await;
    let call = |method, target, body| node.call(method, target, Some(&key), &[], body);
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(1_000));
    let got = call("POST", "/api/v1/changesets", &large).await;
    assert_eq!((got.status, got.problem().as_str()), (413, "too-large"));
    let got = call("POST", "/api/v1/changesets", "{\n  \"name\": nothing}").await;
    assert_eq!((got.status, got.problem().as_str()), (400, "invalid-input"));
    assert!(got.json()["detail"].as_str().unwrap().contains("line 2 column"), "{}", got.json());
    for (method, target, body, status) in [
        ("POST", "/api/v1/changesets", "[]", 400),
        ("POST", "/api/v1/changesets", "", 400),
        ("POST", "/api/v1/releases/x/rollback", "{}", 400),
        ("GET", "/api/v1/events?after=soon", "", 400),
        ("GET", "/api/v1/nothing", "", 404),
        ("PATCH", "/api/v1/changesets", "", 405),
    ] {
        let got = call(method, target, body).await;
        assert_eq!(got.status, status, "{method} {target}: {}", got.json());
        got.problem();
    }
}

#[tokio::test]
async fn problems_carry_the_trace_of_the_request() {
    let node = Node::new().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let got = node.call("GET", "/api/v1/channels", None, &[("traceparent", &parent)], "").await;
    assert_eq!(got.json()["trace_id"], trace);
    assert!(got.header("traceparent").contains(trace));
    // A malformed one is replaced.
    let got = node.call("GET", "/api/v1/channels", None, &[("traceparent", "00-zz-1-01")], "").await;
    assert_eq!(got.json()["trace_id"].as_str().map(str::len), Some(32));
}

#[tokio::test]
async fn too_many_requests_say_when_to_come_back() {
    let node = Node::with(ServerConfig { requests_per_second_max: 3, ..ServerConfig::default() }).await;
    let key = node.key("main", [Right::Preview]).await;
    let mut limited = None;
    for _ in 0..20 {
        let got = node.get("/api/v1/channels", Some(&key)).await;
        if got.status == 429 {
            limited = Some(got);
            break;
        }
    }
    let limited = limited.expect("three a second are allowed");
    assert_eq!((limited.problem().as_str(), limited.header("retry-after")), ("too-many-requests", "1"));
}

#[tokio::test]
async fn drafts_are_written_under_preconditions() {
    let node = Node::new().await;
    node.define().await;
    let key = node.key("main", [Right::Write, Right::Preview]).await;
    let at = "/api/v1/entries/note/a?locale=en";
    let put = async |headers: &[(&str, &str)], text: &str| {
        node.call("PUT", at, Some(&key), headers, &format!("{{\"fields\":{{\"text\":\"{text}\"}}}}")).await
    };
    let made = put(&[("if-none-match", "*")], "one").await;
    assert_eq!(made.status, 201, "{}", made.json());
    assert!(made.header("location").starts_with("/api/v1/entries/note/a"));
    let first = made.header("etag").to_owned();
    let again = put(&[("if-none-match", "*")], "two").await;
    assert_eq!((again.status, again.problem().as_str()), (412, "precondition-failed"));
    assert_eq!(again.json()["version"], 1);
    let second = put(&[("if-match", &first)], "two").await;
    assert_eq!(second.status, 200, "{}", second.json());
    assert_eq!(put(&[("if-match", &first)], "three").await.status, 412);
    assert_eq!(put(&[("if-match", "\"2\"")], "three").await.status, 200);
    let bad = put(&[("if-match", "newest")], "four").await;
    assert_eq!((bad.status, bad.problem().as_str()), (400, "invalid-input"));
    let shown = node.get(at, Some(&key)).await;
    let tag = shown.header("etag").to_owned();
    assert_eq!(shown.json()["fields"]["text"], "three");
    let known = node.call("GET", at, Some(&key), &[("if-none-match", &tag)], "").await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(node.call("DELETE", at, Some(&key), &[("if-match", "\"1\"")], "").await.status, 412);
    assert_eq!(node.call("DELETE", at, Some(&key), &[("if-match", &tag)], "").await.status, 200);
}

#[tokio::test]
async fn nothing_released_is_said_plainly() {
    let node = Node::new().await;
    for target in ["/v1/entries/note/a", "/openapi.json", "/v1/changes"] {
        let got = node.get(target, None).await;
        assert_eq!((got.status, got.problem().as_str()), (404, "no-release"), "{target}");
    }
    assert_eq!(node.get("/healthz", None).await.json()["status"], "ok");
    assert_eq!(node.get("/readyz", None).await.json()["status"], "ready");
    let metrics = node.get("/metrics", None).await;
    assert!(String::from_utf8_lossy(&metrics.body).contains("ashlar_build_info{version="));
}
