//! The parent's side: starts children, hands them jobs, and kills those that exceed their limits.

use std::{
    collections::VecDeque,
    ffi::OsString,
    io::{self, BufReader, Read},
    os::{fd::OwnedFd, unix::net::UnixStream, unix::process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ashlar_model::Digest;

use crate::{
    COMMAND, Failure,
    wire::{self, HEAD_BYTES, Kind},
};

/// What a child may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Children at a time.
    pub children_max: usize,
    /// Address space of a child, in bytes.
    pub memory_bytes: u64,
    /// The largest result or question of a child, in bytes.
    pub output_bytes_max: usize,
    /// The most questions a job may ask.
    pub questions_max: usize,
}

impl Default for Limits {
    /// One child more than the machine has cores, as [`crate::Workers`] has threads; 512 MiB each.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            children_max: cores + 1,
            memory_bytes: 512 << 20,
            output_bytes_max: 16 << 20,
            questions_max: 10_000,
        }
    }
}

/// Things that a child keeps ready for later jobs.
const LOADED_MAX: usize = 4;
/// A child that has done this many jobs is replaced, so that whatever it accumulates is bounded.
const JOBS_MAX: u32 = 50_000;
/// What is read of a dead child's last words, in bytes.
const WORDS_BYTES_MAX: u64 = 2_048;
/// What is read at a time, in bytes.
const READ_BYTES: usize = 64 << 10;
/// What a note may have, in bytes.
const NOTE_BYTES_MAX: usize = 1_024;

/// Child processes that work on untrusted input. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

struct Inner {
    program: PathBuf,
    before: Vec<OsString>,
    limits: Limits,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    /// Children that work.
    working: usize,
    /// Children that wait for a job, the one that worked last at the end.
    idle: Vec<Child>,
}

/// A job for a child.
pub struct Call<'a> {
    /// Which handler works on it.
    pub kind: u8,
    /// What it refers to: its digest, and its bytes when a child does not have them yet.
    pub resource: Option<(&'a Digest, &'a [u8])>,
    /// What is to be done.
    pub request: &'a [u8],
    /// How long it may take, waiting for a child included.
    pub limit: Duration,
    /// Answers questions of the child.
    pub answer: &'a mut dyn FnMut(&[u8]) -> Vec<u8>,
}

struct Child {
    process: std::process::Child,
    line: BufReader<UnixStream>,
    /// The longest that a read or write may take.
    bounded: Duration,
    /// What it keeps ready, the least recently used first.
    loaded: VecDeque<Digest>,
    jobs: u32,
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Gives a place back, however the job ends.
struct Place<'a>(&'a Inner);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.state().working -= 1;
        self.0.freed.notify_one();
    }
}

impl Inner {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sandbox {
    /// Children of this program, which calls [`crate::serve`] when its first argument is [`COMMAND`]. None is started
    /// before there is a job.
    pub fn new(limits: Limits) -> Self {
        // A program that is replaced while it runs starts children of its own version all the same.
        let own = Path::new("/proc/self/exe");
        let program = match own.exists() {
            true => own.to_owned(),
            false => std::env::current_exe().unwrap_or_else(|_| own.to_owned()),
        };
        Self::of(program, Vec::new(), limits)
    }

