//! Retrieval: what `retrieval.toml` names exists, and attributes restrict what they are meant to restrict.

use std::collections::BTreeSet;

use ashlar_contracts::Contract;
use ashlar_model::{EntryId, Finding, TypeName, did_you_mean};
use ashlar_retrieval::{
    access::ALWAYS_RESTRICTING,
    config::{Config, FILE, FieldPath, MAIN, Pin},
};
use serde_json::Value;

use super::interface::{About, Code, Gate};
use crate::{
    GateError,
    definitions::Definitions,
    findings::count,
    inputs::Inputs,
    world::{Change, Part, Work, World, site::Near},
};

const FINDINGS: &[Code] = findings! {
    "retrieval-config": "A value in retrieval.toml cannot be used." => "Correct the line that the message names.";
    "retrieval-index-unknown": "A contract names an index that retrieval.toml does not declare." => "Add `[indexes.NAME]`, or correct `index` in the `x-ashlar` of the contract.";
    "retrieval-index-unused": "No contract names an index of retrieval.toml." => "Name it as `index` in the `x-ashlar` of a contract, or remove it.";
    "retrieval-attribute-unknown": "An attribute names a field that no searched contract has." => "Correct the field in `[attributes]`, or add it to a contract.";
    "retrieval-attribute-kind": "The field of an attribute is not text, so it would not restrict anything." => "Name a field whose values are strings, numbers or booleans.";
    "retrieval-reader-missing": "An attribute is restricted, but no reader lists a value of it." => "Add a list of its values to a reader, or entries that have a value are found by nobody.";
    "retrieval-reader-value": "A reader lists a value that no contract allows." => "Correct the value in `[readers.NAME]`, or add it to the `enum` of the field.";
    "retrieval-pin-missing": "A pin names an entry that does not exist." => "Correct `entry`, or remove the pin.";
    "retrieval-pin-expired": "A pin has expired." => "Remove it, or give it a later `until`.";
    "retrieval-locale-unknown": "A locale in retrieval.toml is not one of the project." => "Write a locale of ashlar.toml, or its language.";
    "toml-malformed": "retrieval.toml has a syntax error or a wrong field." => "Correct the line that the message names.";
    "encoding": "retrieval.toml is not UTF-8 text." => "Save it as UTF-8.";
};

/// The gate `retrieval`.
pub(crate) struct Retrieval;

impl Gate for Retrieval {
    fn about(&self) -> &'static About {
        &About {
            name: "retrieval",
            judges: "retrieval.toml can be read, and the indexes, fields and entries that it names exist.",
            findings: FINDINGS,
        }
    }

    fn reads(&self, world: &dyn World, inputs: &mut Inputs) {
        // Raised when this gate judges differently.
        inputs.add("rules", b"1").digest("retrieval", &world.definitions().part(FILE));
        inputs.json("locales", &world.config().locales);
        let pins = &world.definitions().retrieval.pins;
        if !pins.is_empty() {
            inputs.digest("snapshot", &world.digest(Part::Snapshot));
        }
        if pins.iter().any(|pin| pin.until.is_some()) {
            inputs.add("today", world.today().to_string().as_bytes());
        }
    }

    fn run(&self, world: &dyn World, _: Option<&Change<'_>>) -> Result<Work, GateError> {
        let definitions = world.definitions();
        let config = &definitions.retrieval;
        let mut findings = definitions.retrieval_findings.clone();
        if findings.is_empty() {
            findings.extend(indexes(definitions, config));
            findings.extend(attributes(definitions, config));
            findings.extend(readers(definitions, config));
            findings.extend(locales(world, config));
            let mut near = Near::new(world.site());
            for pin in &config.pins {
                findings.extend(pinned(world, &mut near, pin)?);
            }
        }
        let n = config.indexes.len();
        Ok(Work::of(findings, n, count(n, "index", "indexes")))
    }
}

fn searched(definitions: &Definitions) -> impl Iterator<Item = &Contract> {
    let config = &definitions.retrieval;
    let is_searched =
        |c: &&Contract| c.is_type() && config.index_of(c.index.as_deref(), c.route.is_some()).is_some();
    definitions.contracts.iter().filter(is_searched)
}

