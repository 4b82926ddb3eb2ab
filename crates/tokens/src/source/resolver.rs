use std::collections::BTreeMap;

use ashlar_model::Finding;

use crate::{
    json::Json,
    source::{FILE_BYTES_MAX, FINDINGS_MAX, Layer, MODIFIERS_MAX, Modifier, SourceFile, TokenSet},
};

/// The most sources that a resolver document names, in sets, contexts and sets inside sets.
pub const SOURCES_MAX: usize = 4_096;
/// The most bytes of token files that are read for one set; a file counts each time it is named.
pub const READ_BYTES_MAX: usize = 256 << 20;

/// The longest name of a modifier or a context, in bytes: it is in the outputs once for each combination.
const CONTEXT_BYTES_MAX: usize = 100;

/// Gives the text of a file by its path relative to the resolver document (or the directory); `Err` says why not.
pub type Fetch<'a> = &'a dyn Fn(&str) -> Result<String, String>;

impl TokenSet {
    /// Reads token files without a resolver document, in the order given; a later definition replaces an earlier one.
    pub fn of_files(name: &str, files: Vec<SourceFile>) -> Self {
        let mut reading = Reading { files, ..Reading::default() };
        let mut layers = Vec::new();
        for at in 0..reading.files.len() {
            if let Some(json) = reading.parse(at) {
                layers.push(Layer { file: at as u32, base: String::new(), when: Vec::new(), json });
            }
        }
        let mut set = Self::collect(name.to_owned(), reading.files, Vec::new(), layers, reading.findings);
        let twice: Vec<_> = set
            .tokens
            .iter()
            .filter(|t| t.defs.iter().filter(|d| d.origin.is_none()).count() > 1)
            .map(|t| (t.name.clone(), t.defs.len()))
            .collect();
        if let Some((first, _)) = twice.first() {
            let defs = set.position(first).map(|at| set.tokens[at as usize].defs.as_slice());
            let last = defs.and_then(<[_]>::last);
            let place = last.map(|d| set.place_of(d, first, "")).unwrap_or_default();
            let others =
                if twice.len() > 1 { format!(" and {} more", twice.len() - 1) } else { String::new() };
            set.tell(|_| {
                Finding::warning(
                    "token-twice",
                    place,
                    format!("`{first}`{others} is defined more than once; the last file counts."),
                )
                .help("say in a resolver document (`*.resolver.json`) which file applies when")
            });
        }
        set
    }

    /// Reads a resolver document (2025.10) and the files it names.
    pub fn of_resolver(file: SourceFile, fetch: Fetch<'_>) -> Self {
        let path = file.path.clone();
        let mut reading = Reading { files: vec![file], ..Reading::default() };
        let Some(document) = reading.parse(0) else {
            return Self::collect(path, reading.files, Vec::new(), Vec::new(), reading.findings);
        };
        reading.name = document.get("name").and_then(Json::text).unwrap_or_default().to_owned();
        reading.document(&document, fetch);
        Self::collect(reading.name, reading.files, reading.modifiers, reading.layers, reading.findings)
    }
}

#[derive(Default)]
struct Reading {
    name: String,
    files: Vec<SourceFile>,
    by_path: BTreeMap<String, Option<usize>>,
    modifiers: Vec<Modifier>,
    layers: Vec<Layer>,
    findings: Vec<Finding>,
    /// Bytes that were parsed, and sources that were looked at; a file counts each time it is named.
    read_bytes: usize,
    sources: usize,
    reported_too_much: bool,
}

impl Reading {
    fn parse(&mut self, at: usize) -> Option<Json> {
        let bytes = self.files[at].text.len();
        self.read_bytes += bytes;
        if self.read_bytes > READ_BYTES_MAX && self.read_bytes > bytes {
            self.too_much();
            return None;
        }
        let SourceFile { path, text } = &mut self.files[at];
        if text.len() > FILE_BYTES_MAX {
            let message =
                format!("The file has {} bytes; a token file may have {FILE_BYTES_MAX}.", text.len());
            *text = String::new();
            self.findings.push(
                Finding::error("token-too-large", path.clone(), message)
                    .help("split it, and name the parts in a resolver document"),
            );
            return None;
        }
        match serde_json::from_str::<Json>(text.trim_start_matches('\u{feff}')) {
            Ok(json) => Some(json),
            Err(e) => {
                let what = e.to_string();
                let what = what.split(" at line ").next().unwrap_or_default();
                let place = format!("{path}:{}:{}", e.line(), e.column());
                self.findings.push(
                    Finding::error("token-json", place, format!("The file cannot be read as JSON: {what}."))
                        .help("fix the JSON at this place"),
                );
                None
            }
        }
    }

