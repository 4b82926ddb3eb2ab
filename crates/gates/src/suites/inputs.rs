//! What the answers of a suite depend on, as a digest. Evidence counts for every candidate with the same digest, so a suite runs again when, and
//! only when, one of these parts changes:
//!
//! | part | what of it |
//! | --- | --- |
//! | the suite | cases, samples, feature, prompt, variable, route. Not its thresholds, its caps and its owner |
//! | its judge | if cases have rubrics: its route with fallbacks, its feature, and the pinned prompt |
//! | its prompt | the version that it names; else the active version with its flags. Each with its partials |
//! | contracts of answers | those that the prompt and the cases name, with what they refer to |
//! | the feature | what is redacted and filtered, and its tools. Not budgets, limits, the cache and what is kept |
//! | routes | the one that answers, and its fallbacks. Prices of its models when `cost` has a threshold |
//! | tools | those that the feature allows or the prompt names |
//! | `retrieval.toml`, locales | all of it, when answers are made from indexes |
//! | content | for each index that answers are made from: the contracts of its types, and their entries |
//!
//! The digest of entries is that of a part of the Merkle tree ([`ashlar_store::Tree::prefix_digest`]), so it costs the same however many
//! entries there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use ashlar_contracts::ContractSet;
use ashlar_evals::{figures::Metric, suite::Suite};
use ashlar_gateway::{
    config::{Allowed, EXTRACTIVE, Feature, Gateway, Route, Target},
    prompts::{Prompt, PromptName, Prompts},
    tools::Input,
};
use ashlar_model::{ContractName, Digest, LocaleConfig, TypeName, canonical_json};
use ashlar_retrieval::config::{Config, FILE as RETRIEVAL};
use serde_json::json;

use super::read::SuiteAt;
use crate::{GateError, inputs::Inputs};

/// Keys of a feature that decide about no answer, or are parts of their own.
const NOT_OF_ANSWERS: [&str; 12] = [
    "routes",
    "prompts",
    "indexes",
    "tools",
    "requests_per_minute",
    "tokens_per_minute",
    "budget",
    "per_key",
    "per_user",
    "text",
    "review",
    "cache",
];

/// The definitions that decide about answers.
pub(crate) struct Project<'a> {
    pub(crate) gateway: &'a Gateway,
    /// `gateway.toml` as it is written.
    pub(crate) written: &'a toml::Table,
    pub(crate) contracts: &'a ContractSet,
    pub(crate) prompts: &'a Prompts,
    pub(crate) retrieval: &'a Config,
    /// The digest of `retrieval.toml`.
    pub(crate) retrieval_digest: Digest,
    pub(crate) locales: Option<&'a LocaleConfig>,
}

/// One thing that answers depend on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Suite,
    Judge,
    Prompt(String),
    Contract(String),
    Feature(String),
    Route(String),
    Tool(String),
    Retrieval,
    Locales,
    Content(String),
}

impl Part {
    /// Whether editors change it, rather than definitions.
    pub(crate) fn is_content(&self) -> bool {
        matches!(self, Self::Content(_))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suite => f.write_str("the suite itself"),
            Self::Judge => f.write_str("the judge"),
            Self::Prompt(name) => write!(f, "the prompt `{name}`"),
            Self::Contract(name) => write!(f, "the contract `{name}`"),
            Self::Feature(name) => write!(f, "the feature `{name}`"),
            Self::Route(name) => write!(f, "the route `{name}`"),
            Self::Tool(name) => write!(f, "the tool `{name}`"),
            Self::Retrieval => f.write_str(RETRIEVAL),
            Self::Locales => f.write_str("the locales of ashlar.toml"),
            Self::Content(index) => write!(f, "the content of the index `{index}`"),
        }
    }
}

/// What the answers of a suite depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SuiteInputs {
    /// The digest of all parts.
    pub(crate) digest: Digest,
    pub(crate) parts: BTreeMap<Part, Digest>,
}

