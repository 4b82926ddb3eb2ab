//! `pull`: drafts as files under `content/`, so that `push --content` of them changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use ashlar_contracts::ContractSet;
use ashlar_model::{ContractName, EntryKey, Fields, Files, TypeName};
use ashlar_project::{ContentOptions, SeedEntry, content};
use ashlar_release::DraftQuery;
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use super::entry::of;
use crate::{
    args::{Format, PullArgs},
    backend::{Backend, value},
    error::{CliError, Done, done},
    hints,
    output::{self, items},
    project,
    words::count,
};

/// Drafts per page of the list.
const PAGE: u32 = 500;
/// Entries whose files are named one by one.
const NAMED_MAX: usize = 20;

/// A draft as it is written to a file.
struct Draft {
    key: EntryKey,
    contract: ContractName,
    fields: Fields,
}

/// What a project says about files, and the entries that its files have.
struct Ground {
    dir: PathBuf,
    options: ContentOptions,
    /// The newest active contract of each type: what a file without `$contract` follows.
    newest: BTreeMap<TypeName, ContractName>,
    /// Fields that all locales of an entry share.
    shared: BTreeMap<ContractName, BTreeSet<String>>,
    /// Types whose text is a Markdown body.
    markdown: BTreeSet<TypeName>,
    entries: BTreeMap<EntryKey, SeedEntry>,
}

impl Ground {
    fn read(dir: &Path) -> Result<Self, CliError> {
        let files = project::read(dir)?;
        let options = project::content_options(&files)?;
        let (contracts, _) = ContractSet::load(&files);
        let mut ground = Self {
            dir: dir.to_owned(),
            markdown: options.body_fields.keys().cloned().collect(),
            options,
            newest: BTreeMap::new(),
            shared: BTreeMap::new(),
            entries: BTreeMap::new(),
        };
        for contract in contracts.iter().filter(|c| c.is_type()) {
            let shared = contract.shared_fields().iter().cloned().collect();
            ground.shared.insert(contract.name.clone(), shared);
            let newest = ground.newest.entry(contract.name.name.clone());
            let newest = newest.or_insert_with(|| contract.name.clone());
            if contract.is_active() && contract.name.major > newest.major {
                *newest = contract.name.clone();
            }
        }
        for entry in project::read_content(dir, &files)? {
            ground.entries.insert(entry.key.clone(), entry);
        }
        Ok(ground)
    }

    /// Whether the file of an entry says what its draft says. A field that all locales share may be in the file of one of them.
    fn says(&self, draft: &Draft) -> bool {
        let Some(entry) = self.entries.get(&draft.key) else { return false };
        let follows = entry.contract.as_ref().or_else(|| self.newest.get(&draft.key.type_name));
        if follows != Some(&draft.contract)
            || entry.fields.keys().any(|name| !draft.fields.contains_key(name))
        {
            return false;
        }
        let shared = self.shared.get(&draft.contract);
        draft.fields.iter().all(|(name, value)| match entry.fields.get(name) {
            Some(own) => own == value,
            None => shared.is_some_and(|s| s.contains(name)) && self.sibling_says(&draft.key, name, value),
        })
    }

    fn sibling_says(&self, key: &EntryKey, name: &str, value: &Value) -> bool {
        let locales = self.options.locales.all();
        locales.into_iter().any(|locale| {
            let sibling = EntryKey { locale: locale.clone(), ..key.clone() };
            self.entries.get(&sibling).is_some_and(|e| e.fields.get(name) == Some(value))
        })
    }

    /// The contract that a file of this draft must name.
    fn named_contract(&self, draft: &Draft) -> Option<String> {
        (self.newest.get(&draft.key.type_name) != Some(&draft.contract)).then(|| draft.contract.to_string())
    }

