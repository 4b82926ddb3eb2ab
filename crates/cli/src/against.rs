//! What `--against` names: another project, a git revision, or the definitions of a server.

use std::path::{Path, PathBuf};

use ashlar_model::Files;
use serde_json::Value;

use crate::{error::CliError, project::write_files};

/// The project as it was at a git revision, in a temporary directory. Two runs of git, however many files there are.
fn at_revision(dir: &Path, revision: &str) -> Result<tempfile::TempDir, CliError> {
    if revision.starts_with('-') {
        let message = format!("`{revision}` is not a git revision");
        return Err(CliError::input(message, "give a branch, tag or commit"));
    }
    let git = |args: &[&str]| -> Result<Vec<u8>, CliError> {
        let run = std::process::Command::new("git").arg("-C").arg(dir).args(args).output();
        let run = run.map_err(|e| {
            CliError::new(
                3,
                "git",
                format!("git could not be run: {e}"),
                "install git, or give a directory to --against",
            )
        })?;
        match run.status.success() {
            true => Ok(run.stdout),
            false => {
                let said = String::from_utf8_lossy(&run.stderr).trim().to_owned();
                let message = format!("`{revision}` is neither a directory nor a git revision here: {said}");
                Err(CliError::input(
                    message,
                    "give a branch, tag or commit, a project directory, or a server's address",
                ))
            }
        }
    };
    let list = git(&["ls-tree", "-r", "-z", revision, "--", "."])?;
    // `<mode> blob <object>\t<path>`
    let files: Vec<(&str, &str)> = std::str::from_utf8(&list)
        .unwrap_or_default()
        .split('\0')
        .filter_map(|row| {
            let (meta, path) = row.split_once('\t')?;
            let mut meta = meta.split(' ');
            let (mode, kind, object) = (meta.next()?, meta.next()?, meta.next()?);
            (kind == "blob" && mode.starts_with("100")).then_some((object, path))
        })
        .collect();
    let temp = tempfile::tempdir().map_err(|e| CliError::file("create", &std::env::temp_dir(), &e))?;
    let contents = blobs(dir, files.iter().map(|(object, _)| *object))
        .map_err(|e| CliError::new(3, "git", format!("git could not be read: {e}"), ""))?;
    for ((_, path), bytes) in files.iter().zip(contents) {
        let to = temp.path().join(path);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(|e| CliError::file("create", parent, &e))?;
        }
        std::fs::write(&to, bytes).map_err(|e| CliError::file("write", &to, &e))?;
    }
    Ok(temp)
}

/// The contents of git objects, in the order they are named.
fn blobs<'a>(dir: &Path, objects: impl Iterator<Item = &'a str>) -> std::io::Result<Vec<Vec<u8>>> {
    use std::io::{BufRead, BufReader, Error, Read, Write};
    let names: Vec<&str> = objects.collect();
    let mut child = std::process::Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(["cat-file", "--batch"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let (Some(mut input), Some(output)) = (input, output) else { return Err(Error::other("no pipes")) };
    let asked = names.iter().flat_map(|n| [n.as_bytes(), b"\n"]).collect::<Vec<_>>().concat();
    let writer = std::thread::spawn(move || input.write_all(&asked));
    let mut output = BufReader::new(output);
    let mut contents = Vec::with_capacity(names.len());
    for name in &names {
        let mut head = String::new();
        output.read_line(&mut head)?;
        let len = head.split_whitespace().nth(2).and_then(|n| n.parse::<u64>().ok());
        let len = len.ok_or_else(|| Error::other(format!("the object {name} is missing")))?;
        let mut bytes = Vec::new();
        output.by_ref().take(len).read_to_end(&mut bytes)?;
        output.read_exact(&mut [0])?;
        contents.push(bytes);
    }
    let _ = writer.join();
    child.wait()?;
    Ok(contents)
}

/// The definitions a server has, in a temporary directory.
async fn of_server(url: &str, key: Option<&str>) -> Result<tempfile::TempDir, CliError> {
    let failed = |e: reqwest::Error| {
        CliError::new(3, "network", format!("{url} did not answer: {e}"), "is the address right?")
    };
    let target = ashlar_server::endpoints::rows::GET_DEFINITIONS.call().with("files", true).target;
    let mut request = reqwest::Client::new().get(format!("{}{target}", url.trim_end_matches('/')));
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let answer: Value = response.json().await.map_err(failed)?;
    if !status.is_success() {
        let detail = answer.get("detail").and_then(Value::as_str).unwrap_or_default();
        return Err(CliError::new(
            3,
            "network",
            format!("{url} answered {status}: {detail}"),
            "give --key with the scope `preview`",
        ));
    }
    let mut files = Files::new();
    for (path, text) in answer.get("files").and_then(Value::as_object).into_iter().flatten() {
        let text = text.as_str().unwrap_or_default();
        files
            .insert(path, text.as_bytes().to_vec())
            .map_err(|e| CliError::new(3, "network", e.to_string(), ""))?;
    }
    let temp = tempfile::tempdir().map_err(|e| CliError::file("create", &std::env::temp_dir(), &e))?;
    write_files(temp.path(), &files)?;
    Ok(temp)
}

/// A project to compare with: where it lies, and what keeps it there.
pub struct Against {
    pub path: PathBuf,
    _kept: Option<tempfile::TempDir>,
}

/// Finds what `--against` names.
pub async fn against(dir: &Path, named: &str, key: Option<&str>) -> Result<Against, CliError> {
    if Path::new(named).join("ashlar.toml").is_file() {
        return Ok(Against { path: named.into(), _kept: None });
    }
    let kept = match named.starts_with("http://") || named.starts_with("https://") {
        true => of_server(named, key).await?,
        false => at_revision(dir, named)?,
    };
    Ok(Against { path: kept.path().to_owned(), _kept: Some(kept) })
}
