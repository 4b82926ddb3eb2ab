//! Consumer contracts: what one client relies on, endpoint by endpoint, and whether a response shape keeps it.
//!
//! An expectation is written as a JSON Schema, so that the prover of compatibility answers it: does every body of this
//! shape have the field, with this type?

mod pact;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
};

use ashlar_model::{Digest, Files, Finding, Locale, read_yaml_as};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Answer, ContractSet, compat,
    refs::Documents,
    validate::{is_pattern, pattern_checker},
};

/// The most consumer contracts of a project, expectations of one, and members of one list.
const CONSUMERS_MAX: usize = 1_000;
const EXPECTATIONS_MAX: usize = 500;
const PATHS_MAX: usize = 1_000;
/// The deepest path.
const STEPS_MAX: usize = 32;
/// The largest consumer contract, in bytes.
const BYTES_MAX: usize = 1 << 20;
/// The most steps for all expectations of one response shape. Beyond it, whether it keeps them is unknown.
pub const SHAPE_STEPS_MAX: u64 = 200_000_000;
/// The name of the response shape among the documents.
const SHAPE: &str = "response-shape.json";

/// Whether a consumer contract for this provider is for the content of a project.
fn provided_here(provider: &str) -> bool {
    provider.eq_ignore_ascii_case("content-api")
}

/// What one client relies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its name: `marketing-web`.
    pub name: String,
    /// The version of the client, when it says.
    pub version: Option<String>,
    /// Whom to talk to; empty when nobody is named.
    pub owner: String,
    /// What it relies on.
    pub expects: Vec<Expectation>,
    /// The file it is in.
    pub file: String,
    /// The digest of the file.
    pub digest: Digest,
}

/// What a client relies on at one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The path: `/v1/pages/{slug}`, or that of one example: `/v1/pages/home`.
    pub endpoint: String,
    /// Fields that are always there.
    pub must_include: Vec<FieldPath>,
    /// Fields that have a type wherever they are there.
    pub types: Vec<(FieldPath, FieldType)>,
    /// The version of the endpoint: `1.x`, `1.4`, `2`.
    pub version: Option<VersionRange>,
    /// The locales it reads; all of the project when none is named.
    pub locales: Vec<Locale>,
    /// Values of the path's parameter that must be answered.
    pub examples: Vec<String>,
    /// Its place in the file, from 0.
    pub index: usize,
}

/// A way into a body: `hero.cta.href`, `sections[].title`, `sections[intent=hero].title`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A member of an object.
    Name(String),
    /// Every item of an array.
    Each,
    /// Every item of an array that has this member with this text.
    Where(String, String),
}

