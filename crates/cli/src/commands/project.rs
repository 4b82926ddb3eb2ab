//! `init` and `push`.

use std::path::Path;

use ashlar_model::{Files, Finding, Level};
use ashlar_project::{ContentOptions, Project, SeedEntry, content};
use ashlar_release::{ImportEntries, Imported, IncomingEntry, PushDefinitions};
use ashlar_server::endpoints::rows;
use base64::Engine as _;
use serde_json::{Value, json};

use super::{Done, done};
use crate::{
    args::{Format, InitArgs, PushArgs},
    backend::{Backend, Local, value},
    error::CliError,
    hints, output, words,
};

pub fn init(args: &InitArgs) -> Done {
    let dir = &args.dir;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => std::path::absolute(dir)
            .ok()
            .and_then(|d| d.file_name().map(|n| n.to_string_lossy().into_owned()))
            .unwrap_or_else(|| "site".to_owned()),
    };
    if dir.join("ashlar.toml").exists() {
        return Err(CliError::new(
            1,
            "project-exists",
            format!("{} is already a project", dir.display()),
            "choose another directory",
        ));
    }
    let files = ashlar_project::init::files(&name)
        .map_err(|e| CliError::input(e.to_string(), "choose a shorter name"))?;
    for (path, _) in files.iter() {
        if dir.join(path).exists() {
            let message = format!("{} exists already", dir.join(path).display());
            return Err(CliError::new(1, "file-exists", message, "choose an empty directory"));
        }
    }
    write_files(dir, &files)?;
    output::line(format!("A project in {}:", dir.display()));
    for (path, _) in files.iter() {
        output::line(format!("  {path}"));
    }
    output::hint(format!(
        "\nNext:  ashlar check {0}\n       ashlar push {0} --data ./data --content",
        dir.display()
    ));
    done()
}

/// Writes files below a directory.
pub fn write_files(dir: &Path, files: &Files) -> Result<(), CliError> {
    for (path, bytes) in files.iter() {
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| CliError::file("make", parent, &e))?;
        }
        std::fs::write(&path, bytes).map_err(|e| CliError::file("write", &path, &e))?;
    }
    Ok(())
}

/// The definition files of a project; findings of level error stop.
pub fn read(dir: &Path) -> Result<Files, CliError> {
    let (files, findings) = Project::read(dir)
        .map_err(|e| CliError::input(e.to_string(), "create a project with `ashlar init DIR`"))?;
    let errors: Vec<Finding> = findings.into_iter().filter(|f| f.level == Level::Error).collect();
    match errors.is_empty() {
        true => Ok(files),
        false => Err(CliError::findings("the project cannot be read", errors)),
    }
}

/// The seed entries under content/.
pub fn read_content(dir: &Path, files: &Files) -> Result<Vec<SeedEntry>, CliError> {
    let options = content_options(files)?;
    let (contracts, _) = ashlar_contracts::ContractSet::load(files);
    let (list, mut findings) = content::list(dir);
    let mut entries = Vec::new();
    for file in list {
        match content::read(dir, &file.path)
            .map_err(|f| vec![f])
            .and_then(|b| content::parse(&file.path, &b, &options))
        {
            Ok(found) => entries.extend(found),
            Err(wrong) => findings.extend(wrong),
        }
    }
    findings.retain(|f| f.level == Level::Error);
    if findings.is_empty() {
        findings = ashlar_gates::shared_findings(dir, &contracts, &options, &entries);
    }
    match findings.is_empty() {
        true => Ok(entries),
        false => Err(CliError::findings("content cannot be read; nothing was written", findings)),
    }
}

