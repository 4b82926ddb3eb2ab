//! The stored form of a pack: many objects in one file.
//!
//! `"ASHPACK1"`, the objects back to back, an index sorted by digest (digest 32 bytes, offset u64, length u32, four zero
//! bytes), and a footer: index offset u64, count u64, BLAKE3 of the index (32 bytes), `"ASHPEND1"`. Numbers are
//! little-endian. A pack is named by the digest of its whole content. Objects are not compressed: bodies are served from
//! here as they are.

use std::{
    fs::File,
    io::{BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use ashlar_model::Digest;
use bytes::Bytes;

use crate::{StoreError, files::sync_dir};

pub(crate) const MAGIC: &[u8; 8] = b"ASHPACK1";
pub(super) const END: &[u8; 8] = b"ASHPEND1";
pub(super) const ROW: usize = 48;
pub(super) const FOOTER: usize = 56;
/// The largest object, in bytes.
pub(crate) const OBJECT_BYTES_MAX: usize = 1 << 30;
/// The ending of what is left of an evicted pack: its index and footer.
pub(crate) const TAIL: &str = "tail";
/// The most objects of one pack.
pub(super) const COUNT_MAX: u64 = 1 << 27;

/// Where an object lies in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub digest: Digest,
    pub offset: u64,
    pub len: u32,
}

/// Writes a pack to `out` and returns the digest of its content.
pub(crate) fn write(
    out: &mut impl Write,
    objects: impl Iterator<Item = Result<(Digest, Bytes), StoreError>>,
    failed: impl Fn(std::io::Error) -> StoreError,
) -> Result<Digest, StoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut rows = Vec::new();
    let mut offset = MAGIC.len() as u64;
    let mut put = |bytes: &[u8]| {
        hasher.update(bytes);
        out.write_all(bytes).map_err(&failed)
    };
    put(MAGIC)?;
    for object in objects {
        let (digest, bytes) = object?;
        let len =
            u32::try_from(bytes.len()).map_err(|_| StoreError::Usage("an object is larger than 1 GiB"))?;
        put(&bytes)?;
        rows.push(Row { digest, offset, len });
        offset += u64::from(len);
    }
    put(&tail(&mut rows, offset))?;
    Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
}

/// The index and the footer of a pack whose objects end at `offset`.
pub(crate) fn tail(rows: &mut [Row], offset: u64) -> Vec<u8> {
    rows.sort_by_key(|r| r.digest);
    let mut index = Vec::with_capacity(rows.len() * ROW + FOOTER);
    for row in rows.iter() {
        index.extend_from_slice(row.digest.as_bytes());
        index.extend_from_slice(&row.offset.to_le_bytes());
        index.extend_from_slice(&row.len.to_le_bytes());
        index.extend_from_slice(&[0; 4]);
    }
    let digest = blake3::hash(&index);
    index.extend_from_slice(&offset.to_le_bytes());
    index.extend_from_slice(&(rows.len() as u64).to_le_bytes());
    index.extend_from_slice(digest.as_bytes());
    index.extend_from_slice(END);
    index
}

const SALT: &[u8; 8] = b"ASHSALT1";
/// The length of what [`salt`] makes.
pub(crate) const SALT_BYTES: usize = 24;

/// An object that no other pack has. A remote deletes packs by name some time after it was noted, so a pack with the same
/// objects that is stored later must have another name.
pub(crate) fn salt() -> (Digest, Bytes) {
    use std::hash::{BuildHasher, Hasher};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Seeded by the system at random, for every process.
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    let unique = format!("{random} {count} {now} {}", std::process::id());
    let mut bytes = SALT.to_vec();
    bytes.extend_from_slice(&blake3::hash(unique.as_bytes()).as_bytes()[..SALT_BYTES - SALT.len()]);
    (Digest::of(&bytes), bytes.into())
}

/// Whether an object was made by [`salt`].
pub(crate) fn is_salt(bytes: &[u8]) -> bool {
    bytes.len() == SALT_BYTES && bytes.starts_with(SALT)
}

/// Writes a pack into `dir` so that it is durable when this returns.
pub(crate) fn create(
    dir: &Path,
    objects: impl Iterator<Item = Result<(Digest, Bytes), StoreError>>,
) -> Result<PathBuf, StoreError> {
    let failed = |op| move |e| StoreError::io(op, dir, e);
    let temp = tempfile::Builder::new()
        .prefix(".new-")
        .suffix(".tmp")
        .tempfile_in(dir)
        .map_err(failed("make a file in"))?;
    let mut out = BufWriter::with_capacity(1 << 20, temp);
    let digest = write(&mut out, objects, failed("write a pack in"))?;
    let temp = out.into_inner().map_err(|e| StoreError::io("write a pack in", dir, e.into_error()))?;
    temp.as_file().sync_all().map_err(failed("sync a pack in"))?;
    let path = dir.join(format!("{digest}.pack"));
    temp.persist(&path).map_err(|e| StoreError::io("rename a pack in", dir, e.error))?;
    sync_dir(dir)?;
    Ok(path)
}

/// Reads a row of the index.
pub(super) fn row_of(bytes: &[u8]) -> Row {
    let mut digest = [0; 32];
    digest.copy_from_slice(&bytes[..32]);
    Row {
        digest: Digest::from_bytes(digest),
        offset: number(&bytes[32..40]),
        len: number(&bytes[40..44]) as u32,
    }
}

/// The digest of a file; read a piece at a time.
pub(crate) fn digest_of_file(path: &Path) -> Result<Digest, StoreError> {
    let mut file = File::open(path).map_err(|e| StoreError::io("open", path, e))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let n = file.read(&mut buffer).map_err(|e| StoreError::io("read", path, e))?;
        if n == 0 {
            return Ok(Digest::from_bytes(*hasher.finalize().as_bytes()));
        }
        hasher.update(&buffer[..n]);
    }
}

/// Checks that a file is the pack its name says.
pub(crate) fn check_name(path: &Path) -> Result<(), StoreError> {
    let digest = digest_of_file(path)?.to_string();
    match path.file_stem().is_some_and(|s| *s == *digest) {
        true => Ok(()),
        false => Err(StoreError::corrupt(
            format!("pack {}", path.display()),
            "its content is not what its name says",
        )),
    }
}

/// A little-endian number.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}
