//! Looking through a cache after a purge: what it answers must be what is served now, fetched after the purge.

use std::{sync::Arc, time::Instant};

use ashlar_delivery::{Purge, ReleaseView, RequestParts, Traceparent, answer};
use ashlar_model::{EntryId, EntryKey, EntryRecord, Fields, Locale, TenantId, TypeName};
use ashlar_release::ChannelState;
use ashlar_store::{Objects, TenantObjects};
use percent_encoding::{CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::target::{PurgeError, PurgeTarget};
use crate::{
    access::Keys,
    app::{App, cache_stats::CacheStats, tenants::Tenants},
};

/// Bodies that are read through a cache after a purge.
const PROBES: usize = 3;

/// What looks through caches.
pub(super) struct Probe {
    objects: Objects,
    keys: Arc<Keys>,
    tenants: Arc<Tenants>,
    stats: Arc<CacheStats>,
    client: reqwest::Client,
}

impl Probe {
    pub(super) fn new(app: &App, client: reqwest::Client) -> Self {
        Self {
            objects: app.objects.clone(),
            keys: app.keys.clone(),
            tenants: app.tenants.clone(),
            stats: app.cache_stats.clone(),
            client,
        }
    }

    /// Reads some of what was purged through the cache, and counts what comes out unchanged.
    ///
    /// # Errors
    /// When the cache still serves something that it had stored before the purge.
    pub(super) async fn look(
        &self,
        target: &PurgeTarget,
        tenant: &TenantId,
        now: &ChannelState,
        purge: &Purge,
        purged_at: Instant,
    ) -> Result<(), PurgeError> {
        let Some(state) = self.tenants.get(tenant) else { return Ok(()) };
        let current = || state.live(&now.channel).filter(|l| l.state.sequence == now.sequence);
        let Some(live) = current() else { return Ok(()) };
        let host = self.keys.ring(tenant).and_then(|ring| ring.hosts.first().cloned());
        let (view, purge, objects) = (live.view.clone(), purge.clone(), self.objects.tenant(tenant));
        // Pages may have to be rendered.
        let expected = tokio::task::spawn_blocking(move || expected(&view, &purge, &objects))
            .await
            .map_err(|e| PurgeError::Cache(e.to_string()))?;
        for (path, etag) in expected {
            let mut request = self.client.get(format!("{}{path}", target.url));
            if let Some(host) = &host {
                request = request.header("host", host);
            }
            let Ok(response) = request.send().await else { continue };
            let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok());
            // Another site may stand behind the same address, and a cache may drop entity tags: then nothing is proved.
            let (Some(_), Some(found)) = (header("ashlar-release"), header("etag")) else { continue };
            // A newer move may have come in between; then nothing is proved either.
            if !response.status().is_success() || current().is_none() {
                continue;
            }
            let age: u64 = header("age").and_then(|a| a.parse().ok()).unwrap_or(0);
            let stale = !found.contains(&etag) || age > purged_at.elapsed().as_secs() + 1;
            self.stats.probed(tenant, &target.url, stale);
            if stale {
                return Err(PurgeError::Cache(format!(
                    "{target} acknowledged a purge and still serves the old {path}; compare its VCL with docs/caches.md"
                )));
            }
        }
        Ok(())
    }
}

/// Paths that must have been forgotten, with the entity tags that they must have now.
fn expected(view: &ReleaseView, purge: &Purge, objects: &TenantObjects) -> Vec<(String, String)> {
    let paths: Vec<String> = match purge {
        Purge::Nothing => Vec::new(),
        Purge::Keys(keys) => {
            let entries = keys.iter().filter_map(|key| entry_of(key));
            let there = entries.filter(|key| view.record(key).is_ok_and(|r| r.is_some()));
            there.map(|key| entry_path(&key)).take(PROBES).collect()
        }
        Purge::Everything => samples(view, objects),
    };
    let tagged = paths.into_iter().filter_map(|path| {
        let (plain, query) = path.split_once('?').map_or((path.as_str(), None), |(p, q)| (p, Some(q)));
        let trace = Traceparent::follow(None);
        let parts = RequestParts { query, ..RequestParts::get(plain, &trace) };
        let answer = answer(view, &parts).filter(|a| a.status == 200)?;
        let (_, etag) = answer.headers.into_iter().find(|(name, _)| name == "etag")?;
        // A cache may make it weak, or compress the body.
        Some((path, etag.trim_matches('"').to_owned()))
    });
    tagged.collect()
}

fn entry_of(key: &str) -> Option<EntryKey> {
    let mut parts = key.splitn(3, ':');
    Some(EntryKey {
        type_name: TypeName::new(parts.next()?).ok()?,
        id: EntryId::new(parts.next()?).ok()?,
        locale: Locale::new(parts.next()?).ok()?,
    })
}

fn entry_path(key: &EntryKey) -> String {
    format!("/v1/entries/{}/{}?locale={}", key.type_name, key.id, key.locale)
}

/// A body of each of the first views, a page and an entry.
fn samples(view: &ReleaseView, objects: &TenantObjects) -> Vec<String> {
    let mut paths = Vec::new();
    let first = |prefix: &[u8]| {
        let (key, record) = view.snapshot().prefix(prefix).next()?.ok()?;
        Some((EntryKey::from_bytes(&key).ok()?, EntryRecord::from_bytes(&record).ok()?))
    };
    for shape in view.definitions().views.iter().take(PROBES) {
        let Some((key, record)) = first(&EntryKey::type_prefix(&shape.source)) else { continue };
        let slug = match shape.lookup.field() {
            None => key.id.to_string(),
            Some(field) => {
                let bytes = objects.get(&record.digest).ok();
                let fields: Option<Fields> = bytes.and_then(|b| serde_json::from_slice(&b).ok());
                let value = fields.as_ref().and_then(|f| f.get(field)).and_then(Value::as_str);
                let Some(value) = value else { continue };
                utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
            }
        };
        paths.push(format!("{}{slug}?locale={}", shape.prefix, key.locale));
    }
    // A page names the files it uses: one that changed gave it another address.
    if let Some(Ok(page)) = view.pages().next() {
        paths.push(utf8_percent_encode(&page.path, CONTROLS).to_string());
    }
    if let Some((key, _)) = first(b"") {
        paths.push(entry_path(&key));
    }
    paths
}
