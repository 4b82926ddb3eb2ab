//! Suites that the built-in model answers, asked about a candidate at once: that costs nothing and sends nothing.

use ashlar_contracts::ContractSet;
use ashlar_evals::{
    metric::Judge,
    run::{self, Options, Recording},
    suite::Suite,
};
use ashlar_model::{CandidateId, GateReport, Level};
use ashlar_release::Rejudge;
use jiff::Zoned;
use serde_json::Value;

use super::{evidence, settled::quoted};
use crate::{
    backend::{Local, value},
    commands::site,
    error::CliError,
    output, words,
};

/// Cases that are asked at a time.
const CONCURRENCY: usize = 8;
/// How often a case is asked again.
const RETRIES: u32 = 2;
/// What the gate calls its metric for a suite that was not asked about new content.
const NOT_ASKED: &str = "not_asked.";

/// Findings that an approval removes.
const APPROVALS: [&str; 2] = ["approval-missing", "assisted-approval-missing"];

/// The report of the gate `evals`.
fn report(candidate: &Value) -> &Value {
    let mut gates = candidate["gates"].as_array().into_iter().flatten();
    gates.find(|gate| gate["gate"] == "evals").unwrap_or(&Value::Null)
}

/// Whether something has to change before a candidate can be released: nobody is asked about it then. An approval changes nothing.
fn is_refused_anyway(candidate: &Value) -> bool {
    let blocks = |gate: &GateReport| gate.gate != "evals" && !gate.status.lets_through();
    let gates = output::gates_of(candidate);
    let groups = gates.iter().filter(|gate| blocks(gate)).flat_map(|gate| &gate.groups);
    groups
        .filter(|found| found.level != Level::Warning)
        .any(|found| !APPROVALS.contains(&found.code.as_str()))
}

/// Suites that findings with a code are about.
fn about(report: &Value, code: &str) -> Vec<String> {
    let groups = report["groups"].as_array().into_iter().flatten();
    let of_code = groups.filter(|group| group["code"] == code);
    of_code.filter_map(|group| Some(group["target"].as_str()?.to_owned())).collect()
}

/// Suites that no run of a candidate covers.
fn uncovered(report: &Value) -> Vec<String> {
    let metrics = report["metrics"].as_object().into_iter().flatten();
    let not_asked = metrics.filter_map(|(name, _)| Some(name.strip_prefix(NOT_ASKED)?.to_owned()));
    about(report, "eval-evidence-missing").into_iter().chain(not_asked).collect()
}

/// Asks the suites that no run of a candidate covers, and records their runs; also those of what is served when there is no run to compare
/// with. Suites that need a provider or a judge are left out: they cost money. Returns the candidate as it is judged after that.
///
/// # Errors
/// When a run cannot be recorded.
pub async fn cover(local: &Local, candidate: Value) -> Result<Value, CliError> {
    if is_refused_anyway(&candidate) {
        return Ok(candidate);
    }
    let name = output::text(&candidate, "candidate");
    let mut judged = candidate;
    for suite in uncovered(report(&judged)) {
        if let Some(recorded) = asked(local, &name, &suite).await?
            && recorded["candidate"].is_object()
        {
            judged = recorded["candidate"].clone();
        }
    }
    let Some(base) = judged["base"].as_str().map(str::to_owned) else { return Ok(judged) };
    let mut again = false;
    for suite in about(report(&judged), "eval-baseline-missing") {
        again |= asked(local, &base, &suite).await?.is_some();
    }
    match (again, name.parse::<CandidateId>()) {
        (true, Ok(candidate)) => value(local.run(Rejudge { candidate }).await?),
        _ => Ok(judged),
    }
}

/// Asks a suite of a candidate or release about it. `None` when the built-in model does not answer it.
async fn asked(local: &Local, of: &str, suite: &str) -> Result<Option<Value>, CliError> {
    let view = site::open(local, Some(of)).await?;
    let files = local.engine.files(&local.ctx.tenant, &view.definitions().digest)?;
    let Ok((suite, _)) = Suite::read(&files, suite) else { return Ok(None) };
    if suite.judge.is_some() || suite.cases.iter().any(|case| case.expect.is_only_rubric()) {
        return Ok(None);
    }
    // The finding of the gate says how suites are asked that need a provider.
    let Ok(subject) = quoted(local, Some(of), &suite, None).await else { return Ok(None) };
    let (contracts, _) = ContractSet::load(&files);
    let judge = Judge::new(contracts.into());
    let options = Options {
        concurrency: CONCURRENCY,
        retries: RETRIES,
        caps: suite.caps,
        today: Zoned::now().date(),
        known: Recording::default(),
    };
    let bar = output::progress((suite.cases.len() * suite.samples as usize) as u64, "Asking");
    let outcome = run::run(&suite, &subject, &judge, &options, &mut [], |running| {
        bar.set_position(running.done as u64);
    })
    .await;
    bar.finish_and_clear();
    let outcome = outcome?;
    output::note(format!(
        "Asked the suite {} about {of}: {} of {} passed",
        suite.name,
        outcome.counts.passed,
        words::count(outcome.counts.total, "case", "cases"),
    ));
    Ok(Some(evidence::record_here(local, Some(of), &outcome).await?))
}
