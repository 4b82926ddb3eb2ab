//! The stored form of a pack: many objects in one file.
//!
//! `"ASHPACK1"`, the objects back to back, an index sorted by digest (digest 32 bytes, offset u64, length u32, four zero
//! bytes), and a footer: index offset u64, count u64, BLAKE3 of the index (32 bytes), `"ASHPEND1"`. Numbers are
//! little-endian. A pack is named by the digest of its whole content. Objects are not compressed: bodies are served from
//! here as they are.

use std::{
    fs::File,
    io::{BufWriter, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use ashlar_model::Digest;
use bytes::Bytes;

use crate::StoreError;

const MAGIC: &[u8; 8] = b"ASHPACK1";
const END: &[u8; 8] = b"ASHPEND1";
const ROW: usize = 48;
const FOOTER: usize = 56;
/// The largest object, in bytes.
pub(crate) const OBJECT_BYTES_MAX: usize = 1 << 30;
/// The most objects of one pack.
const COUNT_MAX: u64 = 1 << 27;

/// Where an object lies in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub digest: Digest,
    pub offset: u64,
    pub len: u32,
}

/// An open pack.
#[derive(Debug)]
pub(crate) struct Pack {
    pub name: String,
    pub file: File,
    pub len: u64,
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
    rows.sort_by_key(|r| r.digest);
    let mut index = Vec::with_capacity(rows.len() * ROW);
    for row in &rows {
        index.extend_from_slice(row.digest.as_bytes());
        index.extend_from_slice(&row.offset.to_le_bytes());
        index.extend_from_slice(&row.len.to_le_bytes());
        index.extend_from_slice(&[0; 4]);
    }
    put(&index)?;
    put(&offset.to_le_bytes())?;
    put(&(rows.len() as u64).to_le_bytes())?;
    put(blake3::hash(&index).as_bytes())?;
    put(END)?;
    Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
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

/// Makes a rename in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| StoreError::io("sync the directory", dir, e))
}

impl Pack {
    /// Opens a pack and reads its index.
    pub fn open(path: &Path) -> Result<(Self, Vec<Row>), StoreError> {
        let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let damaged = |why: &str| StoreError::corrupt(format!("pack {}", path.display()), why);
        let file = File::open(path).map_err(|e| StoreError::io("open", path, e))?;
        let len = file.metadata().map_err(|e| StoreError::io("read", path, e))?.len();
        let read = |at: u64, n: usize| -> Result<Vec<u8>, StoreError> {
            let mut buffer = vec![0; n];
            file.read_exact_at(&mut buffer, at).map_err(|e| StoreError::io("read", path, e))?;
            Ok(buffer)
        };
        if len < (MAGIC.len() + FOOTER) as u64 {
            return Err(damaged("it is cut short"));
        }
        let (head, foot) = (read(0, MAGIC.len())?, read(len - FOOTER as u64, FOOTER)?);
        if head != MAGIC {
            return Err(damaged("it does not start like a pack"));
        }
        if foot[48..] != *END {
            return Err(damaged("it is cut short"));
        }
        let (index_at, count) = (number(&foot[..8]), number(&foot[8..16]));
        let index_len = count.checked_mul(ROW as u64).filter(|_| count <= COUNT_MAX);
        let whole = index_len.and_then(|n| index_at.checked_add(n)?.checked_add(FOOTER as u64));
        let (Some(index_len), true) = (index_len, whole == Some(len)) else {
            return Err(damaged("its footer is wrong"));
        };
        let index =
            read(index_at, usize::try_from(index_len).map_err(|_| damaged("its index is too large"))?)?;
        if blake3::hash(&index).as_bytes()[..] != foot[16..48] {
            return Err(damaged("its index is not what it was"));
        }
        let mut rows = Vec::with_capacity(index.len() / ROW);
        for row in index.chunks_exact(ROW) {
            let mut digest = [0; 32];
            digest.copy_from_slice(&row[..32]);
            let (offset, object_len) = (number(&row[32..40]), number(&row[40..44]));
            if offset.checked_add(object_len).is_none_or(|end| end > index_at) {
                return Err(damaged("its index points outside"));
            }
            rows.push(Row { digest: Digest::from_bytes(digest), offset, len: object_len as u32 });
        }
        Ok((Self { name, file, len }, rows))
    }

    /// Reads an object into `buffer`, which grows by its length.
    pub fn read_into(&self, offset: u64, len: u32, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        let start = buffer.len();
        buffer.resize(start + len as usize, 0);
        self.file.read_exact_at(&mut buffer[start..], offset).map_err(|e| {
            buffer.truncate(start);
            match e.kind() {
                std::io::ErrorKind::UnexpectedEof => {
                    StoreError::corrupt(format!("pack {}", self.name), "it is cut short")
                }
                _ => StoreError::io("read", Path::new(&self.name), e),
            }
        })
    }
}

/// Checks that a file is the pack its name says; streams, so it needs little memory.
pub(crate) fn check_name(path: &Path) -> Result<(), StoreError> {
    let mut file = File::open(path).map_err(|e| StoreError::io("open", path, e))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let n = file.read(&mut buffer).map_err(|e| StoreError::io("read", path, e))?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
    }
    let digest = Digest::from_bytes(*hasher.finalize().as_bytes()).to_string();
    match path.file_stem().is_some_and(|s| *s == *digest) {
        true => Ok(()),
        false => Err(StoreError::corrupt(
            format!("pack {}", path.display()),
            "its content is not what its name says",
        )),
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}
