//! Reading contract files: every mistake is a finding with file, line and JSON pointer.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use ashlar_model::{ContractName, Digest, FILE_BYTES_MAX, Files, Finding, Lines, canonical_json};
use regex_syntax::hir::{Class, Hir, HirKind};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Value, json};

use crate::{
    Contract, ContractSet, Kind, RouteTemplate, Version,
    cost::{Cost, Refused, SCHEMA_CHAIN_MAX},
    facts,
    plan::Plan,
    refs::{Documents, Place, look_up, normalize, target, walk},
    settle::settle,
    validate::PATTERN_CHARS_MAX,
    vocabulary::{OnProperty, OnSchema, Wrong},
};

/// The most contracts of a project.
const CONTRACTS_MAX: usize = 5_000;
/// The largest contract file, in bytes.
const CONTRACT_BYTES_MAX: usize = 1 << 20;
/// How deep a schema may nest.
const SCHEMA_DEPTH_MAX: usize = 100;
/// The most findings of one kind in one file.
const FINDINGS_MAX: usize = 100;
/// The most characters of all different patterns of a project, and what they may be compiled to, in states of a matcher.
const PATTERNS_CHARS_MAX: usize = 200_000;
const PATTERNS_WEIGHT_MAX: u64 = 10_000_000;
/// What one pattern counts for at most: a larger one is not compiled to its end.
const PATTERN_WEIGHT_MAX: u64 = 100_000;
/// The most bytes that the contracts of a project reach through `$ref`s, each counted for every contract that reaches it.
const REACHED_BYTES_MAX: usize = 256 << 20;
/// The most files that one contract reaches.
const REACHED_FILES_MAX: usize = 1_000;

struct File<'a> {
    path: &'a str,
    text: &'a str,
    name: ContractName,
    lines: RefCell<Lines>,
}

