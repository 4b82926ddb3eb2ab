//! Pact files (version 2 to 4): each `GET` that is answered with 200 is an expectation. What cannot be judged is said.

use std::collections::BTreeMap;

use ashlar_model::{Digest, Finding, Locale};
use serde_json::Value;

use super::{
    expectation::{BYTES_MAX, Consumer, EXPECTATIONS_MAX, Expectation, PATHS_MAX, is_provided_here},
    kind::FieldType,
    path::{FieldPath, STEPS_MAX},
};

/// What a matching rule says of the values at a place.
#[derive(Clone)]
enum Rule {
    /// They have this type.
    Type(FieldType),
    /// They have the type of the example.
    Example,
    /// They are null.
    Null,
}

/// Rules by the path of the field they are about.
type Rules = BTreeMap<String, Rule>;

/// Reads a file; what of it is not judged is among the findings.
pub(super) fn read_pact(path: &str, bytes: &[u8]) -> Result<(Consumer, Vec<Finding>), Box<Finding>> {
    let error = |code: &str, message: String, help: &str| {
        Box::new(Finding::error(code, path, message).help(help.to_owned()))
    };
    let form = |message: &str| {
        error("consumer-form", message.to_owned(), "a Pact file has consumer, provider and interactions")
    };
    if bytes.len() > BYTES_MAX {
        return Err(form("the file has more than 1 MiB"));
    }
    let file: Value = serde_json::from_slice(bytes).map_err(|e| {
        let place = format!("{path}:{}:{}", e.line(), e.column());
        Box::new(
            Finding::error("consumer-form", place, "the file is not valid JSON")
                .help("Fix the JSON at this place"),
        )
    })?;
    let name =
        file.pointer("/consumer/name").and_then(Value::as_str).ok_or_else(|| form("no consumer is named"))?;
    if let Some(provider) = file.pointer("/provider/name").and_then(Value::as_str)
        && !is_provided_here(provider)
    {
        return Err(error(
            "consumer-provider",
            format!("the Pact file is for the provider `{provider}`, not for `content-api`"),
            "keep here only the Pact files of this content, and name their provider `content-api`",
        ));
    }
    let list = |word: &str| file.get(word).and_then(Value::as_array);
    let (interactions, messages) = (list("interactions"), list("messages"));
    if interactions.is_none() && messages.is_none() {
        return Err(form("there are no interactions"));
    }
    let interactions = interactions.map_or(&[][..], Vec::as_slice);
    if interactions.len() > EXPECTATIONS_MAX {
        return Err(form(&format!("there are more than {EXPECTATIONS_MAX} interactions")));
    }
    let (expects, skipped, messages) = expectations(interactions, messages.map_or(0, Vec::len));
    if expects.is_empty() {
        let message = match messages > 0 && messages >= interactions.len() {
            true => "the Pact file describes only messages, so there is nothing to judge",
            false => "the Pact file has no `GET` that is answered with 200, so there is nothing to judge",
        };
        return Err(error(
            "consumer-empty",
            message.to_owned(),
            "remove the file, or add what the client reads",
        ));
    }
    let consumer = Consumer {
        name: name.to_owned(),
        version: None,
        owner: String::new(),
        expects,
        file: path.to_owned(),
        digest: Digest::of(bytes),
    };
    let not_judged = |what: String| {
        Finding::warning("consumer-not-judged", path, what)
            .help("only a `GET` that is answered with 200 and JSON is judged; test the rest with Pact's own verifier")
    };
    Ok((consumer, skipped.into_iter().map(not_judged).collect()))
}