    /// The file of an entry and what it has to say.
    fn file_of(&self, draft: &Draft) -> Result<(String, Vec<u8>), CliError> {
        let source = self.entries.get(&draft.key).map(|e| place_of(&e.source));
        if let Some((path, line)) = source.filter(|(path, _)| content::is_lines(path)) {
            return Ok((path.to_owned(), self.line_of(draft, path, line)?));
        }
        let body = self.options.body_fields.get(&draft.key.type_name).map_or("body", String::as_str);
        let has_body = draft.fields.get(body).and_then(Value::as_str).is_some_and(|b| !b.trim().is_empty());
        let path = match source {
            Some((path, _)) => path.to_owned(),
            None => {
                let markdown = has_body && self.markdown.contains(&draft.key.type_name);
                let ending = if markdown { "md" } else { "json" };
                let EntryKey { type_name, id, locale } = &draft.key;
                format!("{}/{type_name}/{id}.{locale}.{ending}", content::FOLDER)
            }
        };
        let text = match path.ends_with(".json") {
            true => self.json(draft),
            false => {
                let text = self.markdown(draft, Some(body));
                // Blank lines around a body do not survive in a file; such a body stays among the fields.
                match self.reads_as(&path, &text, draft) {
                    true => text,
                    false => self.markdown(draft, None),
                }
            }
        };
        if !self.reads_as(&path, &text, draft) {
            let message = format!("{} cannot be written as {path}", draft.key);
            return Err(CliError::new(
                1,
                "not-writable",
                message,
                "export it with `ashlar entry get` instead",
            ));
        }
        Ok((path, text.into_bytes()))
    }

    fn reads_as(&self, path: &str, text: &str, draft: &Draft) -> bool {
        let read = content::parse(path, text.as_bytes(), &self.options);
        read.is_ok_and(|entries| {
            entries.first().is_some_and(|e| e.key == draft.key && e.fields == draft.fields)
        })
    }

    fn json(&self, draft: &Draft) -> String {
        let mut fields = Fields::new();
        if let Some(contract) = self.named_contract(draft) {
            fields.insert("$contract".to_owned(), Value::String(contract));
        }
        fields.extend(draft.fields.clone());
        serde_json::to_string_pretty(&fields).unwrap_or_default() + "\n"
    }

    /// Front matter in YAML, one field per line, and the body after it.
    fn markdown(&self, draft: &Draft, body: Option<&str>) -> String {
        let mut out = "---\n".to_owned();
        if let Some(contract) = self.named_contract(draft) {
            out.push_str(&format!("$contract: {contract}\n"));
        }
        let mut text = "";
        for (name, value) in &draft.fields {
            match value {
                Value::String(s) if Some(name.as_str()) == body => text = s,
                value => out.push_str(&format!("{}: {}\n", yaml_text(name), yaml(value))),
            }
        }
        out.push_str("---\n");
        if !text.is_empty() {
            out.push_str(&format!("\n{text}\n"));
        }
        out
    }

    /// A file with one entry per line, in which one line is replaced.
    fn line_of(&self, draft: &Draft, path: &str, line: usize) -> Result<Vec<u8>, CliError> {
        let bytes = content::read(&self.dir, path)
            .map_err(|f| CliError::findings("a file cannot be read", vec![f]))?;
        let mut entry = json!({
            "type": draft.key.type_name, "id": draft.key.id, "locale": draft.key.locale, "fields": draft.fields,
        });
        if let Some(contract) = self.named_contract(draft) {
            entry["contract"] = json!(contract);
        }
        let mut lines: Vec<Vec<u8>> = bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        if let Some(slot) = lines.get_mut(line.saturating_sub(1)) {
            *slot = serde_json::to_vec(&entry).unwrap_or_default();
        }
        Ok(lines.join(&b'\n'))
    }
}

/// `content/page/home.en.json:1` as path and line.
fn place_of(source: &str) -> (&str, usize) {
    let (path, line) = source.rsplit_once(':').unwrap_or((source, "1"));
    (path, line.parse().unwrap_or(1))
}

