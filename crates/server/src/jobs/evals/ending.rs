//! Ending runs: their replies are judged together, and what came of a scheduled run is compared with the one before.

use std::{collections::HashMap, sync::Arc};

use ashlar_evals::{
    compare::Comparison,
    evidence::Submission,
    report::Summary,
    run::{Outcome, RunStatus},
};
use ashlar_isolate::Workers;
use ashlar_model::{Actor, EvalRunId, TenantId};
use ashlar_release::{Ctx, EndEvalRun, Engine, RecordEvidence, ReleaseError};
use ashlar_store::sql::EvalRunRow;
use axum::extract::FromRef;
use serde_json::{Value, json};
use tokio::task::{Id, JoinError, JoinSet};

use crate::{
    app::{App, metrics::Metrics},
    evals::{KEY, Suites, outcome},
};

/// Runs that a node ends at a time: their replies are in memory.
const ENDING_MAX: usize = 2;
/// The most cases that an event names.
const NAMED_MAX: usize = 100;
/// What evidence says made these runs.
const PRODUCER: &str = "ashlar eval start";
/// How long judging is tried before a run ends without a verdict, in seconds.
const TRIED_MAX: i64 = 600;

/// Ends runs.
#[derive(Clone)]
struct Ender {
    engine: Engine,
    suites: Suites,
    workers: Workers,
    metrics: Arc<Metrics>,
}

/// The runs that a node is ending.
pub struct Endings {
    ender: Ender,
    tasks: JoinSet<()>,
    runs: HashMap<Id, (TenantId, EvalRunId)>,
}

/// What came of a run.
struct Ended {
    verdict: RunStatus,
    why: String,
    summary: String,
    drift: bool,
    data: Value,
    /// The run as evidence; empty without replies.
    sent: Vec<u8>,
}

impl Endings {
    pub fn new(app: &App, engine: &Engine) -> Self {
        let ender = Ender {
            engine: engine.clone(),
            suites: Suites::from_ref(app),
            workers: app.workers.clone(),
            metrics: app.metrics.clone(),
        };
        Self { ender, tasks: JoinSet::new(), runs: HashMap::new() }
    }

    /// Begins to end a run, unless that has begun or enough others are being ended: the next round asks again. `why`: it ends without a
    /// verdict, because of this.
    pub fn begin(&mut self, tenant: &TenantId, run: EvalRunRow, why: String) {
        let key = (tenant.clone(), run.id);
        if self.runs.len() >= ENDING_MAX || self.runs.values().any(|known| *known == key) {
            return;
        }
        let (ender, tenant) = (self.ender.clone(), tenant.clone());
        let task = self.tasks.spawn(async move { ender.end(&tenant, &run, why).await });
        self.runs.insert(task.id(), key);
    }

    /// Waits until a run has been ended. Without one, it waits for ever.
    pub async fn next(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(done) => self.done(done),
            None => std::future::pending().await,
        }
    }

    /// Takes runs that have been ended meanwhile.
    pub fn reap(&mut self) {
        while let Some(done) = self.tasks.try_join_next_with_id() {
            self.done(done);
        }
    }

    fn done(&mut self, done: Result<(Id, ()), JoinError>) {
        let id = match done {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!(%error, "ending a run failed");
                error.id()
            }
        };
        self.runs.remove(&id);
    }

    /// Lets go of the rest: another node ends it.
    pub async fn stop(&mut self) {
        self.tasks.shutdown().await;
        self.runs.clear();
    }
}

/// Names, not too many.
fn named(names: &[String]) -> &[String] {
    names.get(..NAMED_MAX).unwrap_or(names)
}

/// What an event says of a run that has a summary, and whether the run drifted.
fn told(outcome: &Outcome, scheduled: bool, compared: Option<(&EvalRunRow, &Comparison)>) -> (Value, bool) {
    let broken: Vec<&str> = outcome
        .thresholds
        .iter()
        .filter(|threshold| !threshold.pass)
        .map(|threshold| threshold.threshold.metric.name())
        .collect();
    let mut data = json!({"cases": outcome.counts, "broken": broken});
    let mut worse = false;
    if let Some((before, comparison)) = compared {
        worse = comparison.is_regression();
        data["baseline"] = json!({
            "run": before.id.to_string(), "of": before.subject,
            "regressed": comparison.regressed().collect::<Vec<_>>(),
            "regressions": named(&comparison.regressions),
            "critical_regressions": named(&comparison.critical_regressions),
        });
    }
    let drift = scheduled && (outcome.status == RunStatus::Fail || worse);
    (data, drift)
}

