//! Rendering pages before they are read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ashlar_delivery::ReleaseView;
use ashlar_isolate::Workers;
use ashlar_model::TenantId;

/// The most pages that are rendered before they are read.
const PRERENDERED_MAX: usize = 20_000;
/// How long pages are rendered before other work of the tenant has its turn.
const PRERENDER_TURN: Duration = Duration::from_millis(50);

/// Renders the pages that a move can have changed, so that no reader waits for it. Pages that are not rendered in time
/// are rendered when they are read.
pub fn prerender(
    workers: &Workers,
    tenant: TenantId,
    before: Option<Arc<ReleaseView>>,
    now: Arc<ReleaseView>,
) {
    if now.definitions().site().is_none() {
        return;
    }
    let started = Instant::now();
    let (pool, of_work) = (workers.clone(), tenant.clone());
    let begin = move || {
        let touched = match &before {
            Some(before) => now.pages_touched(before),
            None => now.pages().take(PRERENDERED_MAX).collect(),
        };
        let mut pages = touched.unwrap_or_default();
        pages.truncate(PRERENDERED_MAX);
        let left =
            Prerender { tenant: of_work, now, pages: pages.into_iter(), rendered: 0, failed: 0, started };
        left.go_on(&pool);
    };
    if workers.spawn(&tenant, begin).is_err() {
        tracing::warn!(%tenant, "pages are rendered when they are read: too much work is waiting");
    }
}

/// Pages that are still to be rendered.
struct Prerender {
    tenant: TenantId,
    now: Arc<ReleaseView>,
    pages: std::vec::IntoIter<ashlar_delivery::PageAt>,
    rendered: usize,
    failed: usize,
    started: Instant,
}

impl Prerender {
    /// Renders some pages, and lets other work of the tenant come in between.
    fn go_on(mut self, workers: &Workers) {
        let turn = Instant::now();
        for page in self.pages.by_ref() {
            match self.now.page(&page) {
                Ok(_) => self.rendered += 1,
                Err(error) => {
                    self.failed += 1;
                    tracing::error!(tenant = %self.tenant, path = page.path, error, "a page cannot be rendered");
                }
            }
            if turn.elapsed() > PRERENDER_TURN {
                break;
            }
        }
        if self.pages.len() > 0 {
            let (pool, tenant) = (workers.clone(), self.tenant.clone());
            if workers.spawn(&tenant, move || self.go_on(&pool)).is_err() {
                tracing::warn!(%tenant, "pages are rendered when they are read: too much work is waiting");
            }
            return;
        }
        let took_ms = self.started.elapsed().as_secs_f64() * 1e3;
        let (rendered, failed) = (self.rendered, self.failed);
        tracing::info!(tenant = %self.tenant, release = self.now.label(), rendered, failed, took_ms, "pages are ready");
    }
}
