//! What is wrong with a prompt that can be read.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::Finding;
use serde_json::{Map, Value, json};

use super::{
    FOLDER, PARTIALS,
    prompt::{Prompt, Role, Variable, VariableType},
    read::{Partial, near},
    tags::{Misuse, Uses},
};
use crate::ground::Source;

/// The name of retrieved text in templates.
pub(super) const SOURCES: &str = "sources";

/// The partials that a template includes, also by way of others.
pub(super) fn included(source: &str, partials: &BTreeMap<String, Partial>) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut open: Vec<String> = Uses::of(source).includes.into_iter().map(|(name, _)| name).collect();
    while let Some(name) = open.pop() {
        if let Some(partial) = partials.get(&name)
            && out.insert(name)
        {
            open.extend(partial.uses.includes.iter().map(|(name, _)| name.clone()));
        }
    }
    out
}

fn of_misuse(misuse: &Misuse, place: String) -> Finding {
    let code = if misuse.unmarked { "prompt-injection" } else { "prompt-template" };
    Finding::error(code, place, misuse.message.clone()).help(misuse.help.clone())
}

fn missing_partial(name: &str, place: String, partials: &BTreeMap<String, Partial>) -> Finding {
    let shown: String = name.chars().take(80).collect();
    let help = near(name, partials.keys().map(String::as_str), format!("create {FOLDER}/{PARTIALS}/{shown}"));
    Finding::error("prompt-partial", place, format!("There is no partial `{shown}`.")).help(help)
}

/// What is wrong with a partial, whoever includes it.
pub(super) fn of_partial(
    name: &str,
    partial: &Partial,
    partials: &BTreeMap<String, Partial>,
) -> Vec<Finding> {
    let place = |line: usize| format!("{}:{}", partial.file, line + 1);
    let mut out: Vec<Finding> =
        partial.uses.misuses.iter().map(|misuse| of_misuse(misuse, place(misuse.line))).collect();
    for (include, line) in &partial.uses.includes {
        let Some(next) = partials.get(include) else {
            out.push(missing_partial(include, place(*line), partials));
            continue;
        };
        let mut seen = BTreeSet::from([include.as_str()]);
        let mut open: Vec<&Partial> = vec![next];
        let mut circle = include == name;
        while let Some(partial) = open.pop() {
            for (further, _) in &partial.uses.includes {
                circle |= further == name;
                if seen.insert(further) {
                    open.extend(partials.get(further));
                }
            }
        }
        if circle {
            let message = format!("The partial `{name}` includes itself.");
            out.push(
                Finding::error("prompt-partial", place(*line), message).help("remove one of the includes"),
            );
        }
    }
    out
}

/// What a section uses, with the partials that it includes: each name with the place where it is first used.
struct Seen {
    names: BTreeMap<String, String>,
    printed: BTreeMap<String, String>,
}

fn seen(prompt: &Prompt, partials: &BTreeMap<String, Partial>, at: usize, out: &mut Vec<Finding>) -> Seen {
    let section = &prompt.sections[at];
    let uses = Uses::of(&section.source);
    let place = |line: usize| format!("{}:{}", prompt.file, section.line + line);
    out.extend(uses.misuses.iter().map(|misuse| of_misuse(misuse, place(misuse.line))));
    for (name, line) in uses.includes.iter().filter(|(name, _)| !partials.contains_key(name)) {
        out.push(missing_partial(name, place(*line), partials));
    }
    let mut seen = Seen { names: BTreeMap::new(), printed: BTreeMap::new() };
    let mut note = |uses: &Uses, place: &dyn Fn(usize) -> String| {
        for (name, line) in &uses.names {
            seen.names.entry(name.clone()).or_insert_with(|| place(*line));
        }
        for (name, line) in &uses.printed {
            seen.printed.entry(name.clone()).or_insert_with(|| place(*line));
        }
    };
    note(&uses, &place);
    for partial in included(&section.source, partials).iter().filter_map(|name| partials.get(name)) {
        note(&partial.uses, &|line| format!("{}:{}", partial.file, line + 1));
    }
    seen
}

