//! Objects that are not here, from the remote: one look at a time, however many readers wait for it.
//!
//! Fetching has a runtime and connections of its own, because readers wait for it on whatever thread they have.

use std::{
    collections::hash_map::Entry,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::Ordering, mpsc},
    time::{Duration, Instant},
};

use ashlar_model::Digest;
use futures::StreamExt;
use tokio::runtime::{Handle, Runtime};

use crate::{
    StoreError, TenantObjects,
    objects::{
        lock::aside,
        rounds::{Brought, Round},
    },
    packs::index::{Found, short},
    packs::pack::Pack,
    shared::remote::{Listing, PackState},
};

/// How long a reader waits for an object that is not here.
const WAIT_MAX: Duration = Duration::from_secs(15);
/// How often a reader that waits looks whether its object came with a pack.
const LOOK: Duration = Duration::from_millis(20);
/// The most readers of a tenant that wait at a time.
const WAITING_MAX: usize = 256;
/// An object that the remote lacks is not looked for again for this long.
const ABSENT_FOR: Duration = Duration::from_secs(1);
/// The most absent objects that are remembered.
const ABSENT_MAX: usize = 4096;
/// Packs of a tenant that are fetched at a time.
const FETCHES: usize = 4;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The runtime that fetches.
fn carrier() -> Result<&'static Handle, StoreError> {
    static CARRIER: OnceLock<Option<Runtime>> = OnceLock::new();
    let started = CARRIER.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).max_blocking_threads(8).thread_name("packs").enable_all();
        builder.build().ok()
    });
    started
        .as_ref()
        .map(Runtime::handle)
        .ok_or(StoreError::Usage("the thread that fetches packs cannot be started"))
}

fn said(op: &'static str, what: impl Into<String>) -> StoreError {
    let source = object_store::Error::Generic { store: "remote", source: what.into().into() };
    StoreError::Remote { op, source }
}

/// The same error for everybody who waited.
fn shared(error: &StoreError) -> StoreError {
    match error {
        StoreError::Full { op, path } => StoreError::Full { op, path: path.clone() },
        StoreError::Io { op, path, source } => {
            let source = std::io::Error::new(source.kind(), source.to_string());
            StoreError::Io { op, path: path.clone(), source }
        }
        StoreError::Corrupt { what, why } => StoreError::corrupt(what, why),
        StoreError::Remote { op, source } => said(op, source.to_string()),
        other => said("fetch a pack", other.to_string()),
    }
}

fn is_absent(error: &StoreError) -> bool {
    matches!(error, StoreError::Remote { source: object_store::Error::NotFound { .. }, .. })
}

impl TenantObjects {
    /// Joins the next look at the remote, one that begins after this call.
    fn join(&self) -> Result<Arc<Round>, StoreError> {
        let carrier = carrier()?;
        let mut rounds = lock(&self.inner.fetching.rounds);
        if rounds.running.is_some() {
            return Ok(rounds.next.get_or_insert_with(Round::new).clone());
        }
        let round = Round::new();
        rounds.running = Some(round.clone());
        carrier.spawn(self.clone().run(round.clone()));
        Ok(round)
    }

    async fn run(self, mut round: Arc<Round>) {
        loop {
            let this = self.clone();
            let outcome = tokio::spawn(async move { this.bring().await }).await;
            let outcome = outcome.unwrap_or_else(|e| Err(said("list packs", e.to_string())));
            round.0.send_replace(Some(outcome.map_err(Arc::new)));
            let mut rounds = lock(&self.inner.fetching.rounds);
            rounds.running = rounds.next.take();
            match &rounds.running {
                Some(next) => round = next.clone(),
                None => return,
            }
        }
    }

    async fn look(&self) -> Result<Brought, StoreError> {
        let round = self.join()?;
        let mut done = round.0.subscribe();
        let ended = done.wait_for(Option::is_some).await.map(|o| o.clone());
        match ended {
            Ok(Some(outcome)) => outcome.map_err(|e| shared(&e)),
            _ => Err(said("list packs", "the look at the object store ended early")),
        }
    }

    /// Brings the packs that the remote has and this node lacks; returns how many came. Callers at the same time share one
    /// list of the remote.
    ///
    /// # Errors
    /// When the remote does not answer or a pack is damaged.
    pub async fn refresh(&self) -> Result<usize, StoreError> {
        if self.inner.remote.is_none() {
            self.rescan(false)?;
            return Ok(0);
        }
        let brought = self.look().await?;
        match brought.failed {
            Some(error) => Err(shared(&error)),
            None => Ok(brought.packs),
        }
    }

