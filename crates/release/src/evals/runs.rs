//! Starting runs, cancelling them, and what they came to.

use ashlar_model::{Digest, EvalRunId, Right};
use ashlar_store::sql::{EvalRunRow, NewEvalCase, stamp};
use async_trait::async_trait;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    At, Ctx, Engine, Page, ReleaseError,
    engine::action::{Action, Record, Scope},
    page::{cursor_number, page_size, paged},
};

/// The most runs of a tenant that go on at a time.
pub const EVAL_RUNS_MAX: u64 = 20;
/// The most replies that one run may want.
pub const EVAL_REPLIES_MAX: usize = 20_000;
/// The state of a run that goes on.
const RUNNING: &str = "running";
/// The state of a run that somebody stopped.
const CANCELLED: &str = "cancelled";
/// The reason of a run that somebody asked for, and of one whose time came.
const ASKED: &str = "asked";
const SCHEDULED: &str = "schedule";

/// Starts a run of a suite.
#[derive(Debug, Clone)]
pub struct StartEvalRun {
    /// The suite.
    pub suite: String,
    /// The release or candidate that is asked.
    pub subject: At,
    /// The root of its definitions.
    pub definitions: Digest,
    /// The turn of a schedule; empty when somebody asks for the run.
    pub slot: String,
    /// What the room that judges keeps of the run.
    pub settings: Value,
    /// The replies that are wanted, in order.
    pub cases: Vec<NewEvalCase>,
    /// What it may cost, in picounits; 0 when nothing says.
    pub cost_max: u64,
    /// How long it may take, in seconds.
    pub seconds_max: Option<u64>,
}

/// Stops a run. Calls under way are dropped; what came back stays.
#[derive(Debug, Clone)]
pub struct CancelEvalRun {
    /// The run.
    pub run: EvalRunId,
}

/// Ends a run with what came of it.
#[derive(Debug, Clone)]
pub struct EndEvalRun {
    /// The run.
    pub run: EvalRunId,
    /// `pass`, `fail` or `incomplete`.
    pub verdict: String,
    /// Why there is no verdict; empty otherwise.
    pub why: String,
    /// The figures, as JSON.
    pub summary: String,
    /// Whether the run is worse than the one before on the same schedule.
    pub drift: bool,
    /// What the event says beside the run.
    pub data: Value,
}

fn not_found(run: EvalRunId) -> ReleaseError {
    ReleaseError::not_found("run", run, "`ashlar eval runs` shows all runs")
}

/// What events say of a run.
fn about(row: &EvalRunRow) -> Value {
    json!({
        "run": row.id.to_string(), "suite": row.suite, "of": row.subject, "reason": row.reason, "replies": row.replies,
    })
}

#[async_trait]
impl Action for StartEvalRun {
    type Output = EvalRunRow;
    const NAME: &'static str = "eval.start";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<EvalRunRow, ReleaseError> {
        if self.cases.is_empty() || self.cases.len() > EVAL_REPLIES_MAX {
            let message = format!(
                "the run wants {} replies; a run of servers has 1 to {EVAL_REPLIES_MAX}",
                self.cases.len()
            );
            return Err(ReleaseError::invalid(message, "split the suite, or lower `samples`"));
        }
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        if rows.running_evals("").await? >= EVAL_RUNS_MAX {
            let message = format!("{EVAL_RUNS_MAX} runs are going on");
            return Err(ReleaseError::refused(
                "too-many-runs",
                message,
                "wait for one, or cancel one: `ashlar eval cancel`",
            ));
        }
        if !self.slot.is_empty() && rows.running_evals(&self.suite).await? > 0 {
            let message = format!("a run of `{}` is going on", self.suite);
            return Err(ReleaseError::refused("suite-running", message, "the schedule starts it afterwards"));
        }
        let id = u32::try_from(rows.next("eval_runs").await?)
            .map_err(|_| ReleaseError::Task("there are too many runs".to_owned()))?;
        let ends = self.seconds_max.and_then(|seconds| {
            scope.now.checked_add(SignedDuration::from_secs(i64::try_from(seconds).ok()?)).ok()
        });
        let row = EvalRunRow {
            id: EvalRunId(id),
            suite: self.suite,
            subject: self.subject.to_string(),
            definitions: self.definitions,
            reason: if self.slot.is_empty() { ASKED } else { SCHEDULED }.to_owned(),
            slot: self.slot,
            settings: self.settings.to_string(),
            state: RUNNING.to_owned(),
            verdict: String::new(),
            why: String::new(),
            created_at: scope.at.clone(),
            created_by: scope.actor().to_owned(),
            ended_at: String::new(),
            replies: self.cases.len() as u64,
            done: 0,
            passed: 0,
            errors: 0,
            cost: 0,
            cost_max: self.cost_max,
            ends_by: ends.map(stamp).unwrap_or_default(),
        };
        if !rows.insert_eval_run(&row).await? {
            let message = format!("the turn {} of `{}` has a run", row.slot, row.suite);
            return Err(ReleaseError::refused("turn-taken", message, "another server has started it"));
        }
        rows.insert_eval_cases(row.id, &self.cases).await?;
        scope.commit(tx, Record::one("eval.started", row.id.to_string(), about(&row))).await?;
        Ok(row)
    }
}

