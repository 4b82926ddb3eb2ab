//! The source files of an app.

use std::path::{Path, PathBuf};

use ashlar_divergence::Language;
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

/// Whether a path matches a pattern: `*` and `?` within a name, `**` for any number of directories. A pattern without `/`
/// matches the name of a file or a directory anywhere.
fn matches(pattern: &str, path: &str) -> bool {
    let names: Vec<&str> = path.split('/').collect();
    if !pattern.contains('/') {
        return names.iter().any(|name| name_matches(pattern.as_bytes(), name.as_bytes()));
    }
    let steps: Vec<&str> = pattern.trim_start_matches('/').split('/').filter(|s| !s.is_empty()).collect();
    // Which prefixes of the path the steps so far match.
    let mut reached = vec![false; names.len() + 1];
    reached[0] = true;
    for step in &steps {
        let mut next = vec![false; names.len() + 1];
        for at in 0..=names.len() {
            next[at] = match *step {
                "**" => reached[at] || at > 0 && next[at - 1],
                _ => at > 0 && reached[at - 1] && name_matches(step.as_bytes(), names[at - 1].as_bytes()),
            };
        }
        reached = next;
    }
    // What matches a directory matches all in it.
    reached.iter().skip(1).any(|r| *r)
}

fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
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
    let before = found.files.len();
    found.files.retain(|source| {
        let inside =
            source.path.strip_prefix(path).unwrap_or(&source.path).to_string_lossy().replace('\\', "/");
        !exclude.iter().any(|pattern| matches(pattern, &inside))
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
    use super::matches;

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
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }
}
