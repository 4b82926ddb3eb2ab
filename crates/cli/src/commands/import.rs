//! `import`: Markdown trees and JSON entries.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use ashlar_model::{EntryKey, Finding, Locale, LocaleConfig, TypeName, did_you_mean, grouped};
use ashlar_project::{LocaleSource, Mapping, SeedEntry, import};
use ashlar_release::IncomingEntry;
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use crate::{
    args::{At, Format, ImportCommand},
    backend::{Backend, value},
    error::{CliError, Done, done},
    output, words, writing,
};

pub async fn import(command: ImportCommand) -> Done {
    let default_locale = |locale: Option<&String>| match locale {
        Some(locale) => Locale::any_case(locale).map_err(CliError::from),
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
                (None, None) => {
                    return Err(CliError::input(
                        "--type or --mapping is needed",
                        "use `--type TYPE`, or `--mapping FILE`",
                    ));
                }
            };
            let (files, mut broken) =
                import::markdown_files(&dir, &mapping).map_err(|e| CliError::file("read", &dir, &e))?;
            let bar = output::progress(files.len() as u64, "reading");
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
    mut entries: Vec<SeedEntry>,
    mut broken: Vec<Finding>,
    keep_going: bool,
    dry_run: bool,
) -> Done {
    // A dry run makes nothing, so it looks only at an installation that is there.
    let backend = match dry_run {
        true => match Backend::open(at).await {
            Ok(backend) => Some(backend),
            Err(error) if error.code == "no-installation" || (at.data.is_none() && at.server.is_none()) => {
                None
            }
            Err(error) => return Err(error),
        },
        false => Some(Backend::open_or_create(at).await?),
    };
    let known = match &backend {
        Some(backend) => Known::of(backend).await?,
        None => Known::default(),
    };
    known.sort_out(&mut entries, &mut broken);
    if !broken.is_empty() && !keep_going {
        let count = broken.len();
        let mut error = CliError::findings(
            format!("{count} of {} cannot be imported; nothing was written", count + entries.len()),
            broken,
        );
        error.help = "fix them, or leave them out with --keep-going".to_owned();
        return Err(error);
    }
    let count = entries.len() as u64;
    let entries: Vec<IncomingEntry> = entries.into_iter().map(writing::incoming).collect();
    let mut answer = match backend.filter(|_| !dry_run) {
        None => json!({"written": 0, "unchanged": 0, "would_write": count}),
        Some(backend) => {
            let bar = output::progress(count, "writing");
            let mut done = 0;
            let mut each = |n| {
                done += n;
                bar.inc(n);
            };
            let answer = match &backend {
                Backend::Local(local) => {
                    writing::import_local(local, source, entries, &mut each).await.and_then(value)
                }
                Backend::Remote(remote) => writing::import_remote(remote, source, entries, &mut each).await,
            };
            bar.finish_and_clear();
            answer.map_err(|error| partly(error, done, count))?
        }
    };
    answer["read"] = json!(count);
    answer["broken"] = value(&broken)?;
    if at.format == Format::Json {
        output::print_json(&answer);
        return done();
    }
    output::line(format!(
        "{} read, {} written, {} unchanged, {} broken",
        words::count(count, "entry", "entries"),
        output::text(&answer, "written"),
        output::text(&answer, "unchanged"),
        broken.len()
    ));
    for group in grouped(&broken) {
        for line in output::group_lines(&group, "  ") {
            output::line(line);
        }
    }
    done()
}

/// What was written before an import failed: batches are whole.
fn partly(mut error: CliError, done: u64, count: u64) -> CliError {
    let wrote = match done {
        0 => "nothing was written".to_owned(),
        n => format!(
            "the first {n} of {count} entries were written before; running the import again goes on from there"
        ),
    };
    error.message = format!("{}; {wrote}", error.message);
    error
}

/// What entries may be: the types and locales of the working definitions, where they are known.
#[derive(Default)]
struct Known {
    types: Option<BTreeSet<TypeName>>,
    locales: Option<LocaleConfig>,
}

impl Known {
    async fn of(backend: &Backend) -> Result<Self, CliError> {
        Ok(match backend {
            Backend::Local(local) => match local.rules().await? {
                Some(rules) => Self {
                    types: Some(rules.types.keys().cloned().collect()),
                    locales: Some(rules.config.locales.clone()),
                },
                None => Self::default(),
            },
            Backend::Remote(remote) => {
                // A key that may only write cannot read them; the server then says itself what it does not take.
                let mut answer = remote.call(rows::GET_DEFINITIONS.call(), None).await.unwrap_or_default();
                let mut part = |name: &str| answer.get_mut(name).map(Value::take).unwrap_or_default();
                Self {
                    types: serde_json::from_value(part("types")).ok(),
                    locales: serde_json::from_value(part("locales")).ok(),
                }
            }
        })
    }

    /// Moves entries that cannot be written to `broken`, each with its file.
    fn sort_out(&self, entries: &mut Vec<SeedEntry>, broken: &mut Vec<Finding>) {
        let mut seen: HashMap<EntryKey, String> = HashMap::new();
        entries.retain_mut(|entry| {
            let found = self.objection(entry).or_else(|| {
                let first = seen.get(&entry.key)?;
                let message = format!("{} is already in {first}.", entry.key);
                Some(
                    Finding::error("duplicate-entry", &entry.source, message)
                        .help("remove one of the two, or give it another id"),
                )
            });
            match found {
                Some(finding) => {
                    broken.push(finding);
                    false
                }
                None => {
                    seen.insert(entry.key.clone(), entry.source.clone());
                    true
                }
            }
        });
    }

    fn objection(&self, entry: &mut SeedEntry) -> Option<Finding> {
        if let Some(types) = &self.types
            && !types.contains(&entry.key.type_name)
        {
            let name = entry.key.type_name.as_str();
            let message = format!("There is no content type `{name}`.");
            let otherwise = format!("push a project that has contracts/{name}.v1.json first");
            let help = did_you_mean(name, types.iter().map(TypeName::as_str), otherwise);
            return Some(Finding::error("type-unknown", &entry.source, message).help(help));
        }
        let locales = self.locales.as_ref()?;
        entry.key.locale = locales.spelled(entry.key.locale.clone());
        if locales.supports(&entry.key.locale) {
            return None;
        }
        let all: Vec<String> = locales.all().iter().map(ToString::to_string).collect();
        let message =
            format!("`{}` is not a locale of the project; there are {}.", entry.key.locale, all.join(", "));
        let otherwise = "add it to [locales] supported in ashlar.toml and push, or leave the file out";
        let help = did_you_mean(entry.key.locale.as_str(), all.iter().map(String::as_str), otherwise);
        Some(Finding::error("locale-unknown", &entry.source, message).help(help))
    }
}
