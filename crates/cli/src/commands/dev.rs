//! `dev`: watches a project, checks it on save, and serves a preview of it on this machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use ashlar_gates::{CheckOptions, CheckReport, Checker, check_project};
use ashlar_model::{Actor, EntryKey, ServerConfig, TenantId};
use ashlar_release::{
    At as What, CreatePreview, Ctx, DeleteEntry, DraftQuery, Engine, Location, PushDefinitions,
};
use ashlar_server::Role;
use serde_json::json;

use super::{check, serve};
use crate::{
    args::{DevArgs, Format},
    backend::{Local, models, providers},
    error::{CliError, Done, done},
    isolation, output, project,
    words::count,
    writing,
};

/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(300);
/// Files that are watched.
const FILES_MAX: usize = 200_000;
/// How deep folders are watched.
const DEPTH_MAX: usize = 32;
/// Changed files that are named.
const NAMED_MAX: usize = 3;
/// How long the preview link works, in hours: 90 days, the longest there is.
const LINK_HOURS: u32 = 2_160;
/// Folders that are no part of a project.
const LEFT_OUT: [&str; 2] = ["node_modules", "target"];

/// The files with what changes when they do: time and size.
type Seen = BTreeMap<PathBuf, (SystemTime, u64)>;

/// The files of a project as they are now. What cannot be read is not there.
fn look(dir: &Path) -> Seen {
    let mut seen = Seen::new();
    let mut folders = vec![(dir.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') || LEFT_OUT.contains(&&*name) || seen.len() >= FILES_MAX {
                continue;
            }
            let Ok(meta) = std::fs::metadata(entry.path()) else { continue };
            let link = entry.file_type().is_ok_and(|t| t.is_symlink());
            if meta.is_dir() && !link && depth < DEPTH_MAX {
                folders.push((entry.path(), depth + 1));
            } else if meta.is_file() {
                seen.insert(entry.path(), (meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), meta.len()));
            }
        }
    }
    seen
}

/// The paths that differ, relative to the project.
fn changed(dir: &Path, before: &Seen, now: &Seen) -> Vec<String> {
    let gone = before.keys().filter(|p| !now.contains_key(*p));
    let new = now.iter().filter(|(p, at)| before.get(*p) != Some(at)).map(|(p, _)| p);
    new.chain(gone).map(|p| p.strip_prefix(dir).unwrap_or(p).display().to_string()).collect()
}

