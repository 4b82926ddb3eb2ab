//! Seed content: `content/<type>/<id>.<locale>.json`, `.md`, `.mdx`, and `content/**/*.ndjson`.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use ashlar_model::{
    ContractName, EntryId, EntryKey, Fields, Finding, Locale, LocaleConfig, TypeName, VALUE_BYTES_MAX,
    did_you_mean, read_json,
};
use serde_json::Value;

use crate::{
    disk::{link_stays_inside, outside, read_bounded, unreadable},
    front_matter,
    text::decode,
};

/// The folder of seed content.
pub const FOLDER: &str = "content";
/// The largest content file that contains one entry, in bytes.
pub const ENTRY_BYTES_MAX: usize = 16 << 20;
/// The largest content file that contains one entry per line, in bytes.
pub const LINES_BYTES_MAX: usize = 1 << 30;

/// An entry read from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct SeedEntry {
    /// What names it.
    pub key: EntryKey,
    /// The contract the file names, when it names one; else the newest active one is meant.
    pub contract: Option<ContractName>,
    /// Its content.
    pub fields: Fields,
    /// Where it was read: `content/page/home.en.json:1`.
    pub source: String,
}

/// What reading content needs to know of the project.
#[derive(Debug, Clone)]
pub struct ContentOptions {
    /// The locale of files whose name has none.
    pub default_locale: Locale,
    /// Type → the field that takes the body of a Markdown file; `body` for types that are absent.
    pub body_fields: BTreeMap<TypeName, String>,
    /// The project's locales. Names are compared with them without case.
    pub locales: LocaleConfig,
}

impl ContentOptions {
    /// The locale that a part of a file name is, as the project spells it; `None` when it is no language tag.
    fn locale(&self, text: &str) -> Option<Locale> {
        self.locales.named(text).cloned().or_else(|| Locale::new(text).ok())
    }
}

/// A content file and what tells that it changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentFile {
    /// The path within the project, with `/` separators.
    pub path: String,
    /// Its size in bytes.
    pub len: u64,
    /// Its modification time in nanoseconds since 1970.
    pub mtime_ns: i128,
    /// The time its inode last changed, in nanoseconds since 1970.
    pub ctime_ns: i128,
    /// Its inode.
    pub inode: u64,
}

/// Whether a file under `content/` contains entries.
pub fn is_content(path: &str) -> bool {
    [".json", ".md", ".mdx", ".ndjson", ".jsonl"].iter().any(|s| path.ends_with(s))
}

/// All content files of the project in `dir`, in path order, with findings for what cannot be one. Symbolic links are
/// followed only to files inside the project.
pub fn list(dir: &Path) -> (Vec<ContentFile>, Vec<Finding>) {
    let root = dir.join(FOLDER);
    let mut folders = Vec::new();
    let mut files = Vec::new();
    let mut findings = Vec::new();
    list_folder(dir, &root, FOLDER.to_owned(), 0, &mut files, &mut folders, &mut findings);
    // The first level is one folder per type: enough pieces for two threads.
    let halves: Vec<_> = folders.chunks(folders.len().div_ceil(2).max(1)).map(<[_]>::to_vec).collect();
    let parts: Vec<(Vec<ContentFile>, Vec<Finding>)> = std::thread::scope(|scope| {
        let handles: Vec<_> = halves
            .into_iter()
            .map(|mut stack| {
                scope.spawn(move || {
                    let (mut files, mut findings) = (Vec::new(), Vec::new());
                    while let Some((path, name, depth)) = stack.pop() {
                        list_folder(dir, &path, name, depth, &mut files, &mut stack, &mut findings);
                    }
                    (files, findings)
                })
            })
            .collect();
        handles.into_iter().filter_map(|h| h.join().ok()).collect()
    });
    for (f, n) in parts {
        files.extend(f);
        findings.extend(n);
    }
    files.sort_unstable();
    findings.sort_by(|a, b| a.place.cmp(&b.place));
    (files, findings)
}

const DEPTH_MAX: usize = 32;

/// Endings of files that look as if they were meant to be content.
const LIKE_CONTENT: [&str; 13] = [
    ".yaml",
    ".yml",
    ".toml",
    ".txt",
    ".markdown",
    ".mdown",
    ".mkd",
    ".html",
    ".htm",
    ".json5",
    ".jsonc",
    ".csv",
    ".xml",
];