    /// Children of another program, with arguments before [`COMMAND`].
    pub fn of(program: PathBuf, before: Vec<OsString>, limits: Limits) -> Self {
        let inner = Inner { program, before, limits, state: Mutex::default(), freed: Condvar::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Works on a job in a child. Blocks; call it where blocking is fine.
    ///
    /// # Errors
    /// When the job exceeds a limit, or no child can work on it.
    pub fn call(&self, call: Call<'_>) -> Result<Vec<u8>, Failure> {
        let deadline = Instant::now() + call.limit;
        let (_place, known) = self.place(call.resource.map(|(digest, _)| digest), deadline)?;
        let mut fresh = known.is_none();
        let mut child = match known {
            Some(child) => child,
            None => self.start()?,
        };
        let limits = &self.inner.limits;
        let mut job = Job { call, limits, deadline, note: None, asked: 0 };
        let mut result = job.run(&mut child);
        if !fresh && matches!(result, Err(Ended::Before)) {
            // It died while it waited, for a reason that has nothing to do with this job.
            drop(child);
            child = self.start()?;
            fresh = true;
            result = job.run(&mut child);
        }
        match result {
            Ok(bytes) => {
                child.jobs += 1;
                if child.jobs < JOBS_MAX {
                    self.inner.state().idle.push(child);
                }
                Ok(bytes)
            }
            Err(ended) => {
                let failure = job.failure(ended, child);
                tracing::warn!(%failure, fresh, "a job in the sandbox failed");
                Err(failure)
            }
        }
    }

    /// Ends the children that wait for a job. Later jobs start new ones.
    pub fn rest(&self) {
        self.inner.state().idle.clear();
    }

    /// Waits for a place, and takes an idle child if there is one: one that has `wanted` ready if possible.
    fn place(
        &self,
        wanted: Option<&Digest>,
        deadline: Instant,
    ) -> Result<(Place<'_>, Option<Child>), Failure> {
        let inner = &*self.inner;
        let mut state = inner.state();
        while state.working >= inner.limits.children_max {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::Busy);
            }
            state = inner.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.working += 1;
        let ready = wanted.and_then(|w| state.idle.iter().rposition(|c| c.loaded.contains(w)));
        let child = match ready {
            Some(at) => Some(state.idle.remove(at)),
            None => state.idle.pop(),
        };
        Ok((Place(inner), child))
    }

    fn start(&self) -> Result<Child, Failure> {
        let (ours, theirs) = UnixStream::pair().map_err(Failure::Start)?;
        let process = Command::new(&self.inner.program)
            .args(&self.inner.before)
            .arg(COMMAND)
            .arg(self.inner.limits.memory_bytes.to_string())
            // Nothing of the parent's environment is the child's business: secrets stand there.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Failure::Start)?;
        let line = BufReader::with_capacity(READ_BYTES, ours);
        Ok(Child { process, line, bounded: Duration::MAX, loaded: VecDeque::new(), jobs: 0 })
    }
}

/// How a job ended without a result.
enum Ended {
    /// The child was gone before it had read the job.
    Before,
    /// The connection ended: the child died.
    Gone(io::Error),
    Late,
    Output,
}

struct Job<'c, 'l> {
    call: Call<'c>,
    limits: &'l Limits,
    deadline: Instant,
    note: Option<String>,
    asked: usize,
}

impl Job<'_, '_> {
    fn run(&mut self, child: &mut Child) -> Result<Vec<u8>, Ended> {
        let zero = Digest::from_bytes([0; 32]);
        let (digest, bytes) = self.call.resource.unwrap_or((&zero, &[]));
        let kind = [self.call.kind];
        let mut sent = Ok(());
        if self.call.resource.is_some() {
            match child.loaded.iter().position(|d| d == digest) {
                Some(at) => {
                    child.loaded.remove(at);
                }
                None => {
                    if child.loaded.len() >= LOADED_MAX
                        && let Some(oldest) = child.loaded.pop_front()
                    {
                        sent = self.send(child, Kind::Forget, &[oldest.as_bytes()]);
                    }
                    if sent.is_ok() {
                        sent = self.send(child, Kind::Load, &[&kind, digest.as_bytes(), bytes]);
                    }
                }
            }
            child.loaded.push_back(*digest);
        }
        if sent.is_ok() {
            sent = self.send(child, Kind::Run, &[&kind, digest.as_bytes(), self.call.request]);
        }
        match sent {
            Ok(()) => {}
            Err(Ended::Gone(_)) => return Err(Ended::Before),
            Err(other) => return Err(other),
        }
        loop {
            match self.receive(child)? {
                (Kind::Done, result) => return Ok(result),
                (Kind::Note, note) => self.note = Some(String::from_utf8_lossy(&note).into_owned()),
                (Kind::Ask, question) => {
                    self.asked += 1;
                    if self.asked > self.limits.questions_max {
                        return Err(Ended::Output);
                    }
                    let answer = (self.call.answer)(&question);
                    self.send(child, Kind::Reply, &[&answer])?;
                }
                _ => {
                    let why = io::Error::new(io::ErrorKind::InvalidData, "not for a parent");
                    return Err(Ended::Gone(why));
                }
            }
        }
    }

