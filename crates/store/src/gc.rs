//! Keeping the number of packs small, and taking away what nothing needs any more.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

use ashlar_model::Digest;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, TenantObjects,
    index::Found,
    objects::blocking,
    pack::{self, Pack},
};

/// So many small packs are merged into one.
pub const PACKS_SMALL_MAX: usize = 48;
/// Packs are merged with others of about their size: each tier is this many times the one below.
const TIER_FACTOR: u64 = 16;
const TIER_FIRST: u64 = 256 << 10;
/// Packs above this size are not merged.
const MERGE_BYTES_MAX: u64 = 1 << 30;
/// A pack in a remote is not deleted before it is this old: a slower node may still be fetching it.
const REMOTE_GRACE_SECONDS: i64 = 3600;

/// What a clean-up did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Collected {
    /// Packs before.
    pub packs_before: usize,
    /// Packs after.
    pub packs_after: usize,
    /// Objects that were taken away.
    pub objects_removed: u64,
    /// Bytes that were freed.
    pub bytes_freed: u64,
}

fn tier(len: u64) -> u32 {
    let mut tier = 0;
    let mut limit = TIER_FIRST;
    while len > limit && limit < MERGE_BYTES_MAX {
        limit = limit.saturating_mul(TIER_FACTOR);
        tier += 1;
    }
    tier
}

/// The objects of a pack that `keep` wants, read one by one and compared with their digests. Damaged ones that lie whole in
/// another pack are left out.
fn objects_of<'a>(
    objects: &'a TenantObjects,
    pack: &'a Arc<Pack>,
    keep: impl Fn(&Digest) -> bool + 'a,
) -> Result<impl Iterator<Item = Result<(Digest, Bytes), StoreError>> + 'a, StoreError> {
    let (_, rows) = Pack::open(&pack.path, &objects.inner.handles)?;
    Ok(rows.into_iter().filter(move |r| keep(&r.digest)).filter_map(move |row| {
        let mut bytes = Vec::with_capacity(row.len as usize);
        match pack.read_into(row.offset, row.len, &mut bytes) {
            Ok(()) if Digest::of(&bytes) == row.digest => return Some(Ok((row.digest, bytes.into()))),
            Ok(()) | Err(StoreError::Corrupt { .. }) => {}
            Err(error) => return Some(Err(error)),
        }
        let found = Found { pack: pack.clone(), offset: row.offset, len: row.len, verified: false };
        match objects.quarantine(&row.digest, &found) {
            true => None,
            false => Some(Err(crate::damage::damaged(&row.digest))),
        }
    }))
}

/// Runs maintenance on a thread of its own: it holds a lock that writers wait for, so it must not need their thread to
/// go on.
async fn apart<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let runtime = tokio::runtime::Handle::current();
    blocking(move || runtime.block_on(work)).await
}

impl TenantObjects {
    /// Merges small packs when there are many of about the same size. Each object is rewritten a few times in its life at
    /// most, whatever the number of packs.
    ///
    /// # Errors
    /// When a pack cannot be read or written; nothing is lost then.
    pub async fn repack(&self) -> Result<bool, StoreError> {
        let this = self.clone();
        apart(async move { this.repack_now().await }).await
    }

