//! What a node does for runs of suites: it asks cases that it leases, ends runs that are over, and starts those whose time has come.

mod ending;
mod schedule;
mod share;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use ashlar_evals::{Unasked, suite::Case};
use ashlar_isolate::Workers;
use ashlar_model::{EvalRunId, TenantId};
use ashlar_release::Engine;
use ashlar_store::sql::{EvalOutcomeRow, EvalRunRow, LeasedCase};
use tokio::{
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use self::{
    ending::Endings,
    schedule::Schedules,
    share::{Wants, share},
};
use crate::{
    app::{App, metrics::Metrics, takes, tenants::Tenants},
    evals::{Came, Kept, Opened, Parts, ask},
    llm::{Inside, Scenes},
};

/// How often a node looks for work when it has none.
const EVERY: Duration = Duration::from_secs(1);
/// How often leases are renewed.
const RENEW: Duration = Duration::from_secs(5);
/// How often schedules are looked at, and how often old runs are deleted.
const SCHEDULES: Duration = Duration::from_secs(60);
const PRUNE: Duration = Duration::from_secs(3_600);
/// Runs that stay open while they are asked.
const OPEN_MAX: usize = 16;
/// How long a run that could not be opened is left alone.
const CLOSED: Duration = Duration::from_secs(30);
/// How long a run that cannot be opened is tried, before it ends without a verdict.
const UNOPENED_MAX: i64 = 600;

takes! {
    /// What the worker needs of a node.
    Room {
        parts: Parts,
        inside: Inside,
        workers: Workers,
        tenants: Arc<Tenants>,
        metrics: Arc<Metrics>,
    }
}

type Run = (TenantId, EvalRunId);

/// A case that this node asks.
struct Flight {
    run: Run,
    number: u64,
    abort: AbortHandle,
}

/// Works for runs.
pub struct Evals {
    engine: Engine,
    room: Room,
    scenes: Scenes,
    /// Cases that are asked at a time.
    places: usize,
    opened: HashMap<Run, Arc<Opened>>,
    /// Runs that could not be opened, and until when they are left alone.
    closed: HashMap<Run, Instant>,
    asking: JoinSet<Came>,
    flights: HashMap<Id, Flight>,
    /// What came back and is not stored yet.
    came: BTreeMap<TenantId, Vec<EvalOutcomeRow>>,
    endings: Endings,
    schedules: Schedules,
    /// Moves on with each round, so that the same tenant is not always the first.
    round: usize,
}

impl Evals {
    /// What works for runs on a node. `places`: how many cases it asks at a time.
    pub fn new(app: &App, engine: &Engine, places: usize) -> Self {
        let room: Room = axum::extract::FromRef::from_ref(app);
        Self {
            engine: engine.clone(),
            endings: Endings::new(app, engine),
            schedules: Schedules::new(app, engine),
            room,
            scenes: Scenes::default(),
            places,
            opened: HashMap::new(),
            closed: HashMap::new(),
            asking: JoinSet::new(),
            flights: HashMap::new(),
            came: BTreeMap::new(),
            round: 0,
        }
    }

    /// Works until `stop`. Calls under way are dropped then, and their leases are given back when the engine closes.
    pub async fn run(mut self, stop: CancellationToken) {
        let interval = |every: Duration| {
            // Not at once: a node that starts has other things to do.
            let mut turns = tokio::time::interval_at(Instant::now() + every, every);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            turns
        };
        let (mut turns, mut renew) = (interval(EVERY), interval(RENEW));
        let (mut schedules, mut prune) = (interval(SCHEDULES), interval(PRUNE));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(done) = self.asking.join_next_with_id() => self.came(done),
                () = self.endings.next() => {}
                _ = turns.tick() => {}
                _ = renew.tick() => self.renew().await,
                _ = schedules.tick() => self.begin_due().await,
                _ = prune.tick() => self.prune().await,
            }
            self.turn().await;
        }
        self.asking.abort_all();
        while let Some(done) = self.asking.join_next_with_id().await {
            self.came(done);
        }
        self.store().await;
        self.endings.stop().await;
    }

    /// Starts runs whose turn has come.
    pub async fn begin_due(&mut self) {
        self.schedules.turn().await;
    }

    /// One round: stores what came back, ends runs that are over, and asks more cases if it has places.
    pub async fn turn(&mut self) {
        while let Some(done) = self.asking.try_join_next_with_id() {
            self.came(done);
        }
        self.endings.reap();
        self.store().await;
        let running = match self.engine.running_evals().await {
            Ok(running) => running,
            Err(error) => {
                tracing::warn!(%error, "runs of suites cannot be looked at");
                return;
            }
        };
        self.forget(&running);
        let mut open = Vec::new();
        for (tenant, run) in running {
            match self.engine.lease_eval_end(&tenant, &run).await {
                Ok(true) => self.endings.begin(&tenant, run, String::new()),
                Ok(false) => open.push((tenant, run)),
                Err(error) => tracing::warn!(%tenant, run = %run.id, %error, "a run cannot be ended yet"),
            }
        }
        // What cannot be stored must not become more.
        if self.came.is_empty() {
            self.fill(open).await;
        }
    }

    /// Drops calls of runs that have ended, and what is kept of them.
    fn forget(&mut self, running: &[(TenantId, EvalRunRow)]) {
        let on: BTreeSet<Run> = running.iter().map(|(tenant, run)| (tenant.clone(), run.id)).collect();
        self.opened.retain(|run, _| on.contains(run));
        self.closed.retain(|run, until| on.contains(run) && *until > Instant::now());
        for flight in self.flights.values().filter(|flight| !on.contains(&flight.run)) {
            flight.abort.abort();
        }
    }

    /// Takes what came of a case.
    fn came(&mut self, done: Result<(Id, Came), JoinError>) {
        let (id, came) = match done {
            Ok((id, came)) => (id, Some(came)),
            Err(error) => {
                let panicked = error.is_panic().then(|| {
                    Came::unasked(Unasked {
                        code: "internal".to_owned(),
                        message: "Asking this case failed; the server's log says more.".to_owned(),
                        again: false,
                    })
                });
                (error.id(), panicked)
            }
        };
        let (Some(flight), Some(came)) = (self.flights.remove(&id), came) else { return };
        self.room.metrics.evals.case(came.passed, came.error);
        let (tenant, run) = flight.run;
        self.came.entry(tenant).or_default().push(EvalOutcomeRow {
            run,
            number: flight.number,
            outcome: came.text,
            passed: came.passed,
            error: came.error,
            cost: came.cost,
        });
    }

    /// Stores what came back. What cannot be stored waits on, under its lease.
    async fn store(&mut self) {
        for (tenant, mut outcomes) in std::mem::take(&mut self.came) {
            if let Err(error) = self.engine.put_eval_outcomes(&tenant, &mut outcomes).await {
                tracing::warn!(%tenant, count = outcomes.len(), %error, "answers of a run wait: they cannot be stored yet");
                self.came.insert(tenant, outcomes);
            }
        }
    }

    /// Keeps what is asked.
    async fn renew(&mut self) {
        let mut tenants: BTreeSet<TenantId> =
            self.flights.values().map(|flight| flight.run.0.clone()).collect();
        tenants.extend(self.came.keys().cloned());
        for tenant in tenants {
            if let Err(error) = self.engine.renew_eval_cases(&tenant).await {
                tracing::warn!(%tenant, %error, "leases on cases cannot be renewed");
            }
        }
    }

    /// Asks cases where there is room: tenants share the places of this node, and runs share those of their tenant.
    async fn fill(&mut self, open: Vec<(TenantId, EvalRunRow)>) {
        self.round = self.round.wrapping_add(1);
        let mut of_tenants: BTreeMap<TenantId, Vec<EvalRunRow>> = BTreeMap::new();
        for (tenant, run) in open {
            if !self.closed.contains_key(&(tenant.clone(), run.id)) {
                of_tenants.entry(tenant).or_default().push(run);
            }
        }
        let mut tenants: Vec<(TenantId, Vec<EvalRunRow>)> = of_tenants.into_iter().collect();
        turned(&mut tenants, self.round);
        let in_flight =
            |of: &dyn Fn(&Flight) -> bool| self.flights.values().filter(|flight| of(flight)).count();
        let of_run = |tenant: &TenantId, run: &EvalRunRow| {
            in_flight(&|flight| flight.run.0 == *tenant && flight.run.1 == run.id)
        };
        let more = |tenant: &TenantId, run: &EvalRunRow| left(run).saturating_sub(of_run(tenant, run));
        // No tenant gets all places: one with slow answers would keep out the others.
        let most = (self.places - self.places / 4).max(1);
        let wants: Vec<Wants> = tenants
            .iter()
            .map(|(tenant, runs)| Wants {
                has: in_flight(&|flight| flight.run.0 == *tenant),
                more: runs.iter().map(|run| more(tenant, run)).sum(),
            })
            .collect();
        let shares = share(self.places.saturating_sub(self.flights.len()), most, &wants);
        let mut plan: Vec<(TenantId, EvalRunRow, usize)> = Vec::new();
        for ((tenant, mut runs), share_of) in tenants.into_iter().zip(shares) {
            turned(&mut runs, self.round);
            let wants: Vec<Wants> = runs
                .iter()
                .map(|run| Wants { has: of_run(&tenant, run), more: more(&tenant, run) })
                .collect();
            let shares = share(share_of, self.places, &wants);
            plan.extend(runs.into_iter().zip(shares).map(|(run, share)| (tenant.clone(), run, share)));
        }
        for (tenant, run, count) in plan.into_iter().filter(|(_, _, count)| *count > 0) {
            self.begin(&tenant, &run, count).await;
        }
    }

    /// Leases cases of a run and asks them.
    async fn begin(&mut self, tenant: &TenantId, run: &EvalRunRow, count: usize) {
        let Some(opened) = self.open(tenant, run).await else { return };
        let limit = u32::try_from(count).unwrap_or(u32::MAX);
        let leased = match self.engine.lease_eval_cases(tenant, run.id, limit, &Kept::given_up()).await {
            Ok(leased) => leased,
            Err(error) => {
                tracing::warn!(%tenant, run = %run.id, %error, "cases of a run cannot be leased");
                return;
            }
        };
        for LeasedCase { number, case, .. } in leased {
            let (inside, workers) = (self.room.inside.clone(), self.room.workers.clone());
            let (opened, case) = (opened.clone(), opened.case(number, &case).cloned().map(Arc::new));
            let abort = self.asking.spawn(async move { asked((&inside, &workers), &opened, case).await });
            let flight = Flight { run: (tenant.clone(), run.id), number, abort: abort.clone() };
            self.flights.insert(abort.id(), flight);
        }
    }

    /// A run that can be asked. One that cannot be opened for a while ends without a verdict.
    async fn open(&mut self, tenant: &TenantId, run: &EvalRunRow) -> Option<Arc<Opened>> {
        let key = (tenant.clone(), run.id);
        if let Some(opened) = self.opened.get(&key) {
            return Some(opened.clone());
        }
        match Opened::open(&self.room.parts, &self.scenes, &self.engine, (tenant, run)).await {
            Ok(opened) => {
                if self.opened.len() >= OPEN_MAX {
                    self.opened.clear();
                }
                let opened = Arc::new(opened);
                self.opened.insert(key, opened.clone());
                Some(opened)
            }
            Err(error) => {
                tracing::warn!(%tenant, run = %run.id, %error, "a run cannot be opened");
                let began = run.created_at.parse::<jiff::Timestamp>();
                let age = began.map_or(i64::MAX, |began| self.engine.now().as_second() - began.as_second());
                if age > UNOPENED_MAX {
                    self.endings.begin(tenant, run.clone(), error.public());
                }
                self.closed.insert(key, Instant::now() + CLOSED);
                None
            }
        }
    }

    /// Deletes what was kept long enough.
    async fn prune(&self) {
        for tenant in self.room.tenants.names() {
            if let Err(error) = self.engine.prune_evals(&tenant).await {
                tracing::warn!(%tenant, %error, "old runs cannot be deleted yet");
            }
        }
    }
}

/// Replies of a run that are not there yet.
fn left(run: &EvalRunRow) -> usize {
    usize::try_from(run.replies.saturating_sub(run.done)).unwrap_or(usize::MAX)
}

/// Moves the first items to the end.
fn turned<T>(items: &mut [T], by: usize) {
    if let Some(by) = by.checked_rem(items.len()) {
        items.rotate_left(by);
    }
}

/// Asks a case. One that the suite does not have cannot be asked.
async fn asked(room: (&Inside, &Workers), opened: &Arc<Opened>, case: Option<Arc<Case>>) -> Came {
    match case {
        Some(case) => ask(room, opened, &case).await,
        None => Came::unasked(Unasked {
            code: "no_case".to_owned(),
            message: "The suite does not have this case.".to_owned(),
            again: false,
        }),
    }
}
