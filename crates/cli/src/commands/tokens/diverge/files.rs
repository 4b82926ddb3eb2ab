//! The source files of an app.

use std::path::{Path, PathBuf};

use ashlar_divergence::Language;
use ashlar_project::Globs;
use serde::Serialize;

use crate::error::CliError;

/// The most source files of one app.
const FILES_MAX: usize = 200_000;
/// What lies in these was not written by hand.
const SKIPPED_DIRS: [&str; 3] = ["node_modules", "target", "dist"];

/// A source file and its language.
pub struct Source {
    pub path: PathBuf,
    pub language: Language,
}

/// A file that was not read, or not whole.
#[derive(Debug, Serialize)]
pub struct Skipped {
    pub path: String,
    pub why: String,
}

/// What an app consists of.
#[derive(Default)]
pub struct Found {
    pub files: Vec<Source>,
    pub skipped: Vec<Skipped>,
    /// How many files were left out by name.
    pub excluded: usize,
}

/// The patterns of files to exclude: `*` and `?` match within a name, `**` any number of directories. A pattern without `/`
/// matches the name of a file or a directory anywhere.
fn patterns(exclude: &[String]) -> Result<Globs, CliError> {
    let given = exclude.iter().filter(|pattern| !pattern.is_empty());
    let anchored = given.map(|pattern| match pattern.contains('/') {
        true => pattern.trim_matches('/').to_owned(),
        false => format!("**/{pattern}"),
    });
    Globs::new(anchored)
        .map_err(|e| CliError::input(format!("a pattern to exclude is invalid: {e}"), "fix the pattern"))
}

/// Whether a path is excluded: it matches itself, or a directory that it is in.
fn matches(globs: &Globs, path: &str) -> bool {
    let mut ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    ends.any(|end| globs.matches(&path[..end]))
}

/// Finds the source files under a path; a path that is a file is taken as it is.
/// Files whose path in it matches one of the patterns are left out.
pub fn find(path: &Path, exclude: &[String]) -> Result<Found, CliError> {
    let meta = std::fs::metadata(path).map_err(|e| CliError::file("read", path, &e))?;
    let mut found = Found::default();
    if meta.is_file() {
        let Some(language) = Language::of_path(&path.to_string_lossy()) else {
            return Err(CliError::input(
                format!("{} is not a source file that can be scanned", path.display()),
                "name a directory, a style sheet, a page, or a script",
            ));
        };
        found.files.push(Source { path: path.to_owned(), language });
        return Ok(found);
    }
    let mut open = vec![path.to_owned()];
    while let Some(dir) = open.pop() {
        match list(&dir, &mut found, &mut open) {
            Ok(()) => {}
            Err(e) if dir == path => return Err(CliError::file("read", &dir, &e)),
            Err(e) => found.skip(&dir, format!("cannot be read: {e}")),
        }
        if found.files.len() > FILES_MAX {
            let message = format!("{} has more than {FILES_MAX} source files", path.display());
            return Err(CliError::input(message, "name smaller directories"));
        }
    }
    if found.files.is_empty() && found.skipped.is_empty() {
        let message = format!("{} contains no style sheets, pages or scripts", path.display());
        return Err(CliError::input(message, "name the directory of an app's source"));
    }
    let (before, excluded) = (found.files.len(), patterns(exclude)?);
    found.files.retain(|source| {
        let inside =
            source.path.strip_prefix(path).unwrap_or(&source.path).to_string_lossy().replace('\\', "/");
        !matches(&excluded, &inside)
    });
    found.excluded = before - found.files.len();
    found.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn list(dir: &Path, found: &mut Found, open: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for item in std::fs::read_dir(dir)? {
        let item = item?;
        let (name, kind) = (item.file_name().to_string_lossy().into_owned(), item.file_type()?);
        let Some(language) = Language::of_path(&name).filter(|_| kind.is_file()) else {
            if kind.is_dir() && !name.starts_with('.') && !SKIPPED_DIRS.contains(&name.as_str()) {
                open.push(item.path());
            }
            continue;
        };
        if name.ends_with(".min.css") || name.ends_with(".min.js") {
            found.skip(&item.path(), "is minified".to_owned());
        } else {
            found.files.push(Source { path: item.path(), language });
        }
    }
    Ok(())
}

/// A path as it is shown.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

impl Found {
    fn skip(&mut self, path: &Path, why: String) {
        self.skipped.push(Skipped { path: shown(path), why });
    }
}

#[cfg(test)]
mod tests {
    use super::{matches, patterns};

    #[test]
    fn patterns_match_as_people_expect() {
        for (pattern, path, expected) in [
            ("legacy/**", "legacy/a/b.css", true),
            ("legacy", "src/legacy/b.css", true),
            ("*.stories.tsx", "src/a/Card.stories.tsx", true),
            ("**/*.stories.tsx", "Card.stories.tsx", true),
            ("src/*/b.css", "src/a/b.css", true),
            ("src/*/b.css", "src/a/c/b.css", false),
            ("src/**/b.css", "src/a/c/b.css", true),
            ("legacy/**", "src/legacy/b.css", false),
            ("src/old", "src/old/b.css", true),
            ("c?rd.css", "card.css", true),
            ("", "card.css", false),
        ] {
            let globs = patterns(&[pattern.to_owned()]).unwrap_or_default();
            assert_eq!(matches(&globs, path), expected, "{pattern} {path}");
        }
    }
}