/// A value on one line. JSON is YAML, but plain words need no quotes.
fn yaml(value: &Value) -> String {
    match value {
        Value::String(text) => yaml_text(text),
        other => other.to_string(),
    }
}

fn yaml_text(text: &str) -> String {
    let word = |c: char| c.is_alphanumeric() || " -_/.,'()!?–—".contains(c);
    let starts = text.starts_with(|c: char| c.is_alphabetic() || c == '/');
    let like = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan"];
    let plain = starts
        && !text.ends_with(' ')
        && text.chars().all(word)
        && !like.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

/// Writes the working definitions into a directory that is no project yet; says how many files.
async fn definitions(backend: &Backend, dir: &Path) -> Result<usize, CliError> {
    let nothing = || {
        CliError::new(
            1,
            "no-definitions",
            "nothing was pushed yet, so there is nothing to pull",
            "`ashlar push DIR` pushes a project",
        )
    };
    let mut files = Files::new();
    match backend {
        Backend::Local(local) => {
            let (_, found) = local.engine.working_definitions(&local.ctx).await?.ok_or_else(nothing)?;
            files = (*found).clone();
        }
        Backend::Remote(remote) => {
            let answer = remote.call(rows::GET_DEFINITIONS.call().with("files", true), None).await?;
            let found = answer["files"].as_object().ok_or_else(nothing)?;
            for (path, content) in found {
                let bytes = match content {
                    Value::String(text) => text.as_bytes().to_vec(),
                    other => decoded(other).ok_or_else(|| {
                        CliError::new(
                            3,
                            "network",
                            format!("the server sent {path} in an unknown format"),
                            "",
                        )
                    })?,
                };
                files.insert(path, bytes).map_err(|e| CliError::new(3, "network", e.to_string(), ""))?;
            }
        }
    }
    let count = files.iter().count();
    project::write_files(dir, &files)?;
    Ok(count)
}

/// The bytes of `{"base64": …}`.
fn decoded(content: &Value) -> Option<Vec<u8>> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(content["base64"].as_str()?).ok()
}

/// All drafts: those that are live with their fields, and the keys of the others.
async fn drafts(backend: &Backend) -> Result<(Vec<Draft>, BTreeSet<EntryKey>), CliError> {
    let (mut live, mut gone) = (Vec::new(), BTreeSet::new());
    let mut cursor: Option<String> = None;
    loop {
        let page = match backend {
            Backend::Local(local) => {
                let query = DraftQuery { cursor, limit: Some(PAGE), ..DraftQuery::default() };
                value(local.engine.drafts(&local.ctx, &query).await?)?
            }
            Backend::Remote(remote) => {
                let call = rows::LIST_DRAFTS.call().with("limit", PAGE).with_any("cursor", cursor.as_ref());
                remote.call(call, None).await?
            }
        };
        for item in items(&page) {
            let key: EntryKey = serde_json::from_value(item.clone()).map_err(unreadable)?;
            if item["state"] != "live" {
                gone.insert(key);
                continue;
            }
            let draft = match backend {
                Backend::Local(local) => value(local.engine.draft(&local.ctx, &key).await?)?,
                Backend::Remote(remote) => remote.call(of(&rows::GET_DRAFT, &key), None).await?,
            };
            let contract = serde_json::from_value(draft["contract"].clone()).map_err(unreadable)?;
            let fields = serde_json::from_value(draft["fields"].clone()).map_err(unreadable)?;
            live.push(Draft { key, contract, fields });
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok((live, gone));
        }
    }
}

fn unreadable(error: serde_json::Error) -> CliError {
    CliError::new(
        3,
        "network",
        format!("a draft could not be read: {error}"),
        "check that the server has the same version as this command",
    )
}

