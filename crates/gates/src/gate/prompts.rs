//! Prompts: versions can be read and never change, what they name exists, and text of others stays apart from instructions.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_contracts::Kind;
use ashlar_gateway::{
    config,
    prompts::{FOLDER, Prompt, Prompts as All, STATE_FILE},
};
use ashlar_model::{Finding, Level, did_you_mean};

use super::{
    interface::{About, Code, Gate},
    prompt_rules::{becoming_live, dropped},
};
use crate::{
    GateError,
    definitions::Definitions,
    findings::count,
    inputs::Inputs,
    world::{Change, Work, World},
};

const FINDINGS: &[Code] = findings! {
    "prompt-file": "A file in prompts/ is not a version of a prompt, or is too large." => "Name it `prompts/NAME/vN.md`, or shorten it.";
    "prompt-front-matter": "A field of a prompt's front matter is missing, unknown or wrong." => "Correct the line that the message names.";
    "prompt-sections": "The text of a prompt is empty, or its sections are in a wrong order." => "Write the text below `## system`, `## user` or `## assistant`, system sections first.";
    "prompt-template": "A template cannot be read or rendered, or uses what prompts do not have." => "Correct the template at the line in the message.";
    "prompt-partial": "A partial does not exist, or includes itself." => "Correct the `include`, or create the file in prompts/_partials/.";
    "prompt-variable-undeclared": "A template uses a variable that is not declared." => "Declare it in `variables`, or correct the name.";
    "prompt-variable-unused": "A variable is declared and not used." => "Use it in the template, or remove it.";
    "prompt-injection": "Text of others would reach the model without marks, or in a system message." => "Print it in a user section, without the filter `safe`.";
    "prompt-sources": "A prompt retrieves sources and does not show them, or shows them without retrieving any." => "Write `{{ sources }}` in a user section, or correct `grounding`.";
    "prompt-output-missing": "A prompt has no output contract, so nothing checks its answers." => "Add `output: NAME.vN`, or `output: none` for free text.";
    "prompt-output-unknown": "A prompt names a contract that does not exist." => "Correct `output`, or create the contract.";
    "prompt-output-kind": "The output contract of a prompt is not of the kind `output`." => "Set `\"kind\": \"output\"` in its `x-ashlar`, or name another contract.";
    "prompt-route-unknown": "A prompt names a route that gateway.toml does not have." => "Correct `route`, or add the route to gateway.toml.";
    "prompt-index-unknown": "A prompt retrieves from an index that does not exist." => "Correct `grounding.indexes`, or add the index to retrieval.toml.";
    "prompt-index-not-allowed": "A prompt retrieves from an index that a feature which names the prompt may not use, so its calls are refused." => "Add the index to `indexes` of the feature in gateway.toml, or correct `grounding.indexes`.";
    "prompt-tool-unknown": "A prompt names a tool that does not exist." => "Correct `tools`, or add the tool.";
    "prompt-unknown": "A feature names a prompt that does not exist." => "Correct `prompts` in gateway.toml, or create the prompt.";
    "prompt-feature-unknown": "A flag names a feature that gateway.toml does not have." => "Correct `features` in prompts.toml.";
    "prompt-changed": "A released version of a prompt was changed." => "Restore the file, and write the change as a new version.";
    "prompt-removed": "A version of a prompt that answered calls was removed." => "Restore the file if calls still name it.";
    "prompt-variable-dropped": "A version of a prompt lacks a variable that the live version declares, so calls that give it would be refused." => "Declare it with `required: false` until no call gives it.";
    "prompt-variable-required": "A version of a prompt needs a variable that the live version does not need." => "Declare it with `required: false`, or with a `default`.";
    "prompt-grounding-dropped": "A version of a prompt has no `grounding`, so it would never refuse what no source says." => "Keep `grounding`.";
    "prompt-citations-dropped": "A version of a prompt does not require citations, and the live version does." => "Remove `citations: optional`.";
    "prompt-refusal-dropped": "A version of a prompt leaves out what no source supports, and the live version refuses such answers." => "Write `rule: refuse`.";
    "prompt-output-dropped": "A version of a prompt has no output contract, and the live version has one." => "Keep `output`.";
    "prompt-active-lower": "An older version of a prompt becomes the active one." => "Nothing, if that is meant. Otherwise set `active` in prompts.toml.";
    "prompts-config": "A value in prompts.toml cannot be used." => "Correct the line that the message names.";
    "front-matter": "Front matter is not closed, or is not a list of names." => "Close it with a line that has only `---`.";
    "yaml-malformed": "Front matter is not valid YAML." => "Correct it at the line in the message.";
    "toml-malformed": "prompts.toml or front matter has a syntax error or a wrong field." => "Correct the line that the message names.";
    "too-large": "Front matter is too large." => "Shorten it.";
    "too-deep": "Front matter is nested too deeply." => "Flatten the value.";
    "duplicate-key": "A name appears twice in front matter." => "Remove one of the two.";
    "integer-range": "A number in front matter is too large." => "Write a smaller one.";
    "encoding": "A file is not UTF-8 text." => "Save it as UTF-8.";
};

