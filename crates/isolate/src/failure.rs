use std::time::Duration;

/// Why a job in a child process has no result. The child no longer exists; the next job gets a new one.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Every child was working until the deadline.
    #[error("the server has too much to do")]
    Busy,
    /// The job did not end in time.
    #[error("it did not finish within {} s{}", .limit.as_secs_f64(), at(.note.as_ref()))]
    Timeout {
        /// How long it was given.
        limit: Duration,
        /// What it was working on.
        note: Option<String>,
    },
    /// The job asked for more memory than a child may have.
    #[error("it needs more than {} MiB of memory{}", .limit_bytes >> 20, at(.note.as_ref()))]
    Memory {
        /// The limit, in bytes.
        limit_bytes: u64,
        /// What it was working on.
        note: Option<String>,
    },
    /// The job nested too deeply for its stack.
    #[error("it nests too deeply{}", at(.note.as_ref()))]
    Stack {
        /// What it was working on.
        note: Option<String>,
    },
    /// The result, or a question, is larger than a child may send.
    #[error("it produces more than {} MiB{}", .limit_bytes >> 20, at(.note.as_ref()))]
    Output {
        /// The limit, in bytes.
        limit_bytes: usize,
        /// What it was working on.
        note: Option<String>,
    },
    /// The child ended for another reason.
    #[error("it ended the process that worked on it ({how}){}", at(.note.as_ref()))]
    Died {
        /// How: an exit status or a signal.
        how: String,
        /// What it was working on.
        note: Option<String>,
    },
    /// No child could be started, or the connection to it failed.
    #[error("no process could be started for it: {0}")]
    Start(#[source] std::io::Error),
}

fn at(note: Option<&String>) -> String {
    note.map(|note| format!(" (in {note})")).unwrap_or_default()
}

impl Failure {
    /// Whether the input is the cause: the same job would fail again. The other failures pass.
    pub fn is_of_input(&self) -> bool {
        !matches!(self, Self::Busy | Self::Start(_))
    }

    /// What the job was working on when it failed, as the child named it last.
    pub fn note(&self) -> Option<&str> {
        match self {
            Self::Timeout { note, .. }
            | Self::Memory { note, .. }
            | Self::Stack { note }
            | Self::Output { note, .. }
            | Self::Died { note, .. } => note.as_deref(),
            Self::Busy | Self::Start(_) => None,
        }
    }
}
