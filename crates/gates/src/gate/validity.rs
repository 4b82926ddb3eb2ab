//! Content: every entry has a contract and keeps to it.

use std::collections::BTreeSet;

use ashlar_contracts::{Contract, Facts};
use ashlar_model::{EntryKey, Fields, Finding, LocaleConfig, TypeName, did_you_mean};
use serde_json::Value;

use super::interface::{About, Code, Gate};
use crate::{
    GateError,
    definitions::Definitions,
    inputs::Inputs,
    world::{Change, Part, Work, World},
};

/// The name of the gate.
pub(crate) const NAME: &str = "content-validity";

const FINDINGS: &[Code] = findings! {
    "invalid-*": "A field does not satisfy its contract. The end of the code is the JSON Schema keyword, such as `invalid-required` or `invalid-max-length`." => "Correct the field as the message says.";
    "invalid-reference": "A reference field does not contain the id of an entry." => "Write an id, or `type/id` where several types are allowed.";
    "contract-unknown": "An entry follows a contract version that the project does not have." => "Restore the contract, or migrate the entry.";
    "type-unknown": "An entry has a content type that the project does not have." => "Correct the type, or add a contract for it.";
    "locale-unknown": "An entry is in a locale that the project does not have." => "Add the locale to ashlar.toml, or remove the entry.";
    "route-unusable": "A field cannot be part of the route of its entry." => "Use text without spaces, `?`, `#`, `%` or quotes.";
    "markdown-too-complex": "A Markdown text is too deeply nested to be rendered." => "Nest less, or split the paragraph or table.";
    "duplicate-entry": "Two files contain the same entry." => "Remove one of the two, or give it another id.";
    "shared-field": "A field that all locales share has different values." => "Write the same value in all files, or mark the field as localized.";
    "contract-name": "`$contract` does not name a contract of the type of the entry." => "Write a name such as `page.v1`, or remove it.";
    "content-path": "The path of a content file does not name an entry." => "Use `content/TYPE/ID.LOCALE.json`.";
    "duplicate-key": "A key appears twice, or a field is both in the front matter and in the body." => "Remove one of the two.";
    "not-an-object": "An entry is not a JSON object." => "Write an object of fields: `{\"title\": …}`.";
    "entry-line": "A line of a file with one entry per line is not an entry." => "Correct the line that the message names.";
    "front-matter": "The front matter of a Markdown file cannot be read." => "Close it with `---`, and write lines such as `title: About us`.";
    "json-malformed": "A JSON file has a syntax error." => "Fix the JSON at the line and column in the message.";
    "yaml-malformed": "The YAML of a file has a syntax error." => "Fix the YAML at the line in the message.";
    "toml-malformed": "The TOML of a file has a syntax error." => "Fix the TOML at the line in the message.";
    "too-deep": "A value is nested too deeply." => "Flatten the value, or move parts of it to other entries.";
    "too-large": "A file, or what it expands to, is too large." => "Split it.";
    "integer-range": "An integer is too large to be stored without losing digits." => "Store it as a string.";
    "encoding": "A file is not UTF-8 text." => "Save the file as UTF-8.";
    "file-name": "A file name is not UTF-8." => "Rename the file.";
    "symlink": "A symbolic link leads outside the project." => "Replace the link with the file.";
    "unreadable": "A file cannot be read." => "Check its permissions.";
    "not-read": "A file in `content/` is not read because of its ending." => "Use `.json`, `.jsonl`, `.md` or `.mdx`, or remove the file.";
};

/// The gate `content-validity`.
pub(crate) struct ContentValidity;

impl Gate for ContentValidity {
    fn about(&self) -> &'static About {
        &About {
            name: NAME,
            judges: "Every entry follows a contract of the project and keeps to it.",
            findings: FINDINGS,
        }
    }

    fn reads(&self, world: &dyn World, inputs: &mut Inputs) {
        inputs.digest("snapshot", &world.digest(Part::Snapshot)).json("locales", &world.config().locales);
    }

    // What changed contracts mean for entries is found by their types.
    fn follows(&self, _: &dyn World, _: &Change<'_>) -> bool {
        true
    }

    fn sees_contracts(&self) -> bool {
        false
    }

    fn judges_content(&self) -> bool {
        true
    }

    fn run(&self, world: &dyn World, change: Option<&Change<'_>>) -> Result<Work, GateError> {
        let (definitions, locales) = (world.definitions(), &world.config().locales);
        let (mut findings, looked) = world.entries(change, &|at, findings| {
            let of_locale = unsupported_locale(locales, at.key);
            let of_contract = (!at.has_contract).then(|| unknown_contract(definitions, at.key, at.major));
            findings.extend(of_locale.into_iter().chain(of_contract).map(|p| p.at((at.place)())));
            findings.extend(at.wrong);
        })?;
        findings.extend(world.content_findings());
        Ok(Work::looked(findings, looked, change, "entry", "entries"))
    }
}

