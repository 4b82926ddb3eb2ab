//! What a run needs to know: the suite, and whom to ask.

use std::{io::Read as _, path::Path, sync::Arc};

use ashlar_contracts::ContractSet;
use ashlar_delivery::ReleaseView;
use ashlar_evals::{
    EvalError,
    suite::{JudgeRoute, Suite, read_cases},
};
use ashlar_gateway::{
    config::{EXTRACTIVE, Feature, Gateway},
    prompts::{Prompt, PromptError, PromptName, Prompts, Who},
};
use ashlar_model::{Files, Finding, Level, did_you_mean};

use super::quoted::Quoted;
use crate::{
    args::{EvalRunArgs, Retriever},
    backend::{Backend, Local},
    commands::site,
    error::CliError,
    output, project,
};

/// The largest file of cases, in bytes.
const CASES_BYTES_MAX: u64 = 256 << 20;
/// Passages that count as retrieved when no prompt says how many.
const CHUNKS: usize = 8;

/// The suite with what the arguments say instead, and the contracts that answers follow.
pub async fn suite(args: &EvalRunArgs, backend: Option<&Backend>) -> Result<(Suite, ContractSet), CliError> {
    let files = files(args, backend).await?;
    let (mut suite, findings) = Suite::read(&files, &args.suite)
        .map_err(|findings| CliError::from(EvalError::Suite { suite: args.suite.clone(), findings }))?;
    warn(&findings);
    if let Some(path) = &args.cases {
        suite.cases = cases(path, &suite)?;
    }
    if let Some(route) = &args.judge {
        let feature = suite.judge.take().map_or_else(|| suite.feature.clone(), |judge| judge.feature);
        suite.judge = Some(JudgeRoute { route: route.clone(), feature });
    }
    if !args.tag.is_empty() {
        suite.cases.retain(|case| case.tags.iter().any(|tag| args.tag.contains(tag)));
        if suite.cases.is_empty() {
            let message = format!("no case of `{}` has the tag {}", suite.name, args.tag.join(" or "));
            return Err(CliError::input(message, "correct --tag"));
        }
    }
    if let Some(route) = &args.model {
        suite.route = Some(route.clone());
    }
    if let Some(prompt) = &args.prompt {
        suite.prompt = Some(prompt.clone());
    }
    if !args.metrics.is_empty() {
        suite.metrics = args.metrics.iter().map(|name| metric(name)).collect::<Result<_, _>>()?;
    }
    if let Some(seconds) = args.max_seconds {
        suite.caps.seconds = Some(seconds);
    }
    if let Some(cost) = &args.max_cost {
        let bad = |_| {
            CliError::input(
                format!("--max-cost {cost} is not possible"),
                "write a decimal number, such as 1.50",
            )
        };
        suite.caps.cost = Some(cost.parse().map_err(bad)?);
    }
    let (contracts, _) = ContractSet::load(&files);
    Ok((suite, contracts))
}

fn metric(name: &str) -> Result<ashlar_evals::Metric, CliError> {
    name.parse().map_err(|help: String| CliError::input(format!("there is no metric `{name}`"), help))
}

fn warn(findings: &[Finding]) {
    for finding in findings.iter().filter(|finding| finding.level == Level::Warning).take(20) {
        output::note(format!("{}: warning: {} ({})", finding.place, finding.message, finding.help));
    }
}

/// The definitions that the suite is read from.
async fn files(args: &EvalRunArgs, backend: Option<&Backend>) -> Result<Files, CliError> {
    if let Some(Backend::Local(local)) = backend
        && let Some(of) = args.of.as_deref().filter(|_| args.submit)
    {
        // Evidence is of the cases that the candidate has.
        let view = site::open(local, Some(of)).await?;
        return Ok((*local.engine.files(&local.ctx.tenant, &view.definitions().digest)?).clone());
    }
    let here = Path::new(".");
    let dir = match &args.project {
        Some(dir) => Some(dir.as_path()),
        None => here.join("ashlar.toml").is_file().then_some(here),
    };
    match (dir, backend) {
        (Some(dir), _) => project::read(dir),
        (None, Some(Backend::Local(local))) => {
            // An empty prefix: contracts belong to the suite as well.
            Ok(local.engine.served_definitions(&local.ctx, "").await?.1)
        }
        (None, _) => {
            let help = "give --project DIR, or run the command in the project";
            Err(CliError::input("there is no project with suites here", help))
        }
    }
}

