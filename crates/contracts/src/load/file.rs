//! One contract file: its name, its JSON, and what of it cannot be used wherever it is.

use std::cell::RefCell;

use ashlar_model::{ContractName, FILE_BYTES_MAX, Finding, Lines};
use serde_json::{Value, json};

use super::patterns::Patterns;
use crate::{
    refs::walk,
    vocabulary::{OnProperty, Wrong},
};

/// The largest contract file, in bytes.
const CONTRACT_BYTES_MAX: usize = 1 << 20;
/// How deep a schema may nest.
const SCHEMA_DEPTH_MAX: usize = 100;
/// The most findings of one kind in one file.
pub(super) const FINDINGS_MAX: usize = 100;

/// A contract file whose schema was read.
pub(super) struct File<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
    pub(super) name: ContractName,
    /// Its name among the documents: `page.v1.json`.
    pub(super) file_name: String,
    lines: RefCell<Lines>,
}

impl File<'_> {
    /// Where a place of the schema is, for people.
    pub(super) fn place(&self, pointer: &str) -> String {
        let shown = if pointer.is_empty() { "/" } else { pointer };
        format!("{}:{} {shown}", self.path, self.lines.borrow_mut().of(self.text, pointer))
    }

    pub(super) fn error(&self, code: &str, pointer: &str, message: impl Into<String>) -> Finding {
        Finding::error(code, self.place(pointer), message)
    }

    /// What is wrong with words of `x-ashlar` at a place.
    pub(super) fn wrong_words(&self, pointer: &str, wrong: Vec<Wrong>) -> impl Iterator<Item = Finding> {
        wrong.into_iter().map(move |(below, message, help)| {
            self.error("contract-vocabulary", &format!("{pointer}/x-ashlar{below}"), message).help(help)
        })
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Reads one file into a schema.
pub(super) fn read_file<'a>(path: &'a str, bytes: &'a [u8]) -> Result<(File<'a>, Value), Finding> {
    let name_help = "name it `<name>.v<major>.json`, such as `contracts/page.v1.json`";
    let stem = path.strip_prefix("contracts/").and_then(|p| p.strip_suffix(".json")).unwrap_or(path);
    let name: ContractName = stem.parse().map_err(|e: ashlar_model::IdError| {
        Finding::error("contract-name", path, e.to_string()).help(name_help)
    })?;
    if bytes.len() > CONTRACT_BYTES_MAX.min(FILE_BYTES_MAX) {
        let message = format!("the file has {} bytes; a contract may have {CONTRACT_BYTES_MAX}", bytes.len());
        return Err(Finding::error("contract-too-large", path, message).help("split it with `$ref`s"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let message = format!("the file is not UTF-8 text (first bad byte at offset {})", e.valid_up_to());
        Finding::error("contract-encoding", path, message).help("save it as UTF-8")
    })?;
    let schema: Value = serde_json::from_str(text).map_err(|e| {
        let place = format!("{path}:{}:{}", e.line(), e.column());
        // The place stands in front already.
        let said = e.to_string();
        let why = said.split(" at line ").next().unwrap_or(&said);
        Finding::error("contract-json", place, format!("the file is not valid JSON: {why}"))
            .help("fix the JSON at this place")
    })?;
    let file = File { path, text, file_name: format!("{name}.json"), name, lines: RefCell::default() };
    if depth(&schema) > SCHEMA_DEPTH_MAX {
        let message = format!("the schema nests deeper than {SCHEMA_DEPTH_MAX} levels");
        return Err(file.error("contract-depth", "", message).help("use `$defs` and `$ref`"));
    }
    let schema = match schema {
        Value::Object(_) => schema,
        // The two schemas that are no objects, as objects: everything is valid, nothing is.
        Value::Bool(true) => json!({}),
        Value::Bool(false) => json!({ "not": {} }),
        _ => {
            return Err(file
                .error("contract-form", "", "a contract is a JSON object")
                .help("start with `{ \"type\": \"object\" }`"));
        }
    };
    Ok((file, schema))
}

/// Words of the core that cannot be followed here.
pub(super) fn check_core_words(file: &File<'_>, schema: &Value, findings: &mut Vec<Finding>) {
    let most = findings.len() + FINDINGS_MAX;
    walk(schema, &mut String::new(), &mut |pointer, s| {
        for word in ["$recursiveRef", "$schema", "$vocabulary"] {
            let Some(value) = s.get(word) else { continue };
            let at = format!("{pointer}/{word}");
            let (message, help) = match (word, value.as_str()) {
                ("$schema", Some(text)) if text.contains("json-schema.org/draft/2020-12") => continue,
                ("$schema", Some(text)) => (
                    format!("`{text}` is not JSON Schema 2020-12"),
                    "contracts are written in JSON Schema 2020-12",
                ),
                _ => (format!("`{word}` is not supported here"), "use `$ref` or `$dynamicRef`"),
            };
            if findings.len() < most {
                findings.push(file.error("contract-ref", &at, message).help(help));
            }
        }
    });
}

/// Words of `x-ashlar` on properties, and patterns.
pub(super) fn check_property_words(
    file: &File<'_>,
    schema: &Value,
    patterns: &mut Patterns,
    findings: &mut Vec<Finding>,
) {
    let most = findings.len() + FINDINGS_MAX;
    walk(schema, &mut String::new(), &mut |pointer, s| {
        if findings.len() >= most {
            return;
        }
        if let Some(words) = s.get("x-ashlar")
            && !pointer.is_empty()
        {
            findings.extend(file.wrong_words(pointer, OnProperty::parse(words).1));
        }
        let mut check = |at: &dyn Fn() -> String, pattern: &str| {
            let wrong = patterns.check(pattern);
            findings.extend(
                wrong.map(|(message, help)| file.error("contract-pattern", &at(), message).help(help)),
            );
        };
        if let Some(pattern) = s.get("pattern").and_then(Value::as_str) {
            check(&|| format!("{pointer}/pattern"), pattern);
        }
        for (pattern, _) in s.get("patternProperties").and_then(Value::as_object).into_iter().flatten() {
            let at = || format!("{pointer}/patternProperties/{}", ashlar_model::pointer_step(pattern));
            check(&at, pattern);
        }
    });
}