impl File<'_> {
    fn place(&self, pointer: &str) -> String {
        let shown = if pointer.is_empty() { "/" } else { pointer };
        format!("{}:{} {shown}", self.path, self.lines.borrow_mut().of(self.text, pointer))
    }

    fn error(&self, code: &str, pointer: &str, message: impl Into<String>) -> Finding {
        Finding::error(code, self.place(pointer), message)
    }

    fn wrong(&self, pointer: &str, wrong: Vec<Wrong>) -> impl Iterator<Item = Finding> {
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
fn read<'a>(path: &'a str, bytes: &'a [u8]) -> Result<(File<'a>, Value), Finding> {
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
    let file = File { path, text, name, lines: RefCell::default() };
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
fn check_core(file: &File<'_>, schema: &Value, findings: &mut Vec<Finding>) {
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

fn check_words(file: &File<'_>, schema: &Value, patterns: &mut Patterns, findings: &mut Vec<Finding>) {
    let most = findings.len() + FINDINGS_MAX;
    walk(schema, &mut String::new(), &mut |pointer, s| {
        if findings.len() >= most {
            return;
        }
        if let Some(words) = s.get("x-ashlar")
            && !pointer.is_empty()
        {
            findings.extend(file.wrong(pointer, OnProperty::read(words).1));
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

/// The patterns of a project: each is looked at once, and all of them together are bounded.
struct Patterns {
    known: FxHashMap<String, Option<(String, &'static str)>>,
    /// Characters that may still be read.
    chars_left: usize,
    /// What may still be compiled.
    weight_left: u64,
}

impl Patterns {
    /// Patterns run in linear time, so what needs backtracking is refused.
    fn check(&mut self, pattern: &str) -> Option<(String, &'static str)> {
        if let Some(known) = self.known.get(pattern) {
            return known.clone();
        }
        let wrong = self.judge(pattern);
        self.known.insert(pattern.to_owned(), wrong.clone());
        wrong
    }

    fn judge(&mut self, pattern: &str) -> Option<(String, &'static str)> {
        if pattern.len() > PATTERN_CHARS_MAX {
            return Some(("the pattern is longer than 2,000 characters".to_owned(), "shorten it"));
        }
        let too_much = Some((
            "the patterns of all contracts together are too large to compile".to_owned(),
            "use shorter patterns, smaller repetitions, or `maxLength`",
        ));
        let Some(left) = self.chars_left.checked_sub(pattern.len()) else { return too_much };
        self.chars_left = left;
        match regex_syntax::ParserBuilder::new().nest_limit(60).build().parse(pattern) {
            Ok(hir) => match self.weight_left.checked_sub(weight(&hir).min(PATTERN_WEIGHT_MAX)) {
                Some(left) => {
                    self.weight_left = left;
                    None
                }
                None => too_much,
            },
            Err(e) => {
                let text = e.to_string();
                let why =
                    text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
                Some((
                    format!("the pattern `{pattern}` cannot be used: {why}"),
                    "patterns run in linear time: look-around and back-references are not available",
                ))
            }
        }
    }
}

/// About how many states a pattern has when it is compiled.
fn weight(hir: &Hir) -> u64 {
    let all = |parts: &[Hir]| parts.iter().map(weight).fold(1_u64, u64::saturating_add);
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(Class::Unicode(class)) => class.ranges().len() as u64,
        HirKind::Class(Class::Bytes(class)) => class.ranges().len() as u64,
        HirKind::Repetition(r) => {
            weight(&r.sub).saturating_mul(u64::from(r.max.unwrap_or(r.min).max(1))).saturating_add(1)
        }
        HirKind::Capture(capture) => weight(&capture.sub).saturating_add(1),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => all(parts),
    }
}

/// The files a file refers to, itself included.
pub(crate) fn closure(documents: &Documents, file: &str) -> BTreeSet<String> {
    let (mut out, mut waiting) = (BTreeSet::new(), vec![file.to_owned()]);
    while let Some(file) = waiting.pop() {
        let Some(schema) = documents.get(&file) else { continue };
        if !out.insert(file.clone()) {
            continue;
        }
        walk(schema, &mut String::new(), &mut |_, s| {
            if let Some(reference) = s.get("$ref").and_then(Value::as_str) {
                waiting.push(target(&file, reference).file);
            }
        });
    }
    out
}

/// The size of each file, and the files that it refers to directly.
type Links = FxHashMap<String, (usize, BTreeSet<String>)>;

fn links_of(schema: &Value, file: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    walk(schema, &mut String::new(), &mut |_, s| {
        if let Some(reference) = s.get("$ref").and_then(Value::as_str) {
            out.insert(target(file, reference).file);
        }
    });
    out
}

/// Takes the bytes of every file that `file` refers to, itself included; `false` when there are more than are left.
fn reach(links: &Links, file: &str, left: &mut usize) -> bool {
    /// What visiting a file costs besides its bytes.
    const EACH: usize = 16_000;
    let (mut seen, mut waiting) = (FxHashSet::default(), vec![file]);
    while let Some((file, (size, next))) = waiting.pop().and_then(|f| links.get_key_value(f)) {
        if !seen.insert(file.as_str()) {
            continue;
        }
        match left.checked_sub(EACH + size) {
            Some(rest) => *left = rest,
            None => return false,
        }
        if seen.len() > REACHED_FILES_MAX {
            return false;
        }
        waiting.extend(next.iter().map(String::as_str).filter(|f| links.contains_key(*f)));
    }
    true
}

fn digest_of(documents: &Documents, file: &str) -> Digest {
    let parts: BTreeMap<String, &Value> = closure(documents, file)
        .into_iter()
        .filter_map(|f| documents.get(&f).map(|s| (f.clone(), s)))
        .collect();
    Digest::of(&canonical_json(&(file, parts)).unwrap_or_default())
}

/// A chain of `$ref`s that leads back to itself without a step into the value.
fn circular(documents: &Documents, file: &str, pointer: &str) -> bool {
    let mut place = Place { file: file.to_owned(), pointer: pointer.to_owned() };
    let mut seen = BTreeSet::new();
    while let Some(next) = look_up(documents, &place).and_then(|s| s.get("$ref")).and_then(Value::as_str) {
        if !seen.insert(place.clone()) {
            return true;
        }
        if seen.len() > SCHEMA_CHAIN_MAX {
            // Too long to be used, and refused for that.
            return false;
        }
        place = target(&place.file, next);
    }
    false
}

pub(crate) fn load(files: &Files) -> (ContractSet, Vec<Finding>) {
    let (mut findings, mut read_files, mut documents) = (Vec::new(), Vec::new(), Documents::new());
    for (path, bytes) in files.under("contracts", ".json") {
        if read_files.len() >= CONTRACTS_MAX {
            findings.push(Finding::error(
                "contracts-too-many",
                path,
                format!("there are more than {CONTRACTS_MAX} contracts"),
            ));
            break;
        }
        match read(path, bytes) {
            Ok((file, schema)) => {
                check_core(&file, &schema, &mut findings);
                documents.insert(format!("{}.json", file.name), schema);
                read_files.push(file);
            }
            Err(finding) => findings.push(finding),
        }
    }
    let by_name: FxHashMap<String, usize> = read_files
        .iter()
        .enumerate()
        .map(|(at, f): (usize, &File<'_>)| (format!("{}.json", f.name), at))
        .collect();
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for (name, pointer, message, help) in settle(&mut documents) {
        let count = told.entry(name.clone()).or_default();
        *count += 1;
        if *count <= FINDINGS_MAX
            && let Some(file) = by_name.get(&name).map(|at| &read_files[*at])
        {
            findings.push(file.error("contract-ref", &pointer, message).help(help));
        }
    }
    let documents = Arc::new(documents);
    let mut contracts = BTreeMap::new();
    let mut patterns = Patterns {
        known: FxHashMap::default(),
        chars_left: PATTERNS_CHARS_MAX,
        weight_left: PATTERNS_WEIGHT_MAX,
    };
    let links: Links = read_files
        .iter()
        .map(|f| format!("{}.json", f.name))
        .filter_map(|name| documents.get(&name).map(|schema| (links_of(schema, &name), name)))
        .zip(&read_files)
        .map(|((links, name), file)| (name, (file.text.len(), links)))
        .collect();
    let mut reached_left = REACHED_BYTES_MAX;
    for file in read_files {
        let before = findings.len();
        let file_name = format!("{}.json", file.name);
        let Some(schema) = documents.get(&file_name) else { continue };
        check_words(&file, schema, &mut patterns, &mut findings);
        walk(schema, &mut String::new(), &mut |pointer, s| {
            let Some(reference) = s.get("$ref").and_then(Value::as_str) else { return };
            let at = format!("{pointer}/$ref");
            if normalize(reference).is_err() || findings.len() >= before + 2 * FINDINGS_MAX {
                return;
            }
            if look_up(&documents, &target(&file_name, reference)).is_none() {
                let names: Vec<&str> = documents.keys().map(String::as_str).take(8).collect();
                findings.push(
                    file.error("contract-ref", &at, format!("`{reference}` leads nowhere"))
                        .help(format!("loaded files: {}", names.join(", "))),
                );
            } else if circular(&documents, &file_name, pointer) {
                findings.push(
                    file.error("contract-ref", &at, format!("`{reference}` leads back to itself"))
                        .help("a recursive schema takes a step into the value between two `$ref`s"),
                );
            }
        });
        let (words, wrong) = schema.get("x-ashlar").map(OnSchema::read).unwrap_or_default();
        findings.extend(file.wrong("", wrong));
        let version = words.version.unwrap_or(Version { major: file.name.major, minor: 0, patch: 0 });
        if version.major != file.name.major {
            let message = format!("the file is named v{} and its version is {version}", file.name.major);
            findings.push(
                file.error("contract-version", "/x-ashlar/version", message).help("make the two agree"),
            );
        }
        let route = match words.route.as_deref().map(RouteTemplate::parse) {
            Some(Ok(route)) => Some(route),
            Some(Err(e)) => {
                findings.push(
                    file.error("contract-route", "/x-ashlar/route", e.to_string())
                        .help("write it like `/pricing/{slug}`"),
                );
                None
            }
            None => None,
        };
        let refused = match reach(&links, &file_name, &mut reached_left) {
            true => Cost::read(&documents, &file_name).err(),
            false => Some(Refused {
                place: Place { file: file_name.clone(), pointer: String::new() },
                message: "the contracts refer to each other too often to be compiled".to_owned(),
                help: "refer to smaller files, or to `#/$defs/…` of the same file",
            }),
        };
        if let Some(refused) = &refused
            && findings.len() == before
        {
            let place = match refused.place.file == file_name {
                true => file.place(&refused.place.pointer),
                false => {
                    format!("{} (contracts/{} {})", file.path, refused.place.file, refused.place.pointer)
                }
            };
            findings.push(
                Finding::error("contract-expansion", place, refused.message.clone()).help(refused.help),
            );
        }
        let contract_is_usable = refused.is_none();
        let plan = match refused {
            None => Plan::compile(&documents, &file_name),
            Some(_) => Plan::empty(),
        };
        let summary = facts::summarize(&plan, route.as_ref(), words.title_field.as_deref());
        let known =
            |name: &str| plan.closure(0).iter().any(|id| plan.nodes[*id].properties.contains_key(name));
        let named = route.iter().flat_map(|r| r.fields().map(|f| ("route", f.to_owned())));
        for (word, name) in named.chain(words.title_field.iter().map(|t| ("title_field", t.clone()))) {
            if !known(&name) && contract_is_usable {
                let message = format!("`{word}` names `{name}`, which is not a property of the schema");
                findings.push(
                    file.error("contract-vocabulary", &format!("/x-ashlar/{word}"), message)
                        .help("name a top-level property"),
                );
            }
        }
        let contract = Contract {
            kind: if schema.get("x-ashlar").is_none() { Kind::Type } else { words.kind },
            version,
            owner: words.owner,
            status: words.status,
            sunset: words.sunset,
            replaced_by: words.replaced_by,
            route,
            index: words.index,
            title_field: words.title_field,
            taxonomy: words.taxonomy,
            digest: match contract_is_usable {
                true => digest_of(&documents, &file_name),
                false => Digest::of(file.text.as_bytes()),
            },
            schema: schema.clone(),
            speaks: !summary.refs.is_empty() || !summary.markdown.is_empty(),
            plan,
            summary,
            documents: documents.clone(),
            validator: OnceLock::new(),
            name: file.name.clone(),
        };
        if findings.len() == before
            && let Some((pointer, message)) = contract.compile_error()
        {
            findings.push(
                file.error("contract-schema", pointer, format!("this is not a JSON Schema: {message}"))
                    .help("compare it with JSON Schema 2020-12"),
            );
        }
        contracts.insert(file.name.clone(), contract);
    }
    for contract in contracts.values() {
        if let Some(next) = &contract.replaced_by
            && !contracts.contains_key(next)
        {
            let place = format!("contracts/{}.json /x-ashlar/replaced_by", contract.name);
            findings.push(
                Finding::error(
                    "contract-vocabulary",
                    place,
                    format!("`replaced_by` names {next}, which does not exist"),
                )
                .help("add the contract, or correct the name"),
            );
        }
    }
    (ContractSet { contracts }, findings)
}
