//! Where a backup is written and read: a directory, or one tar file.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::error::CliError;

/// Files that a backup may have.
const FILES_MAX: usize = 4_000_000;
/// The longest path in a backup, in bytes.
const PATH_BYTES_MAX: usize = 400;

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its path in the data directory, with `/`.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The digest of its bytes.
    pub blake3: String,
}

/// Counts and hashes what passes through.
struct Hashing<R> {
    inner: R,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<R: Read> Hashing<R> {
    fn new(inner: R) -> Self {
        Self { inner, hasher: blake3::Hasher::new(), bytes: 0 }
    }

    fn item(self, path: &str) -> Item {
        Item { path: path.to_owned(), bytes: self.bytes, blake3: self.hasher.finalize().to_hex().to_string() }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Where a backup is written.
pub enum Sink {
    /// A directory.
    Dir(PathBuf),
    /// A tar file, under another name until it is complete.
    Tar { to: PathBuf, tar: Box<tar::Builder<BufWriter<File>>>, temp: tempfile::NamedTempFile },
}

impl Sink {
    /// A name that ends with `.tar` is one file; any other is a directory, which must be empty.
    pub fn create(to: &Path) -> Result<Self, CliError> {
        let exists =
            || CliError::new(1, "not-empty", format!("{} exists already", to.display()), "choose a new name");
        if to.extension().is_some_and(|e| e == "tar") {
            if to.exists() {
                return Err(exists());
            }
            let dir = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let failed = |e: io::Error| CliError::file("write in", dir, &e);
            // Only its owner may read it: it has keys.
            let temp = tempfile::Builder::new().prefix(".backup-").tempfile_in(dir).map_err(failed)?;
            let writer = BufWriter::with_capacity(1 << 20, temp.reopen().map_err(failed)?);
            return Ok(Self::Tar { to: to.to_owned(), tar: Box::new(tar::Builder::new(writer)), temp });
        }
        if std::fs::read_dir(to).is_ok_and(|mut found| found.next().is_some()) || to.is_file() {
            return Err(exists());
        }
        ashlar_store::private_dir(to).map_err(|e| CliError::file("create", to, &e))?;
        Ok(Self::Dir(to.to_owned()))
    }

    /// Adds a file; `None` when it is not there.
    pub fn put(&mut self, path: &str, from: &Path) -> Result<Option<Item>, CliError> {
        let file = match File::open(from) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(CliError::file("read", from, &e)),
        };
        let bytes = file.metadata().map_err(|e| CliError::file("read", from, &e))?.len();
        let mut reader = Hashing::new(file.take(bytes));
        self.write(path, bytes, &mut reader).map_err(|e| CliError::file("back up", from, &e))?;
        Ok(Some(reader.item(path)))
    }

    fn write(&mut self, path: &str, bytes: u64, reader: &mut impl Read) -> io::Result<()> {
        match self {
            Self::Dir(dir) => write_file(&dir.join(path), reader),
            Self::Tar { tar, .. } => {
                let mut header = tar::Header::new_gnu();
                header.set_size(bytes);
                header.set_mode(0o600);
                header.set_mtime(0);
                tar.append_data(&mut header, path, reader)
            }
        }
    }

    /// Adds the list, which makes the backup complete; says where it is.
    pub fn finish(mut self, name: &str, text: &[u8]) -> Result<PathBuf, CliError> {
        let mut reader = text;
        let to = match &self {
            Self::Dir(dir) => dir.clone(),
            Self::Tar { to, .. } => to.clone(),
        };
        let failed = |e: io::Error| CliError::file("write", &to, &e);
        self.write(name, text.len() as u64, &mut reader).map_err(failed)?;
        if let Self::Tar { tar, temp, .. } = self {
            tar.into_inner()
                .and_then(|writer| writer.into_inner().map_err(|e| e.into_error()))
                .map_err(failed)?;
            temp.as_file().sync_all().map_err(failed)?;
            temp.persist_noclobber(&to).map_err(|e| failed(e.error))?;
        }
        Ok(to)
    }
}

fn write_file(to: &Path, reader: &mut impl Read) -> io::Result<()> {
    if let Some(parent) = to.parent() {
        ashlar_store::private_dir(parent)?;
    }
    ashlar_store::private_file(to)?;
    let mut file = File::create(to)?;
    io::copy(reader, &mut file)?;
    file.flush()?;
    file.sync_all()
}

/// Whether a path stays inside the directory it is unpacked in, and is one that a backup has.
fn is_safe(path: &Path) -> bool {
    path.components().all(|c| matches!(c, Component::Normal(_)))
        && path.to_str().is_some_and(|p| !p.is_empty() && p.len() <= PATH_BYTES_MAX)
}

fn unsafe_path(path: &Path) -> CliError {
    let message = format!("the backup names the file {}, which no backup has", path.display());
    CliError::new(1, "backup-damaged", message, "use another backup")
}

/// Unpacks a backup into an empty directory; returns what was found.
pub fn unpack(from: &Path, to: &Path) -> Result<BTreeMap<String, Item>, CliError> {
    let mut found = BTreeMap::new();
    let mut add = |path: &Path, reader: &mut dyn Read| -> Result<(), CliError> {
        let name = path.to_str().filter(|_| is_safe(path)).ok_or_else(|| unsafe_path(path))?;
        if found.len() >= FILES_MAX || found.contains_key(name) {
            return Err(unsafe_path(path));
        }
        let mut reader = Hashing::new(reader);
        write_file(&to.join(name), &mut reader).map_err(|e| CliError::file("unpack", &to.join(name), &e))?;
        found.insert(name.to_owned(), reader.item(name));
        Ok(())
    };
    if from.is_dir() {
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let failed = |e: io::Error| CliError::file("read", &from.join(&folder), &e);
            for entry in std::fs::read_dir(from.join(&folder)).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let path = folder.join(entry.file_name());
                let kind = entry.file_type().map_err(failed)?;
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() {
                    add(&path, &mut File::open(entry.path()).map_err(failed)?)?;
                } else {
                    return Err(unsafe_path(&path));
                }
            }
        }
        return Ok(found);
    }
    let failed = |e: io::Error| CliError::file("read", from, &e);
    let mut tar = tar::Archive::new(BufReader::with_capacity(1 << 20, File::open(from).map_err(failed)?));
    for entry in tar.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let path = entry.path().map_err(failed)?.into_owned();
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(unsafe_path(&path));
        }
        add(&path, &mut entry)?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        for (path, expect) in [
            ("objects/t/main/packs/a.pack", true),
            ("../state.db", false),
            ("objects/../../x", false),
            ("/etc/passwd", false),
            ("", false),
        ] {
            assert_eq!(is_safe(Path::new(path)), expect, "{path}");
        }
    }
}