    /// Compares the known packs with those of the remote, unless that was done since collection `round`. Only then a
    /// [`crate::Batch`] leaves out objects because they are stored.
    ///
    /// # Errors
    /// When the remote does not answer.
    pub async fn reconcile(&self, round: u64) -> Result<(), StoreError> {
        let done = || lock(&self.inner.fetching.reconciled);
        if self.inner.remote.is_none() || done().is_some_and(|known| known >= round) {
            return Ok(());
        }
        // A pack that cannot be fetched is no reason not to write.
        self.look().await?;
        let mut known = done();
        *known = (*known).max(Some(round));
        Ok(())
    }

    async fn bring(&self) -> Result<Brought, StoreError> {
        let Some(remote) = self.inner.remote.as_ref().map(crate::Remote::carried) else {
            return Ok(Brought { packs: 0, failed: None });
        };
        let began = Instant::now();
        self.make_packs_dir()?;
        // Another process may share the directory.
        self.rescan(false)?;
        let listing = remote.listing(&self.inner.tenant).await?;
        let wanted: Vec<String> = {
            let index = self.index();
            let wanted = listing.packs.iter().filter(|(name, _)| listing.state(name) != PackState::Merged);
            let mut wanted: Vec<_> = wanted.filter(|(name, _)| !index.has_pack(name)).collect();
            // What somebody waits for is most likely new.
            wanted.sort_by_key(|(_, written)| std::cmp::Reverse(**written));
            wanted.into_iter().map(|(name, _)| name.clone()).collect()
        };
        let stays = |name: &str| listing.state(name) == PackState::Live;
        let (mut packs, mut failed, mut complete) = (0, None, true);
        {
            let fetches = wanted.into_iter().map(|name| {
                let (this, stays) = (self.clone(), stays(&name));
                async move { this.fetch(&name, stays).await }
            });
            let mut fetches = futures::stream::iter(fetches).buffer_unordered(FETCHES);
            // One pack that cannot be had must not keep the others away; packs go away between list and fetch.
            while let Some(fetched) = fetches.next().await {
                match fetched {
                    Ok(came) => packs += usize::from(came),
                    Err(error) if is_absent(&error) => complete = false,
                    Err(error) => failed = Some(Arc::new(error)),
                }
            }
        }
        self.compare(&listing, began, complete && failed.is_none());
        if packs > 0 {
            self.shrink();
        }
        Ok(Brought { packs, failed })
    }

    /// Notes which packs the remote has. Packs that were merged into others go when all others are `here`; so do packs that
    /// were condemned and no longer exist. A pack that disappeared otherwise stays for reading.
    fn compare(&self, listing: &Listing, began: Instant, here: bool) {
        let mut gone = std::collections::HashSet::new();
        for pack in self.packs() {
            // Stored after the remote was listed.
            if pack.born >= began {
                continue;
            }
            let condemned = pack.condemned.load(Ordering::Relaxed);
            let state = listing.state(&pack.name);
            let trusted = pack.trusted.swap(state == PackState::Live, Ordering::Relaxed);
            if trusted && matches!(state, PackState::Condemned(_) | PackState::Absent) {
                self.index_mut().removals += 1;
            }
            pack.condemned.store(matches!(state, PackState::Condemned(_)), Ordering::Relaxed);
            if here && (state == PackState::Merged || (condemned && state == PackState::Absent)) {
                gone.insert(pack.name.clone());
            }
        }
        if !gone.is_empty() {
            self.drop_files(&gone);
        }
    }

    /// Forgets packs and deletes their files here.
    pub(crate) fn drop_files(&self, names: &std::collections::HashSet<String>) {
        self.forget(names);
        for name in names {
            for ending in ["pack", "tail"] {
                let path = self.packs_dir().join(format!("{name}.{ending}"));
                if let Err(error) = std::fs::remove_file(&path)
                    && error.kind() != std::io::ErrorKind::NotFound
                {
                    tracing::warn!(%error, pack = name, "a pack cannot be deleted");
                }
            }
        }
    }

