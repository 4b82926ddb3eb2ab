//! One verifiable file with everything a release needs.
//!
//! `"ASHBNDL1"`, the digest of the manifest (32 bytes), then objects as length u32 (little-endian) and bytes, a length of
//! `u32::MAX` as end mark, and the BLAKE3 of everything before (32 bytes). Objects are named by their digests, so each is
//! verified as it is read; the last digest shows a file that was cut short or extended.

use std::{
    collections::HashSet,
    fs::File,
    io::{BufWriter, Read, Seek, SeekFrom, Write},
    path::PathBuf,
};

use ashlar_model::Digest;
use tempfile::NamedTempFile;

use crate::{
    StoreError, TenantObjects,
    files::blocking,
    packs::format::{self, OBJECT_BYTES_MAX, Row},
    packs::index::{Short, short},
};

const MAGIC: &[u8; 8] = b"ASHBNDL1";
const END: u32 = u32::MAX;
/// So many bytes of an object are in memory at a time.
const PIECE: usize = 1 << 20;
/// The most objects of a bundle: what is remembered of each stays within 300 MB.
const OBJECTS_MAX: usize = 4 << 20;
/// Where files lie that are not packs yet.
pub(crate) const INCOMING: &str = "incoming";

fn unreadable(error: std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => StoreError::Bundle("it is cut short".to_owned()),
        _ => StoreError::Io { op: "read", path: "the bundle".to_owned(), source: error },
    }
}

/// Writes the manifest and everything else that is reachable.
///
/// # Errors
/// When an object is missing or the file cannot be written.
pub fn write(
    objects: &TenantObjects,
    manifest: &Digest,
    reachable: impl Iterator<Item = Digest>,
    out: &mut impl Write,
) -> Result<u64, StoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut put = |bytes: &[u8]| {
        hasher.update(bytes);
        out.write_all(bytes).map_err(|source| StoreError::Io {
            op: "write",
            path: "the bundle".to_owned(),
            source,
        })
    };
    put(MAGIC)?;
    put(manifest.as_bytes())?;
    let mut count = 0;
    for digest in std::iter::once(*manifest).chain(reachable) {
        // Compared with its digest when it was first read; a release that is kept elsewhere deserves a second look.
        let bytes = objects.get(&digest)?;
        if Digest::of(&bytes) != digest {
            objects.check(&digest);
            return Err(StoreError::damaged(&digest));
        }
        let len =
            u32::try_from(bytes.len()).map_err(|_| StoreError::Usage("an object is larger than 1 GiB"))?;
        put(&len.to_le_bytes())?;
        put(&bytes)?;
        count += 1;
    }
    put(&END.to_le_bytes())?;
    let digest = hasher.finalize();
    out.write_all(digest.as_bytes()).and_then(|()| out.flush()).map_err(|source| StoreError::Io {
        op: "write",
        path: "the bundle".to_owned(),
        source,
    })?;
    Ok(count)
}

/// Reads a bundle and stores its objects; returns the digest of its manifest. Nothing is left of a bundle that is damaged.
///
/// # Errors
/// When it is not a bundle, is cut short or was tampered with, or an object cannot be stored.
pub async fn read(objects: &TenantObjects, source: impl Read + Send + 'static) -> Result<Digest, StoreError> {
    let this = objects.clone();
    let staged = blocking(move || stage(&this, source)).await?;
    let manifest = staged.manifest();
    staged.keep().await?;
    Ok(manifest)
}

/// A bundle that was read and verified, with its objects in a file that is no pack yet. Dropped, it leaves nothing behind.
pub struct Staged {
    objects: TenantObjects,
    /// The stored objects with those of the bundle in front of them.
    both: TenantObjects,
    file: NamedTempFile,
    manifest: Digest,
    fresh: usize,
}

/// Reads a bundle into a file beside the packs. Objects that are stored already, and are whole, are left out; damaged ones
/// are not. Needs little memory, whatever the size of the bundle and its objects.
///
/// # Errors
/// When it is not a bundle, is cut short or was tampered with, or the file cannot be written.
pub fn stage(objects: &TenantObjects, source: impl Read) -> Result<Staged, StoreError> {
    let dir = objects.make_dir(INCOMING)?;
    let failed = |op| {
        let dir = dir.clone();
        move |e| StoreError::io(op, &dir, e)
    };
    let file = tempfile::Builder::new().prefix(".import-").suffix(".tmp").tempfile_in(&dir);
    let file = file.map_err(failed("make a file in"))?;
    // A start that sweeps this directory leaves files alone that somebody holds.
    let _ = file.as_file().try_lock();
    let mut into = Writer {
        out: BufWriter::with_capacity(1 << 20, file),
        offset: 0,
        rows: Vec::new(),
        seen: HashSet::new(),
        dir: dir.clone(),
    };
    into.put(format::MAGIC)?;
    let manifest = copy(objects, source, &mut into)?;
    let fresh = into.rows.len();
    if objects.inner.remote.is_some() {
        let (digest, salt) = format::salt();
        into.rows.push(Row { digest, offset: into.offset, len: format::SALT_BYTES as u32 });
        into.put(&salt)?;
    }
    let tail = format::tail(&mut into.rows, into.offset);
    into.put(&tail)?;
    let file = into.out.into_inner().map_err(|e| failed("write a pack in")(e.into_error()))?;
    file.as_file().sync_all().map_err(failed("sync a pack in"))?;
    let both = objects.with_pack(file.path())?;
    Ok(Staged { objects: objects.clone(), both, file, manifest, fresh })
}

