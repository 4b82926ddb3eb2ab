//! Files that the binary contains.

use ashlar_model::Files;
use include_dir::Dir;

use crate::error::CliError;

/// An error in what the binary contains.
pub fn broken(what: impl std::fmt::Display) -> CliError {
    CliError::new(3, "demo", format!("the demo project is broken: {what}"), "report it as a bug of Ashlar")
}

/// Every file of an embedded directory.
pub fn files_of(dir: &Dir<'_>) -> Result<Files, CliError> {
    let mut files = Files::new();
    let mut open = vec![dir];
    while let Some(dir) = open.pop() {
        open.extend(dir.dirs());
        for file in dir.files() {
            let path = file.path().to_string_lossy().replace('\\', "/");
            // A cache that a check left in the project is not part of it.
            if !path.starts_with(".ashlar/") {
                files.insert(&path, file.contents().to_vec()).map_err(broken)?;
            }
        }
    }
    Ok(files)
}
