//! Import of Markdown trees and of JSON or NDJSON files.

use std::{
    collections::{HashMap, VecDeque},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use ashlar_model::{EntryKey, Fields, Finding, Locale, VALUE_BYTES_MAX, read_json};
use serde_json::Value;

use crate::{
    content::{ENTRY_BYTES_MAX, SeedEntry, envelope},
    disk::{link_stays_inside, outside, read_bounded, unreadable},
    front_matter,
    mapping::{Mapping, put},
    text::decode,
};

/// The largest JSON file whose entries stand in one array, in bytes; larger ones are given as NDJSON.
pub const ARRAY_BYTES_MAX: usize = 256 << 20;

/// Files per chunk that are parsed at once.
const CHUNK: usize = 256;

/// The files of a Markdown tree that `mapping` reads, as paths relative to `dir` in order, and findings about files that
/// cannot be read (symbolic links out of the tree, names that are not UTF-8).
///
/// # Errors
/// When `dir` cannot be walked.
pub fn markdown_files(dir: &Path, mapping: &Mapping) -> Result<(Vec<String>, Vec<Finding>), std::io::Error> {
    let mut files = Vec::new();
    let mut findings = Vec::new();
    for entry in walkdir::WalkDir::new(dir).max_depth(64).sort_by_file_name() {
        let entry = entry?;
        if entry.file_type().is_dir() {
            continue;
        }
        let Some(path) = entry.path().strip_prefix(dir).ok().and_then(Path::to_str) else {
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
        let path = path.replace(std::path::MAIN_SEPARATOR, "/");
        if !mapping.reads(&path) {
            continue;
        }
        if entry.path_is_symlink() && !link_stays_inside(dir, entry.path()) {
            findings.push(outside(&path));
            continue;
        }
        files.push(path);
    }
    Ok((files, findings))
}

/// One Markdown file as an entry.
///
/// # Errors
/// What is wrong, with file, line and column.
pub fn markdown(path: &str, bytes: &[u8], mapping: &Mapping) -> Result<SeedEntry, Finding> {
    let text = decode(path, bytes)?;
    let document = front_matter::split(path, text)?;
    let mut source = document.fields;
    let place = format!("{path}:1");
    let (key, short) = mapping.key(&place, path, &mut source)?;
    let mut fields = mapping.map(&place, source)?;
    let mut extra = Vec::new();
    if !document.body.is_empty() {
        extra.push((mapping.body.as_str(), Value::String(document.body)));
    }
    if let Some(name) = &mapping.path_field {
        extra.push((name, Value::String(short)));
    }
    for (name, value) in extra {
        if !put(&mut fields, name, value) {
            return Err(Finding::error("mapping", place, format!("The field `{name}` gets two values."))
                .help("drop the name from the front matter, or map it to another field"));
        }
    }
    Ok(SeedEntry { key, contract: mapping.contract.clone(), fields, source: place })
}

/// Reads a Markdown tree in order, parsing a chunk of files at a time on all cores. Broken files come as findings, in
/// their place; two files that make the same entry are an error that names both.
pub struct MarkdownImport<'a> {
    dir: PathBuf,
    mapping: &'a Mapping,
    files: std::vec::IntoIter<String>,
    ready: VecDeque<Result<SeedEntry, Finding>>,
    seen: HashMap<EntryKey, String>,
}

impl<'a> MarkdownImport<'a> {
    /// Imports `files` (from [`markdown_files`]) of `dir`.
    pub fn new(dir: &Path, files: Vec<String>, mapping: &'a Mapping) -> Self {
        Self {
            dir: dir.to_owned(),
            mapping,
            files: files.into_iter(),
            ready: VecDeque::new(),
            seen: HashMap::new(),
        }
    }

    fn fill(&mut self) {
        let chunk: Vec<String> = self.files.by_ref().take(CHUNK).collect();
        let (dir, mapping) = (&self.dir, self.mapping);
        let read = |path: &String| {
            let bytes = read_bounded(&dir.join(path), ENTRY_BYTES_MAX)
                .map_err(|e| unreadable(path, &e, ENTRY_BYTES_MAX))?;
            markdown(path, &bytes, mapping)
        };
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(8));
        let share = chunk.len().div_ceil(threads).max(1);
        let parts: Vec<Vec<_>> = std::thread::scope(|scope| {
            let handles: Vec<_> = chunk
                .chunks(share)
                .map(|part| scope.spawn(move || part.iter().map(read).collect::<Vec<_>>()))
                .collect();
            handles.into_iter().filter_map(|h| h.join().ok()).collect()
        });
        for entry in parts.into_iter().flatten() {
            let entry = entry.and_then(|entry| unique(&mut self.seen, entry));
            self.ready.push_back(entry);
        }
    }
}

impl Iterator for MarkdownImport<'_> {
    type Item = Result<SeedEntry, Finding>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            self.fill();
        }
        self.ready.pop_front()
    }
}

fn unique(seen: &mut HashMap<EntryKey, String>, entry: SeedEntry) -> Result<SeedEntry, Finding> {
    if let Some(first) = seen.get(&entry.key) {
        return Err(Finding::error(
            "duplicate-entry",
            entry.source,
            format!("{} is already made by {first}.", entry.key),
        )
        .help("rename one of the two, or leave one out"));
    }
    seen.insert(entry.key.clone(), entry.source.clone());
    Ok(entry)
}

/// Entries of a JSON file: an array, or one object per line (NDJSON). Without a mapping each is
/// `{"type","id","locale","fields"}`; with one each is the fields, and type, locale and id come from the mapping
/// (`id_field` is needed).
pub struct JsonImport<'a> {
    path: String,
    mapping: Option<&'a Mapping>,
    default_locale: Locale,
    items: Items,
    seen: HashMap<EntryKey, String>,
}