/// The cases of another file.
fn cases(path: &Path, suite: &Suite) -> Result<Vec<ashlar_evals::suite::Case>, CliError> {
    let failed = |error: std::io::Error| CliError::file("read", path, &error);
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(CASES_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > CASES_BYTES_MAX {
        let message = format!("{} has more than {CASES_BYTES_MAX} bytes", path.display());
        return Err(CliError::input(message, "split the file"));
    }
    let (mut cases, mut findings) = read_cases(&path.display().to_string(), &bytes);
    findings.extend(suite.undecided(&path.display().to_string(), &cases));
    if !findings.is_empty() {
        return Err(CliError::findings(format!("{} cannot be used", path.display()), findings));
    }
    cases.iter_mut().for_each(|case| case.locale = case.locale.take().or_else(|| suite.locale.clone()));
    Ok(cases)
}

/// The prompt that a suite names.
pub fn prompt_name(suite: &Suite) -> Result<Option<PromptName>, CliError> {
    let named = suite.prompt.as_ref().map(|name| name.parse());
    named.transpose().map_err(|e: PromptError| CliError::input(e.message.trim_end_matches('.'), e.help))
}

/// The built-in model over what is here.
pub async fn quoted(
    local: &Local,
    of: Option<&str>,
    suite: &Suite,
    retriever: Option<Retriever>,
) -> Result<Quoted, CliError> {
    let view = site::open(local, of).await?;
    let files = &view.definitions().gateway;
    let gateway = Gateway::parse(files).map_err(|f| CliError::findings("gateway.toml cannot be used", f))?;
    let (prompts, _) = Prompts::parse(files);
    let feature = gateway.features.get(&suite.feature).ok_or_else(|| {
        let known = gateway.features.keys().map(String::as_str);
        let help = did_you_mean(&suite.feature, known, "add the feature to gateway.toml");
        CliError::input(format!("the release has no feature `{}`", suite.feature), help)
    })?;
    let prompt = prompt(local, &prompts, suite)?;
    let of_prompt = prompt.as_ref().and_then(|prompt| prompt.route.clone());
    let first = gateway.routes_of(feature).first().map(|(name, _)| (*name).to_owned());
    let route = suite.route.clone().or(of_prompt).or(first).unwrap_or_else(|| EXTRACTIVE.to_owned());
    let built_in = match gateway.routes.get(&route) {
        Some(found) => found.targets.iter().all(ashlar_gateway::config::Target::is_built_in),
        None => {
            let help =
                did_you_mean(&route, gateway.routes.keys().map(String::as_str), "add it to gateway.toml");
            return Err(CliError::input(format!("the release has no route `{route}`"), help));
        }
    };
    if !built_in {
        let message = format!("the route `{route}` calls a provider; --data asks the built-in model only");
        return Err(CliError::input(
            message,
            "use --server URL --key KEY, --replay FILE, or --model extractive",
        ));
    }
    let named = prompt.iter().filter_map(|prompt| prompt.grounding.as_ref());
    if let Some(index) =
        named.flat_map(|grounding| &grounding.indexes).find(|index| !feature.indexes.allows(index))
    {
        // A gateway refuses such calls.
        let message = format!(
            "the prompt retrieves from the index `{index}`, which the feature `{}` may not use",
            suite.feature
        );
        let help =
            "add the index to the feature in gateway.toml, or correct `grounding.indexes` of the prompt";
        return Err(CliError::input(message, help));
    }
    Ok(assembled(view, (suite, feature), prompt.as_deref(), retriever))
}

/// The version of the prompt that answers.
fn prompt(local: &Local, prompts: &Prompts, suite: &Suite) -> Result<Option<Arc<Prompt>>, CliError> {
    let Some(named) = prompt_name(suite)? else { return Ok(None) };
    let who = Who {
        tenant: local.ctx.tenant.as_str(),
        feature: &suite.feature,
        keys: &[],
        user: None,
        session: None,
        request: "",
    };
    let chosen = prompts.choose(&named.name, named.version, &who);
    let chosen = chosen.map_err(|e| CliError::input(e.message.trim_end_matches('.'), e.help))?;
    Ok(Some(chosen.prompt))
}

fn assembled(
    view: Arc<ReleaseView>,
    (suite, feature): (&Suite, &Feature),
    prompt: Option<&Prompt>,
    retriever: Option<Retriever>,
) -> Quoted {
    let words = retriever == Some(Retriever::Bm25);
    let grounding = prompt.and_then(|prompt| prompt.grounding.as_ref());
    let indexes = match grounding.map(|grounding| grounding.indexes.as_slice()) {
        None | Some([]) => feature.indexes.names().to_vec(),
        Some(named) => named.to_vec(),
    };
    Quoted {
        view,
        indexes,
        chunks: grounding.map_or(CHUNKS, |grounding| grounding.chunks),
        prompt: prompt.map(Prompt::label).unwrap_or_default(),
        variable: suite.variable.clone(),
        // Replies that were found otherwise are no replies of this run.
        setting: format!("{}{}", suite.setting(), if words { " retriever bm25" } else { "" }),
        words,
    }
}
