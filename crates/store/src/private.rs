//! Files and directories that only their owner may read.

use std::{fs, io, path::Path};

/// Makes a directory, with those above it, that only its owner may use. One that is there and open to others is closed to
/// them, which is logged; when that is not allowed (a mounted volume), it is logged and stays.
///
/// # Errors
/// When it cannot be made.
pub fn private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    tighten(path);
    Ok(())
}

/// [`private_dir`] for a place whose name others can guess, such as one under `/tmp`: what is there must be our own.
///
/// # Errors
/// When it cannot be made, or is a link or another user's.
pub fn own_dir(path: &Path) -> io::Result<()> {
    private_dir(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (found, own) = (fs::symlink_metadata(path)?, tempfile::tempfile()?.metadata()?.uid());
        if !found.is_dir() || found.uid() != own {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it is a link or belongs to another user",
            ));
        }
    }
    Ok(())
}

/// Makes an empty file that only its owner may read and write, unless it is there. One that others may read is closed to
/// them, which is logged.
///
/// # Errors
/// When it cannot be made.
pub fn private_file(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            tighten(path);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Closes what is there to everybody but its owner; does nothing when it is closed, or not there.
pub fn tighten(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let Ok(found) = fs::metadata(path) else { return };
        let mode = found.permissions().mode();
        if mode & 0o077 == 0 {
            return;
        }
        match fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700)) {
            Ok(()) => tracing::info!(
                path = %path.display(), was = format!("{:o}", mode & 0o777), now = format!("{:o}", mode & 0o700),
                "other users could read this; now only its owner can"
            ),
            Err(error) => tracing::warn!(
                path = %path.display(), mode = format!("{:o}", mode & 0o777), %error,
                "other users can read this, and that cannot be changed"
            ),
        }
    }
}