    /// Fetches a pack, unless its file is here. Says whether it came. Callers at the same time share one fetch.
    async fn fetch(&self, name: &str, stays: bool) -> Result<bool, StoreError> {
        let Some(remote) = self.inner.remote.as_ref().map(crate::Remote::carried) else { return Ok(false) };
        let slot = lock(&self.inner.fetching.packs).entry(name.to_owned()).or_default().clone();
        let one = slot.lock().await;
        let dir = self.packs_dir();
        let path = dir.join(format!("{name}.pack"));
        let fetched = match path.is_file() {
            true => Ok(false),
            false => remote.download_pack(&self.inner.tenant, name, &dir).await.map(|_| true),
        };
        let adopted = fetched.and_then(|came| self.adopt(&path, stays).map(|()| came));
        drop(one);
        if let Entry::Occupied(entry) = lock(&self.inner.fetching.packs).entry(name.to_owned())
            && Arc::strong_count(entry.get()) <= 2
        {
            entry.remove();
        }
        adopted
    }

    /// Looks for an object in the remote that no pack here has. `None` when the remote lacks it too.
    pub(crate) fn seek(&self, digest: &Digest) -> Result<Option<Found>, StoreError> {
        if self.inner.remote.is_none() {
            return Ok(None);
        }
        let fetching = &self.inner.fetching;
        if lock(&fetching.absent).get(&short(digest)).is_some_and(|at| at.elapsed() < ABSENT_FOR) {
            return Ok(None);
        }
        let this = self.clone();
        let find = || self.index().find(digest);
        let outcome =
            self.wait("fetch an object", move || Box::pin(async move { this.refresh().await }), find)?;
        let found = match outcome {
            Waited::Found(found) => Some(found),
            Waited::Ended => find(),
        };
        if let Some(found) = found {
            self.note_use(&found.pack);
            return Ok(Some(found));
        }
        let mut absent = lock(&fetching.absent);
        if absent.len() >= ABSENT_MAX {
            absent.clear();
        }
        absent.insert(short(digest), Instant::now());
        Ok(None)
    }

    /// Fetches a pack whose file was evicted, for work that is not a reader.
    pub(crate) async fn fetch_again_now(&self, name: &str) -> Result<(), StoreError> {
        let (this, name) = (self.clone(), name.to_owned());
        let fetched = carrier()?.spawn(async move { this.fetch(&name, false).await }).await;
        fetched.map_err(|e| said("fetch a pack", e.to_string()))?.map(drop)
    }

    /// Fetches a pack again whose file was evicted, for a reader who waits.
    pub(crate) fn fetch_back(&self, pack: &Arc<Pack>) -> Result<(), StoreError> {
        let (this, name) = (self.clone(), pack.name.clone());
        let wanted = pack.clone();
        let work = async move {
            this.fetch(&name, false).await?;
            this.note_use(&wanted);
            this.shrink();
            Ok(0)
        };
        match self.wait::<()>("fetch a pack", move || Box::pin(work), || None) {
            // It was merged or collected while this node was off. What it had that is needed lies in another pack.
            Err(error) if is_absent(&error) => {
                self.drop_files(&std::collections::HashSet::from([pack.name.clone()]));
                Ok(())
            }
            other => other.map(drop),
        }
    }

    fn wait<T>(
        &self,
        op: &'static str,
        work: impl FnOnce() -> futures::future::BoxFuture<'static, Result<usize, StoreError>>,
        find: impl Fn() -> Option<T>,
    ) -> Result<Waited<T>, StoreError> {
        let count = &self.inner.fetching.waiting;
        if count.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            count.fetch_sub(1, Ordering::Relaxed);
            return Err(said(op, "too many readers wait for it"));
        }
        let (tell, reported) = mpsc::sync_channel(1);
        let until = Instant::now() + WAIT_MAX;
        let waited = carrier().and_then(|carrier| {
            let work = work();
            carrier.spawn(async move {
                // Nobody hears it when the reader has found its object, or given up.
                let _ = tell.send(work.await);
            });
            aside(|| {
                loop {
                    match reported.recv_timeout(LOOK) {
                        Ok(Ok(_)) => return Ok(Waited::Ended),
                        // What is wanted may have come although something else could not be had.
                        Ok(Err(error)) => return find().map(Waited::Found).ok_or(error),
                        Err(mpsc::RecvTimeoutError::Disconnected) => {
                            return Err(said(op, "fetching ended early"));
                        }
                        Err(mpsc::RecvTimeoutError::Timeout) => {}
                    }
                    if let Some(found) = find() {
                        return Ok(Waited::Found(found));
                    }
                    if Instant::now() >= until {
                        return Err(said(op, "it did not answer within 15 seconds"));
                    }
                }
            })
        });
        count.fetch_sub(1, Ordering::Relaxed);
        waited
    }
}

enum Waited<T> {
    Found(T),
    Ended,
}
