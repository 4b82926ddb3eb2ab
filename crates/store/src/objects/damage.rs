//! Objects whose bytes are not those of their digests: they are not read any more, may be written again, and are fetched
//! from the remote when there is one.
//!
//! What was found is kept in `…/t/<tenant>/damaged/<digest>`, so that other processes and the next start know it.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use ashlar_model::Digest;

use crate::{
    Remote, StoreError, TenantObjects,
    packs::{
        index::{Damage, Found},
        pack::Pack,
    },
};

/// After the remote could not help it is not asked again for this long: packs may be large.
const HEAL_PAUSE: Duration = Duration::from_secs(60);
/// The most marks of damage that are read.
const MARKS_MAX: usize = 100_000;
/// The most damaged objects that are looked at again at a time.
const RECHECKS_MAX: usize = 1000;
/// Rows of an index that are read at a time.
const ROWS: u64 = 512;

/// Where a scrub goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrubPlace {
    pack: String,
    row: u64,
}

/// What a step of a scrub read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Objects that were compared with their digests.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these objects, how many are damaged.
    pub damaged: u64,
    /// Whether this was the last step of a round.
    pub done: bool,
}

impl TenantObjects {
    fn marks_dir(&self) -> std::path::PathBuf {
        self.inner.dir.join("damaged")
    }

    /// Takes damaged bytes out of use. Says whether the object can be read from elsewhere.
    pub(crate) fn quarantine(&self, digest: &Digest, found: &Found) -> bool {
        found.pack.damaged.store(true, Ordering::Relaxed);
        match self.index().find(digest) {
            // Somebody has seen to it meanwhile, or another copy was in use all along.
            Some(now) if now.pack.name != found.pack.name || now.offset != found.offset => return true,
            Some(_) => {}
            None => return false,
        }
        for pack in self.packs() {
            if pack.name == found.pack.name {
                continue;
            }
            if let Ok(Some(row)) = pack.lookup(digest)
                && pack.digest_at(row.offset, row.len).is_ok_and(|found| found == *digest)
            {
                let to = Found { pack, offset: row.offset, len: row.len, verified: true };
                self.index_mut().relocate(digest, &to);
                tracing::warn!(tenant = %self.tenant(), object = digest.short(), pack = found.pack.name,
                    "an object is damaged; another copy of it is used");
                return true;
            }
        }
        if self.index_mut().damage(digest, found) {
            tracing::error!(tenant = %self.tenant(), object = %digest, pack = found.pack.name,
                "an object is damaged and is not served any more");
            if let Err(error) = self.write_mark(digest, &found.pack.name) {
                tracing::warn!(%error, "a damaged object could not be noted");
            }
        }
        false
    }

    fn write_mark(&self, digest: &Digest, pack: &str) -> Result<(), StoreError> {
        let dir = self.make_dir("damaged")?;
        let path = dir.join(digest.to_string());
        std::fs::write(&path, pack).map_err(|e| StoreError::io("write", &path, e))
    }

    /// What this or another process has found damaged.
    pub(crate) fn read_damage(&self) -> Vec<Damage> {
        let files = std::fs::read_dir(self.marks_dir()).into_iter().flatten().flatten().take(MARKS_MAX);
        let read = |file: std::fs::DirEntry| {
            let digest = file.file_name().to_str()?.parse().ok()?;
            Some(Damage { digest, pack: std::fs::read_to_string(file.path()).ok()? })
        };
        files.filter_map(read).collect()
    }

    /// Removes the marks of objects that are not damaged any more, whole or gone.
    pub(crate) fn remove_marks(&self, digests: &[Digest]) {
        for digest in digests {
            let _ = std::fs::remove_file(self.marks_dir().join(digest.to_string()));
        }
    }

    /// Removes the marks of objects that are whole again.
    pub(crate) fn forget_damage(&self, healed: &[Digest]) {
        self.remove_marks(healed);
        for digest in healed {
            tracing::info!(tenant = %self.tenant(), object = %digest, "a damaged object is whole again");
        }
        self.inner.healed.fetch_add(healed.len() as u64, Ordering::Relaxed);
    }

    /// Takes over damage that another process found. One look at a directory, when there is nothing new.
    pub fn learn_damage(&self) {
        let Ok(changed) = std::fs::metadata(self.marks_dir()).and_then(|m| m.modified()) else { return };
        let mut watch = self.inner.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if watch.marks.replace(changed) == Some(changed) {
            return;
        }
        drop(watch);
        // Marks are removed under the same lock, so none is read that is about to go.
        let mut index = self.index_mut();
        for damage in self.read_damage() {
            index.note_damage(damage);
        }
    }

    /// The objects that are known to be damaged. Usually none.
    pub fn damaged(&self) -> Vec<Digest> {
        self.index().damaged().map(|d| d.digest).collect()
    }

    /// How many damaged objects became whole again since the process started.
    pub fn healed(&self) -> u64 {
        self.inner.healed.load(Ordering::Relaxed)
    }

    /// Reads an object from the disk again and compares it with its digest, also when it was compared before. Says whether
    /// it is there and whole; from then on a damaged one is not served, and may be written again.
    pub fn check(&self, digest: &Digest) -> bool {
        loop {
            let Some(found) = self.index().find(digest) else { return false };
            match found.pack.digest_at(found.offset, found.len) {
                Ok(now) if now == *digest => {
                    self.index().verified(digest, &found);
                    return true;
                }
                Ok(_) | Err(StoreError::Corrupt { .. }) => {}
                Err(_) => return false,
            }
            if !self.quarantine(digest, &found) {
                return false;
            }
        }
    }

