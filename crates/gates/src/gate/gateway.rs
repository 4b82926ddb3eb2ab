//! Gateway: `gateway.toml` can be read, every model has a price where money is limited, and what features name exists.

use std::collections::BTreeSet;

use ashlar_contracts::Kind;
use ashlar_gateway::{
    config::{FILE, Feature, Gateway as Config, Route, Target},
    tools::{Does, Input, path_names},
};
use ashlar_model::{Finding, did_you_mean};
use jiff::civil::Date;

use super::interface::{About, Code, Gate};
use crate::{
    GateError,
    definitions::Definitions,
    findings::count,
    inputs::Inputs,
    world::{Change, Work, World},
};

const FINDINGS: &[Code] = findings! {
    "gateway-config": "A value in gateway.toml cannot be used." => "Correct the line that the message names.";
    "gateway-price-missing": "A model has no price today. Calls of it are refused where money is limited, and cost nothing elsewhere." => "Add `[[prices]]` for the model, with a `from` that is not in the future.";
    "gateway-price-unused": "No route uses the model of a price." => "Correct `model`, or remove the price.";
    "gateway-index-unknown": "A feature names an index that the project does not have." => "Correct `indexes`, or add the index to retrieval.toml or to a contract.";
    "gateway-tool-input": "The input of a tool names a contract that cannot be used." => "Name a contract of the kind `tool` that has the properties which `path` and `bind` name.";
    "toml-malformed": "gateway.toml has a syntax error or a wrong field." => "Correct the line that the message names.";
    "encoding": "gateway.toml is not UTF-8 text." => "Save it as UTF-8.";
};

/// The gate `gateway`.
pub(crate) struct Gateway;

impl Gate for Gateway {
    fn about(&self) -> &'static About {
        &About {
            name: "gateway",
            judges: "gateway.toml can be read, models have prices, and what features name exists.",
            findings: FINDINGS,
        }
    }

    fn reads(&self, world: &dyn World, inputs: &mut Inputs) {
        let definitions = world.definitions();
        // Raised when this gate judges differently.
        inputs.add("rules", b"2").digest("gateway", &definitions.part(FILE));
        let gateway = &definitions.gateway;
        if gateway.features.values().any(|feature| !feature.indexes.names().is_empty()) {
            inputs.digest("retrieval", &definitions.part(ashlar_retrieval::config::FILE));
            inputs.digest("contracts", &definitions.contracts_digest);
        }
        if gateway.tools.values().any(|tool| matches!(tool.input, Input::Named(_))) {
            inputs.digest("contracts", &definitions.contracts_digest);
        }
        if gateway.routes.values().flat_map(|route| &route.targets).any(|target| !target.is_built_in()) {
            inputs.add("today", world.today().to_string().as_bytes());
        }
    }

    fn run(&self, world: &dyn World, _: Option<&Change<'_>>) -> Result<Work, GateError> {
        let definitions = world.definitions();
        let gateway = &definitions.gateway;
        let mut findings = definitions.gateway_findings.clone();
        if findings.is_empty() {
            findings.extend(prices(gateway, world.today()));
            findings.extend(indexes(definitions, gateway));
            findings.extend(tools(definitions, gateway));
        }
        let n = gateway.features.len();
        Ok(Work::of(findings, n, count(n, "feature", "features")))
    }
}

/// Whether money is limited for some call that may go to a route.
fn money_is_limited(gateway: &Config, name: &str) -> bool {
    let uses = |feature: &Feature| {
        let named = gateway.routes_of(feature);
        named.iter().any(|(own, route)| *own == name || route.fallbacks.iter().any(|other| other == name))
    };
    gateway.features.values().any(|feature| uses(feature) && gateway.limits_money(feature))
}