/// A file under `content/` that looks like content and is not read.
fn like_content(path: &str) -> Option<Finding> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let about = ["readme", "license", "changelog"].iter().any(|n| name.starts_with(n));
    // `home.en.JSON` is content but for its case.
    let like = LIKE_CONTENT.iter().any(|e| name.ends_with(e)) || is_content(&name);
    (like && !about).then(|| {
        Finding::warning("not-read", path, "The file is not read: content files do not end like this.")
            .help("content files end in .json, .md, .mdx, .ndjson or .jsonl")
    })
}

fn list_folder(
    dir: &Path,
    folder: &Path,
    name: String,
    depth: usize,
    files: &mut Vec<ContentFile>,
    folders: &mut Vec<(PathBuf, String, usize)>,
    findings: &mut Vec<Finding>,
) {
    let unlisted = |place: &str, e: &std::io::Error| {
        Finding::error("unreadable", place, format!("It cannot be read: {e}.")).help("check its permissions")
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && depth == 0 => return,
        Err(e) => return findings.push(unlisted(&name, &e)),
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                findings.push(unlisted(&name, &e));
                continue;
            }
        };
        let file_name = entry.file_name();
        let Some(file_name) = file_name.to_str() else {
            findings.push(
                Finding::error(
                    "file-name",
                    format!("{name}/{}", file_name.to_string_lossy()),
                    "The file name is not UTF-8.",
                )
                .help("rename the file"),
            );
            continue;
        };
        if file_name.starts_with('.') {
            continue;
        }
        let path = format!("{name}/{file_name}");
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            match depth >= DEPTH_MAX {
                true => findings.push(Finding::error(
                    "too-deep",
                    path,
                    format!("Folders nest deeper than {DEPTH_MAX} levels."),
                )),
                false => folders.push((entry.path(), path, depth + 1)),
            }
            continue;
        }
        if !is_content(&path) {
            findings.extend(like_content(&path));
            continue;
        }
        if kind.is_symlink() && !link_stays_inside(dir, &entry.path()) {
            findings.push(outside(&path));
            continue;
        }
        match fs::metadata(entry.path()) {
            Ok(meta) if meta.is_file() => files.push(ContentFile {
                path,
                len: meta.len(),
                mtime_ns: i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()),
                ctime_ns: i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec()),
                inode: meta.ino(),
            }),
            Ok(_) => {}
            Err(e) => findings.push(unlisted(&path, &e)),
        }
    }
}

/// Reads a content file's bytes, bounded.
///
/// # Errors
/// A finding when it cannot be read or is too large.
pub fn read(dir: &Path, path: &str) -> Result<Vec<u8>, Finding> {
    let max = if is_lines(path) { LINES_BYTES_MAX } else { ENTRY_BYTES_MAX };
    read_bounded(&dir.join(path), max).map_err(|e| unreadable(path, &e, max))
}

/// Whether a content file contains one entry per line.
pub fn is_lines(path: &str) -> bool {
    path.ends_with(".ndjson") || path.ends_with(".jsonl")
}

/// The entries in a content file.
///
/// # Errors
/// What is wrong, with file, line and column; lines of an NDJSON file are judged one by one.
pub fn parse(path: &str, bytes: &[u8], options: &ContentOptions) -> Result<Vec<SeedEntry>, Vec<Finding>> {
    if is_lines(path) {
        let (mut entries, mut findings) = (Vec::new(), Vec::new());
        for entry in parse_lines(path, bytes, options) {
            match entry {
                Ok(entry) => entries.push(entry),
                Err(finding) => findings.push(finding),
            }
        }
        return if findings.is_empty() { Ok(entries) } else { Err(findings) };
    }
    parse_one(path, bytes, options).map(|e| vec![e]).map_err(|f| vec![f])
}