    /// Looks at damaged objects again: their pack may have been restored from a backup.
    pub(crate) fn recheck(&self) {
        let damaged: Vec<Damage> = self.index().damaged().take(RECHECKS_MAX).cloned().collect();
        for damage in damaged {
            let Some(pack) = self.index().packs().find(|p| p.name == damage.pack).cloned() else { continue };
            // The file may be another one than the one that is open.
            pack.file.store(None);
            let Ok(Some(row)) = pack.lookup(&damage.digest) else { continue };
            if pack.digest_at(row.offset, row.len).is_ok_and(|now| now == damage.digest) {
                let found = Found { pack, offset: row.offset, len: row.len, verified: true };
                let mut index = self.index_mut();
                self.forget_damage(&[damage.digest]);
                index.relocate(&damage.digest, &found);
            }
        }
    }

    /// Brings packs with damage from the remote again, and uses those that were restored here. Returns how many came; without a remote, none.
    ///
    /// # Errors
    /// When the remote does not answer, or its pack is damaged too.
    pub async fn heal(&self) -> Result<usize, StoreError> {
        self.recheck();
        let watch = || self.inner.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if self.inner.remote.is_none() || watch().remote_after.is_some_and(|at| Instant::now() < at) {
            return Ok(0);
        }
        let came = self.fetch_again().await;
        watch().remote_after = came.is_err().then(|| Instant::now() + HEAL_PAUSE);
        came
    }

    async fn fetch_again(&self) -> Result<usize, StoreError> {
        let Some(remote) = &self.inner.remote else { return Ok(0) };
        let (mut names, unreadable): (std::collections::BTreeSet<String>, Vec<_>) = {
            let index = self.index();
            (index.damaged().map(|d| d.pack.clone()).collect(), index.unreadable.clone())
        };
        names.extend(unreadable.iter().filter_map(|(p, _)| Some(p.file_stem()?.to_str()?.to_owned())));
        let (mut came, mut absent) = (0, false);
        let mut tried = names.clone();
        while let Some(name) = names.pop_first() {
            match self.fetch_whole(remote, &name).await {
                Ok(()) => came += 1,
                // Merged into another pack, which comes with a refresh. When it is here already, its copy may be damaged as well.
                Err(StoreError::Remote { source: object_store::Error::NotFound { .. }, .. }) => absent = true,
                Err(error) => return Err(error),
            }
            if names.is_empty() && std::mem::take(&mut absent) {
                self.refresh().await?;
                names =
                    self.packs_with_damage().into_iter().filter(|name| tried.insert(name.clone())).collect();
            }
        }
        Ok(came)
    }

    /// Brings a pack again in place of the one that is here.
    async fn fetch_whole(&self, remote: &Remote, name: &str) -> Result<(), StoreError> {
        let path = remote.download_pack(&self.inner.tenant, name, &self.packs_dir()).await?;
        let (pack, rows) = self.open_pack(&path)?;
        let mut index = self.index_mut();
        let pardoned = index.pardon(name);
        let healed = index.add(pack, &rows);
        index.unreadable.retain(|(p, _)| *p != path);
        self.forget_damage(&pardoned);
        self.forget_damage(&healed);
        Ok(())
    }

    /// The packs here that have a copy of an object that is damaged.
    fn packs_with_damage(&self) -> Vec<String> {
        let damaged: Vec<Digest> = self.index().damaged().take(RECHECKS_MAX).map(|d| d.digest).collect();
        let has_one =
            |pack: &Arc<Pack>| damaged.iter().any(|digest| matches!(pack.lookup(digest), Ok(Some(_))));
        self.packs().into_iter().filter(|pack| has_one(pack)).map(|pack| pack.name.clone()).collect()
    }

    /// Compares the next objects with their digests, about `bytes_max` bytes of them, from `place` on.
    ///
    /// # Errors
    /// When a pack cannot be read.
    pub fn scrub(&self, place: &mut ScrubPlace, bytes_max: u64) -> Result<Scrubbed, StoreError> {
        let mut done = Scrubbed::default();
        for pack in self.packs() {
            if pack.name < place.pack {
                continue;
            }
            if pack.name != place.pack {
                *place = ScrubPlace { pack: pack.name.clone(), row: 0 };
            }
            while place.row < pack.count {
                let rows = match pack.rows(place.row, ROWS) {
                    Ok(rows) => rows,
                    // Merged into another pack meanwhile.
                    Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                        break;
                    }
                    Err(error @ StoreError::Corrupt { .. }) => {
                        tracing::error!(tenant = %self.tenant(), %error, "the index of a pack cannot be read any more");
                        break;
                    }
                    Err(error) => return Err(error),
                };
                for row in rows {
                    if done.bytes >= bytes_max {
                        return Ok(done);
                    }
                    place.row += 1;
                    let found =
                        Found { pack: pack.clone(), offset: row.offset, len: row.len, verified: false };
                    let whole = match pack.digest_at(row.offset, row.len) {
                        Ok(now) => now == row.digest,
                        Err(StoreError::Corrupt { .. }) => false,
                        Err(error) => return Err(error),
                    };
                    done.objects += 1;
                    done.bytes += u64::from(row.len) + 64;
                    if whole {
                        self.index().verified(&row.digest, &found);
                    } else if !self.quarantine(&row.digest, &found) {
                        done.damaged += 1;
                    }
                }
            }
        }
        *place = ScrubPlace::default();
        done.done = true;
        Ok(done)
    }
}
