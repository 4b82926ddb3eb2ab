use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ashlar_model::{FILE_BYTES_MAX, Files, Finding, ProjectConfig, nearest};

use crate::{
    disk::{link_stays_inside, outside, read_bounded, unreadable},
    text::{decode, sentence},
};

/// Folders whose files are definitions.
const FOLDERS: [&str; 10] = [
    "contracts",
    "views",
    "queries",
    "consumers",
    "tokens",
    "components",
    "prompts",
    "evals",
    "site",
    "assets",
];

/// Files beside `ashlar.toml` that are definitions.
const TOP_FILES: [&str; 11] = [
    "ashlar.toml",
    "tokens.toml",
    "intents.toml",
    "gateway.toml",
    "prompts.toml",
    "retrieval.toml",
    "budgets.toml",
    "governance.toml",
    "redirects.toml",
    "ledger.toml",
    "assist.toml",
];

/// Endings of definition files that are text and so must be UTF-8.
const TEXT_ENDINGS: [&str; 13] = [
    ".json", ".toml", ".graphql", ".yaml", ".yml", ".md", ".jsonl", ".html", ".css", ".js", ".svg", ".txt",
    ".csv",
];

/// Why a project cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// There is no `ashlar.toml`.
    #[error("{dir} is not a project: it has no ashlar.toml; make one with `ashlar init {dir}`")]
    NotAProject {
        /// The directory.
        dir: String,
    },
    /// The disk failed, or a permission is missing.
    #[error("{path} cannot be read: {source}")]
    Io {
        /// What was read.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Reading a project directory.
pub struct Project;

impl Project {
    /// The definition files of the project in exactly `dir`, and findings about files that cannot be one: wrong
    /// encoding, too large, symbolic links that leave the directory. Other files beside `ashlar.toml` are not looked
    /// at.
    ///
    /// # Errors
    /// When there is no project or the disk fails.
    pub fn read(dir: &Path) -> Result<(Files, Vec<Finding>), ProjectError> {
        let io_error = |path: &Path| {
            let path = path.display().to_string();
            move |source| ProjectError::Io { path, source }
        };
        match fs::metadata(dir.join("ashlar.toml")) {
            Ok(meta) if meta.is_file() => {}
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io_error(dir)(e)),
            _ => return Err(ProjectError::NotAProject { dir: dir.display().to_string() }),
        }
        let mut paths = Vec::new();
        let mut findings = Vec::new();
        for name in TOP_FILES {
            match fs::symlink_metadata(dir.join(name)) {
                Ok(_) => paths.push((name.to_owned(), dir.join(name))),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(io_error(&dir.join(name))(e)),
            }
        }
        for folder in FOLDERS {
            let root = dir.join(folder);
            if !root.exists() {
                continue;
            }
            for entry in walkdir::WalkDir::new(&root).max_depth(32).sort_by_file_name() {
                let entry = entry.map_err(|e| ProjectError::Io {
                    path: e.path().unwrap_or(&root).display().to_string(),
                    source: e.into(),
                })?;
                let relative = entry.path().strip_prefix(dir).ok().and_then(Path::to_str);
                let Some(relative) = relative else {
                    findings.push(
                        Finding::error(
                            "file-name",
                            entry.path().display().to_string(),
                            "The file name is not UTF-8.",
                        )
                        .help("rename the file"),
                    );
                    continue;
                };
                let relative = relative.replace(std::path::MAIN_SEPARATOR, "/");
                if entry.file_type().is_dir() || relative.split('/').any(|part| part.starts_with('.')) {
                    continue;
                }
                paths.push((relative, entry.into_path()));
            }
        }
        findings.extend(not_read(dir, &paths));
        let mut files = Files::new();
        for (relative, path) in paths {
            let is_link = fs::symlink_metadata(&path).is_ok_and(|m| m.file_type().is_symlink());
            if is_link && !link_stays_inside(dir, &path) {
                findings.push(outside(&relative));
                continue;
            }
            let bytes = match read_bounded(&path, FILE_BYTES_MAX) {
                Ok(bytes) => bytes,
                Err(e) => {
                    findings.push(unreadable(&relative, &e, FILE_BYTES_MAX));
                    continue;
                }
            };
            if TEXT_ENDINGS.iter().any(|e| relative.ends_with(e))
                && let Err(finding) = decode(&relative, &bytes)
            {
                findings.push(finding);
                continue;
            }
            if let Err(e) = files.insert(&relative, bytes) {
                findings.push(Finding::error("definitions", relative, format!("{e}.")));
            }
        }
        Ok((files, findings))
    }
}

