//! Host names: each serves its own tenant, and only well-formed ones are let in.

use ashlar_model::{Right, ServerConfig};
use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Request, Version},
};

use super::Node;

async fn at(node: &Node, host: &str, key: Option<&str>) -> super::Got {
    let mut request = Request::builder().uri("/api/v1/channels").header("host", host);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    node.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_host_name_serves_the_keys_of_its_tenant_alone() {
    let node = Node::new().await;
    node.tenant("shop", "shop.example").await;
    let ours = node.key("main", [Right::Preview]).await;
    let theirs = node.key("shop", [Right::Preview]).await;
    for (host, key, expected) in [
        ("shop.example", &theirs, 200),
        ("SHOP.example.:8080", &theirs, 200),
        ("shop.example", &ours, 421),
        ("127.0.0.1:8080", &ours, 200),
        ("127.0.0.1:8080", &theirs, 200),
    ] {
        let got = at(&node, host, Some(key)).await;
        assert_eq!(got.status, expected, "{host}: {}", got.json());
        if expected == 421 {
            assert_eq!(got.problem(), "misdirected");
        }
    }
    for path in ["/v1/changes", "/v1/entries/note/x", "/v1/tokens", "/metrics"] {
        let request = Request::builder().uri(path).header("host", "shop.example");
        let request = request.header("authorization", format!("Bearer {ours}")).body(Body::empty()).unwrap();
        let got = node.send(request).await;
        // Metrics are for everybody; a key of another tenant adds nothing to them.
        assert_eq!(got.status, if path == "/metrics" { 200 } else { 421 }, "{path}");
    }
}

#[tokio::test]
async fn requests_name_one_well_formed_host() {
    let node = Node::new().await;
    for hosts in
        [&[][..], &["a.example", "b.example"], &["a..example"], &["a.example:99999"], &["u@a.example"]]
    {
        let mut request = Request::builder().uri("/healthz").version(Version::HTTP_11);
        for host in hosts {
            request = request.header("host", *host);
        }
        let got = node.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((got.status, got.problem().as_str()), (400, "bad-host"), "{hosts:?}");
    }
    let two_keys = super::request("GET", "/healthz")
        .header("authorization", "Bearer a")
        .header("authorization", "Bearer b");
    assert_eq!(node.send(two_keys.body(Body::empty()).unwrap()).await.status, 400);
}

#[tokio::test]
async fn only_configured_proxies_say_who_asks() {
    let config = ServerConfig {
        requests_per_second_max: 2,
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..ServerConfig::default()
    };
    let node = Node::with(config).await;
    let ask = async |peer: &str, client: &str| {
        let peer: std::net::SocketAddr = peer.parse().unwrap();
        let request = super::request("GET", "/readyz").header("x-forwarded-for", client);
        let request = request.extension(ConnectInfo(peer)).body(Body::empty()).unwrap();
        node.send(request).await.status
    };
    // Clients behind the proxy are counted apart; others are who they are, whatever they say.
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        assert_eq!(ask("10.0.0.1:9", client).await, 200, "{client}");
    }
    let asked = [ask("198.51.100.1:9", "192.0.2.7").await, ask("198.51.100.1:9", "192.0.2.8").await];
    assert_eq!(asked, [200, 200]);
    assert_eq!(ask("198.51.100.1:9", "192.0.2.9").await, 429);
}
