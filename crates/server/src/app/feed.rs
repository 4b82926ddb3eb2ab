//! What was released on a channel since this node follows it, as server-sent events. Each event is made once and shared by
//! all who follow: axum's `Sse` would copy it for each of them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use ashlar_delivery::ReleaseView;
use ashlar_model::EntryKey;
use ashlar_release::ChannelState;
use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// Moves of a channel that a client may have missed.
const RECENT_MAX: usize = 256;
/// Entries that are named in one event.
const ENTRIES_MAX: usize = 1_000;

/// One move of a channel.
#[derive(Debug)]
pub struct Change {
    /// The move before it, whose state it starts from.
    after: u64,
    pub event: Bytes,
}

/// The moves of one channel.
pub struct Feed {
    inner: Mutex<Inner>,
}

struct Inner {
    /// The last move, and the release it made current.
    now: (u64, String),
    recent: VecDeque<Arc<Change>>,
    sender: broadcast::Sender<Arc<Change>>,
}

fn event(kind: &str, id: u64, data: &Value) -> Bytes {
    format!("event: {kind}\nid: {id}\ndata: {data}\n\n").into()
}

impl Feed {
    /// A feed that begins with what is served now.
    pub fn new(state: &ChannelState) -> Self {
        let (sender, _) = broadcast::channel(RECENT_MAX);
        let now = (state.sequence, state.release.to_string());
        Self { inner: Mutex::new(Inner { now, recent: VecDeque::new(), sender }) }
    }

    /// Adds a move from what was served to what is served now.
    pub fn moved(&self, before: (&ChannelState, &ReleaseView), now: (&ChannelState, &ReleaseView)) {
        let (kind, data) = match described(before, now) {
            Ok(described) => described,
            // What cannot be told in full makes clients read again.
            Err(error) => {
                tracing::error!(%error, "what a release changed cannot be read");
                ("reset", json!({"release": now.0.release}))
            }
        };
        let (after, sequence) = (before.0.sequence, now.0.sequence);
        let change = Arc::new(Change { after, event: event(kind, sequence, &data) });
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.now = (sequence, now.0.release.to_string());
        inner.recent.push_back(change.clone());
        if inner.recent.len() > RECENT_MAX {
            inner.recent.pop_front();
        }
        // Nobody listening is fine.
        let _ = inner.sender.send(change);
    }

    /// What a client gets first, and where the rest comes from. `last`: the last move it knows.
    pub fn join(&self, last: Option<u64>) -> (Vec<Bytes>, broadcast::Receiver<Arc<Change>>) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (sequence, release) = (inner.now.0, &inner.now.1);
        let from = last.and_then(|l| inner.recent.iter().position(|c| c.after == l));
        let first = match (last, from) {
            (None, _) => vec![event("current", sequence, &json!({ "release": release }))],
            (Some(known), _) if known == sequence => vec![Bytes::from_static(b": nothing was missed\n\n")],
            (Some(_), Some(at)) => inner.recent.iter().skip(at).map(|c| c.event.clone()).collect(),
            (Some(_), None) => vec![event("reset", sequence, &json!({ "release": release }))],
        };
        (first, inner.sender.subscribe())
    }
}

/// A move in words: its kind, and what it changed.
fn described(
    before: (&ChannelState, &ReleaseView),
    now: (&ChannelState, &ReleaseView),
) -> Result<(&'static str, Value), String> {
    let mut entries = Vec::new();
    let mut total = 0_u64;
    for change in before.1.snapshot().diff(now.1.snapshot()) {
        let change = change.map_err(|e| e.to_string())?;
        total += 1;
        if entries.len() < ENTRIES_MAX {
            let key = EntryKey::from_bytes(&change.key).map_err(|e| e.to_string())?;
            let what = match (&change.old, &change.new) {
                (None, _) => "added",
                (_, None) => "removed",
                _ => "changed",
            };
            entries.push(json!({
                "type": key.type_name, "id": key.id, "locale": key.locale, "change": what,
                "surrogate_key": format!("{}:{}:{}", key.type_name, key.id, key.locale),
            }));
        }
    }
    // An older pointer does not say how it moved; then a lower number counts as a rollback.
    let kind = match now.0.rolled_back.unwrap_or(now.0.release < before.0.release) {
        true => "release.rolled_back",
        false => "release.promoted",
    };
    let data = json!({
        "release": now.0.release, "from": before.0.release, "channel": now.0.channel, "at": now.0.moved_at,
        "definitions_changed": before.0.definitions != now.0.definitions,
        "entries": entries, "entries_total": total,
    });
    Ok((kind, data))
}