/// What is wrong with a version by itself.
pub(super) fn findings(prompt: &Prompt, partials: &BTreeMap<String, Partial>) -> Vec<Finding> {
    let mut out = Vec::new();
    for (field, value, help) in [
        ("owner", &prompt.owner, "add `owner: TEAM`"),
        (
            "changelog",
            &prompt.changelog,
            "add `changelog:` with one sentence about what is new in this version",
        ),
    ] {
        if value.is_empty() {
            let message = format!("The prompt has no `{field}`.");
            out.push(Finding::error("prompt-front-matter", prompt.place(field), message).help(help));
        }
    }
    let mut used = BTreeSet::new();
    for at in 0..prompt.sections.len() {
        let seen = seen(prompt, partials, at, &mut out);
        for (name, place) in &seen.names {
            used.insert(name.clone());
            if !prompt.variables.contains_key(name) && name != SOURCES {
                let known = prompt.variables.keys().map(String::as_str);
                let help = near(name, known, format!("add `{name}: {{ type: string }}` to `variables`"));
                let message = format!("The variable `{name}` is not declared.");
                out.push(
                    Finding::error("prompt-variable-undeclared", place.clone(), message)
                        .about(name)
                        .help(help),
                );
            }
        }
        if prompt.sections[at].role == Role::System {
            for (name, place) in &seen.printed {
                let marked = prompt.variables.get(name).is_some_and(Variable::is_marked);
                if marked || name == SOURCES {
                    out.push(in_system(name, place.clone()));
                }
            }
        }
    }
    for name in prompt.variables.keys().filter(|name| !used.contains(*name)) {
        if prompt.grounding.as_ref().and_then(|grounding| grounding.query.as_ref()) == Some(name) {
            continue;
        }
        let message = format!("The variable `{name}` is declared and not used.");
        let place = prompt.place("variables");
        out.push(
            Finding::error("prompt-variable-unused", place, message).about(name).help("use it, or remove it"),
        );
    }
    match (&prompt.grounding, used.contains(SOURCES)) {
        (Some(_), false) => {
            let message = "The prompt retrieves sources and does not show them to the model.";
            let help = "write {{ sources }} in a user section";
            out.push(Finding::error("prompt-sources", prompt.place("grounding"), message).help(help));
        }
        (None, true) => {
            let message = "The prompt uses `sources` and has no `grounding`.";
            let help = "add `grounding: { indexes: [NAME], chunks: 6, rule: refuse }`";
            out.push(Finding::error("prompt-sources", prompt.place("grounding"), message).help(help));
        }
        _ => {}
    }
    if out.is_empty() {
        out.extend(tried(prompt));
    }
    out
}

fn in_system(name: &str, place: String) -> Finding {
    let (message, help) = match name == SOURCES {
        true => (
            "Retrieved text is put into the system message, where models obey it.".to_owned(),
            "move {{ sources }} into a user section",
        ),
        false => (
            format!("The untrusted variable `{name}` is put into the system message, where models obey it."),
            "move it into a user section. If only your own code sets it, declare it with `trusted: true`",
        ),
    };
    Finding::error("prompt-injection", place, message).help(help)
}

/// What goes wrong when the prompt is rendered with every variable, and with those alone that it needs.
fn tried(prompt: &Prompt) -> Option<Finding> {
    let source = || Source {
        id: "sample".to_owned(),
        title: "Sample".to_owned(),
        path: "/sample".to_owned(),
        text: "A sample.".to_owned(),
        ..Source::default()
    };
    let sources = if prompt.grounding.is_some() { vec![source()] } else { Vec::new() };
    let values = |all: bool| -> Map<String, Value> {
        let wanted = prompt.variables.iter().filter(|(_, variable)| all || variable.required);
        wanted.map(|(name, variable)| (name.clone(), sample(variable))).collect()
    };
    let error =
        prompt.render(&values(true), &sources).err().or_else(|| prompt.render(&values(false), &[]).err())?;
    let place = error.help.split_once(' ').map_or("", |(place, _)| place);
    let place = if place.starts_with(FOLDER) { place.to_owned() } else { prompt.file.clone() };
    let help = "correct the template; optional variables are empty when a call does not give them";
    Some(Finding::error("prompt-template", place, error.message).help(help))
}

fn sample(variable: &Variable) -> Value {
    if let Some(default) = &variable.default {
        return default.clone();
    }
    let text = variable.values.first().cloned();
    let text = text.unwrap_or_else(|| "sample".chars().take(variable.max_length).collect());
    match variable.kind {
        VariableType::String => json!(text),
        VariableType::List => json!([text]),
        VariableType::Integer | VariableType::Number => json!(1),
        VariableType::Boolean => json!(true),
    }
}
