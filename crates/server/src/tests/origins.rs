//! Pages of other origins.

use ashlar_model::{Right, ServerConfig};

use super::Node;

const TRUSTED: &str = "https://app.example";
const OTHER: &str = "https://evil.example";

async fn node() -> Node {
    Node::with(ServerConfig { cors_origins: vec![TRUSTED.parse().unwrap()], ..ServerConfig::default() }).await
}

#[tokio::test]
async fn preflights_let_in_named_origins_and_public_reads() {
    let node = node().await;
    for (origin, path, method, headers, allowed) in [
        (TRUSTED, "/api/v1/entries/note/x", "PUT", "authorization, content-type", Some(TRUSTED)),
        (OTHER, "/api/v1/entries/note/x", "PUT", "authorization", None),
        (OTHER, "/api/v1/entries", "GET", "", None),
        (OTHER, "/v1/entries/note/x", "GET", "", Some("*")),
        (OTHER, "/v1/entries/note/x", "GET", "Authorization", None),
        (OTHER, "/graphql", "POST", "content-type", Some("*")),
        (OTHER, "/preview/x/", "GET", "", None),
        (OTHER, "/api/openapi.json", "GET", "", Some("*")),
        ("null", "/api/v1/entries", "GET", "", None),
    ] {
        let sent = [
            ("origin", origin),
            ("access-control-request-method", method),
            ("access-control-request-headers", headers),
        ];
        let got = node.call("OPTIONS", path, None, &sent, "").await;
        let found = Some(got.header("access-control-allow-origin")).filter(|o| !o.is_empty());
        assert_eq!(found, allowed, "{origin} {method} {path}");
        assert_eq!(got.status, if allowed.is_some() { 204 } else { 403 }, "{origin} {method} {path}");
        assert!(got.header("access-control-allow-credentials").is_empty());
        if allowed.is_none() {
            assert_eq!(got.problem(), "origin-not-allowed");
        }
    }
}

#[tokio::test]
async fn answers_say_which_pages_may_read_them() {
    let node = node().await;
    let key = node.key("main", [Right::Preview]).await;
    for (origin, path, key, allowed) in [
        (OTHER, "/v1/entries/note/x", None, "*"),
        (OTHER, "/v1/entries/note/x", Some(&key), ""),
        (TRUSTED, "/v1/entries/note/x", Some(&key), TRUSTED),
        (OTHER, "/api/v1/channels", Some(&key), ""),
        (TRUSTED, "/api/v1/channels", Some(&key), TRUSTED),
        (OTHER, "/api/v1/channels", None, ""),
    ] {
        let got = node.call("GET", path, key.map(String::as_str), &[("origin", origin)], "").await;
        assert_eq!(got.header("access-control-allow-origin"), allowed, "{origin} {path} {}", key.is_some());
        let varies = got
            .headers
            .get_all("vary")
            .iter()
            .any(|v| v.to_str().unwrap().to_ascii_lowercase().contains("origin"));
        assert_eq!(varies, allowed != "*", "{origin} {path}");
    }
}