fn indexes(definitions: &Definitions, config: &Config) -> Vec<Finding> {
    // A project that declares none has the indexes that its contracts name.
    if config.indexes.is_empty() {
        return Vec::new();
    }
    let mut out = Vec::new();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for contract in definitions.contracts.iter().filter(|c| c.is_type()) {
        used.extend(config.index_of(contract.index.as_deref(), contract.route.is_some()));
        let Some(name) = contract.index.as_deref().filter(|name| !config.indexes.contains_key(*name)) else {
            continue;
        };
        let known = config.indexes.keys().map(String::as_str);
        let message = format!("The index `{name}` of `{}` is not declared in {FILE}.", contract.name);
        let finding =
            Finding::error("retrieval-index-unknown", format!("contracts/{}", contract.file()), message);
        let help = did_you_mean(name, known, format!("add [indexes.{name}] to {FILE}"));
        out.push(finding.about(name).help(help));
    }
    for (name, index) in config.indexes.iter().filter(|(name, _)| !used.contains(name.as_str())) {
        let message = format!("No contract names the index `{name}`, so it is empty.");
        let help = match name.as_str() {
            MAIN => "add a route to a contract without an index, or remove the index".to_owned(),
            _ => format!("add \"index\": \"{name}\" to the x-ashlar of a contract, or remove the index"),
        };
        let place = format!("{FILE}:{}", index.line);
        out.push(Finding::warning("retrieval-index-unused", place, message).help(help));
    }
    out
}

/// Attributes whose field does not exist or cannot restrict anything.
fn attributes(definitions: &Definitions, config: &Config) -> Vec<Finding> {
    const TEXT: [&str; 1] = ["string"];
    const VALUES: [&str; 4] = ["string", "number", "integer", "boolean"];
    let fields = &config.attributes;
    let special = [("versions", &fields.versions), ("from", &fields.from), ("until", &fields.until)];
    let special = special.into_iter().filter_map(|(name, field)| Some((name, field.as_ref()?, &TEXT[..])));
    let values = fields.values.iter().map(|(name, field)| (name.as_str(), field, &VALUES[..]));
    let mut out = Vec::new();
    for (name, field, kinds) in values.chain(special) {
        let place = format!("{FILE}:{}", fields.lines.get(name).copied().unwrap_or(1));
        let steps: Vec<String> = field.steps().collect();
        let mut found = false;
        for contract in searched(definitions) {
            let Some(has) = contract.kinds_of(steps.iter().map(String::as_str)) else { continue };
            found = true;
            if let Some(kind) = has.iter().find(|kind| !kinds.contains(*kind)) {
                let message = format!(
                    "The field `{}` of the attribute `{name}` is of the kind {kind} in `{}`, so it does not restrict anything.",
                    field.as_str(),
                    contract.name
                );
                let help = format!("name a field of the kind {}", kinds.join(", "));
                out.push(Finding::error("retrieval-attribute-kind", place.clone(), message).help(help));
            }
        }
        if !found {
            out.push(without_field(definitions, name, field, place));
        }
    }
    out
}

fn without_field(definitions: &Definitions, name: &str, field: &FieldPath, place: String) -> Finding {
    let names: BTreeSet<&str> = searched(definitions).flat_map(Contract::field_names).collect();
    let message = format!(
        "The attribute `{name}` names the field `{}`, which no searched contract has.",
        field.as_str()
    );
    let help = did_you_mean(
        field.as_str(),
        names,
        "add the field to a contract with an index or a route, or remove the attribute",
    );
    Finding::error("retrieval-attribute-unknown", place, message).help(help)
}