    /// Says once that the document names too much.
    fn too_much(&mut self) {
        if !self.reported_too_much {
            self.reported_too_much = true;
            // This one is said, however many others there are.
            self.findings.truncate(FINDINGS_MAX - 1);
            self.error(
                "/resolutionOrder",
                format!("The document names more than {SOURCES_MAX} sources, or more than {READ_BYTES_MAX} bytes of them."),
                "name each file once, in the set or context that needs it",
            );
        }
    }

    fn error(&mut self, pointer: &str, message: impl Into<String>, help: &str) {
        if self.findings.len() >= FINDINGS_MAX {
            return;
        }
        let file = &self.files[0];
        let place = format!("{}:{} {pointer}", file.path, ashlar_model::line_of(&file.text, pointer));
        self.findings.push(Finding::error("token-resolver", place, message).help(help));
    }

    fn document(&mut self, document: &Json, fetch: Fetch<'_>) {
        match document.get("version").and_then(Json::text) {
            Some("2025.10") => {}
            Some(other) => self.error(
                "/version",
                format!("Version `{other}` of the resolver format is not known."),
                "write \"2025.10\"",
            ),
            None => {
                self.error("", "The resolver document says no `version`.", "add \"version\": \"2025.10\"")
            }
        }
        let Some(Json::List(order)) = document.get("resolutionOrder") else {
            return self.error(
                "/resolutionOrder",
                "The resolver document has no list `resolutionOrder`.",
                "list its sets and modifiers, such as { \"$ref\": \"#/sets/base\" }",
            );
        };
        for (at, item) in order.iter().enumerate() {
            let pointer = format!("/resolutionOrder/{at}");
            let (kind, name, body, base) = match item.get("$ref").and_then(Json::text) {
                Some(to) => {
                    let steps: Vec<&str> = to.trim_start_matches("#/").split('/').collect();
                    let found = match steps[..] {
                        [kind @ ("sets" | "modifiers"), name] if to.starts_with("#/") => document
                            .get(kind)
                            .and_then(|k| k.get(name))
                            .map(|body| (kind, name.to_owned(), body)),
                        _ => None,
                    };
                    let Some((kind, name, body)) = found else {
                        self.error(
                            &pointer,
                            format!("`{to}` leads to no set and no modifier."),
                            "refer to #/sets/<name> or #/modifiers/<name>",
                        );
                        continue;
                    };
                    (kind, name, body, format!("/{}", steps.join("/")))
                }
                None => {
                    let kind = match item.get("type").and_then(Json::text) {
                        Some("set") => "sets",
                        Some("modifier") => "modifiers",
                        _ => {
                            self.error(
                                &pointer,
                                "An item of `resolutionOrder` is a reference, a set or a modifier.",
                                "give it `$ref`, or `type` and `name`",
                            );
                            continue;
                        }
                    };
                    let name = item.get("name").and_then(Json::text).unwrap_or("inline").to_owned();
                    (kind, name, item, pointer.clone())
                }
            };
            if kind == "sets" {
                match body.get("sources") {
                    Some(Json::List(sources)) => {
                        self.sources(document, sources, &format!("{base}/sources"), &[], fetch, 0)
                    }
                    _ => self.error(
                        &base,
                        format!("The set `{name}` has no list `sources`."),
                        "list its token files",
                    ),
                }
            } else {
                self.modifier(document, &name, body, &base, fetch);
            }
        }
    }