impl Ender {
    async fn end(&self, tenant: &TenantId, run: &EvalRunRow, why: String) {
        let done = self.ended(tenant, run, why).await;
        if let Err(error) = done {
            tracing::warn!(%tenant, run = %run.id, %error, "a run cannot be ended yet");
        }
    }

    async fn ended(&self, tenant: &TenantId, run: &EvalRunRow, why: String) -> Result<(), ReleaseError> {
        let ctx = Ctx::new(tenant.clone(), Actor::local(KEY))?;
        let without = |why: String| Ended {
            verdict: RunStatus::Incomplete,
            why,
            summary: String::new(),
            drift: false,
            data: json!({}),
            sent: Vec::new(),
        };
        let ended = match why.is_empty() {
            false => without(why),
            true => match self.judged(&ctx, run).await {
                Ok(ended) => ended,
                Err(error) if self.is_old(run) => without(error.public()),
                Err(error) => return Err(error),
            },
        };
        let Ended { verdict, why, summary, drift, data, sent } = ended;
        self.record(&ctx, run, sent).await;
        if drift {
            tracing::warn!(%tenant, run = %run.id, suite = run.suite, "a suite got worse since its last scheduled run");
        }
        let end = EndEvalRun { run: run.id, verdict: verdict.name().to_owned(), why, summary, drift, data };
        if self.engine.run(&ctx, end).await? {
            self.metrics.evals.ended(tenant, verdict.name(), &run.reason, drift);
        }
        Ok(())
    }

    /// Records a run as evidence of the gate `evals`, before it ends: whoever waits for the end finds the candidate judged. Recording twice
    /// changes nothing. A candidate that was closed meanwhile needs no evidence.
    async fn record(&self, ctx: &Ctx, run: &EvalRunRow, sent: Vec<u8>) {
        let Some(of) = run.subject.parse().ok().filter(|_| !sent.is_empty()) else { return };
        let record = RecordEvidence { of, suite: run.suite.clone(), run: sent };
        if let Err(error) = self.engine.run(ctx, record).await {
            tracing::warn!(tenant = %ctx.tenant, run = %run.id, %error, "a run is not recorded as evidence");
        }
    }

    fn is_old(&self, run: &EvalRunRow) -> bool {
        let began = run.created_at.parse::<jiff::Timestamp>();
        began.is_ok_and(|began| self.engine.now().as_second() - began.as_second() > TRIED_MAX)
    }

    async fn judged(&self, ctx: &Ctx, run: &EvalRunRow) -> Result<Ended, ReleaseError> {
        let tenant = &ctx.tenant;
        let outcome = outcome((&self.suites, &self.engine, &self.workers), tenant, run).await?;
        let scheduled = !run.slot.is_empty();
        let complete = outcome.status != RunStatus::Incomplete;
        let before = match scheduled && complete {
            true => self.engine.last_scheduled_eval(ctx, &run.suite, run.id).await?,
            false => None,
        };
        let text = match &before {
            Some(before) => self.engine.eval_summary(ctx, before.id).await?,
            None => String::new(),
        };
        let work = move || {
            let summary = Summary::of(&outcome);
            // A summary of another version has nothing to compare with.
            let earlier = serde_json::from_str::<Summary>(&text).ok();
            let comparison = earlier.map(|earlier| Comparison::of(&earlier, &summary));
            let (data, drift) = told(&outcome, scheduled, before.as_ref().zip(comparison.as_ref()));
            let why = match (outcome.status, outcome.stopped) {
                (RunStatus::Incomplete, Some(stopped)) => stopped.about().to_owned(),
                (RunStatus::Incomplete, None) => "Some cases could not be asked.".to_owned(),
                _ => String::new(),
            };
            let summary = serde_json::to_string(&summary).map_err(|e| ReleaseError::Task(e.to_string()))?;
            let sent = serde_json::to_vec(&Submission::of(&outcome, PRODUCER));
            let sent = sent.map_err(|e| ReleaseError::Task(e.to_string()))?;
            Ok(Ended { verdict: outcome.status, why, summary, drift, data, sent })
        };
        self.workers.run(tenant, work).await?
    }
}
