//! The child's side: reads jobs from its standard input, which is a socket, and answers there.

use std::{
    collections::HashMap,
    io::{self, BufReader},
    os::{fd::AsFd, unix::net::UnixStream},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::process::{Resource, Rlimit};

use crate::wire::{self, Kind};

/// The command that makes a process a child: `ashlar sandbox MEMORY_BYTES`.
pub const COMMAND: &str = "sandbox";
/// The stack of the thread that works, in bytes.
const STACK_BYTES: usize = 8 << 20;
/// What is read at a time, in bytes.
const READ_BYTES: usize = 64 << 10;
/// How much the priority of a child is lowered: whoever serves readers goes first.
const NICE: i32 = 10;

/// What jobs of one kind refer to, ready to work on them.
pub trait Handler {
    /// Works on a job and returns its result.
    fn run(&mut self, request: &[u8], line: &Line) -> Vec<u8>;
}

/// How a job speaks with the parent while it runs. Cheap to clone.
#[derive(Clone)]
pub struct Line(Arc<Mutex<Ends>>);

struct Ends {
    from: BufReader<UnixStream>,
    to: UnixStream,
}

impl Line {
    fn ends(&self) -> std::sync::MutexGuard<'_, Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the parent and waits for the answer.
    ///
    /// # Errors
    /// When the parent no longer exists.
    pub fn ask(&self, question: &[u8]) -> io::Result<Vec<u8>> {
        let mut ends = self.ends();
        wire::write(&mut ends.to, Kind::Ask, &[question])?;
        match wire::read(&mut ends.from)? {
            (Kind::Reply, answer) => Ok(answer),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "not an answer")),
        }
    }

    /// Says what is worked on now. When the job exceeds a limit, the message names it.
    pub fn note(&self, what: &str) {
        // A parent that is gone shows when the result is sent.
        let _ = wire::write(&mut self.ends().to, Kind::Note, &[what.as_bytes()]);
    }
}

/// Makes a handler from what jobs refer to. `kind` is what the caller of [`crate::Sandbox::call`] named.
pub type Open = fn(kind: u8, resource: &[u8], line: &Line) -> Box<dyn Handler>;

/// Works on jobs until the parent closes the connection. The process gives up what it does not need first: memory
/// beyond `memory_bytes`, files, core dumps, priority.
pub fn serve(memory_bytes: u64, open: Open) -> ExitCode {
    if let Err(error) = limit(memory_bytes) {
        eprintln!("the limits of the process cannot be set: {error}");
        return ExitCode::FAILURE;
    }
    leave_with_parent();
    let worked = std::thread::Builder::new()
        .name("job".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || work(open))
        .map(|thread| thread.join().is_ok_and(|done| done.is_ok()));
    match worked {
        Ok(true) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn limit(memory_bytes: u64) -> io::Result<()> {
    let set = |resource, most: u64| {
        // A limit that is lower already stays.
        let most = rustix::process::getrlimit(resource).maximum.map_or(most, |hard| hard.min(most));
        rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
    };
    set(Resource::As, memory_bytes)?;
    set(Resource::Core, 0)?;
    set(Resource::Fsize, 0)?;
    // A lower priority is a courtesy; a system that refuses it is no reason not to work.
    let _ = rustix::process::nice(NICE);
    Ok(())
}

/// A job without end must not outlive the parent: nobody else would stop it.
fn leave_with_parent() {
    let parent = std::os::unix::process::parent_id();
    let watch = move || {
        while std::os::unix::process::parent_id() == parent {
            std::thread::sleep(Duration::from_millis(100));
        }
        std::process::exit(1);
    };
    // Without the thread the child still ends when it looks for its next job.
    let _ = std::thread::Builder::new().stack_size(64 << 10).spawn(watch);
}

fn work(open: Open) -> io::Result<()> {
    let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let ends = Ends { from: BufReader::with_capacity(READ_BYTES, stream.try_clone()?), to: stream };
    let line = Line(Arc::new(Mutex::new(ends)));
    let mut handlers: HashMap<[u8; 32], Box<dyn Handler>> = HashMap::new();
    loop {
        let (kind, body) = match wire::read(&mut line.ends().from) {
            Ok(frame) => frame,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(e) => return Err(e),
        };
        let short = || io::Error::new(io::ErrorKind::InvalidData, "a frame is too short");
        match kind {
            Kind::Forget => {
                handlers.remove(body.first_chunk::<32>().ok_or_else(short)?);
            }
            Kind::Load | Kind::Run => {
                let (job, rest) = body.split_first().ok_or_else(short)?;
                let (digest, rest) = rest.split_first_chunk::<32>().ok_or_else(short)?;
                if kind == Kind::Load {
                    handlers.insert(*digest, open(*job, rest, &line));
                    continue;
                }
                let result = match handlers.get_mut(digest) {
                    Some(handler) => handler.run(rest, &line),
                    None => open(*job, &[], &line).run(rest, &line),
                };
                wire::write(&mut line.ends().to, Kind::Done, &[&result])?;
            }
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "not for a child")),
        }
    }
}