fn parse_one(path: &str, bytes: &[u8], options: &ContentOptions) -> Result<SeedEntry, Finding> {
    let key = key_of_path(path, options)?;
    let text = decode(path, bytes)?;
    let mut line = 1;
    let mut fields = if path.ends_with(".json") {
        fields_of(path, read_json(path, 1, text, VALUE_BYTES_MAX)?)?
    } else {
        let document = front_matter::split(path, text)?;
        let mut fields = document.fields;
        let name = options.body_fields.get(&key.type_name).map_or("body", String::as_str);
        if !document.body.is_empty() {
            if fields.contains_key(name) {
                return Err(Finding::error(
                    "duplicate-key",
                    format!("{path}:{} /{name}", document.fields_line),
                    format!("`{name}` is in the front matter, and the file has a body as well."),
                )
                .help("keep one of the two"));
            }
            fields.insert(name.to_owned(), Value::String(document.body));
            line = document.fields_line.min(document.body_line);
        }
        fields
    };
    let contract = take_contract(path, line, &key.type_name, &mut fields, "$contract")?;
    Ok(SeedEntry { key, contract, fields, source: format!("{path}:1") })
}

fn fields_of(path: &str, value: Value) -> Result<Fields, Finding> {
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(Finding::error(
            "not-an-object",
            format!("{path}:1:1"),
            "An entry is a JSON object of fields.",
        )
        .help("write {\"title\": …}")),
    }
}

fn take_contract(
    path: &str,
    line: usize,
    type_name: &TypeName,
    fields: &mut Fields,
    name: &str,
) -> Result<Option<ContractName>, Finding> {
    let Some(value) = fields.remove(name) else { return Ok(None) };
    let contract: Option<ContractName> = value.as_str().and_then(|s| s.parse().ok());
    match contract {
        Some(contract) if contract.name == *type_name => Ok(Some(contract)),
        _ => Err(Finding::error(
            "contract-name",
            format!("{path}:{line} /{name}"),
            format!("{value} does not name a contract of type `{type_name}`."),
        )
        .help(format!("write a name such as \"{type_name}.v1\", or leave it out"))),
    }
}

/// The entry that a content file would hold, by its name; `None` when the name says none, or the file contains many.
pub fn key_of(path: &str, options: &ContentOptions) -> Option<EntryKey> {
    (!is_lines(path)).then(|| key_of_path(path, options).ok()).flatten()
}

/// Type, id and locale from `content/<type>/<id>.<locale>.<ending>`; deeper folders become parts of the id.
fn key_of_path(path: &str, options: &ContentOptions) -> Result<EntryKey, Finding> {
    let wrong = |message: String| {
        Finding::error("content-path", path, message)
            .help("name it content/<type>/<id>.<locale>.json (or .md), for example content/page/home.en.json")
    };
    let relative = path.strip_prefix("content/").unwrap_or(path);
    let Some((type_name, rest)) = relative.split_once('/') else {
        return Err(wrong("The file is not in a folder of a content type.".to_owned()));
    };
    let type_name = TypeName::new(type_name).map_err(|e| wrong(format!("The folder: {e}.")))?;
    let stem = rest.rsplit_once('.').map_or(rest, |(stem, _)| stem);
    let (id, locale) = match stem.rsplit_once('.').map(|(id, l)| (id, options.locale(l))) {
        Some((id, Some(locale))) => (id, locale),
        _ => (stem, options.default_locale.clone()),
    };
    let id = EntryId::new(&id.replace('/', ".")).map_err(|e| wrong(format!("The file name: {e}.")))?;
    Ok(EntryKey { type_name, id, locale })
}

/// The entries of an NDJSON file, one per line that is not blank:
/// `{"type","id","locale","fields"}`, with an optional `"contract"`.
pub fn parse_lines<'a>(
    path: &'a str,
    bytes: &'a [u8],
    options: &'a ContentOptions,
) -> impl Iterator<Item = Result<SeedEntry, Finding>> + 'a {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes
        .split(|b| *b == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(move |(i, line)| parse_line(path, i + 1, line, options))
}

/// One line of an NDJSON file.
///
/// # Errors
/// What is wrong, with file, line and column.
pub fn parse_line(
    path: &str,
    line: usize,
    bytes: &[u8],
    options: &ContentOptions,
) -> Result<SeedEntry, Finding> {
    if bytes.len() > ENTRY_BYTES_MAX {
        return Err(Finding::error(
            "too-large",
            format!("{path}:{line}"),
            format!("The line has {} bytes; an entry may have {ENTRY_BYTES_MAX}.", bytes.len()),
        ));
    }
    let text = decode(path, bytes).map_err(|mut f| {
        f.place = f.place.replacen(":1:", &format!(":{line}:"), 1);
        f
    })?;
    let mut entry =
        envelope(path, line, read_json(path, line, text, VALUE_BYTES_MAX)?, &options.default_locale)?;
    entry.key.locale = options.locales.spelled(entry.key.locale);
    Ok(entry)
}