/// Types of contracts that were added, removed or changed since the base.
pub(crate) fn changed_types<'a>(here: &'a Definitions, base: &'a Definitions) -> BTreeSet<&'a TypeName> {
    let changed =
        here.contracts.iter().filter(|c| base.contracts.get(&c.name).is_none_or(|b| b.digest != c.digest));
    let gone = base.contracts.iter().filter(|c| here.contracts.get(&c.name).is_none());
    changed.chain(gone).map(|c| &c.name.name).collect()
}

/// Something wrong in an entry, before it has a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: String,
    /// JSON pointer into the fields.
    pub(crate) pointer: String,
    pub(crate) message: String,
    pub(crate) help: String,
}

impl Problem {
    pub(crate) fn at(self, place: String) -> Finding {
        Finding::error(&self.code, place, self.message).help(self.help)
    }
}

/// The place of a field for people: `page/home (en) /title`.
pub(crate) fn place(key: &EntryKey, pointer: &str) -> String {
    format!("{key} {}", if pointer.is_empty() { "/" } else { pointer })
}

/// What is wrong with fields under their contract.
pub(crate) fn fields(contract: &Contract, key: &EntryKey, value: &Value) -> Vec<Problem> {
    let mut problems: Vec<Problem> = contract
        .validate(value)
        .into_iter()
        .map(|v| Problem {
            code: format!("invalid-{}", kebab(&v.keyword)),
            pointer: v.path,
            message: sentence(&v.message),
            help: v.help,
        })
        .collect();
    if let Value::Object(map) = value {
        let facts = contract.facts(key, map);
        problems.extend(unusable_route(contract, &facts, map));
        problems.extend(facts.markdown.iter().filter_map(|(pointer, text)| {
            let why = ashlar_model::check_markdown(text).err()?;
            Some(Problem {
                code: "markdown-too-complex".to_owned(),
                pointer: pointer.clone(),
                message: format!("It would be shown as plain text: {why}."),
                help: "nest less, split the paragraph or table, or put code into a fence (```) at the start of a line"
                    .to_owned(),
            })
        }));
        problems.extend(facts.bad_refs.into_iter().map(|bad| Problem {
            code: "invalid-reference".to_owned(),
            pointer: bad.path,
            message: sentence(&bad.message),
            help: "write the id of an entry, or `type/id` where more than one type is allowed".to_owned(),
        }));
    }
    problems
}

/// Fields that are there and cannot stand in the entry's route. A field that is absent is no fault where the contract does
/// not require it: an entry without it has no page.
fn unusable_route(contract: &Contract, facts: &Facts<'_>, fields: &Fields) -> Vec<Problem> {
    let Some(route) = &contract.route else { return Vec::new() };
    let present = facts.route_missing.iter().filter(|name| fields.get(*name).is_some_and(|v| !v.is_null()));
    present
        .map(|name| Problem {
            code: "route-unusable".to_owned(),
            pointer: format!("/{name}"),
            message: format!("The field `{name}` cannot stand in the route {}.", route.as_str()),
            help: "use text without spaces, `?`, `#`, `%`, quotes, `.` or `..` as a segment, of at most 1,000 characters; \
                   a `pattern` in the contract says so earlier"
                .to_owned(),
        })
        .collect()
}

/// An entry whose type or contract version the project does not have.
fn unknown_contract(definitions: &Definitions, key: &EntryKey, major: Option<u32>) -> Problem {
    let types = definitions.contracts.iter().filter(|c| c.is_type());
    match (definitions.newest(&key.type_name), major) {
        (Some(newest), Some(major)) => Problem {
            code: "contract-unknown".to_owned(),
            pointer: String::new(),
            message: format!("It follows {}.v{major}, which the project does not have.", key.type_name),
            help: format!("bring the contract back, or migrate the entry to {}", newest.name),
        },
        _ => Problem {
            code: "type-unknown".to_owned(),
            pointer: String::new(),
            message: format!("There is no content type `{}`.", key.type_name),
            help: did_you_mean(
                key.type_name.as_str(),
                types.map(|c| c.name.name.as_str()),
                format!("add contracts/{}.v1.json, or move the entry to another type", key.type_name),
            ),
        },
    }
}

/// An entry in a locale that the project does not have.
fn unsupported_locale(locales: &LocaleConfig, key: &EntryKey) -> Option<Problem> {
    (!locales.supports(&key.locale)).then(|| {
        let known: Vec<String> = locales.all().iter().map(ToString::to_string).collect();
        Problem {
            code: "locale-unknown".to_owned(),
            pointer: String::new(),
            message: format!(
                "`{}` is not a locale of the project; there are {}.",
                key.locale,
                known.join(", ")
            ),
            help: did_you_mean(
                key.locale.as_str(),
                known.iter().map(String::as_str),
                "add it to [locales] supported in ashlar.toml, or remove the entry",
            ),
        }
    })
}

fn kebab(keyword: &str) -> String {
    let mut out = String::with_capacity(keyword.len() + 4);
    for c in keyword.chars() {
        if c.is_ascii_uppercase() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// A message as a sentence.
pub(crate) fn sentence(message: &str) -> String {
    let mut chars = message.trim().trim_end_matches('.').chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => String::new(),
    }
}
