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
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwapOption;
use ashlar_model::Digest;
use bytes::Bytes;

use crate::{StoreError, packs::handles::Handles};

pub(crate) const MAGIC: &[u8; 8] = b"ASHPACK1";
const END: &[u8; 8] = b"ASHPEND1";
const ROW: usize = 48;
const FOOTER: usize = 56;
/// The largest object, in bytes.
pub(crate) const OBJECT_BYTES_MAX: usize = 1 << 30;
/// The ending of what is left of an evicted pack: its index and footer.
pub(crate) const TAIL: &str = "tail";
/// The most objects of one pack.
const COUNT_MAX: u64 = 1 << 27;

/// The bit of [`Pack::used`] for those who close files.
pub(crate) const BY_HANDLES: u8 = 1;
/// The bit of [`Pack::used`] for those who keep the cache small.
pub(crate) const BY_CACHE: u8 = 2;
const USED: u8 = BY_HANDLES | BY_CACHE;

/// Where an object lies in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub digest: Digest,
    pub offset: u64,
    pub len: u32,
}

/// A pack. Its file is opened when it is read, and may be closed again while others are read more.
pub(crate) struct Pack {
    pub name: String,
    pub path: PathBuf,
    /// The length of the file, in bytes.
    pub len: u64,
    index_at: u64,
    /// How many objects it has.
    pub count: u64,
    pub file: ArcSwapOption<File>,
    /// By whom it was not seen since it was last read: [`BY_HANDLES`], [`BY_CACHE`].
    pub used: AtomicU8,
    /// When the cache last saw that it was read, in seconds since the process started; 0 for never.
    pub used_at: AtomicU32,
    /// Whether it stays: objects in it need not be written again. Without a remote every pack does.
    pub trusted: AtomicBool,
    /// Whether the remote notes that it is going away because some of its objects are not needed.
    pub condemned: AtomicBool,
    /// When this process learned of it.
    pub born: Instant,
    /// Whether it has an object whose bytes are not those of its digest. It is not merged then.
    pub damaged: AtomicBool,
    handles: Arc<Handles>,
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

/// Makes a rename in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| StoreError::io("sync the directory", dir, e))
}

impl Pack {
    /// Reads the index of a pack, or of the tail that is left of an evicted one.
    pub fn open(path: &Path, handles: &Arc<Handles>) -> Result<(Self, Vec<Row>), StoreError> {
        let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let damaged = |why: &str| StoreError::corrupt(format!("pack {}", path.display()), why);
        let file = File::open(path).map_err(|e| StoreError::io("open", path, e))?;
        let len = file.metadata().map_err(|e| StoreError::io("read", path, e))?.len();
        let read = |at: u64, n: usize| -> Result<Vec<u8>, StoreError> {
            let mut buffer = vec![0; n];
            file.read_exact_at(&mut buffer, at).map_err(|e| StoreError::io("read", path, e))?;
            Ok(buffer)
        };
        let tail = path.extension().is_some_and(|e| e == TAIL);
        if len < (FOOTER + if tail { 0 } else { MAGIC.len() }) as u64 {
            return Err(damaged("it is cut short"));
        }
        let foot = read(len - FOOTER as u64, FOOTER)?;
        if !tail && read(0, MAGIC.len())? != MAGIC {
            return Err(damaged("it does not start like a pack"));
        }
        if foot[48..] != *END {
            return Err(damaged("it is cut short"));
        }
        let (index_at, count) = (number(&foot[..8]), number(&foot[8..16]));
        let index_len = count.checked_mul(ROW as u64).filter(|_| count <= COUNT_MAX);
        let whole = index_len.and_then(|n| index_at.checked_add(n)?.checked_add(FOOTER as u64));
        let (file_len, len) = (len, if tail { whole.unwrap_or(0) } else { len });
        let fits = whole == Some(len) && (!tail || index_len.map(|n| n + FOOTER as u64) == Some(file_len));
        let (Some(index_len), true) = (index_len, fits) else {
            return Err(damaged("its footer is wrong"));
        };
        let index_from = if tail { 0 } else { index_at };
        let index =
            read(index_from, usize::try_from(index_len).map_err(|_| damaged("its index is too large"))?)?;
        if blake3::hash(&index).as_bytes()[..] != foot[16..48] {
            return Err(damaged("its index is not what it was"));
        }
        let mut rows = Vec::with_capacity(index.len() / ROW);
        for row in index.chunks_exact(ROW) {
            let row = row_of(row);
            if row.offset.checked_add(u64::from(row.len)).is_none_or(|end| end > index_at)
                || row.len as usize > OBJECT_BYTES_MAX
            {
                return Err(damaged("its index points outside"));
            }
            rows.push(row);
        }
        let pack = Self {
            name,
            path: if tail { path.with_extension("pack") } else { path.to_owned() },
            len,
            index_at,
            count,
            file: ArcSwapOption::empty(),
            used: AtomicU8::new(0),
            used_at: AtomicU32::new(0),
            trusted: AtomicBool::new(false),
            condemned: AtomicBool::new(false),
            born: Instant::now(),
            damaged: AtomicBool::new(false),
            handles: handles.clone(),
        };
        Ok((pack, rows))
    }

