//! Validation through the `jsonschema` crate, with messages an editor understands.

use std::{collections::BTreeSet, sync::Arc};

use ashlar_model::{did_you_mean, nearest, pointer_step};
use jsonschema::{
    Draft, PatternOptions, Retrieve, Uri, ValidationError, Validator, error::ValidationErrorKind as Kind,
};
use serde_json::Value;

use crate::{
    cost::{Cost, VALIDATION_STEPS_MAX},
    refs::Documents,
};

/// The most violations that are reported of one value.
const VIOLATIONS_MAX: usize = 50;
/// Names of properties that are kept of one schema.
const NAMES_MAX: usize = 1_000;
/// The longest pattern.
pub(crate) const PATTERN_CHARS_MAX: usize = 2_000;
/// The largest compiled form of one pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;
const BASE: &str = "contract:///";

/// One thing that is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer to it; empty for the whole value.
    pub path: String,
    /// The keyword that it breaks.
    pub keyword: String,
    /// What is wrong.
    pub message: String,
    /// How to fix it.
    pub help: String,
}

/// Knows the loaded files and nothing else.
struct Loaded(Arc<Documents>);

impl Retrieve for Loaded {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let file = uri.as_str().strip_prefix(BASE).unwrap_or(uri.as_str());
        self.0.get(file).cloned().ok_or_else(|| format!("`{file}` is not a loaded contract").into())
    }
}

/// A compiled schema, and what running it costs.
#[derive(Debug)]
pub(crate) struct Checker {
    validator: Validator,
    cost: Cost,
    /// Names of properties anywhere in the schema, for "did you mean".
    names: Vec<String>,
}

impl Checker {
    /// The steps that checking `value` takes, at most; `None` when they are too many.
    pub fn steps(&self, value: &Value) -> Option<u64> {
        self.cost.of_value(value, VALIDATION_STEPS_MAX)
    }

    /// Whether `value` is valid; `None` when checking it would take too long.
    pub fn judge(&self, value: &Value) -> Option<bool> {
        self.cost.of_value(value, VALIDATION_STEPS_MAX).map(|_| self.validator.is_valid(value))
    }

    /// Whether `value` is valid, as far as it can be checked.
    pub fn is_valid(&self, value: &Value) -> bool {
        self.judge(value) == Some(true)
    }

    /// Everything that is wrong with `value`, in order of place.
    pub fn violations(&self, value: &Value) -> Vec<Violation> {
        let whole = |message: String, help: &str| {
            vec![Violation {
                path: String::new(),
                keyword: "expansion".to_owned(),
                message,
                help: help.to_owned(),
            }]
        };
        let help = "nest the value less, or let fewer alternatives of the contract apply at the same place";
        match self.judge(value) {
            Some(true) => Vec::new(),
            None => whole(
                format!("checking it against the contract takes more than {VALIDATION_STEPS_MAX} steps"),
                help,
            ),
            Some(false) if !self.cost.explains(value) => whole(
                "it fits none of the allowed forms; the contract has too many alternatives to say where"
                    .to_owned(),
                help,
            ),
            Some(false) => violations(&self.validator, value, &self.names),
        }
    }
}

/// What the format `regex` takes: patterns as contracts may have them.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.len() <= PATTERN_CHARS_MAX
        && regex_syntax::ParserBuilder::new().nest_limit(60).build().parse(text).is_ok()
}

/// What checks one pattern by itself.
pub(crate) fn pattern_checker(pattern: &str) -> Option<Validator> {
    let options = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(options)
        .build(&serde_json::json!({ "pattern": pattern }))
        .ok()
}

/// Compiles the schema of a file. What it costs is counted first.
///
/// # Errors
/// JSON pointer and message of what the schema does that cannot be compiled.
pub(crate) fn compile(documents: &Arc<Documents>, file: &str) -> Result<Checker, (String, String)> {
    let schema = documents.get(file).ok_or_else(|| (String::new(), format!("`{file}` is not loaded")))?;
    let cost = Cost::measure(documents, file).map_err(|refused| (refused.place.pointer, refused.message))?;
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_base_uri(format!("{BASE}{file}"))
        .with_retriever(Loaded(documents.clone()))
        .should_validate_formats(true)
        .should_ignore_unknown_formats(true)
        .with_format("regex", is_pattern)
        .with_pattern_options(
            PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX),
        )
        .build(schema)
        .map(|validator| Checker { validator, cost, names: property_names(schema) })
        .map_err(|e| (e.instance_path().as_str().to_owned(), short(&e.to_string())))
}