impl Staged {
    /// The digest of the manifest.
    pub fn manifest(&self) -> Digest {
        self.manifest
    }

    /// The stored objects with those of the bundle: for reading what it contains before it is kept.
    pub fn with_stored(&self) -> &TenantObjects {
        &self.both
    }

    /// How many objects it has that were not stored, or damaged.
    pub fn fresh(&self) -> usize {
        self.fresh
    }

    /// Makes its objects part of the store; durable, in the remote too, when this returns.
    ///
    /// # Errors
    /// When it could not be stored; nothing is left of it then.
    pub async fn keep(self) -> Result<(), StoreError> {
        let Self { objects, both, file, fresh, .. } = self;
        drop(both);
        if fresh == 0 {
            return Ok(());
        }
        let path = blocking(move || {
            let digest = format::digest_of_file(file.path())?;
            let path = file.path().with_file_name(format!("{digest}.pack"));
            file.persist(&path).map_err(|e| StoreError::io("rename", &path, e.error))?;
            Ok(path)
        })
        .await?;
        let path = objects.store_pack(path).await?;
        objects.adopt(&path, true)
    }
}

/// A pack that is being written.
struct Writer {
    out: BufWriter<NamedTempFile>,
    offset: u64,
    rows: Vec<Row>,
    seen: HashSet<Short>,
    dir: PathBuf,
}

impl Writer {
    fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.out.write_all(bytes).map_err(|e| StoreError::io("write a pack in", &self.dir, e))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Takes back what was written behind `offset`.
    fn back_to(&mut self, offset: u64) -> Result<(), StoreError> {
        let failed = |e| StoreError::io("write a pack in", &self.dir, e);
        self.out.seek(SeekFrom::Start(offset)).map_err(failed)?;
        self.out.get_ref().as_file().set_len(offset).map_err(failed)?;
        self.offset = offset;
        Ok(())
    }
}

fn copy(objects: &TenantObjects, mut source: impl Read, into: &mut Writer) -> Result<Digest, StoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut take = |buffer: &mut [u8]| {
        source.read_exact(buffer).map_err(unreadable)?;
        hasher.update(buffer);
        Ok::<(), StoreError>(())
    };
    let damaged = |why: &str| StoreError::Bundle(why.to_owned());
    let mut head = [0; 40];
    take(&mut head)?;
    if head[..8] != *MAGIC {
        return Err(damaged("it does not start like a bundle"));
    }
    let mut manifest = [0; 32];
    manifest.copy_from_slice(&head[8..]);
    let manifest = Digest::from_bytes(manifest);
    let mut first = true;
    let mut piece = vec![0; PIECE];
    loop {
        let mut len = [0; 4];
        take(&mut len)?;
        let len = u32::from_le_bytes(len);
        if len == END {
            break;
        }
        if len as usize > OBJECT_BYTES_MAX {
            return Err(damaged("an object is larger than 1 GiB"));
        }
        if into.seen.len() >= OBJECTS_MAX {
            return Err(damaged("it has more than 4,194,304 objects"));
        }
        let (start, mut left) = (into.offset, len as usize);
        let mut of_object = blake3::Hasher::new();
        // An object that fits into one piece is written only when it is needed; a larger one is taken back.
        let whole = left <= PIECE;
        while left > 0 {
            let n = left.min(PIECE);
            take(&mut piece[..n])?;
            of_object.update(&piece[..n]);
            if !whole {
                into.put(&piece[..n])?;
            }
            left -= n;
        }
        let digest = Digest::from_bytes(*of_object.finalize().as_bytes());
        if std::mem::take(&mut first) && digest != manifest {
            return Err(damaged("its manifest is not what it says"));
        }
        if !into.seen.insert(short(&digest)) || (objects.is_stored(&digest) && objects.check(&digest)) {
            if !whole {
                into.back_to(start)?;
            }
            continue;
        }
        if whole {
            into.put(&piece[..len as usize])?;
        }
        into.rows.push(Row { digest, offset: start, len });
    }
    if first {
        return Err(damaged("it has no manifest"));
    }
    let mut end = [0; 32];
    source.read_exact(&mut end).map_err(unreadable)?;
    if *hasher.finalize().as_bytes() != end {
        return Err(damaged("its content is not what was written"));
    }
    Ok(manifest)
}

impl TenantObjects {
    /// A directory for files that arrive, on the same file system as the packs. What is left in it is removed when the
    /// tenant is first used after a start.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn incoming(&self) -> Result<PathBuf, StoreError> {
        self.make_dir(INCOMING)
    }

    /// Removes what interrupted imports and uploads left behind.
    pub(crate) fn sweep_incoming(&self) {
        for file in std::fs::read_dir(self.inner.dir.join(INCOMING)).into_iter().flatten().flatten() {
            let path = file.path();
            let age = file.metadata().and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok());
            // A pack on its way to the remote is not locked; nothing takes an hour for that.
            let old = age.is_some_and(|age| age.as_secs() > 3600);
            let orphan = || {
                age.is_some_and(|age| age.as_secs() >= 2)
                    && path.extension().is_some_and(|e| e == "tmp")
                    && File::open(&path).is_ok_and(|f| f.try_lock().is_ok())
            };
            if old || orphan() {
                let _ = std::fs::remove_file(&path);
            }
        }
    }
}
