//! What model calls leave behind: records are stored, budgets are taken and given back, and soft limits are reported.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ashlar_gateway::{
    budget::Soft,
    config::{Gateway, RECORD_DAYS},
    record::{OK, Record, Records, Waiting},
    review::{Reason, point},
};
use ashlar_model::{Actor, TenantId};
use ashlar_release::{Ctx, Engine, ReleaseError, WarnBudget, call_id};
use ashlar_store::sql::{BudgetKey, CallRow, ReviewRow, UsageRow, stamp};
use jiff::{SignedDuration, Timestamp};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::spans::Spans;
use crate::{
    app::{App, metrics::Metrics, policies::Policies, tenants::Tenants},
    reviews::{self, Terms},
};

/// How often budgets are looked at.
const EVERY: Duration = Duration::from_millis(250);
/// Every how many times records are stored.
const STORE_TURNS: u64 = 2;
/// Every how many times old records are deleted.
const PRUNE_TURNS: u64 = 2_400;
/// The most records that are stored in one transaction.
const BATCH_MAX: usize = 5_000;
/// How often the database may refuse at an orderly stop, before what waits is lost.
const LAST_TRIES: u32 = 5;

/// Takes the records of this process and stores them.
pub struct Calls {
    engine: Engine,
    tenants: Arc<Tenants>,
    policies: Arc<Policies>,
    records: Arc<Records>,
    metrics: Arc<Metrics>,
    spans: Option<Spans>,
}

/// A record as it is stored. It gets its id once, so that it is counted once however often it is stored.
fn row(waiting: &mut Waiting) -> Result<CallRow, ReleaseError> {
    let record = &mut waiting.record;
    if record.id.is_empty() {
        record.id = call_id(record.began())?;
    }
    let json = |e: serde_json::Error| ReleaseError::Task(e.to_string());
    let (mut body, mut body_until) = (String::new(), String::new());
    if let Some((text, days)) = &waiting.text {
        let until = SignedDuration::from_hours(i64::from(*days) * 24);
        body = serde_json::to_string(text).map_err(json)?;
        body_until = stamp(record.began().checked_add(until).unwrap_or(Timestamp::MAX));
    }
    Ok(CallRow {
        id: record.id.clone(),
        feature: record.feature.clone(),
        key: record.key.clone(),
        user: record.user.clone(),
        outcome: record.outcome.clone(),
        data: serde_json::to_string(record).map_err(json)?,
        body,
        body_until,
    })
}

fn usage(record: &Record) -> UsageRow {
    let model = match record.provider.is_empty() {
        true => String::new(),
        false => format!("{}/{}", record.provider, record.model),
    };
    UsageRow {
        day: record.at.get(..10).unwrap_or_default().to_owned(),
        feature: record.feature.clone(),
        key: record.key.clone(),
        model,
        currency: record.currency.clone(),
        calls: 1,
        failed: u64::from(record.outcome != OK),
        input_tokens: record.input_tokens,
        cached_tokens: record.cached_input_tokens,
        output_tokens: record.output_tokens,
        pico: u128::from(record.cost.pico()),
    }
}

/// What is stored of some calls.
struct Rows {
    calls: Vec<CallRow>,
    /// What each of them used.
    usage: Vec<UsageRow>,
    /// Those that people look at.
    reviews: Vec<ReviewRow>,
}

/// The review of a call; `None` when nobody looks at it. It has its id.
fn review(waiting: &Waiting, secret: Option<&[u8; 32]>) -> Option<Result<ReviewRow, ReleaseError>> {
    let (sampling, (text, _)) = (waiting.review.as_ref()?, waiting.text.as_ref()?);
    let record = &waiting.record;
    let reasons = sampling.reasons(record, point(secret?, &record.id));
    let terms = Terms::from(sampling.rules.as_ref());
    (!reasons.is_empty()).then(|| reviews::row(record, text, &reasons, terms, record.began()))
}

fn rows(waiting: &mut [Waiting], secret: Option<&[u8; 32]>) -> Result<Rows, ReleaseError> {
    // A record has its id from here on, and what is chosen follows from it.
    let calls = waiting.iter_mut().map(row).collect::<Result<Vec<_>, _>>()?;
    let usage = waiting.iter().map(|waiting| usage(&waiting.record)).collect();
    let reviews = waiting.iter().filter_map(|waiting| review(waiting, secret));
    Ok(Rows { calls, usage, reviews: reviews.collect::<Result<Vec<_>, _>>()? })
}

/// Records as they are stored, with the records themselves, which wait on when that fails.
fn made(mut waiting: Vec<Waiting>, secret: Option<[u8; 32]>) -> (Vec<Waiting>, Result<Rows, ReleaseError>) {
    let rows = rows(&mut waiting, secret.as_ref());
    (waiting, rows)
}

impl Calls {
    /// What works for the calls of a node. `spans`: where their spans go.
    pub fn new(app: &App, engine: &Engine, spans: Option<Spans>) -> Self {
        Self {
            engine: engine.clone(),
            tenants: app.tenants.clone(),
            policies: app.policies.clone(),
            records: app.records.clone(),
            metrics: app.metrics.clone(),
            spans,
        }
    }