/// A pattern that texts fit somewhere, as `pattern` of JSON Schema means it.
#[derive(Debug)]
pub struct Pattern {
    text: String,
    checker: jsonschema::Validator,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

/// What a client takes a field for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldType {
    /// Any text.
    String,
    /// A text that is a full address or a path of the site.
    Url,
    /// A text of this format of JSON Schema.
    Format(&'static str),
    /// A text that fits a pattern.
    Pattern(Arc<Pattern>),
    /// A number.
    Number,
    /// A number without a fraction.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A range of versions: a major, or a major and a minor that is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRange {
    /// The major version.
    pub major: u32,
    /// The least minor version.
    pub minor: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsumerFile {
    consumer: String,
    provider: Option<String>,
    owner: Option<String>,
    version: Option<Value>,
    #[serde(default)]
    expects: Vec<ExpectationFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectationFile {
    endpoint: String,
    #[serde(default)]
    must_include: Vec<String>,
    #[serde(default)]
    types: BTreeMap<String, String>,
    version: Option<Value>,
    #[serde(default)]
    locales: Vec<String>,
    #[serde(default)]
    examples: Vec<Value>,
}

impl FieldPath {
    /// Reads a path.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{text}` is not a field path: {why}"));
        let mut steps = Vec::new();
        for part in text.split('.') {
            let (name, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
            if name.is_empty() && (rest.is_empty() || !steps.is_empty()) {
                return wrong("a name is missing");
            }
            if !name.is_empty() {
                steps.push(Step::Name(name.to_owned()));
            }
            while let Some(inner) = rest.strip_prefix('[') {
                let Some((inside, after)) = inner.split_once(']') else { return wrong("a `]` is missing") };
                steps.push(match inside.split_once('=') {
                    None if inside.is_empty() => Step::Each,
                    Some((key, value)) if !key.is_empty() => {
                        Step::Where(key.trim().to_owned(), value.trim().trim_matches('"').to_owned())
                    }
                    _ => return wrong("brackets are `[]` or `[member=text]`"),
                });
                rest = after;
            }
            if !rest.is_empty() {
                return wrong("after a `]` comes a dot");
            }
        }
        if steps.len() > STEPS_MAX {
            return wrong("it is too deep");
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// The body itself.
    fn whole() -> Self {
        Self { text: "$".to_owned(), steps: Vec::new() }
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names on the way.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|s| match s {
            Step::Name(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The schema of bodies in which the field is as `leaf` says; with `present`, it and everything on the way is there.
    fn schema(&self, leaf: &Value, present: bool) -> Value {
        let mut schema = leaf.clone();
        for step in self.steps.iter().rev() {
            schema = match step {
                Step::Name(name) => {
                    let mut object = json!({ "properties": { (name.as_str()): schema } });
                    if present {
                        object["type"] = json!("object");
                        object["required"] = json!([name]);
                    }
                    object
                }
                Step::Each => {
                    let mut array = json!({ "items": schema });
                    if present {
                        array["type"] = json!("array");
                    }
                    array
                }
                Step::Where(key, value) => {
                    let condition = json!({
                        "type": "object", "required": [key], "properties": { (key.as_str()): { "const": value } },
                    });
                    let mut array = json!({ "items": { "if": condition, "then": schema } });
                    if present {
                        array["type"] = json!("array");
                    }
                    array
                }
            };
        }
        schema
    }

    /// Visits what a body has at the path: `None` where something on the way is missing.
    fn visit<'v>(steps: &[Step], value: &'v Value, seen: &mut dyn FnMut(Option<&'v Value>)) {
        let Some((step, rest)) = steps.split_first() else { return seen(Some(value)) };
        match (step, value) {
            (Step::Name(name), Value::Object(map)) => match map.get(name) {
                Some(below) => Self::visit(rest, below, seen),
                None => seen(None),
            },
            (Step::Each, Value::Array(items)) => items.iter().for_each(|i| Self::visit(rest, i, seen)),
            (Step::Where(key, text), Value::Array(items)) => items
                .iter()
                .filter(|i| i.get(key).and_then(Value::as_str) == Some(text))
                .for_each(|i| Self::visit(rest, i, seen)),
            _ => seen(None),
        }
    }
}

impl FieldType {
    /// Reads a type by its name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "string" | "text" | "markdown" => Self::String,
            "url" | "uri" | "uri-reference" => Self::Url,
            "date" => Self::Format("date"),
            "date-time" | "datetime" => Self::Format("date-time"),
            "email" => Self::Format("email"),
            "uuid" => Self::Format("uuid"),
            "number" => Self::Number,
            "integer" => Self::Integer,
            "boolean" | "bool" => Self::Boolean,
            "array" | "list" => Self::Array,
            "object" => Self::Object,
            _ => return None,
        })
    }

    /// Texts that fit a pattern.
    fn pattern(text: &str) -> Result<Self, String> {
        match pattern_checker(text).filter(|_| is_pattern(text)) {
            Some(checker) => Ok(Self::Pattern(Arc::new(Pattern { text: text.to_owned(), checker }))),
            None => {
                Err(format!("its pattern `{}` cannot be used", text.chars().take(80).collect::<String>()))
            }
        }
    }

    /// The schema that every such value fits. Whether a text is an address is seen in the bodies.
    fn schema(&self) -> Value {
        match self {
            Self::Pattern(pattern) => json!({"type": "string", "pattern": pattern.text}),
            Self::String | Self::Url => json!({"type": "string"}),
            Self::Format(format) => json!({"type": "string", "format": format}),
            Self::Number => json!({"type": "number"}),
            Self::Integer => json!({"type": "integer"}),
            Self::Boolean => json!({"type": "boolean"}),
            Self::Array => json!({"type": "array"}),
            Self::Object => json!({"type": "object"}),
        }
    }

    /// Whether a value of a body is one.
    fn fits(&self, value: &Value) -> bool {
        match self {
            Self::Pattern(pattern) => value.is_string() && pattern.checker.is_valid(value),
            Self::Url => value.as_str().is_some_and(|t| {
                let address = ["https://", "http://", "mailto:", "tel:"]
                    .iter()
                    .any(|p| t.len() > p.len() && t.starts_with(p));
                (address || t.starts_with(['/', '#', '?', '.'])) && !t.chars().any(char::is_whitespace)
            }),
            Self::String | Self::Format(_) => value.is_string(),
            Self::Number => value.is_number(),
            Self::Integer => value.as_f64().is_some_and(|f| f.fract() == 0.0),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Pattern(_) => "text of the wanted pattern",
            Self::String => "string",
            Self::Url => "url",
            Self::Format(format) => format,
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}

impl VersionRange {
    /// Reads `1.x`, `1`, `1.4`, `1.4.x`, `^1.4.2`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().trim_start_matches(['^', 'v']).split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = match parts.next() {
            None | Some("x" | "X" | "*") => 0,
            Some(minor) => minor.parse().ok()?,
        };
        Some(Self { major, minor })
    }
}

/// A response shape with the schemas it refers to, ready to be compared with what is expected of it.
pub struct Shape {
    documents: Arc<Documents>,
    /// Steps that may still be taken for all questions about it.
    left: AtomicU64,
}

impl Shape {
    /// `schema` may refer to the contracts by file name.
    pub fn new(contracts: &ContractSet, schema: Value) -> Self {
        let mut documents = match contracts.iter().next() {
            Some(any) => Documents::clone(&any.documents),
            None => Documents::new(),
        };
        documents.insert(SHAPE.to_owned(), schema);
        Self { documents: Arc::new(documents), left: AtomicU64::new(SHAPE_STEPS_MAX) }
    }

    /// Whether every body of this shape fits `wanted`, and why not.
    fn implies(&self, wanted: &Value) -> (Answer, Vec<String>) {
        let other = Arc::new(Documents::from([(SHAPE.to_owned(), wanted.clone())]));
        compat::every((&self.documents, SHAPE), (&other, SHAPE), &self.left)
    }
}

/// What is wrong with an expectation in a shape or in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The field.
    pub path: FieldPath,
    /// Whether it is certain; otherwise the shape does not say.
    pub certain: bool,
    /// What a body may lack or have instead, as a sentence.
    pub why: String,
}

impl Expectation {
    /// Compares it with the shape of the endpoint's bodies.
    pub fn against_shape(&self, shape: &Shape) -> Vec<Broken> {
        let mut out = Vec::new();
        let mut judge = |path: &FieldPath, wanted: Value, what: String| {
            let (answer, reasons) = shape.implies(&wanted);
            if answer != Answer::Yes {
                let example = reasons.into_iter().next().unwrap_or_default();
                let why = match answer {
                    Answer::No => format!(
                        "{what}: {}",
                        example.replace("is valid under one and not under the other", "is a possible body")
                    ),
                    _ => format!("the shape does not say whether {what}"),
                };
                out.push(Broken { path: path.clone(), certain: answer == Answer::No, why });
            }
        };
        for path in &self.must_include {
            judge(path, path.schema(&json!(true), true), format!("`{}` may be absent", path.text));
        }
        for (path, kind) in &self.types {
            let what = format!("`{}` may be something else than {}", path.text, kind.name());
            judge(path, path.schema(&kind.schema(), false), what);
        }
        out
    }

    /// Compares it with a body.
    pub fn against_body(&self, body: &Value) -> Vec<Broken> {
        let mut out: Vec<Broken> = Vec::new();
        let mut told = |path: &FieldPath, why: String| {
            if !out.iter().any(|b| b.path == *path && b.why == why) {
                out.push(Broken { path: path.clone(), certain: true, why });
            }
        };
        for path in &self.must_include {
            FieldPath::visit(&path.steps, body, &mut |found| {
                if found.is_none() {
                    told(path, format!("`{}` is absent", path.text));
                }
            });
        }
        for (path, kind) in &self.types {
            FieldPath::visit(&path.steps, body, &mut |found| {
                if let Some(value) = found
                    && !kind.fits(value)
                {
                    let shown: String = value.to_string().chars().take(80).collect();
                    told(path, format!("`{}` is {shown}, which is no {}", path.text, kind.name()));
                }
            });
        }
        out
    }
}

impl Consumer {
    /// Reads `consumers/*.yaml`, `*.yml` and Pact files (`*.json`). A file that cannot be used is a finding.
    pub fn read_all(files: &Files) -> (Vec<Self>, Vec<Finding>) {
        let (mut all, mut findings) = (Vec::<Self>::new(), Vec::new());
        let listed = files.iter().filter(|(path, _)| path.starts_with("consumers/"));
        for (path, bytes) in listed {
            let read = match path.rsplit_once('.').map(|(_, ending)| ending) {
                Some("yaml" | "yml") => Self::read(path, bytes),
                Some("json") => pact::read(path, bytes).map(|(consumer, told)| {
                    findings.extend(told);
                    consumer
                }),
                _ => continue,
            };
            match read {
                Ok(consumer) if all.iter().any(|c| c.name == consumer.name) => {
                    let message = format!("there is another contract of the consumer `{}`", consumer.name);
                    findings.push(
                        Finding::error("consumer-duplicate", path, message).help("put both into one file"),
                    );
                }
                Ok(_) if all.len() >= CONSUMERS_MAX => {
                    let message = format!("a project has at most {CONSUMERS_MAX} consumer contracts");
                    findings.push(Finding::error("consumer-too-many", path, message));
                    break;
                }
                Ok(consumer) => all.push(consumer),
                Err(finding) => findings.push(*finding),
            }
        }
        (all, findings)
    }

    fn read(path: &str, bytes: &[u8]) -> Result<Self, Box<Finding>> {
        let error = |place: String, message: String, help: &str| {
            Box::new(Finding::error("consumer-form", place, message).help(help))
        };
        let form = "write consumer, provider and expects: a list of endpoint, must_include, types, version";
        if bytes.len() > BYTES_MAX {
            return Err(error(
                path.to_owned(),
                "the file has more than 1 MiB".to_owned(),
                "split it by client",
            ));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| {
            error(path.to_owned(), "the file is not UTF-8 text".to_owned(), "save it as UTF-8")
        })?;
        let file: ConsumerFile = read_yaml_as(path, text).map_err(|finding| match finding.code.as_str() {
            "yaml-form" | "yaml-malformed" => {
                let help = ashlar_model::nearest_in_message(&finding.message, form);
                Box::new(Finding { code: "consumer-form".to_owned(), ..finding }.help(help))
            }
            _ => Box::new(finding),
        })?;
        if let Some(provider) = &file.provider
            && !provided_here(provider)
        {
            let message = format!("`{provider}` is not provided here");
            return Err(error(path.to_owned(), message, "the provider is `content-api`"));
        }
        if file.consumer.trim().is_empty() || file.consumer.len() > 200 {
            return Err(error(path.to_owned(), "the consumer has no name".to_owned(), form));
        }
        if file.expects.is_empty() || file.expects.len() > EXPECTATIONS_MAX {
            let message = format!("a consumer expects 1 to {EXPECTATIONS_MAX} endpoints");
            return Err(error(path.to_owned(), message, form));
        }
        let text_of = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        let mut expects = Vec::new();
        for (index, e) in file.expects.into_iter().enumerate() {
            let place = format!("{path} expects[{index}]");
            let fail = |message: String, help: &str| error(place.clone(), message, help);
            if e.must_include.len() + e.types.len() > PATHS_MAX {
                return Err(fail(
                    format!("more than {PATHS_MAX} fields are named"),
                    "name what is relied on",
                ));
            }
            let paths =
                "write `hero.title`, `sections[].title` for every item, or `sections[intent=hero].title`";
            let parse = |text: &String| FieldPath::parse(text).map_err(|why| fail(why, paths));
            let types = e
                .types
                .iter()
                .map(|(path, kind)| {
                    let known = FieldType::parse(kind).ok_or_else(|| {
                        let help = "string, url, date, date-time, email, uuid, number, integer, boolean, array or object";
                        fail(format!("`{kind}` is not a field type"), help)
                    })?;
                    Ok((parse(path)?, known))
                })
                .collect::<Result<_, Box<Finding>>>()?;
            // A version of the file is that of the endpoints, unless it is a client's own.
            let version = match &e.version {
                None => None,
                Some(v) => Some(VersionRange::parse(&text_of(v)).ok_or_else(|| {
                    fail(format!("`{}` is not a version range", text_of(v)), "write `1.x` or `1.4`")
                })?),
            };
            let locales = e
                .locales
                .iter()
                .map(|l| Locale::new(l).map_err(|why| fail(why.to_string(), "write `en` or `pt-BR`")))
                .collect::<Result<_, _>>()?;
            expects.push(Expectation {
                must_include: e.must_include.iter().map(parse).collect::<Result<_, _>>()?,
                types,
                version,
                locales,
                examples: e.examples.iter().take(PATHS_MAX).map(text_of).collect(),
                endpoint: e.endpoint,
                index,
            });
        }
        Ok(Self {
            name: file.consumer,
            version: file.version.as_ref().map(text_of),
            owner: file.owner.unwrap_or_default(),
            expects,
            file: path.to_owned(),
            digest: Digest::of(bytes),
        })
    }
}
