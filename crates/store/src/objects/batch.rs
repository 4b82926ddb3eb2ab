//! New objects, and how they become a pack.

use std::{collections::HashMap, fs::File, hash::BuildHasherDefault, path::PathBuf};

use ashlar_model::Digest;
use bytes::Bytes;

use crate::{
    ReadObjects, StoreError, TenantObjects,
    files::blocking,
    packs::format::{self, OBJECT_BYTES_MAX},
    packs::index::TakeFirst,
};

/// New objects that are not stored yet. While it lives, no clean-up can delete an object it relies on.
pub struct Batch {
    objects: TenantObjects,
    new: HashMap<Digest, Bytes, BuildHasherDefault<TakeFirst>>,
    order: Vec<Digest>,
    bytes: usize,
    guard: Result<File, StoreError>,
    too_large: bool,
}

impl TenantObjects {
    /// An empty batch of new objects.
    pub fn batch(&self) -> Batch {
        // What another process has cleaned away meanwhile must not be taken as stored.
        let guard = self.share_known();
        Batch {
            objects: self.clone(),
            new: HashMap::default(),
            order: Vec::new(),
            bytes: 0,
            guard,
            too_large: false,
        }
    }

    /// Stores a batch as one pack; durable, in the remote too, when this returns. An empty batch stores nothing.
    ///
    /// # Errors
    /// When it could not be stored; nothing is visible then.
    pub async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.too_large {
            return Err(StoreError::Usage("an object is larger than 1 GiB"));
        }
        let Batch { new, order, guard, .. } = batch;
        // The guard is held until the pack is known to the index.
        let _guard = guard?;
        if new.is_empty() {
            return Ok(());
        }
        let this = self.clone();
        let written = blocking(move || {
            let objects = order.iter().filter_map(|d| new.get(d).map(|b| Ok((*d, b.clone()))));
            this.write_pack(objects)
        });
        let path = self.store_pack(written.await?).await?;
        self.adopt(&path, true)
    }

    /// Writes objects into a pack file. With a remote, it is not among the packs before the remote has it.
    pub(crate) fn write_pack(
        &self,
        objects: impl Iterator<Item = Result<(Digest, Bytes), StoreError>>,
    ) -> Result<PathBuf, StoreError> {
        match self.inner.remote {
            Some(_) => format::create(
                &self.make_dir(crate::objects::bundle::INCOMING)?,
                objects.chain([Ok(format::salt())]),
            ),
            None => format::create(&self.make_packs_dir()?, objects),
        }
    }

    /// Stores a pack file, in the remote first, and puts it among the packs; durable when this returns. Returns where it is
    /// then. When it cannot be stored, nothing is left of it.
    pub(crate) async fn store_pack(&self, path: PathBuf) -> Result<PathBuf, StoreError> {
        let dir = self.make_packs_dir()?;
        let to = dir.join(path.file_name().unwrap_or_default());
        if path == to {
            return Ok(to);
        }
        let stored = async {
            if let Some(remote) = &self.inner.remote {
                remote.upload_pack(&self.inner.tenant, &path).await?;
            }
            std::fs::rename(&path, &to).map_err(|e| StoreError::io("rename a pack into", &dir, e))?;
            crate::files::sync_dir(&dir)
        };
        match stored.await {
            Ok(()) => Ok(to),
            Err(error) => {
                let _ = std::fs::remove_file(&path);
                Err(error)
            }
        }
    }
}

impl Batch {
    /// Adds an object, unless it is there already, and returns its digest.
    pub fn put(&mut self, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        self.too_large |= bytes.len() > OBJECT_BYTES_MAX;
        if bytes.len() <= OBJECT_BYTES_MAX
            && !self.new.contains_key(&digest)
            && !self.objects.is_stored(&digest)
        {
            self.bytes += bytes.len();
            self.order.push(digest);
            self.new.insert(digest, bytes);
        }
        digest
    }

    /// The tenant's stored objects.
    pub fn objects(&self) -> &TenantObjects {
        &self.objects
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty()
    }

    /// How many new objects there are.
    pub fn len(&self) -> usize {
        self.new.len()
    }

    /// How many bytes the new objects have together.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl ReadObjects for Batch {
    fn get(&self, digest: &Digest) -> Result<Bytes, StoreError> {
        match self.new.get(digest) {
            Some(bytes) => Ok(bytes.clone()),
            None => self.objects.get(digest),
        }
    }
}