    fn read_at(self: &Arc<Self>, buffer: &mut [u8], offset: u64) -> Result<(), StoreError> {
        let open = self.file.load();
        let read = match &*open {
            Some(file) => {
                // Written only when it changes, so that readers on several cores do not pass the line around.
                if self.used.load(Ordering::Relaxed) != USED {
                    self.used.store(USED, Ordering::Relaxed);
                }
                file.read_exact_at(buffer, offset)
            }
            None => {
                drop(open);
                self.used.store(USED, Ordering::Relaxed);
                self.handles.open(self)?.read_exact_at(buffer, offset)
            }
        };
        read.map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                StoreError::corrupt(format!("pack {}", self.name), "it is cut short")
            }
            // The medium cannot read this place any more.
            _ if e.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                StoreError::corrupt(format!("pack {}", self.name), "the disk cannot read it")
            }
            _ => StoreError::io("read", &self.path, e),
        })
    }

    /// Reads an object into `buffer`, which grows by its length.
    pub fn read_into(
        self: &Arc<Self>,
        offset: u64,
        len: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let start = buffer.len();
        buffer.resize(start + len as usize, 0);
        self.read_at(&mut buffer[start..], offset).inspect_err(|_| buffer.truncate(start))
    }

    /// The digest of the bytes at a place, read a piece at a time.
    pub fn digest_at(self: &Arc<Self>, mut offset: u64, len: u32) -> Result<Digest, StoreError> {
        let mut hasher = blake3::Hasher::new();
        let mut left = len as usize;
        let mut buffer = vec![0; left.min(1 << 18)];
        while left > 0 {
            let n = left.min(buffer.len());
            self.read_at(&mut buffer[..n], offset)?;
            hasher.update(&buffer[..n]);
            (offset, left) = (offset + n as u64, left - n);
        }
        Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
    }

    /// Some rows of the index, from the one at `first`.
    pub fn rows(self: &Arc<Self>, first: u64, max: u64) -> Result<Vec<Row>, StoreError> {
        let n = self.count.saturating_sub(first).min(max) as usize;
        let mut bytes = vec![0; n * ROW];
        let at = first * ROW as u64;
        match self.read_at(&mut bytes, self.index_at + at) {
            Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                let tail = self.path.with_extension(TAIL);
                let read = File::open(&tail).and_then(|file| file.read_exact_at(&mut bytes, at));
                read.map_err(|e| StoreError::io("read", &tail, e))?;
            }
            other => other?,
        }
        Ok(bytes.chunks_exact(ROW).map(row_of).collect())
    }

    /// Deletes the file and leaves its index in a small file beside it. The pack can be fetched again.
    pub fn evict(&self) -> Result<(), StoreError> {
        let failed = |e| StoreError::io("evict", &self.path, e);
        let tail = self.path.with_extension(TAIL);
        if !tail.is_file() {
            let file = File::open(&self.path).map_err(failed)?;
            let len = usize::try_from(self.len.saturating_sub(self.index_at)).unwrap_or(usize::MAX);
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, self.index_at).map_err(failed)?;
            let dir = self.path.parent().unwrap_or(Path::new("."));
            let temp = tempfile::Builder::new().prefix(".tail-").suffix(".tmp").tempfile_in(dir);
            let mut temp = temp.map_err(failed)?;
            temp.write_all(&bytes).map_err(failed)?;
            temp.persist(&tail).map_err(|e| failed(e.error))?;
        }
        std::fs::remove_file(&self.path).map_err(failed)?;
        self.file.store(None);
        Ok(())
    }

    /// Where an object lies in this pack; looked up in the file.
    pub fn lookup(self: &Arc<Self>, digest: &Digest) -> Result<Option<Row>, StoreError> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(row) = self.rows(middle, 1)?.pop() else { return Ok(None) };
            match row.digest.cmp(digest) {
                std::cmp::Ordering::Equal => return Ok(Some(row)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }
}

fn row_of(bytes: &[u8]) -> Row {
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

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}