/// What can be judged, what of the rest is said, and how many of them are messages.
fn expectations(interactions: &[Value], mut messages: usize) -> (Vec<Expectation>, Vec<String>, usize) {
    let (mut expects, mut skipped) = (Vec::new(), Vec::new());
    for (index, one) in interactions.iter().enumerate() {
        let kind = one.get("type").and_then(Value::as_str).unwrap_or("Synchronous/HTTP");
        if kind != "Synchronous/HTTP" {
            messages += 1;
            continue;
        }
        let named = one.get("description").and_then(Value::as_str).unwrap_or_default();
        let named: String = named.chars().take(80).collect();
        let method = one.pointer("/request/method").and_then(Value::as_str).unwrap_or("GET");
        let status = one.pointer("/response/status").and_then(Value::as_u64).unwrap_or(200);
        if !method.eq_ignore_ascii_case("get") || status != 200 {
            skipped.push(format!(
                "interaction {index} (`{named}`) is a {method} answered with {status}; it is not judged"
            ));
            continue;
        }
        match expectation(one, index) {
            Ok(expectation) => expects.push(expectation),
            Err(why) => skipped.push(format!("interaction {index} (`{named}`) is not judged: {why}")),
        }
    }
    if messages > 0 {
        skipped.push(format!("{messages} interactions are messages; they are not judged"));
    }
    (expects, skipped, messages)
}

fn expectation(one: &Value, index: usize) -> Result<Expectation, String> {
    let asked = one.pointer("/request/path").and_then(Value::as_str).filter(|p| p.starts_with('/'));
    let endpoint = asked.ok_or("it has no path")?.split('?').next().unwrap_or_default().to_owned();
    // Version 4 puts the body under `content`, beside its type.
    let body = one.pointer("/response/body");
    let wrapped = |b: &&Value| {
        b.get("content").is_some() && (b.get("contentType").is_some() || b.get("encoded").is_some())
    };
    let body = match body.filter(wrapped) {
        Some(body) if body.get("encoded").is_some_and(|e| e.as_str().is_some() || e == true) => {
            return Err("its body is not JSON".to_owned());
        }
        Some(body) => body.get("content"),
        None => body,
    };
    let rules = rules(one.pointer("/response/matchingRules"))?;
    let (mut must_include, mut types) = (Vec::new(), Vec::new());
    if let Some(body) = body {
        fields_of(body, &rules, "", &mut must_include, &mut types, 0);
    }
    let locale = locale_of(one.pointer("/request/query"));
    let locales = locale.map(|l| Locale::new(&l).map_err(|e| e.to_string())).transpose()?;
    Ok(Expectation {
        endpoint,
        must_include,
        types,
        version: None,
        locales: locales.into_iter().collect(),
        examples: Vec::new(),
        index,
    })
}

/// The `locale` of a query: `locale=de`, or by name with a list of values.
fn locale_of(query: Option<&Value>) -> Option<String> {
    match query? {
        Value::String(text) => text.split('&').find_map(|p| p.strip_prefix("locale=")).map(str::to_owned),
        Value::Object(map) => match map.get("locale")? {
            Value::String(text) => Some(text.clone()),
            Value::Array(items) => items.first()?.as_str().map(str::to_owned),
            _ => None,
        },
        _ => None,
    }
}

/// The rules about the body: version 2 has them by `$.body.…`, later versions under `body`.
fn rules(all: Option<&Value>) -> Result<Rules, String> {
    let mut out = Rules::new();
    let Some(all) = all.and_then(Value::as_object) else { return Ok(out) };
    let of_body = all.get("body").and_then(Value::as_object);
    let old = all.iter().filter(|(path, _)| path.starts_with("$.body") || path.starts_with("$['body']"));
    let each =
        of_body.into_iter().flatten().map(|(p, r)| (p, r, false)).chain(old.map(|(p, r)| (p, r, true)));
    for (path, rule, old) in each.take(PATHS_MAX) {
        let Some(steps) = steps_of(path) else { continue };
        let steps = if old { steps.get(1..).unwrap_or_default() } else { &steps[..] };
        let one = match rule.get("matchers").and_then(Value::as_array) {
            Some(all) => all.first(),
            None => Some(rule),
        };
        if let Some(rule) = one.map(rule_of).transpose()?.flatten() {
            out.insert(joined(steps), rule);
        }
    }
    Ok(out)
}

