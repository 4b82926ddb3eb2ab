//! Why a model cannot be read.

use std::path::PathBuf;

/// Why a model cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The disk failed, or the file is not there.
    #[error("{path} cannot be read: {source}", path = .path.display())]
    Io {
        /// What was read.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file of the model is missing.
    #[error("{dir} has no {wanted}", dir = .dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
        /// What is missing.
        wanted: &'static str,
    },
    /// A file has more bytes than are read.
    #[error("{path} has {bytes} bytes; at most {most} are read", path = .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The most that is read.
        most: u64,
    },
    /// A file is damaged, or of a kind that is not known.
    #[error("{path}: {why}", path = .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}