    /// Works until `stop`. Then it stores what waits, and gives back what budgets have left.
    pub async fn run(self, stop: CancellationToken) {
        self.records.follow();
        let mut turns = tokio::time::interval(EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0_u64;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.records.pressed() => {
                    self.store().await;
                    continue;
                }
                _ = turns.tick() => {}
            }
            for (tenant, of) in self.policies.all() {
                of.policy.turn().await;
                self.warn(&tenant, of.policy.crossed()).await;
            }
            if number.is_multiple_of(STORE_TURNS) {
                self.store().await;
            }
            if number.is_multiple_of(PRUNE_TURNS) {
                self.prune().await;
            }
            number += 1;
        }
        let mut failures = 0;
        while self.records.waiting() > 0 && failures < LAST_TRIES {
            if !self.store().await {
                failures += 1;
                tokio::time::sleep(EVERY).await;
            }
        }
        for (_, of) in self.policies.all() {
            of.policy.close().await;
        }
    }

    /// Stores what is waiting. What could not be stored waits on. Says whether everything was.
    async fn store(&self) -> bool {
        let mut of_tenants: BTreeMap<TenantId, Vec<Waiting>> = BTreeMap::new();
        for waiting in self.records.take(BATCH_MAX) {
            of_tenants.entry(waiting.tenant.clone()).or_default().push(waiting);
        }
        let mut stored = true;
        for (tenant, waiting) in of_tenants {
            let count = waiting.len();
            // What has an id was counted before.
            for waiting in waiting.iter().filter(|waiting| waiting.record.id.is_empty()) {
                self.metrics.llm.called(&tenant, &waiting.record);
            }
            // Writing thousands of records as JSON would hold up calls.
            let secret = self.secret(&tenant, &waiting).await;
            let made = tokio::task::spawn_blocking(move || made(waiting, secret)).await;
            let (waiting, rows) = match made {
                Ok(made) => made,
                Err(error) => {
                    tracing::error!(%tenant, count, %error, "records of model calls are lost");
                    continue;
                }
            };
            let done = match rows {
                Ok(rows) => self.log(&tenant, &rows).await,
                Err(error) => Err(error),
            };
            match (done, &self.spans) {
                (Err(error), _) => {
                    stored = false;
                    tracing::warn!(%tenant, count, %error, "records of model calls wait: they cannot be stored yet");
                    self.records.put_back(waiting);
                }
                (Ok(()), Some(spans)) => spans.add(waiting),
                (Ok(()), None) => {}
            }
        }
        stored
    }

    /// What the choice of calls for review depends on; `None` when no call can be chosen.
    async fn secret(&self, tenant: &TenantId, waiting: &[Waiting]) -> Option<[u8; 32]> {
        waiting.iter().find(|waiting| waiting.review.is_some())?;
        match self.policies.of(tenant).await {
            Ok(of) => Some(of.secret),
            Err(error) => {
                tracing::warn!(%tenant, %error, "no model calls are chosen for review: the tenant's secret cannot be read");
                None
            }
        }
    }

    async fn log(&self, tenant: &TenantId, rows: &Rows) -> Result<(), ReleaseError> {
        let left_out = self.engine.log_calls(tenant, &rows.calls, &rows.usage, &rows.reviews).await?;
        let added = rows.reviews.len().saturating_sub(left_out);
        for review in &rows.reviews[..added] {
            self.metrics.llm.chosen(tenant, &review.feature, &Reason::split(&review.reasons));
        }
        self.metrics.llm.not_chosen(left_out as u64);
        Ok(())
    }

    /// Deletes what was kept long enough.
    async fn prune(&self) {
        for (tenant, of) in self.tenants.all() {
            let Some(public) = of.public.load_full() else { continue };
            let gateway = Gateway::parse(&public.definitions().gateway);
            let days = gateway.map_or(RECORD_DAYS, |gateway| gateway.record_days);
            if let Err(error) = self.engine.prune_reviews(&tenant).await {
                tracing::warn!(%tenant, %error, "old reviews of model calls cannot be deleted yet");
            }
            if let Err(error) = self.engine.prune_calls(&tenant, days).await {
                tracing::warn!(%tenant, %error, "old records of model calls cannot be deleted yet");
            }
        }
    }

    async fn warn(&self, tenant: &TenantId, crossed: Vec<Soft>) {
        for soft in crossed {
            let row = soft.row;
            tracing::warn!(%tenant, scope = row.scope, period = row.period, unit = row.unit, soft.used, soft.limit,
                "a budget of model calls is nearly used");
            let budget = BudgetKey { scope: row.scope, period: row.period, unit: row.unit };
            let reported = async {
                let ctx = Ctx::new(tenant.clone(), Actor::local("gateway"))?;
                self.engine.run(&ctx, WarnBudget { budget, used: soft.used, limit: soft.limit }).await
            };
            if let Err(error) = reported.await {
                tracing::warn!(%tenant, %error, "a budget is nearly used, and that could not be reported");
            }
        }
    }
}
