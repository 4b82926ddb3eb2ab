//! The suites of releases and candidates, and starting runs of them.

use std::sync::Arc;

use ashlar_contracts::ContractSet;
use ashlar_evals::suite::{FOLDER, Schedule, Suite, names};
use ashlar_gateway::{
    config::Gateway,
    prompts::{PromptName, Prompts, Who},
    upstream::Providers,
};
use ashlar_isolate::Workers;
use ashlar_model::{Digest, Files, TenantId, did_you_mean};
use ashlar_release::{At, Ctx, EVAL_REPLIES_MAX, Engine, ReleaseError, StartEvalRun};
use ashlar_store::sql::{EvalRunRow, NewEvalCase};
use jiff::{civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::app::takes;

takes! {
    /// Reads suites.
    Suites {
        workers: Workers,
    }
}

/// What a run keeps of the moment when it began.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Settings {
    /// The day on which known failures are looked at.
    pub today: Date,
}

/// A suite with what it is judged by.
pub struct Found {
    pub suite: Suite,
    pub contracts: ContractSet,
}

fn invalid(suite: &str, findings: Vec<ashlar_model::Finding>) -> ReleaseError {
    let shown: String = suite.chars().take(80).collect();
    ReleaseError::Invalid {
        message: format!("the suite `{shown}` cannot be run"),
        findings,
        help: "`ashlar eval run` on the project shows everything that is wrong".to_owned(),
    }
}

/// Reads a suite, and refuses one whose feature the definitions do not have.
fn read(files: &Files, name: &str) -> Result<Found, ReleaseError> {
    if !names(files).contains(&name) {
        let shown: String = name.chars().take(80).collect();
        let help =
            did_you_mean(&shown, names(files), "push evals/NAME.toml and evals/NAME.jsonl, and release them");
        return Err(ReleaseError::not_found("suite", shown, help));
    }
    let (suite, _) = Suite::read(files, name).map_err(|findings| invalid(name, findings))?;
    let gateway = Gateway::parse(files).map_err(|findings| invalid(name, findings))?;
    if !gateway.features.contains_key(&suite.feature) {
        let known = gateway.features.keys().map(String::as_str);
        let help = did_you_mean(&suite.feature, known, "add the feature to gateway.toml");
        return Err(ReleaseError::invalid(format!("there is no feature `{}`", suite.feature), help));
    }
    if let Some(prompt) = &suite.prompt {
        let named: Result<PromptName, _> = prompt.parse();
        named.map_err(|e| ReleaseError::invalid(e.message.trim_end_matches('.'), e.help))?;
    }
    Ok(Found { suite, contracts: ContractSet::load(files).0 })
}

/// Whether a server with these providers can ask the first target of the route that a suite uses.
fn can_ask(files: &Files, suite: &Suite, (providers, tenant): (&Providers, &TenantId)) -> bool {
    let Ok(gateway) = Gateway::parse(files) else { return false };
    let Some(feature) = gateway.features.get(&suite.feature) else { return false };
    let prompts = Prompts::parse(files).0;
    let of_prompt = suite.prompt.as_ref().and_then(|prompt| {
        let named: PromptName = prompt.parse().ok()?;
        let who = Who {
            tenant: tenant.as_str(),
            feature: &suite.feature,
            keys: &[],
            user: None,
            session: None,
            request: "",
        };
        prompts.choose(&named.name, named.version, &who).ok()?.prompt.route.clone()
    });
    let first = gateway.routes_of(feature).first().map(|(name, _)| (*name).to_owned());
    let route = suite.route.clone().or(of_prompt).or(first);
    let targets = route.and_then(|route| gateway.routes.get(&route)).map(|route| route.targets.as_slice());
    targets
        .unwrap_or_default()
        .iter()
        .any(|target| target.is_built_in() || providers.get(&target.provider, tenant).is_some())
}

impl Suites {
    /// Reads a suite of definitions.
    ///
    /// # Errors
    /// When the definitions cannot be read, or the suite is wrong; the findings say where.
    pub async fn find(
        &self,
        engine: &Engine,
        tenant: &TenantId,
        definitions: Digest,
        name: &str,
    ) -> Result<Found, ReleaseError> {
        let (engine, of, name) = (engine.clone(), tenant.clone(), name.to_owned());
        let work = move || read(&*engine.files(&of, &definitions)?, &name);
        self.workers.run(tenant, work).await?
    }

    /// The suites of definitions that servers run by themselves. One whose file says nothing about it is run weekly if this node can ask its
    /// route and it has no judge.
    ///
    /// # Errors
    /// When the definitions cannot be read. Suites that are wrong are left out; the gate has reported them.
    pub async fn scheduled(
        &self,
        engine: &Engine,
        tenant: &TenantId,
        definitions: Digest,
        providers: Providers,
    ) -> Result<Vec<(String, Schedule)>, ReleaseError> {
        let (engine, of) = (engine.clone(), tenant.clone());
        let work = move || {
            let files = engine.files(&of, &definitions)?;
            let found = names(&files).into_iter().filter_map(|name| {
                let bytes = files.get(&format!("{FOLDER}/{name}.toml"))?;
                let suite = Suite::read_toml(name, bytes).ok()?;
                // A judge costs twice as much again, so somebody must have decided it.
                let runs = || suite.judge.is_none() && can_ask(&files, &suite, (&providers, &of));
                let schedule =
                    suite.schedule.unwrap_or_else(|| if runs() { Schedule::Weekly } else { Schedule::Off });
                (schedule != Schedule::Off).then(|| (name.to_owned(), schedule))
            });
            Ok(found.collect())
        };
        self.workers.run(tenant, work).await?
    }

    /// Starts a run of a suite against what `of` names, or against what the public channel serves. `slot`: the turn of a schedule; empty when
    /// somebody asks for the run.
    ///
    /// # Errors
    /// When there is no such subject or suite, the suite is wrong, or the run is refused.
    pub async fn start(
        &self,
        (engine, ctx): (&Engine, &Ctx),
        name: &str,
        of: Option<At>,
        slot: String,
    ) -> Result<EvalRunRow, ReleaseError> {
        let (subject, definitions) = engine.eval_subject(ctx, of).await?;
        let found = Arc::new(self.find(engine, &ctx.tenant, definitions, name).await?);
        let suite = &found.suite;
        let samples = suite.samples;
        // Counted before a list of that length is made.
        let replies = suite.cases.len().saturating_mul(samples as usize);
        if replies > EVAL_REPLIES_MAX {
            let message =
                format!("the suite wants {replies} replies; a run of servers has at most {EVAL_REPLIES_MAX}");
            return Err(ReleaseError::invalid(message, "split the suite, or lower `samples`"));
        }
        let wanted = suite
            .cases
            .iter()
            .flat_map(|case| (0..samples).map(move |sample| NewEvalCase { case: case.id.clone(), sample }));
        let settings = Settings { today: engine.now().to_zoned(TimeZone::UTC).date() };
        let start = StartEvalRun {
            suite: suite.name.clone(),
            subject,
            definitions,
            slot,
            settings: serde_json::to_value(settings).map_err(|e| ReleaseError::Task(e.to_string()))?,
            cases: wanted.collect(),
            cost_max: suite.caps.cost.map_or(0, |cost| cost.pico().max(1)),
            seconds_max: suite.caps.seconds,
        };
        engine.run(ctx, start).await
    }
}
