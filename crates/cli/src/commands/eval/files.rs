//! Files of suites, read with bounds and written whole.

use std::{io::Read as _, path::Path};

use crate::error::CliError;

/// Checks the name of a suite, which is part of paths.
pub fn named(suite: &str) -> Result<(), CliError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if suite.is_empty() || suite.len() > 64 || !suite.chars().all(fits) {
        let shown: String = suite.chars().take(80).collect();
        let help = "use at most 64 letters, digits, `-` and `_`";
        return Err(CliError::input(format!("`{shown}` cannot be the name of a suite"), help));
    }
    Ok(())
}

/// The bytes of a file that has at most so many.
pub fn bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, CliError> {
    let failed = |error: std::io::Error| CliError::file("read", path, &error);
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > bytes_max {
        let message = format!("{} has more than {bytes_max} bytes", path.display());
        return Err(CliError::input(message, "split the file"));
    }
    Ok(bytes)
}

/// Replaces a file, or leaves it as it was.
pub fn write(path: &Path, text: &str) -> Result<(), CliError> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).map_err(|error| CliError::file("create", dir, &error))?;
    }
    let beside = path.with_extension("partial");
    std::fs::write(&beside, text).map_err(|error| CliError::file("write", &beside, &error))?;
    std::fs::rename(&beside, path).map_err(|error| CliError::file("write", path, &error))
}
