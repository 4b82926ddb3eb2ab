//! Runs of eval suites.

use ashlar_evals::{compare::Comparison, report};
use ashlar_gateway::price::decimal;
use ashlar_isolate::Workers;
use ashlar_model::EvalRunId;
use ashlar_release::{At, CancelEvalRun, Page, ReleaseError};
use ashlar_store::sql::EvalRunRow;
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::state::{Answer, answer};
use crate::{
    access::Caller,
    endpoints::{
        extract::{Body, Path, Query},
        rows,
        signature::Created,
    },
    evals::{Suites, outcome},
    front::ApiError,
};

/// The longest name of what is asked.
const OF_CHARS_MAX: usize = 200;
/// The most cases that failed and are named.
const NAMED_MAX: usize = 100;
/// Reports that are made at a time: the answers of a run are in memory meanwhile.
static REPORTS: Semaphore = Semaphore::const_new(2);
/// What the report may do: it is one file without scripts, and shows what others wrote.
const CSP: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "EvalRunInput")]
pub struct StartBody {
    /// The suite: the name of its files in `evals/`.
    suite: String,
    /// What is asked: a release (`r3`), a candidate (`c4`), or a channel, which is the release that it serves now. The public channel when
    /// absent. The suite is that of the same release or candidate.
    of: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
pub struct RunsQuery {
    /// Only runs of this suite.
    suite: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// The most runs of the page.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
}

/// A run of an eval suite.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EvalRun")]
pub struct Shown {
    /// The run.
    run: EvalRunId,
    /// The suite.
    suite: String,
    /// The release or candidate that is asked.
    of: String,
    /// `asked` or `schedule`.
    reason: String,
    /// `running`, `ended` or `cancelled`.
    state: String,
    /// `pass`, `fail` or `incomplete`; absent before the end.
    #[serde(skip_serializing_if = "String::is_empty")]
    verdict: String,
    /// Why there is no verdict.
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
    /// When it was started, RFC 3339.
    created_at: String,
    /// Who started it.
    created_by: String,
    /// When it ended, RFC 3339; absent before.
    #[serde(skip_serializing_if = "String::is_empty")]
    ended_at: String,
    /// Replies that are wanted: cases times samples.
    replies: u64,
    /// Replies that are there.
    done: u64,
    /// Of these, replies that meet all expectations.
    passed: u64,
    /// Of these, replies that could not be had.
    errors: u64,
    /// What they cost, as a decimal number in the currency of the prices.
    cost: String,
}

impl From<EvalRunRow> for Shown {
    fn from(row: EvalRunRow) -> Self {
        Self {
            run: row.id,
            suite: row.suite,
            of: row.subject,
            reason: row.reason,
            state: row.state,
            verdict: row.verdict,
            why: row.why,
            created_at: row.created_at,
            created_by: row.created_by,
            ended_at: row.ended_at,
            replies: row.replies,
            done: row.done,
            passed: row.passed,
            errors: row.errors,
            cost: decimal(u128::from(row.cost)),
        }
    }
}

/// A run, and what came of it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EvalRunResult")]
pub struct Detailed {
    #[serde(flatten)]
    run: Shown,
    /// `cases`, `metrics` and `thresholds` of metrics.json; absent before the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<Map<String, Value>>,
    /// The first cases that did not pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<String>,
}

pub async fn start(
    State(suites): State<Suites>,
    caller: Caller,
    Body(body): Body<StartBody>,
) -> Result<Created<Shown>, ApiError> {
    let of = body.of.map(|of| of.chars().take(OF_CHARS_MAX).collect::<String>().parse::<At>());
    let of = of.transpose().map_err(|why| {
        ApiError::invalid(why, "name a release (`r3`), a candidate (`c4`) or a channel in `of`")
    })?;
    let run = suites.start((&caller.engine, &caller.ctx), &body.suite, of, String::new()).await?;
    Ok(Created { location: rows::GET_EVAL.at([run.id]).target, value: run.into() })
}

pub async fn list(caller: Caller, Query(q): Query<RunsQuery>) -> Answer<Page<Shown>> {
    let suite = q.suite.unwrap_or_default();
    let page = caller.engine.eval_runs(&caller.ctx, &suite, q.cursor.as_deref(), q.limit).await?;
    let items = page.items.into_iter().map(Shown::from).collect();
    answer(Page { items, next_cursor: page.next_cursor })
}

/// What a summary says beside its cases, and the first of those that did not pass.
fn figures(text: &str) -> Option<(Map<String, Value>, Vec<String>)> {
    let mut all: Map<String, Value> = serde_json::from_str(text).ok()?;
    let results = all.remove("results");
    let each = results.as_ref().and_then(Value::as_array).into_iter().flatten();
    let failed = each.filter(|case| case["status"] == "fail" || case["status"] == "error");
    let failed = failed.filter_map(|case| Some(case["id"].as_str()?.to_owned())).take(NAMED_MAX).collect();
    Some((all, failed))
}

pub async fn show(
    State(workers): State<Workers>,
    caller: Caller,
    Path(run): Path<EvalRunId>,
) -> Answer<Detailed> {
    let row = caller.engine.eval_run(&caller.ctx, run).await?;
    let summary = match row.state.as_str() {
        "ended" => caller.engine.eval_summary(&caller.ctx, run).await?,
        _ => String::new(),
    };
    let read = match summary.is_empty() {
        true => None,
        false => workers.run(&caller.ctx.tenant, move || figures(&summary)).await?,
    };
    let (figures, failed) = read.map_or((None, Vec::new()), |(figures, failed)| (Some(figures), failed));
    answer(Detailed { run: row.into(), figures, failed })
}

pub async fn cancel(caller: Caller, Path(run): Path<EvalRunId>) -> Answer<Shown> {
    answer(caller.engine.run(&caller.ctx, CancelEvalRun { run }).await?.into())
}

pub async fn metrics(caller: Caller, Path(run): Path<EvalRunId>) -> Result<Response, ApiError> {
    let summary = caller.engine.eval_summary(&caller.ctx, run).await?;
    if summary.is_empty() {
        let message = format!("{run} has no figures");
        let help = "wait for its end; a run that was cancelled has none";
        return Err(ReleaseError::refused("no-figures", message, help).into());
    }
    let name = format!("attachment; filename=\"{run}-metrics.json\"");
    let headers =
        [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, summary).into_response())
}

