//! Definitions are tried in a process that may die before this process reads them.
//!
//! Every reader of definitions is bounded by its input. A library below one of them may still need more stack, memory or
//! time than anybody foresaw, and in a server that would end the work of all tenants. So a server reads definitions it
//! has not seen before in a child process first, with less stack and memory than it has itself.

use std::sync::{Arc, Mutex, PoisonError};

use ashlar_model::{Digest, Files, Finding};

use super::{Definitions, files_digest};

/// Definitions that are known to be readable, by digest.
const PASSED_MAX: usize = 4_096;
/// The stack that definitions are tried with, in bytes: less than any thread that reads them afterwards.
const STACK_BYTES: usize = 1 << 20;

/// Runs a trial in a process that may die.
pub trait Trial: Send + Sync {
    /// Runs [`attempt`] with `request` elsewhere. Blocks.
    ///
    /// # Errors
    /// When it did not end well.
    fn run(&self, request: &[u8]) -> Result<(), TrialFailure>;
}

/// Why a trial did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialFailure {
    /// What was read when it failed: a file or folder.
    pub place: Option<String>,
    /// Why, as the end of a sentence: `it nests too deeply`.
    pub message: String,
    /// Whether it can work at another time: the definitions are not the cause.
    pub passing: bool,
}

/// Tries definitions, each once. Cheap to clone.
#[derive(Clone)]
pub struct Trials(Arc<Inner>);

struct Inner {
    trial: Box<dyn Trial>,
    passed: Mutex<Vec<Digest>>,
}

impl Trials {
    /// Tries definitions with `trial`.
    pub fn new(trial: Box<dyn Trial>) -> Self {
        Self(Arc::new(Inner { trial, passed: Mutex::default() }))
    }

    /// Whether definitions can be read. Those that could be once are not tried again.
    ///
    /// # Errors
    /// The finding, and whether it can change without a change of the definitions.
    pub fn admit(&self, files: &Files) -> Result<(), (Box<Finding>, bool)> {
        let digest = files_digest(files);
        let passed = || self.0.passed.lock().unwrap_or_else(PoisonError::into_inner);
        if passed().contains(&digest) {
            return Ok(());
        }
        let body = encode(files);
        match self.0.trial.run(&body) {
            Ok(()) => {
                let mut passed = passed();
                if passed.len() >= PASSED_MAX {
                    passed.remove(0);
                }
                passed.push(digest);
                Ok(())
            }
            Err(failure) => {
                let place = failure.place.unwrap_or_else(|| "ashlar.toml".to_owned());
                let finding = match failure.passing {
                    true => Finding::error(
                        "definitions-untried",
                        place,
                        format!("The definitions could not be read now: {}.", failure.message),
                    )
                    .help("try again in a moment"),
                    false => Finding::error(
                        "definitions-too-costly",
                        place,
                        format!("The definitions cannot be read: {}.", failure.message),
                    )
                    .help("make what is at this place simpler: fewer nested parts, fewer references to the same part, smaller files"),
                };
                Err((Box::new(finding), failure.passing))
            }
        }
    }
}

/// Files as bytes: length and text of each path, length and bytes of each file.
fn encode(files: &Files) -> Vec<u8> {
    let mut out = Vec::new();
    for (path, bytes) in files.iter() {
        for part in [path.as_bytes(), bytes] {
            out.extend_from_slice(&(part.len() as u64).to_le_bytes());
            out.extend_from_slice(part);
        }
    }
    out
}

/// The files that [`encode`] wrote.
fn decode(mut bytes: &[u8]) -> Option<Files> {
    let mut files = Files::new();
    let mut part = || -> Option<&[u8]> {
        let (len, rest) = bytes.split_first_chunk::<8>()?;
        let (part, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
        bytes = rest;
        Some(part)
    };
    while let Some(path) = part() {
        files.insert(std::str::from_utf8(path).ok()?, part()?.to_vec()).ok()?;
    }
    Some(files)
}

/// Reads definitions in every way a server reads them, and throws the result away. For the process that may die: `note`
/// hears which part is read.
pub fn attempt(request: &[u8], note: &ashlar_site::Note) {
    let Some(files) = decode(request) else { return };
    ashlar_site::note_with(note.clone());
    let work = || {
        let loaded = Definitions::load_noting(&files, note.as_ref());
        note("consumers/");
        let _ = (loaded.rules(), loaded.promises());
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        if let Ok(thread) = thread
            && thread.join().is_err()
        {
            std::process::exit(101);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn files_come_through_as_they_are() {
        let mut files = Files::new();
        files.insert("a/b.json", b"{}".to_vec()).unwrap();
        files.insert("c.bin", vec![0, 255, 10]).unwrap();
        let back = decode(&encode(&files)).unwrap();
        assert!(back.iter().eq(files.iter()));
        assert!(decode(b"short").is_some_and(|f| f.is_empty()));
    }

    struct Counted(Arc<AtomicUsize>, Option<TrialFailure>);

    impl Trial for Counted {
        fn run(&self, _: &[u8]) -> Result<(), TrialFailure> {
            self.0.fetch_add(1, Ordering::SeqCst);
            self.1.clone().map_or(Ok(()), Err)
        }
    }

    #[test]
    fn what_passed_is_not_tried_again() {
        let mut files = Files::new();
        files.insert("ashlar.toml", b"name = 'x'".to_vec()).unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let trials = Trials::new(Box::new(Counted(count.clone(), None)));
        assert!(trials.admit(&files).is_ok() && trials.admit(&files).is_ok());
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_busy_server_says_so() {
        let busy =
            TrialFailure { place: None, message: "the server has too much to do".to_owned(), passing: true };
        let trials = Trials::new(Box::new(Counted(Arc::default(), Some(busy))));
        let (finding, passing) = trials.admit(&Files::new()).unwrap_err();
        assert!(passing);
        assert_eq!(finding.code, "definitions-untried");
    }
}