/// Reads `{"type","id","locale","contract","fields"}`.
pub(crate) fn envelope(
    path: &str,
    line: usize,
    value: Value,
    default_locale: &Locale,
) -> Result<SeedEntry, Finding> {
    let wrong = |pointer: &str, message: String| {
        Finding::error("entry-line", format!("{path}:{line}{pointer}"), message)
            .help(r#"write {"type":"page","id":"home","locale":"en","fields":{…}}"#)
    };
    let Value::Object(mut map) = value else {
        return Err(wrong("", "An entry is a JSON object.".to_owned()));
    };
    let mut word = |name: &str| match map.remove(name) {
        Some(Value::String(s)) => Ok(Some(s)),
        None => Ok(None),
        Some(other) => Err(wrong(&format!(" /{name}"), format!("`{name}` is {other}, not text."))),
    };
    let (type_name, id, locale) = (word("type")?, word("id")?, word("locale")?);
    let missing = |name: &str| wrong("", format!("`{name}` is missing."));
    let type_name = TypeName::new(&type_name.ok_or_else(|| missing("type"))?)
        .map_err(|e| wrong(" /type", format!("`type`: {e}.")))?;
    let id =
        EntryId::new(&id.ok_or_else(|| missing("id"))?).map_err(|e| wrong(" /id", format!("`id`: {e}.")))?;
    let locale = match locale {
        Some(l) => Locale::any_case(&l).map_err(|e| wrong(" /locale", format!("`locale`: {e}.")))?,
        None => default_locale.clone(),
    };
    let contract = take_contract(path, line, &type_name, &mut map, "contract")?;
    let fields = match map.remove("fields") {
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(wrong(" /fields", "`fields` is not an object.".to_owned())),
        None => return Err(missing("fields")),
    };
    if let Some(unknown) = map.keys().next() {
        let finding = wrong(&format!(" /{unknown}"), format!("`{unknown}` is not a key of an entry line."));
        let keys = ["type", "id", "locale", "contract", "fields"];
        let help = did_you_mean(unknown, keys, finding.help.as_str());
        return Err(finding.help(help));
    }
    Ok(SeedEntry {
        key: EntryKey { type_name, id, locale },
        contract,
        fields,
        source: format!("{path}:{line}"),
    })
}

/// As [`place`], with the text of the file in the project in `dir`. A file with an entry per line is not read: the line is
/// known.
pub fn place_in(dir: &Path, source: &str, pointer: &str, body_field: &str) -> String {
    let path = source.rsplit_once(':').map_or(source, |(path, _)| path);
    let text = if is_lines(path) { Ok(Vec::new()) } else { read(dir, path) };
    match text {
        Ok(text) => place(&String::from_utf8_lossy(&text), source, pointer, body_field),
        Err(_) => format!("{source} {pointer}"),
    }
}

/// The place of a field for people: `content/page/home.en.json:12 /title`. `text` is the file's text, `source` that of
/// the entry, `pointer` a JSON pointer into its fields, `body_field` the field a Markdown body went to.
pub fn place(text: &str, source: &str, pointer: &str, body_field: &str) -> String {
    let (path, line) = source.rsplit_once(':').unwrap_or((source, "1"));
    let shown = if pointer.is_empty() { "/" } else { pointer };
    if is_lines(path) {
        return format!("{source} {shown}");
    }
    let line = if path.ends_with(".json") {
        ashlar_model::line_of(text.trim_start_matches('\u{feff}'), pointer).to_string()
    } else {
        let name = pointer.split('/').nth(1).unwrap_or_default();
        match front_matter::line_of_field(text, name) {
            Some(line) if !name.is_empty() => line.to_string(),
            _ if name == body_field => {
                front_matter::split(path, text).map_or(line.to_owned(), |d| d.body_line.to_string())
            }
            _ => line.to_owned(),
        }
    };
    format!("{path}:{line} {shown}")
}