/// The names under every `properties` of a schema, each once.
fn property_names(schema: &Value) -> Vec<String> {
    let (mut names, mut open) = (BTreeSet::new(), vec![schema]);
    while let Some(value) = open.pop() {
        if names.len() >= NAMES_MAX {
            break;
        }
        match value {
            Value::Object(members) => {
                if let Some(Value::Object(properties)) = members.get("properties") {
                    names.extend(properties.keys().cloned());
                }
                open.extend(members.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    names.into_iter().collect()
}

fn short(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn violations(validator: &Validator, value: &Value, names: &[String]) -> Vec<Violation> {
    let mut out: Vec<Violation> = Vec::new();
    for error in validator.iter_errors(value).take(VIOLATIONS_MAX) {
        flatten(&error, names, &mut out);
    }
    // A field whose name is misspelled is not missing as well.
    let meant: BTreeSet<(String, String)> = out.iter().filter_map(meant).collect();
    if !meant.is_empty() {
        out.retain(|v| match (v.keyword.as_str(), quoted(&v.message)) {
            ("required", Some(name)) => !meant.contains(&(v.path.clone(), name.to_owned())),
            _ => true,
        });
    }
    out.truncate(VIOLATIONS_MAX);
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

/// The text in the first pair of backticks.
fn quoted(text: &str) -> Option<&str> {
    text.split('`').nth(1)
}

/// The object with a misspelled field, and the name that was meant.
fn meant(violation: &Violation) -> Option<(String, String)> {
    let unknown = matches!(violation.keyword.as_str(), "additionalProperties" | "unevaluatedProperties");
    let near = violation.help.strip_prefix("did you mean `").filter(|_| unknown)?;
    let (object, _) = violation.path.rsplit_once('/')?;
    Some((object.to_owned(), near.split('`').next()?.to_owned()))
}

fn flatten(error: &ValidationError<'_>, names: &[String], out: &mut Vec<Violation>) {
    // The branch that was nearly right says more than "none of them".
    if let Kind::AnyOf { context } | Kind::OneOfNotValid { context } = error.kind() {
        let depth = |branch: &Vec<ValidationError<'static>>| {
            branch
                .iter()
                .all(|e| !matches!(e.kind(), Kind::Constant { .. } | Kind::Enum { .. } | Kind::Type { .. }))
        };
        let mut near = context.iter().filter(|b| depth(b));
        if let (Some(only), None) = (near.next(), near.next()) {
            only.iter().for_each(|e| flatten(e, names, out));
            return;
        }
    }
    if let Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } =
        error.kind()
    {
        // Each field by itself: each may be meant to be another.
        let there = |name: &str| error.instance().get(name).is_some();
        let free: Vec<&str> = names.iter().map(String::as_str).filter(|name| !there(name)).collect();
        out.extend(unexpected.iter().take(VIOLATIONS_MAX).map(|name| Violation {
            path: format!("{}/{}", error.instance_path().as_str(), pointer_step(name)),
            keyword: error.kind().keyword().to_owned(),
            message: format!("there is no field `{}` in the contract", short(name)),
            help: did_you_mean(
                name,
                free.iter().copied(),
                "remove it, correct its name, or add it to the contract",
            ),
        }));
        return;
    }
    let (message, help) = explain(error);
    out.push(Violation {
        path: error.instance_path().as_str().to_owned(),
        keyword: error.kind().keyword().to_owned(),
        message,
        help,
    });
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn explain(error: &ValidationError<'_>) -> (String, String) {
    let value = shown(error.instance());
    let count = |n: u64, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    let pair = |a: String, b: &str| (a, b.to_owned());
    match error.kind() {
        Kind::Required { property } => (
            format!("{} is required and is missing", backticked(property)),
            format!("add {}", backticked(property)),
        ),
        Kind::Type { .. } => {
            pair(short(&error.to_string()), "give a value of the type the contract asks for")
        }
        Kind::Enum { options } => {
            let choice = format!("choose one of {}", shown(options));
            let texts = options.as_array().into_iter().flatten().filter_map(Value::as_str);
            let near = error.instance().as_str().and_then(|text| nearest(text, texts));
            let help = match near {
                Some(near) => format!("did you mean `{near}`? Otherwise {choice}"),
                None => choice,
            };
            (format!("{value} is not one of the allowed values"), help)
        }
        Kind::Constant { expected_value } => {
            (format!("it is {value} and must be {expected_value}"), format!("write {expected_value}"))
        }
        Kind::MaxLength { limit } => {
            let length = error.instance().as_str().map_or(0, |s| s.chars().count() as u64);
            let message =
                format!("it has {}; at most {limit} are allowed", count(length, "character", "characters"));
            pair(message, "shorten it")
        }
        Kind::MinLength { limit } => {
            pair(format!("it has fewer than {}", count(*limit, "character", "characters")), "write more")
        }
        Kind::Minimum { limit } => (format!("{value} is below {limit}"), format!("give {limit} or more")),
        Kind::Maximum { limit } => (format!("{value} is above {limit}"), format!("give {limit} or less")),
        Kind::ExclusiveMinimum { limit } => {
            (format!("{value} is not above {limit}"), format!("give more than {limit}"))
        }
        Kind::ExclusiveMaximum { limit } => {
            (format!("{value} is not below {limit}"), format!("give less than {limit}"))
        }
        Kind::MinItems { limit } => {
            pair(format!("it has fewer than {}", count(*limit, "item", "items")), "add items")
        }
        Kind::MaxItems { limit } => {
            pair(format!("it has more than {}", count(*limit, "item", "items")), "remove items")
        }
        Kind::Pattern { pattern } => (
            format!("{value} does not have the form the contract asks for"),
            format!("it must match `{pattern}`"),
        ),
        Kind::Format { format } => {
            (format!("{value} is not a valid {format}"), format!("write it as a {format}"))
        }
        Kind::UniqueItems => pair("two of its items are the same".to_owned(), "remove one of them"),
        Kind::FalseSchema => pair("nothing is allowed here".to_owned(), "remove it"),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => {
            pair(format!("{value} fits none of the allowed forms"), "compare it with the contract")
        }
        Kind::OneOfMultipleValid { .. } => pair(
            format!("{value} fits more than one of the forms of which exactly one may fit"),
            "compare it with the contract",
        ),
        _ => pair(short(&error.to_string()), "compare it with the contract"),
    }
}

fn backticked(value: &Value) -> String {
    match value {
        Value::String(s) => format!("`{s}`"),
        other => other.to_string(),
    }
}