enum Items {
    Lines { reader: Box<dyn BufRead + Send>, line: usize },
    Array { items: std::vec::IntoIter<Value>, index: usize },
    Failed(Option<Box<Finding>>),
}

impl<'a> JsonImport<'a> {
    /// Opens a JSON or NDJSON file; `name` is what findings call it. A file whose first character is `[` is an array.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(
        file: &Path,
        name: &str,
        mapping: Option<&'a Mapping>,
        default_locale: &Locale,
    ) -> Result<Self, std::io::Error> {
        let reader = BufReader::with_capacity(1 << 18, std::fs::File::open(file)?);
        Self::from_reader(Box::new(reader), name, mapping, default_locale)
    }

    /// Reads from anything, standard input for example.
    ///
    /// # Errors
    /// When reading fails.
    pub fn from_reader(
        mut reader: Box<dyn BufRead + Send>,
        name: &str,
        mapping: Option<&'a Mapping>,
        default_locale: &Locale,
    ) -> Result<Self, std::io::Error> {
        let start = reader.fill_buf()?;
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
        let items = if start.first() == Some(&b'[') {
            let mut bytes = Vec::new();
            std::io::Read::take(reader, ARRAY_BYTES_MAX as u64 + 1).read_to_end_into(&mut bytes)?;
            match array(name, &bytes) {
                Ok(items) => Items::Array { items: items.into_iter(), index: 0 },
                Err(finding) => Items::Failed(Some(Box::new(finding))),
            }
        } else {
            Items::Lines { reader, line: 0 }
        };
        Ok(Self {
            path: name.to_owned(),
            mapping,
            default_locale: default_locale.clone(),
            items,
            seen: HashMap::new(),
        })
    }

    fn entry(&self, place: &str, line: Option<usize>, value: Value) -> Result<SeedEntry, Finding> {
        let Some(mapping) = self.mapping else {
            let mut entry =
                envelope(&self.path, line.unwrap_or(1), value, &self.default_locale).map_err(|mut f| {
                    if line.is_none() {
                        f.place = f.place.replacen(&format!("{}:1", self.path), place, 1);
                    }
                    f
                })?;
            place.clone_into(&mut entry.source);
            return Ok(entry);
        };
        let Value::Object(mut source) = value else {
            return Err(Finding::error("not-an-object", place, "An entry is a JSON object of fields."));
        };
        if mapping.id_field.is_none() {
            return Err(Finding::error("mapping", place, "JSON has no path to make an id of.")
                .help("name the field that is the id: id_field = \"id\""));
        }
        let (key, _) = mapping.key(place, "", &mut source)?;
        let fields: Fields = mapping.map(place, source)?;
        Ok(SeedEntry { key, contract: mapping.contract.clone(), fields, source: place.to_owned() })
    }
}

trait ReadToEnd {
    fn read_to_end_into(self, bytes: &mut Vec<u8>) -> Result<usize, std::io::Error>;
}

impl<R: std::io::Read> ReadToEnd for R {
    fn read_to_end_into(mut self, bytes: &mut Vec<u8>) -> Result<usize, std::io::Error> {
        self.read_to_end(bytes)
    }
}

fn array(name: &str, bytes: &[u8]) -> Result<Vec<Value>, Finding> {
    if bytes.len() > ARRAY_BYTES_MAX {
        return Err(Finding::error(
            "too-large",
            name,
            format!("The array has more than {ARRAY_BYTES_MAX} bytes."),
        )
        .help("give one entry per line (NDJSON); that is read without a bound"));
    }
    match read_json(name, 1, decode(name, bytes)?, ARRAY_BYTES_MAX * 8)? {
        Value::Array(items) => Ok(items),
        _ => Err(Finding::error("not-an-array", name, "The file does not contain an array of entries.")),
    }
}

impl Iterator for JsonImport<'_> {
    type Item = Result<SeedEntry, Finding>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = match &mut self.items {
            Items::Failed(finding) => return finding.take().map(|f| Err(*f)),
            Items::Array { items, index } => {
                let value = items.next()?;
                let place = format!("{} /{index}", self.path);
                *index += 1;
                self.entry(&place, None, value)
            }
            Items::Lines { reader, line } => {
                let (bytes, number) = loop {
                    let mut bytes = Vec::new();
                    let max = ENTRY_BYTES_MAX as u64 + 1;
                    match std::io::Read::take(&mut *reader, max).read_until(b'\n', &mut bytes) {
                        Ok(0) => return None,
                        Ok(_) => *line += 1,
                        Err(e) => {
                            let message = format!("It cannot be read further: {e}.");
                            let place = format!("{}:{}", self.path, *line + 1);
                            self.items = Items::Failed(None);
                            return Some(Err(Finding::error("unreadable", place, message)));
                        }
                    }
                    if !bytes.trim_ascii().is_empty() {
                        break (bytes, *line);
                    }
                };
                let place = format!("{}:{number}", self.path);
                if bytes.len() > ENTRY_BYTES_MAX {
                    // The rest of the line cannot be told from the next one without reading it all.
                    self.items = Items::Failed(None);
                    return Some(Err(Finding::error(
                        "too-large",
                        place,
                        format!("The line has more than {ENTRY_BYTES_MAX} bytes."),
                    )));
                }
                let parsed = decode(&self.path, &bytes)
                    .map_err(|mut f| {
                        f.place = f.place.replacen(":1:", &format!(":{number}:"), 1);
                        f
                    })
                    .and_then(|text| read_json(&self.path, number, text, VALUE_BYTES_MAX));
                parsed.and_then(|value| self.entry(&place, Some(number), value))
            }
        };
        Some(entry.and_then(|entry| unique(&mut self.seen, entry)))
    }
}