impl SuiteInputs {
    /// The parts that differ, also those that only one of both has.
    pub(crate) fn differing(&self, other: &Self) -> Vec<Part> {
        let both: BTreeSet<&Part> = self.parts.keys().chain(other.parts.keys()).collect();
        let differs = |part: &&&Part| self.parts.get(**part) != other.parts.get(**part);
        both.iter().filter(differs).map(|part| (*part).clone()).collect()
    }
}

/// What follows from definitions alone; the digests of entries come later.
pub(crate) struct Fixed {
    parts: BTreeMap<Part, Digest>,
    /// The types of each index that answers are made from.
    indexes: BTreeMap<String, BTreeSet<TypeName>>,
    /// Versions of the prompt that may answer, such as `support-answer@v2`.
    pub(crate) prompts: BTreeSet<String>,
}

impl Fixed {
    /// What a suite of these definitions depends on.
    pub(crate) fn of(at: &SuiteAt, project: &Project<'_>) -> Self {
        let (suite, gateway) = (&*at.suite, project.gateway);
        let mut parts = BTreeMap::new();
        let name = suite.prompt.as_ref().and_then(|named| named.parse::<PromptName>().ok());
        let (prompts, chosen) = versions(project, suite, name.as_ref());
        let asked = json!([suite.feature, suite.prompt, suite.variable, suite.route]);
        parts.insert(Part::Suite, written(&json!([at.cases, asked])));
        if let Some(name) = &name {
            parts.insert(Part::Prompt(name.name.clone()), chosen);
        }
        for contract in contracts(suite, &prompts) {
            let digest = contract.parse().ok().and_then(|name| project.contracts.get(&name));
            parts.insert(Part::Contract(contract), digest.map_or(NONE, |contract| contract.digest));
        }
        let feature = gateway.features.get(&suite.feature);
        parts.insert(Part::Feature(suite.feature.clone()), feature_digest(project, &suite.feature));
        if let Some(judge) = suite.judge.as_ref().filter(|_| suite.is_judged()) {
            let routes = with_fallbacks(gateway, vec![judge.route.clone()]);
            let routes: Vec<_> =
                routes.keys().map(|name| (*name, section(project, "routes", name))).collect();
            let feature = feature_digest(project, &judge.feature);
            let asked = json!([judge, routes, feature.to_string(), ashlar_evals::judge::digest()]);
            parts.insert(Part::Judge, written(&asked));
        }
        let routes = routes(gateway, suite, feature, &prompts);
        for (name, route) in &routes {
            let prices = prices(project, suite, route);
            let digest = written(&json!([section(project, "routes", name), prices]));
            parts.insert(Part::Route((*name).to_owned()), digest);
        }
        for tool in tools(feature, &prompts) {
            let digest = tool_digest(project, &tool);
            parts.insert(Part::Tool(tool), digest);
        }
        let indexes = indexes(project, feature, &prompts, &routes);
        if !indexes.is_empty() {
            parts.insert(Part::Retrieval, project.retrieval_digest);
            parts.insert(Part::Locales, written(&project.locales));
        }
        for (index, types) in &indexes {
            parts.insert(Part::Content(index.clone()), types_digest(project, types));
        }
        let prompts = prompts.iter().map(|prompt| prompt.label()).collect();
        Self { parts, indexes, prompts }
    }

    /// With the entries of each type as digests.
    ///
    /// # Errors
    /// When `entries` fails.
    pub(crate) fn with(
        &self,
        entries: &dyn Fn(&TypeName) -> Result<Digest, GateError>,
    ) -> Result<SuiteInputs, GateError> {
        let mut parts = self.parts.clone();
        for (index, types) in &self.indexes {
            let part = Part::Content(index.clone());
            let mut inputs = Inputs::new("suite content");
            inputs.digest("contracts", parts.get(&part).unwrap_or(&NONE));
            for type_name in types {
                inputs.digest(type_name.as_str(), &entries(type_name)?);
            }
            parts.insert(part, inputs.finish());
        }
        let mut inputs = Inputs::new("suite inputs 1");
        for (part, digest) in &parts {
            inputs.digest(&part.to_string(), digest);
        }
        Ok(SuiteInputs { digest: inputs.finish(), parts })
    }
}