    /// What is left of the time.
    fn left(&self) -> Result<Duration, Ended> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(Ended::Late) } else { Ok(left) }
    }

    fn ended(error: io::Error) -> Ended {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Ended::Late,
            _ => Ended::Gone(error),
        }
    }

    /// Lets no single read or write take longer than what is left. Several may together, by little.
    fn bound(&self, child: &mut Child) -> Result<(), Ended> {
        let left = self.left()?;
        let bounded = child.bounded;
        // Most jobs have the same limit, and most of it is left.
        if bounded > left || bounded < left.mul_f32(0.9) {
            let line = child.line.get_ref();
            line.set_read_timeout(Some(left)).and(line.set_write_timeout(Some(left))).map_err(Self::ended)?;
            child.bounded = left;
        }
        Ok(())
    }

    fn send(&self, child: &mut Child, kind: Kind, parts: &[&[u8]]) -> Result<(), Ended> {
        self.bound(child)?;
        wire::write(child.line.get_mut(), kind, parts).map_err(Self::ended)
    }

    fn receive(&self, child: &mut Child) -> Result<(Kind, Vec<u8>), Ended> {
        let mut head = [0; HEAD_BYTES];
        self.fill(child, &mut head)?;
        let (kind, len) = wire::read_head(head).map_err(Ended::Gone)?;
        let most = if kind == Kind::Note { NOTE_BYTES_MAX } else { self.limits.output_bytes_max };
        if len > most {
            return Err(Ended::Output);
        }
        let mut body = vec![0; len];
        self.fill(child, &mut body)?;
        Ok((kind, body))
    }

    fn fill(&self, child: &mut Child, into: &mut [u8]) -> Result<(), Ended> {
        let mut at = 0;
        while at < into.len() {
            self.bound(child)?;
            match child.line.read(&mut into[at..]) {
                Ok(0) => return Err(Ended::Gone(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => at += n,
                Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                Err(e) => return Err(Self::ended(e)),
            }
        }
        Ok(())
    }

    /// Why it failed, by how the child ended and what it said last. The child is killed.
    fn failure(self, ended: Ended, mut child: Child) -> Failure {
        let note = self.note;
        let _ = child.line.get_ref().shutdown(std::net::Shutdown::Both);
        let gone = match ended {
            Ended::Late => {
                return Failure::Timeout { limit: self.call.limit, note };
            }
            Ended::Output => {
                return Failure::Output { limit_bytes: self.limits.output_bytes_max, note };
            }
            Ended::Before => io::ErrorKind::BrokenPipe.into(),
            Ended::Gone(error) => error,
        };
        // A process that ran out of stack or memory dies by itself; give it the moment that takes.
        let patience = Instant::now() + Duration::from_secs(2);
        let status = loop {
            match child.process.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() < patience => std::thread::sleep(Duration::from_millis(1)),
                _ => break None,
            }
        };
        let _ = child.process.kill();
        let _ = child.process.wait();
        let mut words = String::new();
        if let Some(stderr) = child.process.stderr.take() {
            let _ = stderr.take(WORDS_BYTES_MAX).read_to_string(&mut words);
        }
        let limit_bytes = self.limits.memory_bytes;
        if words.contains("overflowed its stack") {
            return Failure::Stack { note };
        }
        if words.contains("memory allocation of") || words.contains("capacity overflow") {
            return Failure::Memory { limit_bytes, note };
        }
        let how = match status {
            Some(status) => match (status.signal(), status.code()) {
                (Some(signal), _) => format!("signal {signal}"),
                (None, Some(101)) => "a panic".to_owned(),
                (None, Some(code)) => format!("exit code {code}"),
                (None, None) => "unknown".to_owned(),
            },
            None => gone.to_string(),
        };
        if !words.is_empty() {
            tracing::warn!(words = words.trim(), "the last words of a child");
        }
        Failure::Died { how, note }
    }
}
