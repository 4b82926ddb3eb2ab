//! The object store behind a node's directory: S3 or another directory.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use ashlar_model::TenantId;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RetryConfig,
    UpdateVersion, aws::AmazonS3Builder, local::LocalFileSystem, path::Path as RemotePath,
};
use tokio::io::AsyncWriteExt;

use super::pointer_file::{self, Newer, PointerRead, PointerVersion};
use crate::{StoreError, files::blocking, packs::format};

/// Larger packs are uploaded in parts of this size.
const PART_BYTES: usize = 16 << 20;
/// How long an object store may be silent. Longer than a part takes on a slow line, and shorter than the database waits for a
/// transaction that stores a pack.
const SILENT_MAX: Duration = Duration::from_secs(60);
/// How often a pointer is written again that somebody else changed meanwhile.
const ADVANCE_TRIES: u32 = 10;

/// An object store that several nodes share. Cheap to clone.
#[derive(Clone)]
pub struct Remote {
    store: Arc<dyn ObjectStore>,
    /// The same with connections of its own, for the runtime that fetches for readers who wait.
    fetch: Arc<dyn ObjectStore>,
    prefix: String,
    /// Where a directory has its files: it knows no conditional writes, so they are made under a lock.
    dir: Option<PathBuf>,
}

/// Whether a pack in the remote may be relied upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackState {
    /// It is there, and stays.
    Live,
    /// All its objects lie in another pack; it goes after the grace period.
    Merged,
    /// A collection of this round found no need for some of its objects. It goes after the grace period, unless one of
    /// them is named again.
    Condemned(u64),
    /// It is not there.
    Absent,
}

/// A note that a pack is going away.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retired {
    pub state: PackState,
    /// When it was noted, in seconds since 1970, by the clock of the remote.
    pub at: i64,
}

/// The packs of a tenant in the remote, and which of them are going away.
pub(crate) struct Listing {
    /// When each pack was written, in seconds since 1970, by the clock of the remote.
    pub packs: HashMap<String, i64>,
    pub retired: HashMap<String, Retired>,
}

impl Listing {
    pub(crate) fn state(&self, name: &str) -> PackState {
        match self.retired.get(name) {
            _ if !self.packs.contains_key(name) => PackState::Absent,
            Some(retired) => retired.state,
            None => PackState::Live,
        }
    }
}

/// The name of the note that a pack is going away.
fn note_name(pack: &str, state: PackState) -> Option<String> {
    match state {
        PackState::Merged => Some(format!("retired/{pack}.merged")),
        PackState::Condemned(round) => Some(format!("retired/{pack}.r{round}")),
        PackState::Live | PackState::Absent => None,
    }
}

fn note_of(name: &str) -> Option<(&str, PackState)> {
    let (pack, why) = name.rsplit_once('.')?;
    match why.strip_prefix('r') {
        _ if why == "merged" => Some((pack, PackState::Merged)),
        Some(round) => Some((pack, PackState::Condemned(round.parse().ok()?))),
        None => None,
    }
}

fn failed(op: &'static str) -> impl Fn(object_store::Error) -> StoreError {
    move |source| StoreError::Remote { op, source }
}

