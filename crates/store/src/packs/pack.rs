//! Packs whose files are opened when they are read, and the clock that bounds how many are open.

use std::{
    collections::VecDeque,
    fs::File,
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwapOption;
use ashlar_model::Digest;

use super::format::{COUNT_MAX, END, FOOTER, MAGIC, OBJECT_BYTES_MAX, ROW, Row, TAIL, number, row_of};
use crate::StoreError;

/// The bit of [`Pack::used`] for those who close files.
const BY_HANDLES: u8 = 1;
/// The bit of [`Pack::used`] for those who keep the cache small.
pub(crate) const BY_CACHE: u8 = 2;
const USED: u8 = BY_HANDLES | BY_CACHE;

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

/// Which packs have an open file, in the order of a clock: a pack that was read since the hand last passed it stays.
pub(crate) struct Handles {
    open_max: usize,
    ring: Mutex<VecDeque<Weak<Pack>>>,
}

impl Handles {
    pub(crate) fn new(open_max: usize) -> Self {
        Self { open_max: open_max.max(1), ring: Mutex::default() }
    }

    /// Opens the file of a pack, and closes another when too many are open.
    pub(crate) fn open(&self, pack: &Arc<Pack>) -> Result<Arc<File>, StoreError> {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        // Another reader may have opened it meanwhile.
        if let Some(file) = pack.file.load_full() {
            return Ok(file);
        }
        close_down_to(&mut ring, self.open_max - 1);
        let file = match File::open(&pack.path) {
            // Descriptors went elsewhere: do with half as many.
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
                let half = ring.len() / 2;
                close_down_to(&mut ring, half);
                File::open(&pack.path)
            }
            other => other,
        };
        let file = Arc::new(file.map_err(|e| StoreError::io("open", &pack.path, e))?);
        pack.file.store(Some(file.clone()));
        ring.push_back(Arc::downgrade(pack));
        Ok(file)
    }

    /// How many packs are open.
    pub(crate) fn open_now(&self) -> usize {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().filter_map(Weak::upgrade).filter(|p| p.file.load().is_some()).count()
    }
}

fn close_down_to(ring: &mut VecDeque<Weak<Pack>>, count: usize) {
    // Two rounds end it: the first takes every mark away.
    let mut steps = ring.len() * 2;
    while ring.len() > count {
        let Some(next) = ring.pop_front() else { return };
        let Some(pack) = next.upgrade() else { continue };
        steps = steps.saturating_sub(1);
        if pack.used.fetch_and(!BY_HANDLES, Ordering::Relaxed) & BY_HANDLES != 0 && steps > 0 {
            ring.push_back(next);
        } else {
            pack.file.store(None);
        }
    }
}