/// The gate `prompts`.
pub(crate) struct Prompts;

impl Gate for Prompts {
    fn about(&self) -> &'static About {
        &About {
            name: "prompts",
            judges: "Prompts can be read, released versions stay as they are, new ones keep variables and rules, what they name exists, and text of others is marked.",
            findings: FINDINGS,
        }
    }

    fn reads(&self, world: &dyn World, inputs: &mut Inputs) {
        let definitions = world.definitions();
        // Raised when this gate judges differently.
        inputs.add("rules", b"5");
        for part in ["prompts/", STATE_FILE, config::FILE] {
            inputs.digest(part, &definitions.part(part));
        }
        if !definitions.prompts.is_empty() {
            inputs.digest("retrieval", &definitions.part(ashlar_retrieval::config::FILE));
            inputs.digest("contracts", &definitions.contracts_digest);
        }
        for part in ["prompts/", STATE_FILE] {
            inputs.digest("base", &world.base_part(part));
        }
        if let Some(base) = world.base() {
            let prompts = &definitions.prompts;
            for name in becoming_live(prompts, &base.prompts, &|prompt| answers(prompts, prompt)) {
                inputs.json("answered", &(name, world.answered(name)));
            }
        }
    }

    fn run(&self, world: &dyn World, _: Option<&Change<'_>>) -> Result<Work, GateError> {
        let definitions = world.definitions();
        let prompts = &definitions.prompts;
        let mut findings = definitions.prompts_findings.clone();
        let names = Names::of(definitions);
        for prompt in prompts.iter() {
            // A version that answers nobody can stay as it was when what it names goes.
            let answers = answers(prompts, prompt);
            let found = names.missing(prompt);
            findings.extend(found.into_iter().map(|finding| match answers {
                true => finding,
                false => Finding { level: Level::Warning, ..finding },
            }));
            let checked = prompt.output.is_some() || prompt.grounding.is_some();
            if answers && !checked && !prompt.says("output") {
                let message =
                    format!("{} has no output contract, so nothing checks its answers.", prompt.label());
                let help = "add `output: NAME.vN`, or `output: none` for free text";
                let place = prompt.place("output");
                findings.push(Finding::warning("prompt-output-missing", place, message).help(help));
            }
        }
        findings.extend(features(definitions));
        if let Some(base) = world.base() {
            findings.extend(moved(prompts, &base.prompts));
            let answers = |prompt: &Prompt| answers(prompts, prompt);
            findings.extend(dropped(prompts, &base.prompts, &answers, &|name| world.answered(name)));
        }
        let n = prompts.len();
        Ok(Work::of(findings, prompts.iter().count(), count(n, "prompt", "prompts")))
    }
}

/// Whether calls that pin no version can get this one, or will when it is promoted.
fn answers(prompts: &All, prompt: &Prompt) -> bool {
    let newest = prompts.versions(&prompt.name).last() == Some(prompt.version);
    newest
        || prompts.active(&prompt.name).is_some_and(|active| {
            active.version == prompt.version || active.flags.iter().any(|flag| flag.version == prompt.version)
        })
}