fn rule_of(matcher: &Value) -> Result<Option<Rule>, String> {
    let word = matcher.get("match").and_then(Value::as_str);
    let pattern = matcher.get("regex").and_then(Value::as_str);
    Ok(match (word, pattern) {
        (Some("regex") | None, Some(pattern)) => Some(Rule::Type(FieldType::pattern(pattern)?)),
        (Some("integer"), _) => Some(Rule::Type(FieldType::Integer)),
        (Some("number" | "decimal"), _) => Some(Rule::Type(FieldType::Number)),
        (Some("boolean"), _) => Some(Rule::Type(FieldType::Boolean)),
        (Some("null"), _) => Some(Rule::Null),
        (Some("date" | "time" | "timestamp" | "datetime" | "include" | "semver"), _) => {
            Some(Rule::Type(FieldType::String))
        }
        (Some("type" | "equality" | "notEmpty"), _) => Some(Rule::Example),
        _ => None,
    })
}

/// The steps of `$.a['b-c'][0][*].d`; an index stands for every item. `None` when it is no way to one kind of value.
fn steps_of(path: &str) -> Option<Vec<String>> {
    let mut rest = path.strip_prefix('$')?;
    let mut out = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            if end == 0 || &after[..end] == "*" {
                return None;
            }
            out.push(after[..end].to_owned());
            rest = &after[end..];
            continue;
        }
        let inner = rest.strip_prefix('[')?;
        let quote = inner.chars().next().filter(|c| matches!(c, '\'' | '"'));
        match quote {
            Some(quote) => {
                let (name, after) = inner[1..].split_once(quote)?;
                out.push(name.to_owned());
                rest = after.strip_prefix(']')?;
            }
            None => {
                let (index, after) = inner.split_once(']')?;
                if index != "*" && index.parse::<u32>().is_err() {
                    return None;
                }
                out.push("[]".to_owned());
                rest = after;
            }
        }
        if out.len() > STEPS_MAX {
            return None;
        }
    }
    Some(out)
}

fn joined(steps: &[String]) -> String {
    let mut out = String::new();
    for step in steps {
        if step != "[]" && !out.is_empty() {
            out.push('.');
        }
        out.push_str(step);
    }
    out
}

/// What an example body relies on: its fields, with the types of their values or what rules say of them. Of an array, what
/// its first item has.
fn fields_of(
    value: &Value,
    rules: &Rules,
    path: &str,
    must_include: &mut Vec<FieldPath>,
    types: &mut Vec<(FieldPath, FieldType)>,
    depth: usize,
) {
    if depth >= STEPS_MAX || must_include.len() >= PATHS_MAX {
        return;
    }
    let here = match path {
        "" => Some(FieldPath::whole()),
        path => FieldPath::parse(path).ok(),
    };
    if !path.is_empty() && !path.ends_with("[]") {
        must_include.extend(here.clone());
    }
    let of_value = match value {
        Value::Object(map) => {
            for (name, below) in map.iter().filter(|(n, _)| !n.contains(['.', '[', ']'])) {
                let next = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                fields_of(below, rules, &next, must_include, types, depth + 1);
            }
            Some(FieldType::Object)
        }
        Value::Array(items) => {
            if let Some(first) = items.first() {
                fields_of(first, rules, &format!("{path}[]"), must_include, types, depth + 1);
            }
            Some(FieldType::Array)
        }
        Value::String(_) => Some(FieldType::String),
        Value::Number(_) => Some(FieldType::Number),
        Value::Bool(_) => Some(FieldType::Boolean),
        Value::Null => None,
    };
    let kind = match rules.get(path) {
        Some(Rule::Type(kind)) => Some(kind.clone()),
        Some(Rule::Null) => None,
        Some(Rule::Example) | None => of_value,
    };
    types.extend(here.zip(kind));
}
