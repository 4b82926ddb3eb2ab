//! `check`: every gate that needs no server, on files.

use std::{path::Path, process::ExitCode};

use ashlar_gates::{CheckOptions, CheckStatus, check_project, junit, sarif};
use ashlar_model::Files;
use serde_json::Value;

use super::{Done, project::write_files};
use crate::{
    args::{CheckArgs, CheckFormat},
    backend::value,
    error::CliError,
    output,
};

/// The project as it was at a git revision, in a temporary directory.
fn at_revision(dir: &Path, revision: &str) -> Result<tempfile::TempDir, CliError> {
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
    let list = git(&["ls-tree", "-r", "-z", "--name-only", revision, "--", "."])?;
    let temp = tempfile::tempdir().map_err(|e| CliError::file("make", &std::env::temp_dir(), &e))?;
    for path in String::from_utf8_lossy(&list).split('\0').filter(|p| !p.is_empty()) {
        let bytes = git(&["show", &format!("{revision}:./{path}")])?;
        let to = temp.path().join(path);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(|e| CliError::file("make", parent, &e))?;
        }
        std::fs::write(&to, bytes).map_err(|e| CliError::file("write", &to, &e))?;
    }
    Ok(temp)
}

/// The definitions a server has, in a temporary directory.
async fn of_server(url: &str, key: Option<&str>) -> Result<tempfile::TempDir, CliError> {
    let failed = |e: reqwest::Error| {
        CliError::new(3, "network", format!("{url} did not answer: {e}"), "is the address right?")
    };
    let mut request =
        reqwest::Client::new().get(format!("{}/api/v1/definitions?files=true", url.trim_end_matches('/')));
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
    let temp = tempfile::tempdir().map_err(|e| CliError::file("make", &std::env::temp_dir(), &e))?;
    write_files(temp.path(), &files)?;
    Ok(temp)
}

pub async fn check(args: CheckArgs) -> Done {
    let mut kept = None;
    let against = match &args.against {
        None => None,
        Some(dir) if Path::new(dir).join("ashlar.toml").is_file() => Some(Path::new(dir).to_owned()),
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
            Some(kept.insert(of_server(url, args.key.as_deref()).await?).path().to_owned())
        }
        Some(revision) => Some(kept.insert(at_revision(&args.dir, revision)?).path().to_owned()),
    };
    let options = CheckOptions { against, cache: !args.no_cache, ..CheckOptions::default() };
    let dir = args.dir.clone();
    let report = tokio::task::spawn_blocking(move || check_project(&dir, &options))
        .await
        .map_err(|e| CliError::new(3, "internal", e.to_string(), ""))?
        .map_err(|e| CliError::input(e.to_string(), "`ashlar init DIR` makes a project"))?;
    match args.format {
        CheckFormat::Json => output::print_json(&report),
        CheckFormat::Sarif => output::line(sarif(&report)),
        CheckFormat::Junit => output::line(junit(&report)),
        CheckFormat::Human => {
            let gates: Result<Vec<Value>, CliError> = report.gates.iter().map(value).collect();
            output::gates(&gates?, 50);
            let warnings: usize = report
                .gates
                .iter()
                .flat_map(|g| &g.findings)
                .filter(|f| f.level == ashlar_model::Level::Warning)
                .count();
            let figure = |name: &str| report.metrics.get(name).copied().unwrap_or(0.0);
            output::line(format!(
                "{}  {} contracts, {} entries, {warnings} warnings, {:.0} ms",
                match report.status {
                    CheckStatus::Pass => output::paint("pass", "32;1"),
                    CheckStatus::Fail => output::paint("FAIL", "31;1"),
                    CheckStatus::Error => output::paint("ERROR", "31;1"),
                },
                figure("contracts"),
                figure("entries"),
                figure("ms"),
            ));
        }
    }
    Ok(ExitCode::from(match report.status {
        CheckStatus::Pass => 0,
        CheckStatus::Fail => 1,
        CheckStatus::Error => 2,
    }))
}