/// Attributes whose values nobody sees, and values that do not exist.
fn readers(definitions: &Definitions, config: &Config) -> Vec<Finding> {
    let mut out = Vec::new();
    for (name, field) in &config.attributes.values {
        let line = config.attributes.lines.get(name).copied().unwrap_or(1);
        let place = format!("{FILE}:{line}");
        let mut listed = config.readers.values_of(name).peekable();
        if listed.peek().is_none() && ALWAYS_RESTRICTING.contains(&name.as_str()) {
            let message =
                format!("No reader lists a value of `{name}`, so entries that have one are found by nobody.");
            let help = format!("add {name} = [\"VALUE\"] to [readers.NAME]");
            out.push(Finding::warning("retrieval-reader-missing", place.clone(), message).help(help));
        }
        let Some(allowed) = allowed_values(definitions, field) else { continue };
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for (reader, value) in listed.filter(|(_, value)| !allowed.contains(*value)) {
            if seen.insert(value) {
                let message =
                    format!("The reader `{reader}` lists `{value}`, which no contract allows for `{name}`.");
                let known = allowed.iter().map(String::as_str);
                let help = did_you_mean(value, known, "correct it, or add it to the `enum` of the field");
                out.push(Finding::warning("retrieval-reader-value", place.clone(), message).help(help));
            }
        }
    }
    out
}

/// The values that contracts allow for a field, when all of those that have it list them.
fn allowed_values(definitions: &Definitions, field: &FieldPath) -> Option<BTreeSet<String>> {
    let steps: Vec<String> = field.steps().collect();
    let mut out = BTreeSet::new();
    for contract in searched(definitions) {
        if contract.kinds_of(steps.iter().map(String::as_str)).is_none() {
            continue;
        }
        let schema =
            steps.iter().try_fold(&contract.schema, |schema, step| schema.get("properties")?.get(step))?;
        let values = schema.get("enum").or_else(|| schema.get("items")?.get("enum"))?.as_array()?;
        out.extend(values.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    Some(out).filter(|values| !values.is_empty())
}

/// Locales that the project does not have.
fn locales(world: &dyn World, config: &Config) -> Vec<Finding> {
    let all = world.config().locales.all();
    let known: BTreeSet<&str> = all
        .iter()
        .flat_map(|locale| [locale.as_str(), locale.as_str().split('-').next().unwrap_or_default()])
        .collect();
    let pins = config.pins.iter().filter_map(|pin| Some((pin.locale.as_deref()?, pin.line)));
    let rules = config.routes.rules.iter().filter_map(|rule| Some((rule.locale.as_deref()?, rule.line)));
    let examples = config.routes.examples.iter().filter_map(|example| Some((example.locale.as_deref()?, 1)));
    let named =
        config.synonyms.keys().map(|locale| (locale.as_str(), 1)).chain(pins).chain(rules).chain(examples);
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let unknown = named.filter(|(locale, _)| !known.contains(locale));
    let unknown = unknown.filter(|(locale, _)| seen.insert(locale));
    let findings = unknown.map(|(locale, line)| {
        let message = format!("The project has no locale `{locale}`.");
        let help =
            did_you_mean(locale, known.iter().copied(), "write a locale of ashlar.toml, or its language");
        Finding::warning("retrieval-locale-unknown", format!("{FILE}:{line}"), message).help(help)
    });
    findings.collect()
}

fn pinned(world: &dyn World, near: &mut Near<'_>, pin: &Pin) -> Result<Option<Finding>, GateError> {
    let place = format!("{FILE}:{}", pin.line);
    if let Some(until) = pin.until.filter(|until| *until < world.today()) {
        let message = format!("The pin for \"{}\" expired on {until}.", pin.query);
        let help = "remove it, or give it a later `until`";
        return Ok(Some(Finding::warning("retrieval-pin-expired", place, message).help(help)));
    }
    let missing = |near: Option<String>| {
        let message = format!(
            "The pin for \"{}\" names {}/{}, which does not exist.",
            pin.query, pin.type_name, pin.id
        );
        let help = near.map_or("correct `entry`, or remove the pin".to_owned(), |near| {
            format!("did you mean `{}/{near}`?", pin.type_name)
        });
        Some(Finding::error("retrieval-pin-missing", place.clone(), message).help(help))
    };
    let (Ok(type_name), Ok(id)) = (TypeName::new(&pin.type_name), EntryId::new(&pin.id)) else {
        return Ok(missing(None));
    };
    if world.site().has_entry(&type_name, &id)? || world.may_exist(&type_name, &id) {
        return Ok(None);
    }
    Ok(missing(near.entry(&type_name, &id)?))
}
