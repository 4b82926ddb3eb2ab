//! `backup` and `restore` of an embedded data directory.
//!
//! Pointers are copied first, then the database, then packs. Objects are durable before the database names them, so packs that
//! are copied after the database contain what it names; a pointer that is behind the database is rewritten from it.

mod archive;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use ashlar_gates::Checker;
use ashlar_model::{Actor, TenantId};
use ashlar_release::{Ctx, Engine, Location, ReleaseError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::archive::{Item, Sink, unpack};
use crate::{
    args::{At, BackupArgs, Format, RestoreArgs},
    backend::{Backend, Local, remembered},
    error::{CliError, Done, done},
    output,
    words::count,
};

/// The file that lists what a backup has.
const MANIFEST: &str = "backup.json";
/// The format that this version writes and reads.
const FORMAT: u32 = 1;
/// The largest list that is read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 256 << 20;
/// How often packs are listed again because some were merged meanwhile.
const LISTS_MAX: usize = 5;
/// Folders of a tenant that a backup leaves out: notes and caches that are made again.
const LEFT_OUT: [&str; 4] = ["retired", "last", "incoming", "damaged"];

/// What a backup has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    /// When it was made, RFC 3339.
    created_at: String,
    /// The version of Ashlar that made it.
    version: String,
    files: Vec<Item>,
}

/// What a restored installation was checked for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
struct Checked {
    tenants: u64,
    releases: u64,
    entries: u64,
    audit_rows: u64,
}

fn damaged(message: impl Into<String>) -> CliError {
    CliError::new(1, "backup-damaged", message, "use another backup")
}

/// The data directory of an embedded installation.
fn data_dir(at: &At, verb: &str) -> Result<PathBuf, CliError> {
    let refused = |message: String, help: &str| Err(CliError::new(2, "not-embedded", message, help));
    match (&at.data, &at.server) {
        (Some(data), _) if data.contains("://") => refused(
            format!("`ashlar {verb}` works on a data directory, not on PostgreSQL"),
            "back up the database with `pg_dump --format=custom` first, and then copy the object store with its own tools, such \
             as `aws s3 sync`; restore them in the order objects, database, and run `ashlar audit verify`",
        ),
        (Some(_), _) if at.objects.is_some() => refused(
            format!("`ashlar {verb}` works on a data directory that has its own objects"),
            "back up `state.db` with `sqlite3 state.db \".backup copy.db\"`, and then copy the object store with its own tools",
        ),
        (Some(data), _) => Ok(PathBuf::from(data)),
        (None, Some(_)) => refused(
            format!("`ashlar {verb}` needs a data directory"),
            "run it on the machine of the server with --data DIR",
        ),
        (None, None) => refused("no target given".to_owned(), "use `--data DIR`"),
    }
}

/// A blocking piece of work, such as copying files.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CliError> + Send + 'static,
) -> Result<T, CliError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| CliError::new(3, "internal", e.to_string(), ""))?
}