pub async fn pull(args: PullArgs) -> Done {
    let backend = Backend::open(&args.at).await?;
    let files = match args.dir.join("ashlar.toml").is_file() {
        true => 0,
        false => {
            let empty = std::fs::read_dir(&args.dir).map_or(true, |mut d| d.next().is_none());
            if !empty {
                let message = format!("{} is neither empty nor a project", args.dir.display());
                return Err(CliError::input(
                    message,
                    "choose an empty directory, or one with an ashlar.toml",
                ));
            }
            definitions(&backend, &args.dir).await?
        }
    };
    let ground = Ground::read(&args.dir)?;
    let (live, gone) = drafts(&backend).await?;
    let mut unchanged = 0_usize;
    let mut written = Vec::new();
    for draft in &live {
        if !ground.newest.contains_key(&draft.key.type_name) {
            let message = format!("{} has no contract in {}", draft.key, args.dir.display());
            return Err(CliError::input(
                message,
                "pull into an empty directory, which also gets the definitions",
            ));
        }
        if ground.says(draft) {
            unchanged += 1;
            continue;
        }
        let (path, bytes) = ground.file_of(draft)?;
        let file = args.dir.join(&path);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent).map_err(|e| CliError::file("create", parent, &e))?;
        }
        std::fs::write(&file, bytes).map_err(|e| CliError::file("write", &file, &e))?;
        written.push(path);
    }
    let here: BTreeSet<&EntryKey> = live.iter().map(|d| &d.key).collect();
    let extra: Vec<&SeedEntry> = ground.entries.values().filter(|e| !here.contains(&e.key)).collect();
    let mut removed = Vec::new();
    let mut left = Vec::new();
    for entry in extra {
        let (path, _) = place_of(&entry.source);
        if args.delete && !content::is_lines(path) {
            let file = args.dir.join(path);
            std::fs::remove_file(&file).map_err(|e| CliError::file("delete", &file, &e))?;
            removed.push(path.to_owned());
        } else {
            left.push(
                json!({"path": path, "entry": entry.key.to_string(), "deleted": gone.contains(&entry.key)}),
            );
        }
    }
    report(&args, files, &written, unchanged, &removed, &left);
    done()
}

fn report(
    args: &PullArgs,
    files: usize,
    written: &[String],
    unchanged: usize,
    removed: &[String],
    left: &[Value],
) {
    if args.at.format == Format::Json {
        output::print_json(&json!({
            "dir": args.dir, "definitions": files, "written": written, "unchanged": unchanged,
            "removed": removed, "left": left,
        }));
        return;
    }
    if files > 0 {
        output::line(format!("{} written", count(files, "definition file", "definition files")));
    }
    for (sign, colour, paths) in [("+", "32", written), ("-", "31", removed)] {
        for path in paths.iter().take(NAMED_MAX) {
            output::line(format!("{} {path}", output::paint(sign, colour)));
        }
        if paths.len() > NAMED_MAX {
            output::line(format!("  and {} more", paths.len() - NAMED_MAX));
        }
    }
    output::line(format!(
        "{} written, {} deleted, {} up to date",
        count(written.len(), "content file", "content files"),
        removed.len(),
        count(unchanged, "entry", "entries")
    ));
    if !left.is_empty() {
        output::line(format!(
            "{} without a live draft. `ashlar push --content` would create them again:",
            count(left.len(), "entry in files", "entries in files")
        ));
        for entry in left.iter().take(NAMED_MAX) {
            output::line(format!("  {}  {}", output::text(entry, "path"), output::text(entry, "entry")));
        }
        output::hint(hints::text("`--delete` deletes these files."));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_yaml_reads_as_something_else_are_quoted() {
        for (text, expect) in [
            ("Berths and tides", "Berths and tides"),
            ("true", "\"true\""),
            ("2027-01-01", "\"2027-01-01\""),
            ("a: b", "\"a: b\""),
            ("a #b", "\"a #b\""),
            ("", "\"\""),
            ("- x", "\"- x\""),
        ] {
            assert_eq!(yaml_text(text), expect);
        }
    }
}
