//! Assisted: what models may write is declared, and what they wrote says only what is released.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_assist::{
    checks::{Issue, Neighbours, Passage, claims, terms},
    config::{FILE, Kind, Level, Task},
    output::CITATIONS,
    texts::{said, statements, texts},
};
use ashlar_contracts::Kind as ContractKind;
use ashlar_model::{EntryKey, Finding, GateReport, Locale, TypeName, Waiver, did_you_mean};
use ashlar_project::markdown;

use super::{
    approvals::ASSISTED,
    interface::{About, Code, Gate},
};
use crate::{
    GateError,
    definitions::Definitions,
    findings::{Findings, count},
    inputs::Inputs,
    world::{Change, Looked, Part, Work, World, assisted::Assisted as Entry, link_rules},
};

/// The most entries of models in one candidate.
const ENTRIES_MAX: usize = 200;

const FINDINGS: &[Code] = findings! {
    "assist-config": "A value in assist.toml cannot be used." => "Correct the line that the message names.";
    "assist-unknown": "A task names a feature, prompt, content type or field that does not exist." => "Correct the name, or add what it names.";
    "assist-prompt": "The prompt of a task cannot be used for it." => "Give the prompt an output contract that has only fields which the task may write, or add them to `fields`.";
    "assist-approvers": "Nobody may approve what models write." => "Add `[approvals.assisted]` with `people` to governance.toml.";
    "assisted-rules": "governance.toml or assist.toml changes together with texts that models wrote." => "Release the change of the file first, then the texts.";
    "assisted-too-many": "A candidate has more than 200 entries that models wrote." => "Publish less: split the changeset.";
    "assisted-unsupported": "A model wrote a sentence that no released source says." => "Correct or remove the sentence, or release the source that says so first.";
    "assisted-not-compared": "A text is too long to be compared with its sources." => "Shorten the text, or split the entry.";
    "assisted-source-gone": "A source of a text is not released any more." => "Write the text again from what is released.";
    "assisted-links": "An entry has too few or too many internal links." => "Add or remove links, or change `links_min` and `links_max` in assist.toml.";
    "assisted-link-broken": "A field contains a path that nothing answers." => "Correct the path.";
    "assisted-orphan": "Nothing leads to a new page." => "Link to it from another entry.";
    "assisted-near-duplicate": "A new entry is nearly the same as a released one, or as another one of the candidate." => "Change the other entry instead, or say what only the new one says.";
    "assisted-thin": "A new entry has few words, or says hardly anything that others of its type do not say." => "Add what readers need, or do not publish it.";
    "assisted-compared-in-part": "A new entry was compared with the first 5,000 entries of its type only." => "Let a person look for similar entries.";
    "assisted-term": "A text has a spelling that is not allowed." => "Write it as assist.toml says.";
    "toml-malformed": "assist.toml has a syntax error or a wrong field." => "Correct the line that the message names.";
    "encoding": "assist.toml is not UTF-8 text." => "Save it as UTF-8.";
};

/// The gate `assisted`.
pub(crate) struct Assisted;

impl Gate for Assisted {
    fn about(&self) -> &'static About {
        &About {
            name: "assisted",
            judges: "Tasks of assist.toml can be used, and what models wrote is supported by what is released, linked, new and spelled right.",
            findings: FINDINGS,
        }
    }

    fn reads(&self, world: &dyn World, inputs: &mut Inputs) {
        let definitions = world.definitions();
        // Raised when this gate judges differently.
        inputs.add("rules", b"2");
        for part in [FILE, "governance.toml", "gateway.toml", "prompts/", "prompts.toml"] {
            inputs.digest(part, &definitions.part(part));
        }
        if world.assisted().is_ok_and(<[Entry]>::is_empty) {
            return;
        }
        inputs
            .digest("snapshot", &world.digest(Part::Snapshot))
            .digest("base", &world.digest(Part::BaseSnapshot))
            .digest("changes", &world.digest(Part::Changes));
        for part in ["ashlar.toml", "redirects.toml", "site/"] {
            inputs.digest(part, &definitions.part(part));
        }
        for (part, base) in RULES.iter().filter_map(|part| Some((part, world.base()?))) {
            inputs.digest(part, &base.part(part));
        }
    }

    fn run(&self, world: &dyn World, _: Option<&Change<'_>>) -> Result<Work, GateError> {
        let mut findings = Findings::default();
        let definitions = world.definitions();
        findings.extend(definitions.assist_findings.iter().cloned());
        findings.extend(declared(definitions));
        let entries = world.assisted()?;
        findings.extend(rules_change(world, entries));
        if entries.len() > ENTRIES_MAX {
            let message = format!(
                "Models wrote {} of the entries; at most {ENTRIES_MAX} are released at once.",
                entries.len()
            );
            let help = "publish less: take drafts out with `ashlar changeset remove`";
            findings.push(Finding::error("assisted-too-many", "candidate", message).help(help));
        } else {
            let mut known = Known::default();
            for entry in entries {
                judged(world, entry, &mut known, &mut findings)?;
            }
        }
        let what = count(entries.len(), "entry that a model wrote", "entries that models wrote");
        Ok(Work {
            findings,
            looked: Looked { checked: entries.len(), reused: 0 },
            what,
            metrics: BTreeMap::new(),
        })
    }

    /// Only of a person whom `governance.toml` names, who asked for none of the texts, and who gave it to this candidate: a waiver in
    /// `governance.toml` is what anybody who may write it says of others.
    fn takes_waiver(&self, world: &dyn World, _: &GateReport, waiver: &Waiver) -> Result<bool, GateError> {
        let entries = world.assisted()?;
        let governance = &world.definitions().governance;
        if entries.is_empty() {
            return Ok(true);
        }
        if !rules_change(world, entries).is_empty() {
            return Ok(false);
        }
        let mut asked: BTreeSet<String> = BTreeSet::new();
        for entry in entries {
            asked.extend(entry.requesters(governance));
        }
        let of_candidate = world.is_waived_by_key(self.about().name);
        Ok(of_candidate && governance.names(ASSISTED, &waiver.by) && !asked.contains(&waiver.by))
    }
}