#[async_trait]
impl Action for CancelEvalRun {
    type Output = EvalRunRow;
    const NAME: &'static str = "eval.cancel";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<EvalRunRow, ReleaseError> {
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let row = rows.eval_run(self.run).await?.ok_or_else(|| not_found(self.run))?;
        let why = format!("cancelled by {}", scope.actor());
        if !rows.end_eval_run(self.run, (CANCELLED, "incomplete", &why), (&scope.at, "")).await? {
            let message = format!("{} has ended already", self.run);
            return Err(ReleaseError::refused(
                "run-ended",
                message,
                "`ashlar eval runs` shows what came of it",
            ));
        }
        let row = EvalRunRow {
            state: CANCELLED.to_owned(),
            verdict: "incomplete".to_owned(),
            why,
            ended_at: scope.at.clone(),
            ..row
        };
        scope.commit(tx, Record::one("eval.cancelled", row.id.to_string(), about(&row))).await?;
        Ok(row)
    }
}

#[async_trait]
impl Action for EndEvalRun {
    type Output = bool;
    const NAME: &'static str = "eval.end";

    fn right(&self) -> Right {
        Right::Admin
    }

    async fn act(self, scope: &Scope<'_>) -> Result<bool, ReleaseError> {
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let row = rows.eval_run(self.run).await?.ok_or_else(|| not_found(self.run))?;
        // The first one to end it has ended it.
        if !rows
            .end_eval_run(self.run, ("ended", &self.verdict, &self.why), (&scope.at, &self.summary))
            .await?
        {
            return Ok(false);
        }
        let mut data = about(&row);
        if let (Some(data), Value::Object(more)) = (data.as_object_mut(), self.data) {
            data.insert("verdict".to_owned(), self.verdict.into());
            data.extend(more);
        }
        let kind = if self.drift { "eval.drift" } else { "eval.finished" };
        scope.commit(tx, Record::one(kind, row.id.to_string(), data)).await?;
        Ok(true)
    }
}

/// A release or candidate as a run names it: what it is by now.
fn subject(at: At) -> Result<At, ReleaseError> {
    match at {
        At::Release(_) | At::Candidate(_) => Ok(at),
        _ => {
            let message = format!("a run cannot ask `{at}`, which changes");
            Err(ReleaseError::invalid(message, "name a release (`r3`), a candidate (`c4`) or a channel"))
        }
    }
}

impl Engine {
    /// What a run asks when it is to ask `at`, or what the public channel serves when `at` is absent, with the root of its definitions. A
    /// channel becomes the release that it serves now.
    ///
    /// # Errors
    /// When there is no such release or candidate, the caller may not see it, or it changes, as drafts do.
    pub async fn eval_subject(&self, ctx: &Ctx, at: Option<At>) -> Result<(At, Digest), ReleaseError> {
        let at = match at {
            Some(At::Channel(name)) => {
                let channels = self.channels(ctx).await?;
                let serves = channels.iter().find(|channel| channel.channel == name);
                let none = || {
                    ReleaseError::not_found(
                        "release",
                        format!("of the channel `{name}`"),
                        "promote a candidate first",
                    )
                };
                At::Release(serves.ok_or_else(none)?.release)
            }
            Some(at) => subject(at)?,
            None => {
                self.permit(ctx, Right::Preview)?;
                At::Release(self.served_definitions(ctx, "ashlar.toml").await?.0)
            }
        };
        let roots = match &at {
            At::Candidate(id) => self.candidate_roots(ctx, *id).await?,
            At::Release(id) => self.release_roots(ctx, *id).await?,
            At::Draft | At::Channel(_) | At::Changeset(_) => {
                return Err(ReleaseError::Task(format!("{at} is no subject")));
            }
        };
        Ok((at, roots.definitions))
    }

    /// Runs, newest first; `suite` empty for all.
    ///
    /// # Errors
    /// When they cannot be read, or the caller may not see drafts.
    pub async fn eval_runs(
        &self,
        ctx: &Ctx,
        suite: &str,
        cursor: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Page<EvalRunRow>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let below = cursor_number(cursor)?;
        let limit = page_size(limit);
        let mut conn = self.db().read(&ctx.tenant).await?;
        let rows = conn.rows().eval_runs(suite, below, limit + 1).await?;
        Ok(paged(rows, limit, |row| row.id.0.to_string()))
    }

    /// A run.
    ///
    /// # Errors
    /// When there is no such run, it cannot be read, or the caller may not see drafts.
    pub async fn eval_run(&self, ctx: &Ctx, run: EvalRunId) -> Result<EvalRunRow, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        conn.rows().eval_run(run).await?.ok_or_else(|| not_found(run))
    }

    /// The figures of a run, as JSON; empty before its end, and for a run that was cancelled.
    ///
    /// # Errors
    /// When there is no such run, it cannot be read, or the caller may not see drafts.
    pub async fn eval_summary(&self, ctx: &Ctx, run: EvalRunId) -> Result<String, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        conn.rows().eval_summary(run).await?.ok_or_else(|| not_found(run))
    }

    /// The newest complete run of a suite's schedule before a run.
    ///
    /// # Errors
    /// When it cannot be read, or the caller may not see drafts.
    pub async fn last_scheduled_eval(
        &self,
        ctx: &Ctx,
        suite: &str,
        before: EvalRunId,
    ) -> Result<Option<EvalRunRow>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        Ok(conn.rows().last_scheduled_eval(suite, before).await?)
    }

    /// Whether a turn of a schedule has a run.
    ///
    /// # Errors
    /// When it cannot be read, or the caller may not see drafts.
    pub async fn has_eval_slot(&self, ctx: &Ctx, suite: &str, slot: &str) -> Result<bool, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        Ok(conn.rows().has_eval_slot(suite, slot).await?)
    }
}