    fn modifier(&mut self, document: &Json, name: &str, body: &Json, base: &str, fetch: Fetch<'_>) {
        let Some(Json::Object(contexts)) = body.get("contexts") else {
            return self.error(
                base,
                format!("The modifier `{name}` has no `contexts`."),
                "name its contexts, each with a list of sources",
            );
        };
        if contexts.is_empty() || contexts.len() > MODIFIERS_MAX || self.modifiers.len() >= MODIFIERS_MAX {
            return self.error(
                base,
                format!("A set has at most {MODIFIERS_MAX} modifiers of 1 to {MODIFIERS_MAX} contexts."),
                "split the set",
            );
        }
        if let Some(long) =
            contexts.iter().map(|(c, _)| &**c).chain([name]).find(|n| n.len() > CONTEXT_BYTES_MAX)
        {
            let message = format!(
                "`{}…` has {} bytes; the name of a modifier or a context may have {CONTEXT_BYTES_MAX}.",
                long.chars().take(24).collect::<String>(),
                long.len()
            );
            return self.error(base, message, "give it a shorter name");
        }
        if self.modifiers.iter().any(|m| m.name == name) {
            return self.error(
                base,
                format!("The modifier `{name}` appears twice in `resolutionOrder`."),
                "remove one of them",
            );
        }
        let default = match body.get("default").and_then(Json::text) {
            Some(default) if contexts.iter().any(|(c, _)| **c == *default) => default.to_owned(),
            Some(default) => {
                self.error(
                    &format!("{base}/default"),
                    format!("The default `{default}` is no context of `{name}`."),
                    "name one of its contexts",
                );
                return;
            }
            None => contexts[0].0.to_string(),
        };
        let mut names: Vec<String> = contexts.iter().map(|(c, _)| c.to_string()).collect();
        names.sort_by_key(|c| *c != default);
        let at = self.modifiers.len() as u16;
        let description = body.get("description").and_then(Json::text).unwrap_or_default().to_owned();
        self.modifiers.push(Modifier { name: name.to_owned(), contexts: names.clone(), description });
        for (context, sources) in contexts {
            let pointer = format!("{base}/contexts/{context}");
            let number = names.iter().position(|c| **c == **context).unwrap_or_default() as u16;
            match sources {
                Json::List(sources) => self.sources(document, sources, &pointer, &[(at, number)], fetch, 0),
                _ => self.error(
                    &pointer,
                    "A context is a list of sources.",
                    "write [] when it changes nothing",
                ),
            }
        }
    }

    fn sources(
        &mut self,
        document: &Json,
        sources: &[Json],
        base: &str,
        when: &[(u16, u16)],
        fetch: Fetch<'_>,
        depth: usize,
    ) {
        for (at, source) in sources.iter().enumerate() {
            let pointer = format!("{base}/{at}");
            self.sources += 1;
            if self.sources > SOURCES_MAX || self.reported_too_much {
                return self.too_much();
            }
            let Some(to) = source.get("$ref").and_then(Json::text) else {
                if !self.inline_source(source, pointer, when) {
                    return self.too_much();
                }
                continue;
            };
            if let Some(set) = to.strip_prefix("#/sets/") {
                match document.get("sets").and_then(|s| s.get(set)).and_then(|s| s.get("sources")) {
                    Some(Json::List(inner)) if depth < 8 => {
                        self.sources(document, inner, &format!("/sets/{set}/sources"), when, fetch, depth + 1)
                    }
                    Some(_) => {
                        self.error(&pointer, format!("`{to}` leads back to itself."), "break the circle")
                    }
                    None => self.error(&pointer, format!("There is no set `{set}`."), "name one of `sets`"),
                }
                continue;
            }
            if let Some(file) = self.file(to, &pointer, fetch)
                && let Some(json) = self.parse(file)
            {
                self.layers.push(Layer { file: file as u32, base: String::new(), when: when.to_vec(), json });
            }
        }
    }

    /// Tokens that stand in the document itself; `false` when they are too many.
    fn inline_source(&mut self, source: &Json, pointer: String, when: &[(u16, u16)]) -> bool {
        if !matches!(source, Json::Object(_)) {
            let message = format!("A source is a reference or tokens; this is {}.", source.kind());
            self.error(&pointer, message, "write { \"$ref\": \"file.tokens.json\" }");
            return true;
        }
        self.read_bytes += source.bytes();
        let fits = self.read_bytes <= READ_BYTES_MAX;
        if fits {
            self.layers.push(Layer { file: 0, base: pointer, when: when.to_vec(), json: source.clone() });
        }
        fits
    }

    /// The file that a source names, which is fetched once.
    fn file(&mut self, to: &str, pointer: &str, fetch: Fetch<'_>) -> Option<usize> {
        let path = to.strip_prefix("./").unwrap_or(to);
        if path.contains("://") || path.starts_with(['/', '#']) {
            let message = format!("`{to}` is no file beside this one, and nothing is fetched.");
            self.error(pointer, message, "name a file by its relative path");
            return None;
        }
        if let Some(known) = self.by_path.get(path) {
            return *known;
        }
        let file = match fetch(path) {
            Ok(text) => {
                let dir = self.files[0].path.rsplit_once('/').map_or("", |(dir, _)| dir);
                let shown = if dir.is_empty() { path.to_owned() } else { format!("{dir}/{path}") };
                self.files.push(SourceFile { path: shown, text });
                Some(self.files.len() - 1)
            }
            Err(why) => {
                self.error(pointer, format!("`{to}` cannot be read: {why}."), "correct the path");
                None
            }
        };
        self.by_path.insert(path.to_owned(), file);
        file
    }
}