fn prices(gateway: &Config, today: Date) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
    let targets = |route: &'_ Route| route.targets.clone();
    for (name, route) in &gateway.routes {
        used.extend(targets(route).iter().map(|target| format!("{}/{}", target.provider, target.model)));
        let missing = |target: &&Target| {
            !target.is_built_in() && gateway.prices.on(&target.provider, &target.model, today).is_none()
        };
        for target in route.targets.iter().filter(missing) {
            if !seen.insert((&target.provider, &target.model)) {
                continue;
            }
            let model = format!("{}/{}", target.provider, target.model);
            let message = match gateway.prices.all(&target.provider, &target.model).first() {
                Some(first) => format!("The first price of `{model}` is valid from {} on.", first.from),
                None => format!("`{model}` has no price."),
            };
            let help = format!("add [[prices]] with model = \"{model}\" and from = \"{today}\"");
            let place = format!("{FILE}:{}", target.line);
            let finding = match money_is_limited(gateway, name) {
                true => Finding::error("gateway-price-missing", place, message),
                false => Finding::warning("gateway-price-missing", place, message),
            };
            out.push(finding.help(help));
        }
    }
    for model in gateway.prices.models().filter(|model| !used.contains(*model)) {
        let line = model
            .split_once('/')
            .and_then(|(provider, model)| gateway.prices.all(provider, model).first())
            .map_or(1, |price| price.line);
        let known = used.iter().map(String::as_str);
        let help = did_you_mean(model, known, "correct `model`, or remove the price");
        let message = format!("No route uses `{model}`, which has a price.");
        out.push(Finding::warning("gateway-price-unused", format!("{FILE}:{line}"), message).help(help));
    }
    out
}

fn indexes(definitions: &Definitions, gateway: &Config) -> Vec<Finding> {
    let retrieval = &definitions.retrieval;
    let contracts = definitions.contracts.iter().filter(|contract| contract.is_type());
    let named = contracts.filter_map(|c| retrieval.index_of(c.index.as_deref(), c.route.is_some()));
    let known: BTreeSet<&str> = retrieval.indexes.keys().map(String::as_str).chain(named).collect();
    let mut out = Vec::new();
    for (name, feature) in &gateway.features {
        for index in feature.indexes.names().iter().filter(|index| !known.contains(index.as_str())) {
            let message = format!("The feature `{name}` names the index `{index}`, which does not exist.");
            let otherwise = format!("add [indexes.{index}] to retrieval.toml, or remove the name");
            let help = did_you_mean(index, known.iter().copied(), otherwise);
            let place = format!("{FILE}:{}", feature.line);
            out.push(Finding::error("gateway-index-unknown", place, message).about(index).help(help));
        }
    }
    out
}

/// Tools whose input is a contract of the project.
fn tools(definitions: &Definitions, gateway: &Config) -> Vec<Finding> {
    let mut out = Vec::new();
    for (name, tool) in &gateway.tools {
        let Input::Named(input) = &tool.input else { continue };
        let mut wrong = |message: String, help: String| {
            let place = format!("{FILE}:{}", tool.line);
            out.push(Finding::error("gateway-tool-input", place, message).help(help));
        };
        let Some(contract) = definitions.contracts.get(input) else {
            let of_tools = definitions.contracts.iter().filter(|contract| contract.kind == Kind::Tool);
            let known: Vec<String> = of_tools.map(|contract| contract.name.to_string()).collect();
            let otherwise = format!("create contracts/{input}.json with \"kind\": \"tool\"");
            let help = did_you_mean(&input.to_string(), known.iter().map(String::as_str), otherwise);
            wrong(format!("The tool `{name}` takes `{input}`, which does not exist."), help);
            continue;
        };
        if contract.kind != Kind::Tool || contract.schema["type"] != "object" {
            let message =
                format!("The tool `{name}` takes `{input}`, which does not describe the input of a tool.");
            wrong(message, "write \"kind\": \"tool\" and \"type\": \"object\" in the contract".to_owned());
        }
        let path = match &tool.does {
            Does::Http { path, .. } => path_names(path).unwrap_or_default(),
            Does::Mcp { .. } => Vec::new(),
        };
        for named in path.into_iter().chain(tool.bound.keys().map(String::as_str)) {
            if contract.schema["properties"].get(named).is_none() {
                let known = contract.schema["properties"].as_object();
                let known = known.into_iter().flatten().map(|(name, _)| name.as_str());
                let help = did_you_mean(named, known, "add the property to the contract");
                wrong(
                    format!("The tool `{name}` uses `{named}`, which is not a property of `{input}`."),
                    help,
                );
            }
        }
    }
    out
}