pub async fn report(
    State(suites): State<Suites>,
    State(workers): State<Workers>,
    caller: Caller,
    Path(run): Path<EvalRunId>,
) -> Result<Response, ApiError> {
    let _place = REPORTS.try_acquire().map_err(|_| ReleaseError::Busy)?;
    let (engine, tenant) = (&caller.engine, &caller.ctx.tenant);
    let row = engine.eval_run(&caller.ctx, run).await?;
    if row.done > 0 && engine.eval_outcomes(tenant, run, 0, 1).await?.is_empty() {
        let help = "its figures are still at `metrics.json`";
        return Err(ReleaseError::not_found("report of the run", run, help).into());
    }
    let outcome = outcome((&suites, engine, &workers), tenant, &row).await?;
    let before = match row.slot.is_empty() {
        true => None,
        false => engine.last_scheduled_eval(&caller.ctx, &row.suite, run).await?,
    };
    let before = match before {
        Some(before) => engine.eval_summary(&caller.ctx, before.id).await?,
        None => String::new(),
    };
    let page = workers.run(tenant, move || {
        let earlier = serde_json::from_str::<report::Summary>(&before).ok();
        let comparison = earlier.map(|earlier| Comparison::of(&earlier, &report::Summary::of(&outcome)));
        report::html(&outcome, comparison.as_ref())
    });
    let page = page.await?.map_err(|error| ReleaseError::Task(error.to_string()))?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok((headers, page).into_response())
}
