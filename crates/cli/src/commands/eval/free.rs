//! Suites that the built-in model answers, asked about a candidate at once: that costs nothing and sends nothing.

use ashlar_evals::{
    metric::Judge,
    run::{self, Options, Recording},
    suite::Suite,
};
use jiff::Zoned;
use serde_json::Value;

use super::{evidence, settled::quoted};
use crate::{backend::Local, commands::site, error::CliError, output, words};

/// Cases that are asked at a time.
const CONCURRENCY: usize = 8;
/// How often a case is asked again.
const RETRIES: u32 = 2;
/// What the gate calls its metric for a suite that was not asked about new content.
const NOT_ASKED: &str = "not_asked.";

/// The suites that no run of a candidate covers, as its gate `evals` says.
fn uncovered(candidate: &Value) -> Vec<String> {
    let gates = candidate["gates"].as_array().into_iter().flatten();
    let Some(gate) = gates.into_iter().find(|gate| gate["gate"] == "evals") else { return Vec::new() };
    let groups = gate["groups"].as_array().into_iter().flatten();
    let missing = groups.filter(|group| group["code"] == "eval-evidence-missing");
    let missing = missing.filter_map(|group| Some(group["target"].as_str()?.to_owned()));
    let metrics = gate["metrics"].as_object().into_iter().flatten();
    let not_asked = metrics.filter_map(|(name, _)| Some(name.strip_prefix(NOT_ASKED)?.to_owned()));
    missing.chain(not_asked).collect()
}

/// Asks the suites that no run of a candidate covers, and records their runs. Suites that need a provider or a judge are left out: they cost
/// money. Returns the candidate as it is judged after that.
///
/// # Errors
/// When a run cannot be recorded.
pub async fn cover(local: &Local, candidate: Value) -> Result<Value, CliError> {
    let suites = uncovered(&candidate);
    let name = output::text(&candidate, "candidate");
    if suites.is_empty() {
        return Ok(candidate);
    }
    let view = site::open(local, Some(&name)).await?;
    let files = local.engine.files(&local.ctx.tenant, &view.definitions().digest)?;
    let mut judged = candidate;
    for suite in suites {
        let Ok((suite, _)) = Suite::read(&files, &suite) else { continue };
        if suite.judge.is_some() || suite.cases.iter().any(|case| case.expect.is_only_rubric()) {
            continue;
        }
        // The finding of the gate says how suites are asked that need a provider.
        let Ok(subject) = quoted(local, Some(&name), &suite).await else { continue };
        let (contracts, _) = ashlar_contracts::ContractSet::load(&files);
        let judge = Judge::new(contracts.into());
        let options = Options {
            concurrency: CONCURRENCY,
            retries: RETRIES,
            caps: suite.caps,
            today: Zoned::now().date(),
            known: Recording::default(),
        };
        let bar = output::progress((suite.cases.len() * suite.samples as usize) as u64, "Asking");
        let asked = run::run(&suite, &subject, &judge, &options, &mut [], |running| {
            bar.set_position(running.done as u64);
        });
        let outcome = asked.await;
        bar.finish_and_clear();
        let outcome = outcome?;
        output::note(format!(
            "Asked the suite {}: {} of {} passed, {:.1} s",
            suite.name,
            outcome.counts.passed,
            words::count(outcome.counts.total, "case", "cases"),
            outcome.seconds
        ));
        let recorded = evidence::record_here(local, Some(&name), &outcome).await?;
        if recorded["candidate"].is_object() {
            judged = recorded["candidate"].clone();
        }
    }
    Ok(judged)
}
