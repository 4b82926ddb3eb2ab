//! Purges by a cache that keeps a node waiting.

use std::{sync::Arc, time::Duration};

use ashlar_model::{EntryId, EntryKey, Locale, ReleaseId, TypeName};
use ashlar_release::{CreateCandidate, Follower, Promote, PutEntry, Rollback, follow};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::Node;
use crate::{
    delivery::follow::Follow,
    jobs::purge::{PurgeTarget, Purges},
};

impl Node {
    pub(super) async fn publish(&self, text: &str) {
        let ctx = Self::ctx("main");
        let key = EntryKey {
            type_name: TypeName::new("note").unwrap(),
            id: EntryId::new("a").unwrap(),
            locale: Locale::new("en").unwrap(),
        };
        let fields = json!({"text": text}).as_object().unwrap().clone();
        self.engine.run(&ctx, PutEntry { key, fields, expected_version: None, major: None }).await.unwrap();
        let made = self.engine.run(&ctx, CreateCandidate::default()).await.unwrap();
        let promote = Promote { candidate: made.candidate, channel: None, note: String::new() };
        self.engine.run(&ctx, promote).await.unwrap();
    }

    /// Purges one cache until it is aborted.
    fn purge(&self, cache: &str) -> tokio::task::JoinHandle<()> {
        let target: PurgeTarget = format!("http={cache}").parse().unwrap();
        let purges: Arc<dyn Follower> = Arc::new(Purges::new(&self.app, &self.engine, vec![target]).unwrap());
        let figures = self.app.metrics.follower(purges.name());
        tokio::spawn(follow(Some(self.engine.clone()), purges, figures, CancellationToken::new()))
    }

    async fn events(&self, kind: &str) -> usize {
        let events = self.engine.events(&Self::ctx("main"), 0, None).await.unwrap();
        events.items.iter().filter(|e| e.kind == kind).count()
    }
}

/// A cache that acknowledges everything; what it was asked, in small letters.
async fn cache() -> (String, mpsc::UnboundedReceiver<String>) {
    // Another test may have done so already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (heard, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4 << 10];
            let read = stream.read(&mut head).await.unwrap_or(0);
            let _ = heard.send(String::from_utf8_lossy(&head[..read]).to_ascii_lowercase());
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        }
    });
    (address, requests)
}

#[tokio::test]
async fn what_came_and_went_while_nobody_purged_is_purged() {
    let node = Node::new().await;
    node.define().await;
    let following = Follow::start(&node.app).await;
    tokio::spawn(following.run(Duration::from_millis(50), CancellationToken::new()));
    let (cache, mut requests) = cache().await;
    let mut next = async || timeout(Duration::from_secs(5), requests.recv()).await.unwrap().unwrap();
    node.publish("one").await;
    let purging = node.purge(&cache);
    assert!(next().await.contains("surrogate-key: *"), "the first time, everything");
    while node.events("cache.purged").await < 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    purging.abort();
    let _ = purging.await;
    // The cache may have stored the second release, although the first is served again.
    node.publish("two").await;
    let back = Rollback { release: ReleaseId(1), channel: None, note: String::new() };
    node.engine.run(&Node::ctx("main"), back).await.unwrap();
    let purging = node.purge(&cache);
    let asked = next().await;
    assert!(asked.contains("note:a:en"), "{asked}");
    purging.abort();
}

#[tokio::test]
async fn a_purge_that_dies_before_it_is_recorded_is_repeated() {
    // Another test may have done so already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let node = Node::new().await;
    node.define().await;
    let following = Follow::start(&node.app).await;
    tokio::spawn(following.run(Duration::from_millis(50), CancellationToken::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cache = format!("http://{}", listener.local_addr().unwrap());
    let (heard, mut requests) = mpsc::unbounded_channel();
    // The second request is never answered.
    tokio::spawn(async move {
        let mut kept = Vec::new();
        for number in 1.. {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut head = vec![0; 4 << 10];
            let read = stream.read(&mut head).await.unwrap_or(0);
            let _ = heard.send(String::from_utf8_lossy(&head[..read]).to_ascii_lowercase());
            if number == 2 {
                kept.push(stream);
                continue;
            }
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        }
    });
    let mut next = async || timeout(Duration::from_secs(5), requests.recv()).await.unwrap().unwrap();

    node.publish("one").await;
    let purging = node.purge(&cache);
    assert!(next().await.contains("surrogate-key: *"), "the first time, everything");
    while node.events("cache.purged").await < 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    node.publish("two").await;
    let first = next().await;
    assert!(first.contains("note:a:en"), "{first}");
    // The node dies while it waits for the answer.
    purging.abort();
    let _ = purging.await;
    assert_eq!(node.events("cache.purged").await, 1);
    let purging = node.purge(&cache);
    assert!(next().await.contains("note:a:en"), "the same keys again");
    while node.events("cache.purged").await < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    purging.abort();
    assert_eq!(node.events("cache.purged").await, 2, "and no more than that");
}
