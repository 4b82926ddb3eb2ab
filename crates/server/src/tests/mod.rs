//! Requests through the whole router of a node, without sockets.

mod answers;
mod assist;
mod budgets;
mod edges;
mod evals;
mod hosts;
mod origins;
mod purges;
mod scopes;

use std::sync::Arc;

use ashlar_gates::Checker;
use ashlar_gateway::call::Desk;
use ashlar_isolate::Workers;
use ashlar_model::{Actor, Files, Right, ServerConfig, TenantId};
use ashlar_release::{CreateKey, CreateTenant, Ctx, Engine, Location, PushDefinitions};
use ashlar_retrieval::models::NoModels;
use axum::{
    Router,
    body::Body,
    extract::FromRef,
    http::{HeaderMap, Request, Response},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    app::App,
    delivery::{follow::read_ring, lane::LaneConfig, source::Releases},
    front::Proxies,
    surface,
};

/// A node over SQLite in a directory of its own.
struct Node {
    app: App,
    engine: Engine,
    router: Router,
    _dir: tempfile::TempDir,
}

/// An answer that was read to its end.
struct Got {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// The code of a problem that says everything a problem has to say.
    fn problem(&self) -> String {
        let body = self.json();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(self.header("content-type"), "application/problem+json", "{} {body}", self.status);
        assert_eq!(body["status"], self.status, "{body}");
        assert!(
            !text("title").is_empty() && !text("detail").is_empty() && !text("help").is_empty(),
            "{body}"
        );
        assert_eq!(self.header("cache-control"), "no-store", "{body}");
        text("type").strip_prefix("urn:ashlar:problem:").expect("a type of ours").to_owned()
    }
}

/// A request with the headers that every test wants.
fn request(method: &str, target: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(target).header("host", "node.example")
}

impl Node {
    async fn new() -> Self {
        Self::with(ServerConfig::default()).await
    }

    async fn with(config: ServerConfig) -> Self {
        Self::made(config, jiff::Timestamp::now, Desk::default()).await
    }

    /// A node with another clock.
    async fn at(config: ServerConfig, clock: impl Fn() -> jiff::Timestamp + Send + Sync + 'static) -> Self {
        Self::made(config, clock, Desk::default()).await
    }

    /// A node with providers of models.
    async fn with_desk(desk: Desk) -> Self {
        Self::made(ServerConfig::default(), jiff::Timestamp::now, desk).await
    }

    async fn made(
        config: ServerConfig,
        clock: impl Fn() -> jiff::Timestamp + Send + Sync + 'static,
        desk: Desk,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let judge = Arc::new(Checker::new());
        let engine = Engine::open_with_clock(&Location::embedded(dir.path()), judge, clock).await.unwrap();
        let (objects, workers) = (engine.objects().clone(), Workers::new().unwrap());
        let mut app = App::new(Some(engine.clone()), objects, workers, None, Arc::new(NoModels));
        app.desk = Arc::new(desk);
        let source = Arc::new(Releases::from_ref(&app));
        let lane = LaneConfig { proxies: Proxies::new(&config.trusted_proxies), ..LaneConfig::default() };
        let router = surface::router(&app, &config, &lane, source, true);
        Self { app, engine, router, _dir: dir }
    }

    fn ctx(tenant: &str) -> Ctx {
        Ctx::new(TenantId::new(tenant).unwrap(), Actor::local("tester")).unwrap()
    }

    /// A key that the node knows.
    async fn key(&self, tenant: &str, scopes: impl IntoIterator<Item = Right>) -> String {
        let ctx = Self::ctx(tenant);
        let create = CreateKey {
            name: "tester".to_owned(),
            scopes: scopes.into_iter().collect(),
            channel: None,
            reader: None,
            expires_at: None,
        };
        let key = self.engine.run(&ctx, create).await.unwrap().key;
        read_ring(&self.engine, &self.app.keys, &ctx.tenant).await;
        key
    }

    async fn tenant(&self, name: &str, host: &str) {
        let (tenant, hosts) = (TenantId::new(name).unwrap(), vec![host.to_owned()]);
        let create = CreateTenant { tenant: tenant.clone(), hosts: hosts.clone() };
        self.engine.run(&Self::ctx("main"), create).await.unwrap();
        self.app.hosts.set(&tenant, &hosts);
    }

    /// Definitions with notes.
    async fn define(&self) {
        let note = json!({"type": "object", "x-ashlar": {"owner": "team"}, "properties": {"text": {"type": "string"}}});
        let mut files = Files::new();
        files.insert("ashlar.toml", b"name = 'x'\n".to_vec()).unwrap();
        files.insert("contracts/note.v1.json", note.to_string().into_bytes()).unwrap();
        self.engine.run(&Self::ctx("main"), PushDefinitions { files }).await.unwrap();
    }

    async fn send(&self, request: Request<Body>) -> Got {
        let response: Response<Body> = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 16 << 20).await.unwrap().to_vec();
        Got { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    async fn get(&self, target: &str, key: Option<&str>) -> Got {
        self.call("GET", target, key, &[], "").await
    }

    async fn call(
        &self,
        method: &str,
        target: &str,
        key: Option<&str>,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Got {
        let mut request = request(method, target);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}
