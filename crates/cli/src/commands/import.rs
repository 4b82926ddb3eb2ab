//! `import`: Markdown trees and JSON entries.

use std::{io::IsTerminal, path::Path};

use ashlar_model::{Finding, Locale, TypeName};
use ashlar_project::{LocaleSource, Mapping, SeedEntry, import};
use ashlar_release::IncomingEntry;
use ashlar_server::endpoints::rows;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::{Done, done, project};
use crate::{
    args::{At, Format, ImportCommand},
    backend::{Backend, Remote, value},
    error::CliError,
    output,
};

/// Progress on standard error, only for people.
pub fn progress(len: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(len);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{msg:10} {bar:40} {pos}/{len}  {per_sec}  {eta}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

pub async fn import(command: ImportCommand) -> Done {
    let default_locale = |locale: Option<&String>| match locale {
        Some(locale) => Locale::new(locale).map_err(CliError::from),
        None => Locale::new("en").map_err(CliError::from),
    };
    match command {
        ImportCommand::Markdown { dir, mapping, type_name, locale, keep_going, dry_run, at } => {
            let mapping = match (&mapping, type_name) {
                (Some(path), _) => {
                    let text = std::fs::read_to_string(path).map_err(|e| CliError::file("read", path, &e))?;
                    Mapping::parse(&path.display().to_string(), &text, &default_locale(None)?)
                        .map_err(|f| CliError::findings("the mapping cannot be used", vec![f]))?
                }
                (None, Some(name)) => Mapping::simple(
                    TypeName::new(&name)?,
                    LocaleSource::Fixed(default_locale(locale.as_ref())?),
                ),
                (None, None) => return Err(CliError::input("--type or --mapping is needed", "")),
            };
            let (files, mut broken) =
                import::markdown_files(&dir, &mapping).map_err(|e| CliError::file("read", &dir, &e))?;
            let bar = progress(files.len() as u64, "reading");
            let mut entries = Vec::new();
            for item in import::MarkdownImport::new(&dir, files, &mapping) {
                bar.inc(1);
                match item {
                    Ok(entry) => entries.push(entry),
                    Err(finding) => broken.push(finding),
                }
            }
            bar.finish_and_clear();
            finish(&at, &dir.display().to_string(), entries, broken, keep_going, dry_run).await
        }
        ImportCommand::Json { file, keep_going, dry_run, at } => {
            let name = file.display().to_string();
            let opened = match file == Path::new("-") {
                true => {
                    let input = Box::new(std::io::BufReader::new(std::io::stdin()));
                    import::JsonImport::from_reader(input, "standard input", None, &default_locale(None)?)
                }
                false => import::JsonImport::open(&file, &name, None, &default_locale(None)?),
            };
            let (mut entries, mut broken) = (Vec::new(), Vec::new());
            for item in opened.map_err(|e| CliError::file("read", &file, &e))? {
                match item {
                    Ok(entry) => entries.push(entry),
                    Err(finding) => broken.push(finding),
                }
            }
            finish(&at, &name, entries, broken, keep_going, dry_run).await
        }
    }
}

async fn finish(
    at: &At,
    source: &str,
    entries: Vec<SeedEntry>,
    broken: Vec<Finding>,
    keep_going: bool,
    dry_run: bool,
) -> Done {
    if !broken.is_empty() && !keep_going {
        let count = broken.len();
        let mut error = CliError::findings(
            format!("{count} of {} cannot be imported; nothing was written", count + entries.len()),
            broken,
        );
        error.help = "mend them, or leave them out with --keep-going".to_owned();
        return Err(error);
    }
    let count = entries.len() as u64;
    let entries: Vec<IncomingEntry> = entries.into_iter().map(project::incoming).collect();
    let mut answer = if dry_run {
        json!({"written": 0, "unchanged": 0, "would_write": count})
    } else {
        let bar = progress(count, "writing");
        let answer = match Backend::open_or_create(at).await? {
            Backend::Local(local) => {
                value(project::import_local(&local, source, entries, &mut |n| bar.inc(n)).await?)?
            }
            Backend::Remote(remote) => import_remote(&remote, source, entries, &mut |n| bar.inc(n)).await?,
        };
        bar.finish_and_clear();
        answer
    };
    answer["read"] = json!(count);
    answer["broken"] = value(&broken)?;
    if at.format == Format::Json {
        output::print_json(&answer);
        return done();
    }
    output::line(format!(
        "{count} entries read, {} written, {} unchanged, {} broken",
        output::text(&answer, "written"),
        output::text(&answer, "unchanged"),
        broken.len()
    ));
    for finding in &broken {
        output::line(format!("  {}\n    {}", finding.place, finding.message));
    }
    done()
}

/// Sends entries to a server in batches.
pub async fn import_remote(
    remote: &Remote,
    source: &str,
    entries: Vec<IncomingEntry>,
    each: &mut dyn FnMut(u64),
) -> Result<Value, CliError> {
    let (mut written, mut unchanged) = (0, 0);
    for batch in project::batches(entries) {
        let body = json!({"source": source, "entries": batch});
        let answer = remote.call(rows::IMPORT_DRAFTS.call(), Some(body)).await?;
        written += answer["written"].as_u64().unwrap_or(0);
        unchanged += answer["unchanged"].as_u64().unwrap_or(0);
        each(batch.len() as u64);
    }
    Ok(json!({"written": written, "unchanged": unchanged}))
}