/// What stands for something that does not exist.
const NONE: Digest = Digest::from_bytes([0; 32]);

/// The digest of a value as it is written. What cannot be written counts as absent.
fn written<T: serde::Serialize>(value: &T) -> Digest {
    canonical_json(value).map_or(NONE, |bytes| Digest::of(&bytes))
}

/// A table of `gateway.toml`, such as that of a route.
fn section<'a>(project: &Project<'a>, of: &str, name: &str) -> Option<&'a toml::Table> {
    project.written.get(of)?.get(name)?.as_table()
}

/// What a feature decides about answers.
fn feature_digest(project: &Project<'_>, name: &str) -> Digest {
    let mut raw = section(project, "features", name).cloned().unwrap_or_default();
    NOT_OF_ANSWERS.iter().for_each(|key| drop(raw.remove(*key)));
    written(&raw)
}

/// The versions of the prompt that may answer, and the digest of what decides which one does.
fn versions<'a>(
    project: &Project<'a>,
    suite: &Suite,
    name: Option<&PromptName>,
) -> (Vec<&'a Prompt>, Digest) {
    let Some(name) = name else { return (Vec::new(), NONE) };
    let all = project.prompts;
    let (numbers, flags) = match name.version {
        Some(version) => (vec![version], Vec::new()),
        None => {
            let Some(active) = all.active(&name.name) else { return (Vec::new(), NONE) };
            let mut flags = active.flags;
            flags.retain(|flag| flag.features.is_empty() || flag.features.contains(&suite.feature));
            let flagged = flags.iter().map(|flag| flag.version);
            (std::iter::once(active.version).chain(flagged).collect(), flags)
        }
    };
    let found: Vec<&Prompt> =
        numbers.iter().filter_map(|number| all.get(&name.name, *number)).map(AsRef::as_ref).collect();
    let digests: Vec<String> = found.iter().map(|prompt| prompt.digest.to_string()).collect();
    (found, written(&json!([digests, flags])))
}

/// Contracts that answers follow.
fn contracts(suite: &Suite, prompts: &[&Prompt]) -> BTreeSet<String> {
    let of_prompts = prompts.iter().filter_map(|prompt| Some(prompt.output.as_ref()?.to_string()));
    let of_cases = suite.cases.iter().filter_map(|case| case.expect.json.clone());
    of_prompts.chain(of_cases).collect()
}

/// The routes that may answer: the one that is asked, or that of each version of the prompt, with their fallbacks.
fn routes<'a>(
    gateway: &'a Gateway,
    suite: &Suite,
    feature: Option<&'a Feature>,
    prompts: &[&Prompt],
) -> BTreeMap<&'a str, &'a Route> {
    let first = feature.and_then(|feature| gateway.routes_of(feature).first().map(|(name, _)| *name));
    let first = || first.unwrap_or(EXTRACTIVE).to_owned();
    let asked: Vec<String> = match &suite.route {
        Some(route) => vec![route.clone()],
        None if prompts.is_empty() => vec![first()],
        // A version that names no route is answered by the first of the feature.
        None => prompts.iter().map(|prompt| prompt.route.clone().unwrap_or_else(first)).collect(),
    };
    with_fallbacks(gateway, asked)
}

/// Routes with their fallbacks and theirs.
fn with_fallbacks(gateway: &Gateway, mut asked: Vec<String>) -> BTreeMap<&str, &Route> {
    let mut out = BTreeMap::new();
    while let Some(name) = asked.pop() {
        if let Some((name, route)) = gateway.routes.get_key_value(&name)
            && out.insert(name.as_str(), route).is_none()
        {
            asked.extend(route.fallbacks.iter().cloned());
        }
    }
    out
}