/// What files of a folder of definitions end in, where it is one of a few.
const ENDINGS: [(&str, &[&str]); 5] = [
    ("contracts", &[".json"]),
    ("views", &[".toml"]),
    ("consumers", &[".yaml", ".yml", ".json"]),
    ("tokens", &[".json", ".md"]),
    ("prompts", &[".md"]),
];

/// Names beside `ashlar.toml` that are looked at.
const NAMES_MAX: usize = 1_000;

/// Files and folders that look like definitions and are not read: a name that is nearly one of the known, an ending that the
/// folder does not have.
fn not_read(dir: &Path, paths: &[(String, PathBuf)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _) in paths {
        let Some((folder, rest)) = path.split_once('/') else { continue };
        let Some((_, endings)) = ENDINGS.iter().find(|(name, _)| *name == folder) else { continue };
        let name = rest.to_ascii_lowercase();
        let about = name.ends_with(".md") || name.ends_with(".txt") || name.starts_with("license");
        if !about && !endings.iter().any(|e| rest.ends_with(e)) {
            findings.push(
                Finding::warning(
                    "not-read",
                    path,
                    format!("The file is not read: files in {folder}/ have other endings."),
                )
                .help(format!("files in {folder}/ end in {}", endings.join(", "))),
            );
        }
    }
    let here = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<(String, bool)> = here
        .take(NAMES_MAX)
        .filter_map(|e| Some((e.file_name().into_string().ok()?, e.file_type().ok()?.is_dir())))
        .collect();
    names.sort_unstable();
    for (name, is_dir) in names {
        let near = match is_dir {
            true if FOLDERS.contains(&name.as_str()) || name == crate::content::FOLDER => continue,
            true => nearest(&name, FOLDERS.into_iter().chain([crate::content::FOLDER])),
            false if TOP_FILES.contains(&name.as_str()) || !name.ends_with(".toml") => continue,
            false => nearest(&name, TOP_FILES),
        };
        if let Some(near) = near {
            let what = if is_dir { "folder" } else { "file" };
            findings.push(
                Finding::warning(
                    "not-read",
                    &name,
                    format!("The {what} is not read: it is not a name of a project."),
                )
                .help(format!("did you mean `{near}`?")),
            );
        }
    }
    findings
}

/// Whether a path within a project is one of its definition files.
pub fn is_definition(path: &str) -> bool {
    match path.split_once('/') {
        Some((folder, rest)) => {
            FOLDERS.contains(&folder) && !rest.split('/').any(|part| part.starts_with('.'))
        }
        None => TOP_FILES.contains(&path),
    }
}

/// `ashlar.toml` of a project.
///
/// # Errors
/// What is wrong with it, with its line.
pub fn read_config(files: &Files) -> Result<ProjectConfig, Vec<Finding>> {
    let missing = || {
        Finding::error("config", "ashlar.toml", "The project has no ashlar.toml.")
            .help("make one with `ashlar init`")
    };
    let bytes = files.get("ashlar.toml").ok_or_else(|| vec![missing()])?;
    let text = decode("ashlar.toml", bytes).map_err(|f| vec![f])?;
    ProjectConfig::parse(text).map_err(|e| {
        let place = e.line.map_or("ashlar.toml".to_owned(), |line| format!("ashlar.toml:{line}"));
        vec![Finding::error("config", place, sentence(&e.message)).help(e.help)]
    })
}