/// What reading content needs to know of a project.
pub fn content_options(files: &Files) -> Result<ContentOptions, CliError> {
    let config = ashlar_project::read_config(files)
        .map_err(|f| CliError::findings("ashlar.toml cannot be used", f))?;
    let (contracts, _) = ashlar_contracts::ContractSet::load(files);
    let body_fields = contracts
        .iter()
        .filter(|c| c.is_type())
        .filter_map(|c| {
            let field =
                c.markdown_fields().iter().find_map(|p| p.strip_prefix('/').filter(|p| !p.contains('/')))?;
            Some((c.name.name.clone(), field.to_owned()))
        })
        .collect();
    Ok(ContentOptions {
        default_locale: config.locales.default.clone(),
        body_fields,
        locales: config.locales.clone(),
    })
}

/// An entry as the import action takes it.
pub fn incoming(entry: SeedEntry) -> IncomingEntry {
    IncomingEntry { key: entry.key, major: entry.contract.map(|c| c.major), fields: entry.fields }
}

/// Writes entries in batches.
pub async fn import_local(
    local: &Local,
    source: &str,
    entries: Vec<IncomingEntry>,
    each: &mut dyn FnMut(u64),
) -> Result<Imported, CliError> {
    let mut total = Imported::default();
    for batch in batches(entries) {
        let count = batch.len() as u64;
        let done = local.run(ImportEntries { source: source.to_owned(), entries: batch }).await?;
        total.written += done.written;
        total.unchanged += done.unchanged;
        each(count);
    }
    Ok(total)
}

/// Entries per transaction: what an interruption can cost.
const BATCH: usize = 500;

/// Entries in batches; the locales of an entry stay together, because some of their fields are shared.
pub fn batches(mut entries: Vec<IncomingEntry>) -> impl Iterator<Item = Vec<IncomingEntry>> {
    let of = |e: &IncomingEntry| (e.key.type_name.clone(), e.key.id.clone());
    entries.sort_by_cached_key(of);
    let mut entries = entries.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut batch: Vec<IncomingEntry> = entries.by_ref().take(BATCH).collect();
        let last = batch.last().map(of)?;
        while let Some(next) = entries.next_if(|e| of(e) == last && batch.len() < 2 * BATCH) {
            batch.push(next);
        }
        Some(batch)
    })
}

pub async fn push(args: &PushArgs) -> Done {
    let files = read(&args.dir)?;
    let content = if args.content { read_content(&args.dir, &files)? } else { Vec::new() };
    let mut answer = match Backend::open_or_create(&args.at).await? {
        Backend::Local(local) => {
            let mut answer = value(local.run(PushDefinitions { files }).await?)?;
            if args.content {
                let entries = content.into_iter().map(incoming).collect();
                answer["content"] = value(import_local(&local, "content/", entries, &mut |_| {}).await?)?;
            }
            answer
        }
        Backend::Remote(remote) => {
            let mut map = serde_json::Map::new();
            for (path, bytes) in files.iter() {
                let content = match std::str::from_utf8(bytes) {
                    Ok(text) => Value::String(text.to_owned()),
                    Err(_) => json!({"base64": base64::engine::general_purpose::STANDARD.encode(bytes)}),
                };
                map.insert(path.to_owned(), content);
            }
            let mut answer = remote.call(rows::PUSH_DEFINITIONS.call(), Some(json!({"files": map}))).await?;
            if args.content {
                let entries: Vec<_> = content.into_iter().map(incoming).collect();
                answer["content"] =
                    super::import::import_remote(&remote, "content/", entries, &mut |_| {}).await?;
            }
            answer
        }
    };
    if args.at.format == Format::Json {
        output::print_json(&answer);
        return done();
    }
    let digest: String = output::text(&answer, "definitions").chars().take(12).collect();
    let what = if answer["changed"] == json!(true) { "pushed" } else { "unchanged" };
    let files = words::count_in(&answer, "files", "definition file", "definition files");
    output::line(format!("{files} {what} ({digest})"));
    if let Some(content) = answer.get_mut("content") {
        output::line(format!(
            "{} written, {} unchanged",
            words::count_in(content, "written", "draft", "drafts"),
            output::text(content, "unchanged")
        ));
    }
    output::hint(format!("Next:  {}", hints::command("ashlar candidate create")));
    done()
}