/// The prices of a route's models, when money has a threshold.
fn prices<'a>(project: &Project<'a>, suite: &Suite, route: &Route) -> Vec<&'a toml::Value> {
    if !suite.thresholds.iter().any(|threshold| threshold.metric == Metric::Cost) {
        return Vec::new();
    }
    let models: BTreeSet<String> =
        route.targets.iter().map(|target| format!("{}/{}", target.provider, target.model)).collect();
    let all = project.written.get("prices").and_then(toml::Value::as_array);
    let is_of = |price: &&toml::Value| {
        price.get("model").and_then(toml::Value::as_str).is_some_and(|model| models.contains(model))
    };
    all.into_iter().flatten().filter(is_of).collect()
}

fn tools(feature: Option<&Feature>, prompts: &[&Prompt]) -> BTreeSet<String> {
    let allowed = feature.into_iter().flat_map(|feature| feature.tools.names().iter().cloned());
    allowed.chain(prompts.iter().flat_map(|prompt| prompt.tools.iter().cloned())).collect()
}

/// A tool of `gateway.toml` with the contract of its input, or a contract of the kind `tool`.
fn tool_digest(project: &Project<'_>, tool: &str) -> Digest {
    let named = match project.gateway.tools.get(tool).map(|tool| &tool.input) {
        Some(Input::Named(name)) => Some(name.clone()),
        _ => None,
    };
    let is = |name: &ContractName| {
        named.as_ref() == Some(name) || name.to_string() == tool || name.name.as_str() == tool
    };
    let found = project.contracts.iter().filter(|contract| is(&contract.name));
    let contracts: Vec<String> = found.map(|contract| contract.digest.to_string()).collect();
    written(&json!([section(project, "tools", tool), contracts]))
}

/// The index of each type of a project.
fn indexed(project: &Project<'_>) -> BTreeMap<String, BTreeSet<TypeName>> {
    let mut out: BTreeMap<String, BTreeSet<TypeName>> = BTreeMap::new();
    for contract in project.contracts.iter().filter(|contract| contract.is_type()) {
        let index = project.retrieval.index_of(contract.index.as_deref(), contract.route.is_some());
        if let Some(index) = index {
            out.entry(index.to_owned()).or_default().insert(contract.name.name.clone());
        }
    }
    out
}

/// The indexes that answers are made from, with their types: those that a prompt retrieves from, and without `grounding` those of the feature,
/// which the built-in model answers from.
fn indexes(
    project: &Project<'_>,
    feature: Option<&Feature>,
    prompts: &[&Prompt],
    routes: &BTreeMap<&str, &Route>,
) -> BTreeMap<String, BTreeSet<TypeName>> {
    let all = indexed(project);
    let allowed: BTreeSet<String> = match feature.map(|feature| &feature.indexes) {
        Some(Allowed::Only(names)) => names.iter().cloned().collect(),
        Some(Allowed::All) | None => all.keys().cloned().collect(),
    };
    let mut used: BTreeSet<String> = BTreeSet::new();
    for grounding in prompts.iter().filter_map(|prompt| prompt.grounding.as_ref()) {
        match grounding.indexes.as_slice() {
            [] => used.extend(allowed.iter().cloned()),
            named => used.extend(named.iter().filter(|name| allowed.contains(*name)).cloned()),
        }
    }
    let ungrounded = prompts.is_empty() || prompts.iter().any(|prompt| prompt.grounding.is_none());
    if ungrounded && routes.values().any(|route| route.targets.iter().any(Target::is_built_in)) {
        used.extend(allowed);
    }
    used.into_iter().map(|name| (name.clone(), all.get(&name).cloned().unwrap_or_default())).collect()
}

/// The digest of all contracts of some types.
fn types_digest(project: &Project<'_>, types: &BTreeSet<TypeName>) -> Digest {
    let mut inputs = Inputs::new("suite types");
    for contract in project.contracts.iter().filter(|c| c.is_type() && types.contains(&c.name.name)) {
        inputs.digest(&contract.name.to_string(), &contract.digest);
    }
    inputs.finish()
}