/// Files that say who approves what models wrote, and what is checked of it.
const RULES: [&str; 2] = [FILE, "governance.toml"];

/// Rules are released before the texts that they are for: otherwise whoever asks for a text changes the rules with it.
fn rules_change(world: &dyn World, entries: &[Entry]) -> Vec<Finding> {
    let Some(base) = world.base().filter(|_| !entries.is_empty()) else { return Vec::new() };
    let definitions = world.definitions();
    let changed = RULES.iter().filter(|file| definitions.part(file) != base.part(file));
    let finding = |file: &&str| {
        let message = format!("{file} changes together with texts that models wrote.");
        let help = format!("release the change of {file} first, then the texts");
        Finding::error("assisted-rules", (*file).to_owned(), message).help(help)
    };
    changed.map(finding).collect()
}

/// Entries that new ones are compared with, by type and locale: those that are released, read once for a judgement, and those of the
/// candidate that were compared before.
#[derive(Default)]
struct Known(BTreeMap<(TypeName, Locale), Neighbours>);

impl Known {
    fn of(&mut self, world: &dyn World, key: &EntryKey) -> Result<&mut Neighbours, GateError> {
        let at = (key.type_name.clone(), key.locale.clone());
        if !self.0.contains_key(&at) {
            let mut neighbours = Neighbours::new(key.locale.as_str());
            world.each_released((&key.type_name, &key.locale), &mut |other, fields| {
                neighbours.add(other.to_string(), &fields)
            })?;
            self.0.insert(at.clone(), neighbours);
        }
        Ok(self.0.entry(at).or_insert_with(|| Neighbours::new(key.locale.as_str())))
    }
}

/// What is wrong with an entry that a model wrote.
fn judged(
    world: &dyn World,
    entry: &Entry,
    known: &mut Known,
    findings: &mut Findings,
) -> Result<(), GateError> {
    let assist = &world.definitions().assist;
    let (key, written) = (&entry.key, entry.written());
    let statements = statements(&entry.fields, &written);
    let mut passages = Vec::new();
    for source in entry.sources() {
        let name = source.to_string();
        match world.released(source)? {
            Some(fields) => passages.push(Passage { entry: name, text: said(&fields) }),
            None => findings.push(
                Finding::warning(
                    "assisted-source-gone",
                    key.to_string(),
                    format!("The text was written from {name}, which is not released any more."),
                )
                .help("write the text again from what is released"),
            ),
        }
    }
    let mut add = |issue: Issue, level: Level| {
        let place = match issue.field.as_str() {
            "" => key.to_string(),
            field => format!("{key} /{field}"),
        };
        let finding = match level {
            Level::Error => Finding::error(issue.code, place, issue.message),
            Level::Warning => Finding::warning(issue.code, place, issue.message),
        };
        findings.push(finding.help(issue.help));
    };
    for issue in claims(&statements, &passages, key.locale.as_str()) {
        add(issue, assist.checks.claims);
    }
    for issue in terms(&texts(&entry.fields, Some(&written)), &assist.terms) {
        add(issue, Level::Error);
    }
    if entry.is_new {
        let known = known.of(world, key)?;
        for issue in known.compare(&entry.fields, &assist.checks) {
            let level = if issue.code == "assisted-compared-in-part" { Level::Warning } else { Level::Error };
            add(issue, level);
        }
        known.put(key.to_string(), &entry.fields);
    }
    findings.extend(links(world, entry)?);
    Ok(())
}

