use ashlar_contracts::{Contract, Facts};
use ashlar_model::{EntryKey, Fields, Finding, LocaleConfig, did_you_mean};
use serde_json::Value;

use crate::definitions::Definitions;

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
pub(crate) fn unknown_contract(definitions: &Definitions, key: &EntryKey, major: Option<u32>) -> Problem {
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
pub(crate) fn unsupported_locale(locales: &LocaleConfig, key: &EntryKey) -> Option<Problem> {
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
