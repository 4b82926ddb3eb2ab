//! Small objects that change: channel pointers and key rings. Each is replaced as a whole.

use std::{os::unix::fs::MetadataExt, path::PathBuf, time::UNIX_EPOCH};

use bytes::Bytes;

use super::pointer_file::{PointerRead, PointerVersion, advance, check_size, replace};
use crate::{StoreError, TenantObjects, files::blocking};

/// Pointer objects of a folder that are looked at.
const POINTERS_MAX: usize = 1_000;

impl TenantObjects {
    fn pointer_path(&self, name: &str) -> Result<PathBuf, StoreError> {
        let good = name.len() <= 200
            && name.split('/').all(|s| !s.is_empty() && s != "." && s != ".." && s != "packs")
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'));
        match good {
            true => Ok(self.inner.dir.join(name)),
            false => Err(StoreError::Usage("a pointer name has letters, digits, `-`, `_`, `.` and `/`")),
        }
    }

    /// Replaces a pointer object, whatever is there; durable when this returns. For what has no order: pointers that
    /// others follow are written by [`TenantObjects::advance_pointer`].
    ///
    /// # Errors
    /// When it could not be written; the old one stays then.
    pub async fn put_pointer(&self, name: &str, body: Bytes) -> Result<(), StoreError> {
        let path = self.pointer_path(name)?;
        if let Some(remote) = &self.inner.remote {
            return remote.put_pointer(&self.inner.tenant, name, body).await;
        }
        blocking(move || replace(&path, &body)).await
    }

    /// Replaces a pointer object when `newer` says so of what is there, which nobody can change in between; durable when
    /// this returns. Says whether it wrote.
    ///
    /// # Errors
    /// When it could not be read or written; the old one stays then.
    pub async fn advance_pointer(
        &self,
        name: &str,
        body: Bytes,
        newer: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
    ) -> Result<bool, StoreError> {
        let path = self.pointer_path(name)?;
        if let Some(remote) = &self.inner.remote {
            return remote.advance_pointer(&self.inner.tenant, name, body, Box::new(newer)).await;
        }
        blocking(move || advance(&path, &body, &newer)).await
    }

    fn last_path(&self, name: &str) -> PathBuf {
        self.inner.dir.join("last").join(name)
    }

    /// What a pointer object of the remote said when this node last read it; for a start without the remote.
    pub fn last_pointer(&self, name: &str) -> Option<Bytes> {
        self.inner.remote.as_ref()?;
        self.pointer_path(name).ok()?;
        std::fs::read(self.last_path(name)).ok().map(Bytes::from)
    }

    /// Replaces what [`TenantObjects::last_pointer`] returns, for what this node alone has to know after a restart. Nothing without
    /// a remote.
    ///
    /// # Errors
    /// When it could not be written; the old one stays then.
    pub async fn keep_last_pointer(&self, name: &str, body: Bytes) -> Result<(), StoreError> {
        self.pointer_path(name)?;
        if self.inner.remote.is_none() {
            return Ok(());
        }
        let path = self.last_path(name);
        blocking(move || replace(&path, &body)).await
    }

    /// Reads a pointer object, unless it is still at version `known`.
    ///
    /// # Errors
    /// When it cannot be read, or the remote does not answer.
    pub async fn get_pointer(
        &self,
        name: &str,
        known: Option<&PointerVersion>,
    ) -> Result<PointerRead, StoreError> {
        let path = self.pointer_path(name)?;
        if let Some(remote) = &self.inner.remote {
            let read = remote.get_pointer(&self.inner.tenant, name, known).await?;
            if let PointerRead::Changed { body, .. } = &read {
                let (copy, body) = (self.last_path(name), body.clone());
                // Only a start without the remote misses the copy.
                if let Err(error) = blocking(move || replace(&copy, &body)).await {
                    tracing::warn!(%error, "a pointer could not be kept here");
                }
            }
            return Ok(read);
        }
        let Some(version) = self.pointer_stat(name) else { return Ok(PointerRead::Absent) };
        if known == Some(&version) {
            return Ok(PointerRead::Unchanged);
        }
        if let PointerVersion::File { len, .. } = version {
            check_size(name, len)?;
        }
        match std::fs::read(&path) {
            // Replaced between looking and reading: the next look sees another version and reads again.
            Ok(body) => Ok(PointerRead::Changed { body: body.into(), version }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(PointerRead::Absent),
            Err(e) => Err(StoreError::io("read", &path, e)),
        }
    }

    /// The names of pointer objects in a folder of the directory, as far as they are names of the wanted kind. Nothing with
    /// a remote.
    pub fn pointers_here<N: std::str::FromStr>(&self, folder: &str) -> impl Iterator<Item = N> + use<N> {
        let found = match (&self.inner.remote, self.pointer_path(folder)) {
            (None, Ok(folder)) => std::fs::read_dir(folder).ok(),
            _ => None,
        };
        let names = found.into_iter().flatten().take(POINTERS_MAX);
        names.filter_map(|e| e.ok()?.file_name().to_str()?.strip_suffix(".json")?.parse().ok())
    }

    /// The version of a pointer object in a directory: one system call. `None` when there is none, or with a remote.
    pub fn pointer_stat(&self, name: &str) -> Option<PointerVersion> {
        if self.inner.remote.is_some() {
            return None;
        }
        let meta = std::fs::metadata(self.pointer_path(name).ok()?).ok()?;
        let modified_ns = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        Some(PointerVersion::File { modified_ns, len: meta.len(), inode: meta.ino() })
    }
}
