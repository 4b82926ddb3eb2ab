//! Keeping the number of packs small by merging them.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

use ashlar_model::Digest;
use bytes::Bytes;

use crate::{
    StoreError, TenantObjects,
    files::blocking,
    packs::index::{Found, short},
    packs::{format, pack::Pack},
    shared::remote::PackState,
};

/// So many small packs are merged into one.
pub const PACKS_SMALL_MAX: usize = 48;
/// Packs are merged with others of about their size: each tier is this many times the one below.
const TIER_FACTOR: u64 = 16;
const TIER_FIRST: u64 = 256 << 10;
/// Packs above this size are not merged.
const MERGE_BYTES_MAX: u64 = 1 << 30;

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
    let (_, rows) = objects.open_pack(&pack.path)?;
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
            false => Some(Err(StoreError::damaged(&row.digest))),
        }
    }))
}

/// Runs maintenance on a thread of its own: it holds a lock that writers wait for, so it must not need their thread to
/// go on.
pub(crate) async fn apart<T: Send + 'static>(
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
            // With a remote, packs that are going away already are left to that, and unknown ones until it was asked.
            let stays = pack.trusted.load(Ordering::Relaxed);
            if stays && pack.len <= MERGE_BYTES_MAX && !pack.damaged.load(Ordering::Relaxed) {
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
        let names: Vec<String> = many.iter().map(|p| p.name.clone()).collect();
        let merged = match self.write_again(many, |_| true).await {
            Ok(new) => {
                self.drop_merged(names.into_iter().filter(|n| Some(n) != new.as_ref()).collect()).await
            }
            Err(error) => Err(error),
        };
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

    /// Writes what `keep` wants of some packs into one new pack, and returns its name. The old ones stay.
    pub(crate) async fn write_again(
        &self,
        packs: Vec<Arc<Pack>>,
        keep: impl Fn(&Digest) -> bool + Send + Sync + 'static,
    ) -> Result<Option<String>, StoreError> {
        for pack in &packs {
            if self.inner.remote.is_some() && !pack.path.is_file() {
                self.fetch_again_now(&pack.name).await?;
            }
        }
        let this = self.clone();
        let new = blocking(move || {
            let (mut seen, mut sources) = (HashSet::new(), Vec::new());
            for pack in &packs {
                sources.push(objects_of(&this, pack, &keep)?);
            }
            let objects = sources.into_iter().flatten().filter(|o| match o {
                Ok((digest, bytes)) => !format::is_salt(bytes) && seen.insert(short(digest)),
                Err(_) => true,
            });
            let mut objects = objects.peekable();
            if objects.peek().is_none() {
                return Ok(None);
            }
            this.write_pack(objects).map(Some)
        })
        .await?;
        let Some(path) = new else { return Ok(None) };
        let path = self.store_pack(path).await?;
        self.take(&path, true)?;
        Ok(path.file_stem().map(|n| n.to_string_lossy().into_owned()))
    }

    /// Takes packs out of use that were merged into another. A remote keeps them for the grace period: slower nodes may be
    /// fetching them.
    async fn drop_merged(&self, names: HashSet<String>) -> Result<(), StoreError> {
        if let Some(remote) = &self.inner.remote {
            for name in &names {
                remote.retire(&self.inner.tenant, name, PackState::Merged).await?;
            }
        }
        self.drop_files(&names);
        Ok(())
    }

    /// Deletes packs from the remote that were merged into others a grace period ago, and forgets those that went long ago.
    /// Says whether a collection is due because packs it condemned have been kept for long enough. Without a remote there
    /// is nothing to do.
    ///
    /// # Errors
    /// When the remote does not answer.
    pub async fn reap(&self) -> Result<bool, StoreError> {
        let Some(remote) = &self.inner.remote else { return Ok(false) };
        let listing = remote.listing(&self.inner.tenant).await?;
        let now = jiff::Timestamp::now().as_second();
        let mut due = false;
        for (name, retired) in &listing.retired {
            let age = now.saturating_sub(retired.at);
            let old = age >= self.grace_seconds();
            match listing.state(name) {
                // Slower nodes had as long again to read the note.
                PackState::Absent if age >= self.grace_seconds().saturating_mul(2) => {
                    remote.unretire(&self.inner.tenant, name, retired.state).await?;
                }
                PackState::Merged if old => remote.delete_pack(&self.inner.tenant, name).await?,
                PackState::Condemned(_) => due |= old,
                PackState::Absent | PackState::Merged | PackState::Live => {}
            }
        }
        Ok(due)
    }

    /// How long a remote keeps unreferenced objects.
    pub(crate) fn grace_seconds(&self) -> i64 {
        i64::try_from(self.inner.cache.grace.as_secs()).unwrap_or(i64::MAX)
    }
}