/// Files below `dir`, as paths with `/`, without locks, temporary files and what is made again.
fn list(dir: &Path, below: &str, wanted: fn(&str) -> bool, out: &mut Vec<String>) -> Result<(), CliError> {
    let found = match std::fs::read_dir(dir.join(below)) {
        Ok(found) => found,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(CliError::file("read", &dir.join(below), &e)),
    };
    for entry in found {
        let entry = entry.map_err(|e| CliError::file("read", &dir.join(below), &e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let temporary = name.starts_with('.') || name.ends_with(".lock") || name.ends_with(".tmp");
        if temporary || LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{below}/{name}");
        let kind = entry.file_type().map_err(|e| CliError::file("read", &dir.join(&path), &e))?;
        if kind.is_dir() {
            list(dir, &path, wanted, out)?;
        } else if kind.is_file() && wanted(&path) {
            out.push(path);
        }
    }
    Ok(())
}

fn is_pack(path: &str) -> bool {
    path.contains("/packs/")
}

fn is_pointer(path: &str) -> bool {
    !is_pack(path)
}

/// Copies what was listed; says whether a file went away meanwhile.
fn copy(
    sink: &mut Sink,
    dir: &Path,
    wanted: fn(&str) -> bool,
    items: &mut BTreeMap<String, Item>,
) -> Result<bool, CliError> {
    let mut paths = Vec::new();
    list(dir, "objects/t", wanted, &mut paths)?;
    paths.sort();
    let mut gone = false;
    for path in paths {
        if items.contains_key(&path) {
            continue;
        }
        match sink.put(&path, &dir.join(&path))? {
            Some(item) => {
                items.insert(path, item);
            }
            None => gone = true,
        }
    }
    Ok(gone)
}

/// Checks every release that a channel serves, so that a backup of damaged objects is not taken for a good one.
async fn check_live(engine: &Engine) -> Result<(), CliError> {
    for tenant in engine.db().tenants().await.map_err(ReleaseError::from)? {
        let ctx = Ctx::new(tenant.tenant, Actor::local("backup"))?;
        for channel in engine.channels(&ctx).await? {
            engine.verify(&ctx, channel.release).await?;
        }
    }
    Ok(())
}

pub async fn backup(args: BackupArgs) -> Done {
    let at = remembered(&args.at)?;
    let dir = data_dir(&at, "backup")?;
    let Backend::Local(local) = Backend::open(&at).await? else {
        return Err(CliError::new(
            2,
            "not-embedded",
            "`ashlar backup` needs a data directory",
            "give --data DIR",
        ));
    };
    let Local { engine, .. } = *local;
    check_live(&engine).await?;
    let mut sink = Sink::create(&args.to)?;
    let from = dir.clone();
    let (mut sink, mut items) = blocking(move || {
        let mut items = BTreeMap::new();
        copy(&mut sink, &from, is_pointer, &mut items)?;
        for name in ["keys.json", "secrets.key"] {
            if let Some(item) = sink.put(name, &from.join(name))? {
                items.insert(name.to_owned(), item);
            }
        }
        Ok((sink, items))
    })
    .await?;
    let scratch = tempfile::Builder::new()
        .prefix(".backup-")
        .tempdir_in(&dir)
        .map_err(|e| CliError::file("create a directory in", &dir, &e))?;
    let database = scratch.path().join("state.db");
    engine.db().copy_into(&database).await.map_err(ReleaseError::from)?;
    let from = dir.clone();
    let (file, total) = blocking(move || {
        let item = sink.put("state.db", &database)?;
        let item = item.ok_or_else(|| damaged("the copy of the database was deleted meanwhile"))?;
        items.insert("state.db".to_owned(), item);
        let mut lists = 0;
        while copy(&mut sink, &from, is_pack, &mut items)? {
            lists += 1;
            if lists >= LISTS_MAX {
                let message = "packs were merged several times during the backup";
                return Err(CliError::new(3, "busy", message, "run the backup again"));
            }
        }
        let manifest = Manifest {
            format: FORMAT,
            created_at: jiff::Timestamp::now().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            files: items.into_values().collect(),
        };
        let total = (manifest.files.len(), manifest.files.iter().map(|f| f.bytes).sum::<u64>());
        let text =
            serde_json::to_vec(&manifest).map_err(|e| CliError::new(3, "internal", e.to_string(), ""))?;
        Ok((sink.finish(MANIFEST, &text)?, total))
    })
    .await?;
    drop(scratch);
    engine.close().await;
    let (files, bytes) = total;
    let shown = file.display().to_string();
    output::report(
        at.format == Format::Json,
        &json!({"backup": shown, "files": files, "bytes": bytes}),
        &format!(
            "Backed up {} ({}) to {shown}.",
            count(files, "file", "files"),
            count(bytes, "byte", "bytes")
        ),
    );
    if at.format == Format::Human {
        output::hint("It contains keys and secrets: keep it where only you can read it.");
        output::hint(format!("Check it:  ashlar restore {shown} --data NEW-DIR"));
    }
    done()
}

/// Compares what was unpacked with the list of the backup.
fn compare(dir: &Path, unpacked: &BTreeMap<String, Item>) -> Result<Manifest, CliError> {
    let path = dir.join(MANIFEST);
    let size = std::fs::metadata(&path)
        .map_err(|_| damaged(format!("this is not a complete backup: it has no {MANIFEST}")))?;
    if size.len() > MANIFEST_BYTES_MAX {
        return Err(damaged(format!("{MANIFEST} is larger than {MANIFEST_BYTES_MAX} bytes")));
    }
    let text = std::fs::read(&path).map_err(|e| CliError::file("read", &path, &e))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|e| damaged(format!("{MANIFEST} cannot be read: {e}")))?;
    if manifest.format != FORMAT {
        let message =
            format!("the backup has format {}, but this version reads format {FORMAT}", manifest.format);
        return Err(CliError::new(2, "backup-format", message, "use the version of Ashlar that made it"));
    }
    for item in &manifest.files {
        match unpacked.get(&item.path) {
            None => return Err(damaged(format!("{} is missing from the backup", item.path))),
            Some(found) if found != item => {
                return Err(damaged(format!(
                    "{} is damaged: its digest is {} instead of {}",
                    item.path, found.blake3, item.blake3
                )));
            }
            Some(_) => {}
        }
    }
    let listed = |path: &str| manifest.files.iter().any(|f| f.path == path);
    if let Some(extra) = unpacked.keys().find(|p| p.as_str() != MANIFEST && !listed(p)) {
        return Err(damaged(format!("{extra} is in the backup, but {MANIFEST} does not list it")));
    }
    if !listed("state.db") {
        return Err(damaged("the backup has no database"));
    }
    Ok(manifest)
}

/// Opens what was restored, brings pointers in step with the database, and checks every release and the audit log.
async fn check(dir: &Path) -> Result<Checked, CliError> {
    let dir = std::path::absolute(dir).map_err(|e| CliError::file("find", dir, &e))?;
    let engine = Engine::open(&Location::embedded(dir), Arc::new(Checker::new())).await?;
    let mut checked = Checked::default();
    let tenants: Vec<TenantId> =
        engine.db().tenants().await.map_err(ReleaseError::from)?.into_iter().map(|t| t.tenant).collect();
    for tenant in tenants {
        let ctx = Ctx::new(tenant, Actor::local("restore"))?;
        match engine.verify_audit(&ctx).await? {
            Ok(rows) => checked.audit_rows += rows,
            Err(broken) => {
                return Err(damaged(format!(
                    "the audit log of {} breaks at row {}: {}",
                    ctx.tenant, broken.sequence, broken.why
                )));
            }
        }
        engine.repair_pointers(&ctx.tenant).await?;
        let mut cursor = None;
        loop {
            let page = engine.releases(&ctx, cursor.as_deref()).await?;
            for release in page.items {
                checked.entries += engine.verify(&ctx, release.release).await?.entries;
                checked.releases += 1;
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        checked.tenants += 1;
    }
    engine.close().await;
    Ok(checked)
}

/// Whether a directory may be restored into: it does not exist, or is empty.
fn must_be_empty(dir: &Path) -> Result<(), CliError> {
    match std::fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(CliError::file("read", dir, &e)),
        Ok(mut found) => match found.next() {
            None => Ok(()),
            Some(_) => Err(CliError::new(
                1,
                "not-empty",
                format!("{} is not empty; a restore never overwrites files", dir.display()),
                "choose a new directory, or move this one away first",
            )),
        },
    }
}

pub async fn restore(args: RestoreArgs) -> Done {
    let at = remembered(&args.at)?;
    let dir = data_dir(&at, "restore")?;
    must_be_empty(&dir)?;
    let parent = match dir.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(parent) => parent.to_owned(),
        None => PathBuf::from("."),
    };
    std::fs::create_dir_all(&parent).map_err(|e| CliError::file("create", &parent, &e))?;
    // Beside the target, so that the last step is one rename: a restore that fails leaves nothing behind.
    let staging = tempfile::Builder::new()
        .prefix(".ashlar-restore-")
        .tempdir_in(&parent)
        .map_err(|e| CliError::file("create a directory in", &parent, &e))?;
    let (from, to) = (args.from.clone(), staging.path().to_owned());
    let manifest = blocking(move || {
        let unpacked = unpack(&from, &to)?;
        let manifest = compare(&to, &unpacked)?;
        let list = to.join(MANIFEST);
        std::fs::remove_file(&list).map_err(|e| CliError::file("remove", &list, &e))?;
        Ok(manifest)
    })
    .await?;
    let checked = check(staging.path()).await.map_err(|mut error| {
        error.message = format!("the backup cannot be restored: {}", error.message);
        error
    })?;
    must_be_empty(&dir)?;
    let kept = staging.keep();
    if let Err(e) = std::fs::rename(&kept, &dir) {
        // Nothing is left behind beside the target.
        let _ = std::fs::remove_dir_all(&kept);
        return Err(CliError::file("rename the restored directory to", &dir, &e));
    }
    let answer = json!({
        "data": dir, "files": manifest.files.len(), "created_at": manifest.created_at, "verified": checked,
    });
    let sentence = format!(
        "Restored {} as of {} to {}. Verified: {}, {}, {}.",
        count(manifest.files.len(), "file", "files"),
        manifest.created_at,
        dir.display(),
        count(checked.releases, "release", "releases"),
        count(checked.entries, "entry", "entries"),
        count(checked.audit_rows, "row of the audit log", "rows of the audit log"),
    );
    output::report(at.format == Format::Json, &answer, &sentence);
    done()
}