    async fn repack_now(&self) -> Result<bool, StoreError> {
        let mut tiers: std::collections::BTreeMap<u32, Vec<Arc<Pack>>> = std::collections::BTreeMap::new();
        for pack in self.packs() {
            if pack.len <= MERGE_BYTES_MAX && !pack.damaged.load(Ordering::Relaxed) {
                tiers.entry(tier(pack.len)).or_default().push(pack);
            }
        }
        let Some(many) = tiers.into_values().find(|packs| packs.len() > PACKS_SMALL_MAX) else {
            return Ok(false);
        };
        let guard = match self.exclude() {
            Ok(guard) => guard,
            // Somebody is writing; there is always a next time.
            Err(StoreError::Busy) => return Ok(false),
            Err(error) => return Err(error),
        };
        let merged = self.replace(many, |_| true).await;
        drop(guard);
        match merged {
            // The pack with the damage is left alone from now on, so that the others can be merged.
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(tenant = %self.tenant(), %error, "a pack is damaged and will not be merged");
                Ok(false)
            }
            other => other.map(|_| true),
        }
    }

    /// Writes what `keep` wants of some packs into one new pack, and deletes them.
    async fn replace(
        &self,
        old: Vec<Arc<Pack>>,
        keep: impl Fn(&Digest) -> bool + Send + Sync + 'static,
    ) -> Result<u64, StoreError> {
        let this = self.clone();
        let packs = old.clone();
        let (new, kept) = blocking(move || {
            let dir = this.make_packs_dir()?;
            let (mut seen, mut sources) = (HashSet::new(), Vec::new());
            for pack in &packs {
                sources.push(objects_of(&this, pack, &keep)?);
            }
            let objects = sources.into_iter().flatten().filter(|o| match o {
                Ok((digest, _)) => seen.insert(*digest),
                Err(_) => true,
            });
            let mut objects = objects.peekable();
            if objects.peek().is_none() {
                return Ok((None, 0));
            }
            let first = match this.inner.remote {
                Some(_) => this.make_dir(crate::bundle::INCOMING)?,
                None => dir,
            };
            let path = pack::create(&first, objects)?;
            Ok((Some(path), seen.len() as u64))
        })
        .await?;
        let mut names: HashSet<String> = old.iter().map(|p| p.name.clone()).collect();
        if let Some(mut path) = new {
            if let Some(remote) = &self.inner.remote {
                remote.upload_pack(&self.inner.tenant, &path).await?;
                let to = self.packs_dir().join(path.file_name().unwrap_or_default());
                std::fs::rename(&path, &to).map_err(|e| StoreError::io("rename", &path, e))?;
                pack::sync_dir(&self.packs_dir())?;
                path = to;
            }
            // What is written again may be the very pack it came from.
            if let Some(name) = path.file_stem() {
                names.remove(&*name.to_string_lossy());
            }
            self.adopt(&path)?;
        }
        self.delete_packs(&names).await?;
        Ok(kept)
    }

    async fn delete_packs(&self, names: &HashSet<String>) -> Result<(), StoreError> {
        self.forget(names);
        for name in names {
            let path = self.packs_dir().join(format!("{name}.pack"));
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::io("delete", &path, e));
                }
                _ => {}
            }
        }
        if let Some(remote) = &self.inner.remote {
            let old_enough = jiff::Timestamp::now().as_second() - REMOTE_GRACE_SECONDS;
            for (name, written) in remote.pack_ages(&self.inner.tenant).await? {
                if names.contains(&name) && written < old_enough {
                    remote.delete_pack(&self.inner.tenant, &name).await?;
                }
            }
        }
        Ok(())
    }

    /// Takes away every object that is not in `live`. Runs only while nobody holds a [`crate::Batch`].
    ///
    /// # Errors
    /// When somebody is writing, or a pack cannot be read or written; nothing live is lost then.
    pub async fn collect(&self, live: Arc<HashSet<Digest>>) -> Result<Collected, StoreError> {
        let this = self.clone();
        apart(async move { this.collect_now(live).await }).await
    }

    async fn collect_now(&self, live: Arc<HashSet<Digest>>) -> Result<Collected, StoreError> {
        let _guard = self.exclude()?;
        self.rescan(true)?;
        let packs = self.packs();
        let mut done = Collected { packs_before: packs.len(), ..Collected::default() };
        let mut rewrite = Vec::new();
        let (mut dead, mut removed, mut before) = (HashSet::new(), 0, 0);
        for pack in packs {
            let (_, rows) = Pack::open(&pack.path, &self.inner.handles)?;
            let live_bytes: u64 =
                rows.iter().filter(|r| live.contains(&r.digest)).map(|r| u64::from(r.len)).sum();
            let gone = rows.iter().filter(|r| !live.contains(&r.digest)).count() as u64;
            before += pack.len;
            if gone == rows.len() as u64 {
                dead.insert(pack.name.clone());
                removed += gone;
            } else if live_bytes * 2 < pack.len && !pack.damaged.load(Ordering::Relaxed) {
                removed += gone;
                rewrite.push(pack);
            }
        }
        self.delete_packs(&dead).await?;
        if !rewrite.is_empty() {
            let live = live.clone();
            self.replace(rewrite, move |digest| live.contains(digest)).await?;
        }
        let after = self.packs();
        done.packs_after = after.len();
        done.objects_removed = removed;
        done.bytes_freed = before.saturating_sub(after.iter().map(|p| p.len).sum());
        Ok(done)
    }
}