/// Whether an entry has as many internal links as are asked for, its paths lead somewhere, and something leads to it.
fn links(world: &dyn World, entry: &Entry) -> Result<Vec<Finding>, GateError> {
    let checks = &world.definitions().assist.checks;
    let key = &entry.key;
    let rules = link_rules(world.config(), world.definitions());
    let mut out = Vec::new();
    let mut internal = 0;
    for text in texts(&entry.fields, None) {
        // A path alone is a link as well. Links in Markdown are judged by the gate `links`.
        let is_path = text.text.starts_with('/') && !text.text.contains(char::is_whitespace);
        internal += markdown::links(&text.text).len() + usize::from(is_path);
        if is_path
            && entry.written().contains(text.field)
            && !rules.leads(world.site(), &key.locale, &text.text)?
        {
            let message = format!("Nothing answers the path {}.", text.text);
            let place = format!("{key} /{}", text.field);
            out.push(Finding::error("assisted-link-broken", place, message).help("correct the path"));
        }
    }
    if internal < checks.links_min || internal > checks.links_max {
        let message = format!(
            "The entry has {}; {} to {} are asked for.",
            count(internal, "internal link", "internal links"),
            checks.links_min,
            checks.links_max
        );
        let help = if internal < checks.links_min { "add links to released pages" } else { "remove links" };
        out.push(Finding::error("assisted-links", key.to_string(), message).help(help));
    }
    if checks.linked && entry.is_new && !world.is_linked(key)? {
        let message = "Nothing leads to this new page.".to_owned();
        out.push(
            Finding::error("assisted-orphan", key.to_string(), message).help("link to it from another entry"),
        );
    }
    Ok(out)
}

/// What is wrong with the declarations.
fn declared(definitions: &Definitions) -> Vec<Finding> {
    let assist = &definitions.assist;
    let mut out = Vec::new();
    for (name, task) in &assist.tasks {
        out.extend(of_task(definitions, name, task));
    }
    let first = assist.tasks.values().filter(|task| task.kind.writes()).map(|task| task.line).min();
    if let Some(line) = first.filter(|_| !definitions.governance.approvers.contains_key(ASSISTED)) {
        let message = "Nobody may approve what models write, so nothing of it can be released.";
        let help = "add [approvals.assisted] with `people` to governance.toml";
        out.push(Finding::warning("assist-approvers", format!("{FILE}:{line}"), message).help(help));
    }
    out
}

fn of_task(definitions: &Definitions, name: &str, task: &Task) -> Vec<Finding> {
    let place = format!("{FILE}:{}", task.line);
    let mut out = Vec::new();
    let mut unknown = |what: &str, named: &str, known: Vec<String>| {
        let message = format!("The task `{name}` names the {what} `{named}`, which does not exist.");
        let otherwise = format!("correct the name, or add the {what}");
        let help = did_you_mean(named, known.iter().map(String::as_str), otherwise);
        out.push(Finding::error("assist-unknown", place.clone(), message).help(help));
    };
    let features = &definitions.gateway.features;
    if !features.contains_key(&task.feature) {
        unknown("feature", &task.feature, features.keys().cloned().collect());
    }
    for type_name in &task.types {
        match definitions.newest(type_name) {
            None => {
                let types = definitions.contracts.iter().filter(|c| c.is_type());
                unknown("content type", type_name.as_str(), types.map(|c| c.name.name.to_string()).collect());
            }
            Some(contract) => {
                let properties = contract.schema["properties"].as_object();
                let known: Vec<String> = properties.into_iter().flat_map(|p| p.keys().cloned()).collect();
                // With several types, a field may belong to one of them.
                for field in task.fields.iter().filter(|f| task.types.len() == 1 && !known.contains(f)) {
                    unknown("field", field, known.clone());
                }
            }
        }
    }
    let Some(active) = definitions.prompts.active(&task.prompt) else {
        unknown("prompt", &task.prompt, definitions.prompts.names().map(str::to_owned).collect());
        return out;
    };
    let Some(prompt) = definitions.prompts.get(&task.prompt, active.version) else { return out };
    let mut wrong = |message: String, help: &str| {
        out.push(Finding::error("assist-prompt", place.clone(), message).help(help));
    };
    let label = prompt.label();
    let Some(output) = prompt.output.as_ref().and_then(|output| definitions.contracts.get(output)) else {
        let help = "add `output` to the prompt, and a contract of the kind `output`";
        wrong(format!("The prompt {label} of the task `{name}` has no output contract."), help);
        return out;
    };
    if output.kind != ContractKind::Output {
        let message = format!("`{}`, which {label} names, is not of the kind `output`.", output.name);
        wrong(message, "name a contract of the kind `output`");
    }
    let answers = output.schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name);
    let others: Vec<&String> = match task.kind {
        Kind::SummariseAuditLog => answers.filter(|n| !["text", "cited"].contains(&n.as_str())).collect(),
        _ => answers.filter(|n| *n != CITATIONS && !task.fields.contains(*n)).collect(),
    };
    for other in others {
        let message =
            format!("`{}` of {label} has `{other}`, which the task `{name}` may not write.", output.name);
        wrong(message, "add it to `fields` of the task, or remove it from the contract");
    }
    for (variable, declared) in &prompt.variables {
        let given = ashlar_assist::input::given(task.kind);
        if declared.required && !given.iter().any(|g| g.name == variable) {
            let names: Vec<&str> = given.iter().map(|g| g.name).collect();
            let message = format!(
                "{label} needs `{variable}`, which tasks of the kind `{}` do not give.",
                task.kind.name()
            );
            wrong(message, &format!("use {}, or give it a default", names.join(", ")));
        }
    }
    out
}