/// The definitions and entries of a project become the drafts that the preview shows.
async fn load(local: &Local, dir: &Path) -> Result<(), CliError> {
    let from = dir.to_owned();
    let (files, entries) = tokio::task::spawn_blocking(move || {
        let files = project::read(&from)?;
        let entries = project::read_content(&from, &files)?;
        Ok::<_, CliError>((files, entries))
    })
    .await
    .map_err(|e| CliError::new(3, "internal", e.to_string(), ""))??;
    local.run(PushDefinitions { files }).await?;
    let here: BTreeSet<EntryKey> = entries.iter().map(|e| e.key.clone()).collect();
    let entries = entries.into_iter().map(writing::incoming).collect();
    writing::import_local(local, "content/", entries, &mut |_| {}).await?;
    let mut cursor = None;
    loop {
        let query = DraftQuery { cursor, limit: Some(500), ..DraftQuery::default() };
        let page = local.engine.drafts(&local.ctx, &query).await?;
        for draft in page.items {
            if draft.state == "live" && !here.contains(&draft.key) {
                local.run(DeleteEntry { key: draft.key, expected_version: None }).await?;
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

async fn checked(dir: &Path) -> Result<CheckReport, CliError> {
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || check_project(&dir, &CheckOptions::default()))
        .await
        .map_err(|e| CliError::new(3, "internal", e.to_string(), ""))?
        .map_err(|e| CliError::input(e.to_string(), "`ashlar init DIR` creates a project"))
}

/// Checks a project, shows what was found, and brings the preview up to date.
async fn round(local: &Local, dir: &Path, changed: &[String], format: Format) {
    let report = checked(dir).await;
    let loaded = load(local, dir).await;
    match format {
        Format::Json => output::print_json(&json!({
            "changed": changed,
            "status": report.as_ref().map_or(json!("error"), |r| json!(r.status)),
            "previewed": loaded.is_ok(),
        })),
        Format::Human => {
            if !changed.is_empty() {
                let more = match changed.len().saturating_sub(NAMED_MAX) {
                    0 => String::new(),
                    n => format!(" and {n} more"),
                };
                let named = changed[..changed.len().min(NAMED_MAX)].join(", ");
                output::line(format!("\n{}  {named}{more}", output::paint("changed", "1")));
            }
            match &report {
                Ok(report) => check::show(report),
                Err(error) => {
                    error.report(Format::Human);
                }
            }
        }
    }
    // If there is a report, it contains what prevents the definitions from being pushed.
    if let Err(error) = loaded {
        if report.is_ok_and(|r| r.status == ashlar_gates::CheckStatus::Pass) {
            error.report(Format::Human);
        }
        output::note("The preview still shows the last valid version.");
    }
}

/// Looks at the files until the process ends.
async fn watch(local: Local, dir: PathBuf, mut before: Seen, format: Format) {
    loop {
        tokio::time::sleep(LOOK).await;
        let from = dir.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || look(&from)).await else { continue };
        let paths = changed(&dir, &before, &now);
        if !paths.is_empty() {
            before = now;
            round(&local, &dir, &paths, format).await;
        }
    }
}

pub async fn dev(args: DevArgs) -> Done {
    if !args.dir.join("ashlar.toml").is_file() {
        let message = format!("{} has no ashlar.toml", args.dir.display());
        return Err(CliError::input(message, "`ashlar init DIR` creates a project"));
    }
    let data = tempfile::Builder::new()
        .prefix("ashlar-dev-")
        .tempdir()
        .map_err(|e| CliError::file("create", &std::env::temp_dir(), &e))?;
    let (models, providers) = (models(None)?, providers(None)?);
    let checker = Arc::new(Checker::tried(isolation::children().trials()).with_models(models.clone()));
    let engine = Engine::open(&Location::embedded(data.path()), checker).await?;
    let local = Local {
        engine: engine.clone(),
        ctx: Ctx::new(TenantId::main(), Actor::local("dev"))?,
        models: models.clone(),
    };
    let before = look(&args.dir);
    if args.format == Format::Human {
        let files = count(before.len(), "file", "files");
        output::line(format!("Watching {files} in {}", args.dir.display()));
    }
    round(&local, &args.dir, &[], args.format).await;
    let link = local.run(CreatePreview { at: What::Draft, hours: LINK_HOURS }).await?;
    let config = ServerConfig { listen: args.listen.clone(), ..ServerConfig::default() };
    let format = args.format;
    let ready = move |url: String| {
        let preview = format!("{url}/preview/{}/", link.key);
        match format {
            Format::Json => output::print_json(&json!({"ready": true, "url": url, "preview": preview})),
            Format::Human => {
                output::line(format!("\n{}  {preview}", output::paint("Preview:", "1")));
                output::hint("Save a file to check it and update the preview. Stop with Ctrl-C.");
            }
        }
    };
    let watching = watch(local, args.dir.clone(), before, args.format);
    let objects = engine.objects().clone();
    let stop = serve::stop_signal(&config);
    tokio::select! {
        served = serve::run(Some(engine), objects, Role::All, config, (Vec::new(), models, providers), ready, stop) => served?,
        () = watching => {}
    }
    done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_named() {
        let at = |n: u64| (SystemTime::UNIX_EPOCH, n);
        let before = Seen::from([("p/a".into(), at(1)), ("p/b".into(), at(1)), ("p/c".into(), at(1))]);
        let now = Seen::from([("p/a".into(), at(1)), ("p/b".into(), at(2)), ("p/d".into(), at(1))]);
        assert_eq!(changed(Path::new("p"), &before, &now), ["b", "d", "c"]);
        assert!(changed(Path::new("p"), &now, &now).is_empty());
    }
}