/// What prompts can name.
struct Names<'a> {
    definitions: &'a Definitions,
    indexes: BTreeSet<&'a str>,
    tools: BTreeSet<String>,
}

impl<'a> Names<'a> {
    fn of(definitions: &'a Definitions) -> Self {
        let retrieval = &definitions.retrieval;
        let contracts = definitions.contracts.iter().filter(|contract| contract.is_type());
        let named = contracts.filter_map(|c| retrieval.index_of(c.index.as_deref(), c.route.is_some()));
        let tools = definitions.contracts.iter().filter(|contract| contract.kind == Kind::Tool);
        let tools = tools.flat_map(|c| [c.name.to_string(), c.name.name.to_string()]);
        let listed = definitions.gateway.features.values().flat_map(|f| f.tools.names().iter().cloned());
        Self {
            definitions,
            indexes: retrieval.indexes.keys().map(String::as_str).chain(named).collect(),
            tools: tools.chain(listed).chain(definitions.gateway.tools.keys().cloned()).collect(),
        }
    }

    /// Indexes of a prompt that a feature which names it may not use: what is wrong, and how to fix it.
    fn not_allowed(&self, prompt: &Prompt) -> Vec<(String, String)> {
        let (mut out, label) = (Vec::new(), prompt.label());
        let named = |index: &&String| self.indexes.contains(index.as_str());
        for (name, feature) in &self.definitions.gateway.features {
            if !feature.prompts.names().contains(&prompt.name) {
                continue;
            }
            let indexes = prompt.grounding.iter().flat_map(|grounding| &grounding.indexes).filter(named);
            for index in indexes.filter(|index| !feature.indexes.allows(index)) {
                let message = format!(
                    "{label} retrieves from the index `{index}`, which the feature `{name}` may not use."
                );
                let help = format!(
                    "add `{index}` to `indexes` of [features.{name}] in gateway.toml, or correct `grounding.indexes`"
                );
                out.push((message, help));
            }
        }
        out
    }

    /// What a prompt names that does not exist.
    fn missing(&self, prompt: &Prompt) -> Vec<Finding> {
        let mut out = Vec::new();
        let label = prompt.label();
        let mut wrong = |code: &str, field: &str, message: String, help: String| {
            out.push(Finding::error(code, prompt.place(field), message).help(help));
        };
        let gateway = &self.definitions.gateway;
        if let Some(route) = prompt.route.as_ref().filter(|route| !gateway.routes.contains_key(*route)) {
            let known = gateway.routes.keys().map(String::as_str);
            let help = did_you_mean(route, known, format!("add [routes.{route}] to gateway.toml"));
            wrong(
                "prompt-route-unknown",
                "route",
                format!("{label} names the route `{route}`, which does not exist."),
                help,
            );
        }
        for index in prompt.grounding.iter().flat_map(|grounding| &grounding.indexes) {
            if !self.indexes.contains(index.as_str()) {
                let help = did_you_mean(
                    index,
                    self.indexes.iter().copied(),
                    format!("add [indexes.{index}] to retrieval.toml"),
                );
                let message = format!("{label} retrieves from the index `{index}`, which does not exist.");
                wrong("prompt-index-unknown", "grounding", message, help);
            }
        }
        for (message, help) in self.not_allowed(prompt) {
            wrong("prompt-index-not-allowed", "grounding", message, help);
        }
        for tool in prompt.tools.iter().filter(|tool| !self.tools.contains(*tool)) {
            let known = self.tools.iter().map(String::as_str);
            let help =
                did_you_mean(tool, known, "remove it, or add a contract of the kind `tool`".to_owned());
            wrong(
                "prompt-tool-unknown",
                "tools",
                format!("{label} names the tool `{tool}`, which does not exist."),
                help,
            );
        }
        if let Some(output) = &prompt.output {
            match self.definitions.contracts.get(output) {
                None => {
                    let names: Vec<String> = self
                        .definitions
                        .contracts
                        .iter()
                        .filter(|c| c.kind == Kind::Output)
                        .map(|c| c.name.to_string())
                        .collect();
                    let help = did_you_mean(
                        &output.to_string(),
                        names.iter().map(String::as_str),
                        format!("create contracts/{output}.json with \"kind\": \"output\""),
                    );
                    let message = format!("{label} answers in the form of `{output}`, which does not exist.");
                    wrong("prompt-output-unknown", "output", message, help);
                }
                Some(contract) if contract.kind != Kind::Output => {
                    let message =
                        format!("The output contract `{output}` of {label} is not of the kind `output`.");
                    let help = format!(
                        "set \"kind\": \"output\" in contracts/{output}.json, or name another contract"
                    );
                    wrong("prompt-output-kind", "output", message, help);
                }
                Some(_) => {}
            }
        }
        out
    }
}