impl Remote {
    /// Reads an address: `s3://bucket/prefix` (endpoint, region and keys from the usual `AWS_…` variables),
    /// `file:///directory` or a plain directory.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn parse(address: &str) -> Result<Self, StoreError> {
        let wrong = |why: String| StoreError::Address { address: address.to_owned(), why };
        if let Some(rest) = address.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(wrong("it names no bucket; write s3://bucket/prefix".to_owned()));
            }
            // Another part of the process may have chosen a provider; any will do.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let connect = || {
                AmazonS3Builder::from_env()
                    .with_bucket_name(bucket)
                    .with_allow_http(true)
                    .with_client_options(
                        ClientOptions::new()
                            .with_allow_http(true)
                            .with_connect_timeout(Duration::from_secs(5))
                            .with_read_timeout(SILENT_MAX)
                            .with_timeout(Duration::from_secs(120)),
                    )
                    .with_retry(RetryConfig {
                        backoff: BackoffConfig {
                            max_backoff: Duration::from_secs(2),
                            ..BackoffConfig::default()
                        },
                        max_retries: 3,
                        retry_timeout: Duration::from_secs(15),
                    })
                    .build()
                    .map_err(|e| wrong(e.to_string()))
            };
            let (store, fetch) = (connect()?, connect()?);
            return Ok(Self { fetch: Arc::new(fetch), ..Self::new(Arc::new(store), prefix) });
        }
        let dir = address.strip_prefix("file://").unwrap_or(address);
        if dir.contains("://") {
            return Err(wrong("it is neither s3://bucket/prefix nor a directory".to_owned()));
        }
        std::fs::create_dir_all(dir).map_err(|e| StoreError::io("make the directory", Path::new(dir), e))?;
        let store = LocalFileSystem::new_with_prefix(dir).map_err(|e| wrong(e.to_string()))?.with_fsync(true);
        Ok(Self { dir: Some(PathBuf::from(dir)), ..Self::new(Arc::new(store), "") })
    }

    /// Any object store, with a prefix for all names.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self { fetch: store.clone(), store, prefix: prefix.trim_matches('/').to_owned(), dir: None }
    }

    /// The same, for use on the runtime that fetches.
    pub(crate) fn carried(&self) -> Self {
        Self { store: self.fetch.clone(), ..self.clone() }
    }

    fn path(&self, tenant: &TenantId, name: &str) -> RemotePath {
        RemotePath::from(format!("{}/t/{tenant}/{name}", self.prefix).trim_start_matches('/'))
    }

    fn tenants_path(&self) -> RemotePath {
        RemotePath::from(format!("{}/t", self.prefix).trim_start_matches('/'))
    }

    pub(crate) async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let list = self
            .store
            .list_with_delimiter(Some(&self.tenants_path()))
            .await
            .map_err(failed("list tenants"))?;
        Ok(list.common_prefixes.iter().filter_map(|p| TenantId::new(p.filename()?).ok()).collect())
    }

    async fn names(&self, tenant: &TenantId, folder: &str) -> Result<Vec<(String, i64)>, StoreError> {
        let folder = self.path(tenant, folder);
        let names =
            self.store.list(Some(&folder)).map_err(failed("list packs")).try_filter_map(async |meta| {
                let name = meta.location.filename().map(str::to_owned);
                Ok(name.map(|n| (n, meta.last_modified.timestamp())))
            });
        names.try_collect().await
    }

    /// The packs, and which of them are going away. The notes are read first: what a pack was merged into is older than the
    /// note, so it is in the list.
    pub(crate) async fn listing(&self, tenant: &TenantId) -> Result<Listing, StoreError> {
        let mut retired: HashMap<String, Retired> = HashMap::new();
        for (name, at) in self.names(tenant, "retired").await? {
            let Some((pack, state)) = note_of(&name) else { continue };
            // Merged says more than condemned, and a later round more than an earlier one.
            let rank = |state: PackState| match state {
                PackState::Condemned(round) => round,
                _ => u64::MAX,
            };
            if retired.get(pack).is_none_or(|known| rank(known.state) < rank(state)) {
                retired.insert(pack.to_owned(), Retired { state, at });
            }
        }
        let packs = self.names(tenant, "packs").await?;
        let name = |name: &str| name.strip_suffix(".pack").map(str::to_owned);
        let packs = packs.into_iter().filter_map(|(file, written)| Some((name(&file)?, written))).collect();
        Ok(Listing { packs, retired })
    }

    /// Notes that a pack is going away.
    pub(crate) async fn retire(
        &self,
        tenant: &TenantId,
        pack: &str,
        state: PackState,
    ) -> Result<(), StoreError> {
        let Some(name) = note_name(pack, state) else { return Ok(()) };
        let to = self.path(tenant, &name);
        self.store.put(&to, PutPayload::new()).await.map_err(failed("note that a pack is going away"))?;
        Ok(())
    }

    /// Takes the note back.
    pub(crate) async fn unretire(
        &self,
        tenant: &TenantId,
        pack: &str,
        state: PackState,
    ) -> Result<(), StoreError> {
        let Some(name) = note_name(pack, state) else { return Ok(()) };
        match self.store.delete(&self.path(tenant, &name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(failed("delete the note of a pack")(e)),
        }
    }

    pub(crate) async fn upload_pack(&self, tenant: &TenantId, path: &Path) -> Result<(), StoreError> {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let to = self.path(tenant, &format!("packs/{name}"));
        let len = std::fs::metadata(path).map_err(|e| StoreError::io("read", path, e))?.len();
        if len <= PART_BYTES as u64 {
            let body = tokio::fs::read(path).await.map_err(|e| StoreError::io("read", path, e))?;
            self.store.put(&to, PutPayload::from(body)).await.map_err(failed("store a pack"))?;
            return Ok(());
        }
        let mut file = tokio::fs::File::open(path).await.map_err(|e| StoreError::io("open", path, e))?;
        let mut out = object_store::buffered::BufWriter::with_capacity(self.store.clone(), to, PART_BYTES);
        let copied = tokio::io::copy(&mut file, &mut out).await;
        let done = match copied {
            Ok(_) => out.shutdown().await,
            Err(e) => Err(e),
        };
        done.map_err(|e| StoreError::Remote {
            op: "store a pack",
            source: object_store::Error::Generic { store: "pack", source: Box::new(e) },
        })
    }

    /// Brings a pack into `dir`; its content is checked against its name before it counts.
    pub(crate) async fn download_pack(
        &self,
        tenant: &TenantId,
        name: &str,
        dir: &Path,
    ) -> Result<PathBuf, StoreError> {
        let from = self.path(tenant, &format!("packs/{name}.pack"));
        let found = self.store.get(&from).await.map_err(failed("fetch a pack"))?;
        let written = SystemTime::from(found.meta.last_modified);
        let mut body = found.into_stream();
        let temp_dir = tempfile::Builder::new()
            .prefix(".fetch-")
            .suffix(".tmp")
            .tempdir_in(dir)
            .map_err(|e| StoreError::io("make a directory in", dir, e))?;
        let temp = temp_dir.path().join(format!("{name}.pack"));
        let mut file = tokio::fs::File::create(&temp).await.map_err(|e| StoreError::io("make", &temp, e))?;
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(failed("fetch a pack"))?;
            file.write_all(&chunk).await.map_err(|e| StoreError::io("write", &temp, e))?;
        }
        file.sync_all().await.map_err(|e| StoreError::io("sync", &temp, e))?;
        drop(file);
        let path = dir.join(format!("{name}.pack"));
        let to = path.clone();
        blocking(move || {
            format::check_name(&temp)?;
            // What is evicted first depends on it.
            let _ = std::fs::File::open(&temp).and_then(|f| f.set_modified(written));
            std::fs::rename(&temp, &to).map_err(|e| StoreError::io("rename", &temp, e))
        })
        .await?;
        Ok(path)
    }

    pub(crate) async fn delete_pack(&self, tenant: &TenantId, name: &str) -> Result<(), StoreError> {
        match self.store.delete(&self.path(tenant, &format!("packs/{name}.pack"))).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(failed("delete a pack")(e)),
        }
    }

    pub(crate) async fn put_pointer(
        &self,
        tenant: &TenantId,
        name: &str,
        body: Bytes,
    ) -> Result<(), StoreError> {
        self.store.put(&self.path(tenant, name), body.into()).await.map_err(failed("store a pointer"))?;
        Ok(())
    }

    /// Replaces a pointer when `newer` says so of what is there, on condition that nobody changes it in between. A store
    /// that knows no conditions is read and then written; what overlaps there is put right by the next comparison.
    pub(crate) async fn advance_pointer(
        &self,
        tenant: &TenantId,
        name: &str,
        body: Bytes,
        newer: Box<Newer>,
    ) -> Result<bool, StoreError> {
        let path = self.path(tenant, name);
        if let Some(dir) = &self.dir {
            let file = dir.join(path.as_ref());
            return blocking(move || pointer_file::advance(&file, &body, &*newer)).await;
        }
        for attempt in 1..=ADVANCE_TRIES {
            let mode = match self.store.get(&path).await {
                Ok(found) => {
                    pointer_file::check_size(name, found.meta.size)?;
                    let version = UpdateVersion {
                        e_tag: found.meta.e_tag.clone(),
                        version: found.meta.version.clone(),
                    };
                    let now = found.bytes().await.map_err(failed("read a pointer"))?;
                    if !newer(&now) {
                        return Ok(false);
                    }
                    if version.e_tag.is_some() { PutMode::Update(version) } else { PutMode::Overwrite }
                }
                Err(object_store::Error::NotFound { .. }) => PutMode::Create,
                Err(e) => return Err(failed("read a pointer")(e)),
            };
            match self.store.put_opts(&path, body.clone().into(), mode.into()).await {
                Ok(_) => return Ok(true),
                Err(
                    object_store::Error::Precondition { .. }
                    | object_store::Error::AlreadyExists { .. }
                    | object_store::Error::NotFound { .. },
                ) if attempt < ADVANCE_TRIES => {
                    tokio::time::sleep(Duration::from_millis(10 * u64::from(attempt))).await;
                }
                Err(object_store::Error::NotImplemented { .. }) => {
                    self.put_pointer(tenant, name, body).await?;
                    return Ok(true);
                }
                Err(e) => return Err(failed("store a pointer")(e)),
            }
        }
        Ok(false)
    }

    pub(crate) async fn get_pointer(
        &self,
        tenant: &TenantId,
        name: &str,
        known: Option<&PointerVersion>,
    ) -> Result<PointerRead, StoreError> {
        let if_none_match = match known {
            Some(PointerVersion::Remote { etag }) => Some(etag.clone()),
            _ => None,
        };
        let options = GetOptions { if_none_match, ..GetOptions::default() };
        match self.store.get_opts(&self.path(tenant, name), options).await {
            Ok(found) => {
                let etag = found.meta.e_tag.clone().unwrap_or_default();
                // Some servers ignore the condition and answer in full.
                if !etag.is_empty()
                    && matches!(known, Some(PointerVersion::Remote { etag: old }) if *old == etag)
                {
                    return Ok(PointerRead::Unchanged);
                }
                pointer_file::check_size(name, found.meta.size)?;
                let body = found.bytes().await.map_err(failed("read a pointer"))?;
                Ok(PointerRead::Changed { body, version: PointerVersion::Remote { etag } })
            }
            Err(object_store::Error::NotModified { .. }) => Ok(PointerRead::Unchanged),
            Err(object_store::Error::NotFound { .. }) => Ok(PointerRead::Absent),
            Err(e) => Err(failed("read a pointer")(e)),
        }
    }
}
