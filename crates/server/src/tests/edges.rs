//! An edge: no database and no management API; keys come from the key rings beside the objects.

use std::sync::Arc;

use ashlar_isolate::Workers;
use ashlar_model::{Right, ServerConfig};
use ashlar_retrieval::models::NoModels;
use axum::extract::FromRef;

use super::Node;
use crate::{
    app::App,
    delivery::{follow::Follow, lane::LaneConfig, source::Releases},
    surface,
};

impl Node {
    /// An edge over the objects of this node. It has read every pointer once.
    async fn edge(self) -> Self {
        let app =
            App::new(None, self.engine.objects().clone(), Workers::new().unwrap(), None, Arc::new(NoModels));
        Follow::start(&app).await;
        let source = Arc::new(Releases::from_ref(&app));
        let router = surface::router(&app, &ServerConfig::default(), &LaneConfig::default(), source, false);
        Self { app, router, ..self }
    }
}

#[tokio::test]
async fn an_edge_serves_channels_by_the_key_rings_and_nothing_else() {
    let author = Node::new().await;
    author.define().await;
    author.publish("one").await;
    let reader = author.key("main", [Right::Read, Right::Preview]).await;
    let edge = author.edge().await;
    for key in [None, Some(reader.as_str())] {
        let got = edge.get("/v1/entries/note/a", key).await;
        assert_eq!((got.status, &got.json()["text"]), (200, &"one".into()), "{key:?}");
    }
    let unknown = edge.get("/v1/entries/note/a", Some("ash_unknown_key")).await;
    assert_eq!((unknown.status, unknown.problem().as_str()), (401, "unauthorized"));
    for target in ["/v1/entries/note/a?at=draft", "/v1/tokens", "/api/v1/channels"] {
        let got = edge.get(target, Some(&reader)).await;
        assert_eq!((got.status, got.problem().as_str()), (404, "not-found"), "{target}");
    }
    assert_eq!(edge.get("/readyz", None).await.json()["channels"], 1);
}