/// Prompts that features name, and features that flags name.
fn features(definitions: &Definitions) -> Vec<Finding> {
    let (prompts, gateway) = (&definitions.prompts, &definitions.gateway);
    let mut out = Vec::new();
    for (name, feature) in &gateway.features {
        for prompt in feature.prompts.names().iter().filter(|prompt| prompts.active(prompt).is_none()) {
            let message = format!("The feature `{name}` names the prompt `{prompt}`, which does not exist.");
            let help = did_you_mean(
                prompt,
                prompts.names(),
                format!("create {FOLDER}/{prompt}/v1.md, or remove the name"),
            );
            let place = format!("{}:{}", config::FILE, feature.line);
            out.push(Finding::error("prompt-unknown", place, message).about(prompt).help(help));
        }
    }
    for name in prompts.names() {
        for flag in prompts.active(name).into_iter().flat_map(|active| active.flags) {
            for feature in flag.features.iter().filter(|feature| !gateway.features.contains_key(*feature)) {
                let message =
                    format!("A flag of `{name}` names the feature `{feature}`, which does not exist.");
                let known = gateway.features.keys().map(String::as_str);
                let help = did_you_mean(feature, known, format!("add [features.{feature}] to gateway.toml"));
                let place = format!("{STATE_FILE}:{}", flag.line);
                out.push(Finding::error("prompt-feature-unknown", place, message).about(feature).help(help));
            }
        }
    }
    out
}

/// What differs from the prompts that are live.
fn moved(prompts: &All, base: &All) -> Vec<Finding> {
    let mut out = Vec::new();
    let versions: BTreeMap<(&str, u32), &Prompt> =
        prompts.iter().map(|p| ((p.name.as_str(), p.version), p.as_ref())).collect();
    for old in base.iter() {
        match versions.get(&(old.name.as_str(), old.version)) {
            Some(new) if new.digest != old.digest => {
                let next = prompts.versions(&old.name).last().unwrap_or(old.version) + 1;
                let message = format!(
                    "{} is released and was changed. Released versions stay as they are.",
                    old.label()
                );
                let help = format!(
                    "restore {}, and the partials that it includes, and write the change as {FOLDER}/{}/v{next}.md",
                    old.file, old.name
                );
                out.push(Finding::error("prompt-changed", &new.file, message).help(help));
            }
            None if answers(base, old) => {
                let message = format!(
                    "{} is live and was removed. Calls that name this version will fail.",
                    old.label()
                );
                let help = "restore the file if calls still name it";
                out.push(Finding::warning("prompt-removed", &old.file, message).help(help));
            }
            _ => {}
        }
    }
    for name in base.names() {
        let (Some(was), Some(is)) = (base.active(name), prompts.active(name)) else { continue };
        if is.version < was.version {
            let message =
                format!("`{name}` goes from version {} back to version {}.", was.version, is.version);
            let help = format!("set `active = {}` in {STATE_FILE} if that is not meant", was.version);
            let place = format!("{STATE_FILE}:{}", is.line);
            out.push(Finding::warning("prompt-active-lower", place, message).about(name).help(help));
        }
    }
    out
}
