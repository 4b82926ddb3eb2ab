//! Files on disk: bounded, and inside the project.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use ashlar_model::Finding;

/// Whether a symbolic link leads to a regular file inside `dir`.
pub(crate) fn link_stays_inside(dir: &Path, link: &Path) -> bool {
    let target: Option<(PathBuf, PathBuf)> = dir.canonicalize().ok().zip(link.canonicalize().ok());
    target.is_some_and(|(dir, target)| target.starts_with(dir) && target.is_file())
}

pub(crate) fn outside(path: &str) -> Finding {
    Finding::error("symlink", path, "The symbolic link does not lead to a file inside the project.")
        .help("copy the file into the project; folders are not followed through links")
}

/// Why a file was not read.
pub(crate) enum Unread {
    Io(io::Error),
    TooLarge,
}

pub(crate) fn unreadable(path: &str, e: &Unread, max: usize) -> Finding {
    match e {
        Unread::Io(e) => Finding::error("unreadable", path, format!("It cannot be read: {e}."))
            .help("check that it is a file and its permissions"),
        Unread::TooLarge => {
            Finding::error("too-large", path, format!("The file is larger than {max} bytes."))
                .help("split it, or import it in pieces")
        }
    }
}

/// Reads a regular file of at most `max` bytes.
pub(crate) fn read_bounded(path: &Path, max: usize) -> Result<Vec<u8>, Unread> {
    // Asked before opening: opening a named pipe would wait for a writer.
    let meta = fs::metadata(path).map_err(Unread::Io)?;
    if !meta.is_file() {
        return Err(Unread::Io(io::Error::other("it is not a regular file")));
    }
    let mut file = fs::File::open(path).map_err(Unread::Io)?;
    let len = usize::try_from(meta.len()).unwrap_or(usize::MAX);
    if len > max {
        return Err(Unread::TooLarge);
    }
    let mut bytes = Vec::with_capacity(len + 1);
    file.by_ref().take(max as u64 + 1).read_to_end(&mut bytes).map_err(Unread::Io)?;
    if bytes.len() > max { Err(Unread::TooLarge) } else { Ok(bytes) }
}
