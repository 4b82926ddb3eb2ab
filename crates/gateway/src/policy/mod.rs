//! What a call may use: routes, prompts and tools of its feature, requests and tokens per minute, and budgets.
//!
//! [`Policy::admit`] decides in memory. Only when this node has nothing left of a budget does a call wait for the row that nodes share.

mod permit;
mod refusal;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ashlar_model::did_you_mean;
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

pub use self::{
    permit::{AttemptId, Permit, Settled},
    refusal::{Code, Refusal},
};
use crate::{
    budget::{Held, Ledger, NotReserved, Reservation, Shared, Soft},
    config::{BUILT_IN, Feature, Gateway, Limits},
    limits::{Buckets, Take, key},
    price::{Money, Price, Rate},
};

/// How often a call asks the rows before it is refused. Others can take what they grant.
const ASKS_MAX: usize = 4;
/// How long a call waits for the rows.
const ASK_TIME: Duration = Duration::from_secs(5);

/// Who asks for what.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The name of the key.
    pub key: &'a str,
    /// The feature.
    pub feature: &'a str,
    /// A hash of the end user; empty when the call names none. See [`user_hash`].
    pub user: &'a str,
    /// The route.
    pub route: &'a str,
    /// When.
    pub now: Timestamp,
    /// The most tokens that the input can have.
    pub tokens_in: u64,
    /// The most tokens that the output can have, over all choices.
    pub tokens_out_max: u64,
}

/// What stands for an end user in limits and records: a hash with a secret of the tenant. Empty for nobody.
#[must_use]
pub fn user_hash(secret: &[u8; 32], user: &str) -> String {
    if user.is_empty() {
        return String::new();
    }
    let hash = blake3::keyed_hash(secret, user.as_bytes());
    hex::encode(&hash.as_bytes()[..16])
}

/// A secret that nobody knows; `None` when the system has no randomness.
#[must_use]
pub fn fresh_secret() -> Option<[u8; 32]> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).ok().map(|()| secret)
}

/// The policy of one tenant on one node. It outlives releases, so that a new one does not forget what was spent.
#[derive(Clone)]
pub struct Policy {
    state: Arc<State>,
}

pub(crate) struct State {
    inner: Mutex<Inner>,
    shared: Arc<dyn Shared>,
    /// One exchange with the rows at a time.
    exchange: tokio::sync::Mutex<()>,
    secret: [u8; 32],
    begun: Instant,
}

struct Inner {
    ledger: Ledger,
    /// Made when something is limited per minute.
    buckets: Option<Buckets>,
    /// Budgets that reached their soft limit since somebody asked.
    crossed: Vec<Soft>,
}

/// The most budgets whose crossing is kept until somebody asks.
const CROSSED_MAX: usize = 1_000;

/// What is reserved for one call, before it becomes a permit.
struct Reserved {
    money: Vec<Reservation>,
    tokens: Vec<Reservation>,
    soft: Vec<Soft>,
}

/// The days that budgets count in.
struct Periods {
    today: Date,
    day: String,
    month: String,
}

impl Periods {
    fn of(now: Timestamp) -> Self {
        let today = now.to_zoned(TimeZone::UTC).date();
        let day = today.to_string();
        let month = day.get(..7).unwrap_or_default().to_owned();
        Self { today, day, month }
    }

    /// How long until a period ends.
    fn left(&self, period: &str, now: Timestamp) -> Duration {
        let next = match period.len() {
            7 => self.today.first_of_month().checked_add(1.month()),
            _ => self.today.tomorrow(),
        };
        let end = next.ok().and_then(|date| date.to_zoned(TimeZone::UTC).ok()).map(|end| end.timestamp());
        let left = end.map_or(0, |end| end.as_second() - now.as_second());
        Duration::from_secs(u64::try_from(left).unwrap_or(0).max(1))
    }
}

/// One of the scopes whose limits a call counts in.
struct Scope<'a> {
    kind: &'static str,
    feature: &'a str,
    who: &'a str,
    limits: &'a Limits,
}

impl Policy {
    /// The policy of a tenant.
    #[must_use]
    pub fn new(shared: Arc<dyn Shared>) -> Self {
        // Without randomness, keys of buckets follow from names. They never leave the process.
        let secret = fresh_secret().unwrap_or_else(|| *blake3::hash(b"buckets").as_bytes());
        let inner = Inner { ledger: Ledger::default(), buckets: None, crossed: Vec::new() };
        let state = State {
            inner: Mutex::new(inner),
            shared,
            exchange: tokio::sync::Mutex::default(),
            secret,
            begun: Instant::now(),
        };
        Self { state: Arc::new(state) }
    }

    /// Decides whether a call may begin, and reserves the most that it can use. A call waits only when this node has nothing left of a
    /// budget and others may not have taken the rest.
    ///
    /// # Errors
    /// Why it may not begin.
    pub async fn admit(&self, gateway: &Arc<Gateway>, asking: &Asking<'_>) -> Result<Permit, Refusal> {
        for _ in 0..ASKS_MAX {
            if let Some(decided) = self.try_admit(gateway, asking)? {
                return Ok(decided);
            }
            match tokio::time::timeout(ASK_TIME, self.exchange()).await {
                Ok(()) => {}
                Err(_) => return Err(Refusal::unavailable()),
            }
        }
        match self.try_admit(gateway, asking)? {
            Some(permit) => Ok(permit),
            None => Err(Refusal::unavailable()),
        }
    }

    /// Decides in memory; `None` when the shared rows have to be asked first.
    ///
    /// # Errors
    /// Why the call may not begin.
    pub fn try_admit(&self, gateway: &Arc<Gateway>, asking: &Asking<'_>) -> Result<Option<Permit>, Refusal> {
        let feature = feature_of(gateway, asking.feature)?;
        route_of(gateway, feature, asking)?;
        let periods = Periods::of(asking.now);
        let most = match gateway.limits_money(feature) {
            true => most_cost(gateway, feature, asking, periods.today)?,
            false => Money::ZERO,
        };
        let scopes = scopes(feature, asking);
        let now = self.state.now();
        let tokens = asking.tokens_in.saturating_add(asking.tokens_out_max);
        let mut inner = self.state.lock();
        let taken = self.state.take_rates(&mut inner, &scopes, tokens, now)?;
        let reserved =
            match reserve(&mut inner, gateway, &scopes, (&periods, asking.now), (most, tokens), now) {
                Ok(Some(reserved)) => reserved,
                outcome => {
                    if let Some(buckets) = &mut inner.buckets {
                        taken.iter().for_each(|(take, _)| buckets.correct(take, 0, now));
                    }
                    return outcome.map(|_| None);
                }
            };
        let room = CROSSED_MAX.saturating_sub(inner.crossed.len());
        inner.crossed.extend(reserved.soft.iter().filter(|soft| soft.first).take(room).cloned());
        drop(inner);
        let Reserved { money, tokens, soft } = reserved;
        // A request counts as one, whatever it used.
        let taken = taken.into_iter().filter_map(|(take, of_tokens)| of_tokens.then_some(take)).collect();
        let permit =
            Permit::new(self.state.clone(), gateway.clone(), (money, tokens, taken), soft, (most, asking));
        Ok(Some(permit))
    }

    /// Takes the next allotments and gives back what is not used. For a task in the background, several times a second.
    pub async fn turn(&self) {
        let due = {
            let now = self.state.now();
            let mut inner = self.state.lock();
            inner.ledger.tidy(now);
            inner.ledger.is_due()
        };
        if due {
            self.exchange().await;
        }
    }

    /// Gives back everything that is not used, for an orderly stop.
    pub async fn close(&self) {
        self.state.lock().ledger.close();
        self.exchange().await;
    }

    /// Budgets that reached their soft limit for the first time since the last call, as far as this node knows.
    #[must_use]
    pub fn crossed(&self) -> Vec<Soft> {
        std::mem::take(&mut self.state.lock().crossed)
    }

    async fn exchange(&self) {
        let _one = self.state.exchange.lock().await;
        // Whoever waited for the lock often finds that everything was asked for.
        let (returned, wanted) = {
            let now = self.state.now();
            self.state.lock().ledger.wanted(now)
        };
        if returned.is_empty() && wanted.is_empty() {
            return;
        }
        let mut asking = Asked { state: &self.state, answered: false };
        let granted = self.state.shared.exchange(returned, wanted.clone()).await;
        let now = self.state.now();
        if let Ok(granted) = granted
            && granted.len() == wanted.len()
        {
            self.state.lock().ledger.granted(&wanted, &granted, now);
            asking.answered = true;
        }
    }
}

/// An exchange whose answer nobody waits for any more has failed.
struct Asked<'a> {
    state: &'a State,
    answered: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let now = self.state.now();
            self.state.lock().ledger.failed(now);
        }
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nanoseconds of a clock that does not go back.
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn take_rates(
        &self,
        inner: &mut Inner,
        scopes: &[Scope<'_>],
        tokens: u64,
        now: u64,
    ) -> Result<Vec<(Take, bool)>, Refusal> {
        let mut taken: Vec<(Take, bool)> = Vec::new();
        for scope in scopes {
            let rates = [
                ("requests", scope.limits.requests_per_minute, 1),
                ("tokens", scope.limits.tokens_per_minute, tokens),
            ];
            for (what, per_minute, amount) in rates {
                let Some(per_minute) = per_minute else { continue };
                let bucket = key(&self.secret, &[scope.kind, scope.feature, scope.who, what]);
                let take = Take { key: bucket, amount, per_minute };
                let buckets = inner.buckets.get_or_insert_default();
                match buckets.take(&take, now) {
                    Ok(()) => taken.push((take, what == "tokens")),
                    Err(wait) => {
                        taken.iter().for_each(|(take, _)| buckets.correct(take, 0, now));
                        return Err(Refusal::rate(scope.kind, scope.feature, (what, per_minute), wait));
                    }
                }
            }
        }
        Ok(taken)
    }

    /// Reserves once more what a call has reserved, if this node has it.
    pub(crate) fn double(&self, money: &mut [Reservation], tokens: &mut [Reservation]) -> bool {
        // A call without budgets takes no lock.
        (money.is_empty() && tokens.is_empty())
            || self.lock().ledger.double(money.iter_mut().chain(tokens.iter_mut()))
    }

    /// Ends what a call has reserved.
    pub(crate) fn settle(
        &self,
        (money, tokens, rates): (&[Reservation], &[Reservation], &[Take]),
        cost: Money,
        used: u64,
    ) {
        let now = self.now();
        let mut inner = self.lock();
        money.iter().for_each(|reservation| inner.ledger.settle(*reservation, cost.pico(), now));
        tokens.iter().for_each(|reservation| inner.ledger.settle(*reservation, used, now));
        if let Some(buckets) = &mut inner.buckets {
            rates.iter().for_each(|take| buckets.correct(take, used, now));
        }
    }
}

fn feature_of<'g>(gateway: &'g Gateway, name: &str) -> Result<&'g Feature, Refusal> {
    gateway.features.get(name).ok_or_else(|| {
        let known = gateway.features.keys().map(String::as_str);
        let help = did_you_mean(name, known, "name a feature of gateway.toml in the header `Ashlar-Feature`");
        Refusal::denied(Code::FeatureUnknown, format!("There is no feature `{}`", shown(name)), &help)
    })
}

fn route_of(gateway: &Gateway, feature: &Feature, asking: &Asking<'_>) -> Result<(), Refusal> {
    if feature.routes.allows(asking.route) && gateway.routes.contains_key(asking.route) {
        return Ok(());
    }
    let routes = gateway.routes_of(feature);
    let known = routes.iter().map(|(name, _)| *name);
    let listed = format!("it may use {}", known.clone().collect::<Vec<_>>().join(", "));
    let help = did_you_mean(asking.route, known, listed);
    let message =
        format!("The feature `{}` may not use the route `{}`", shown(asking.feature), shown(asking.route));
    Err(Refusal::denied(Code::RouteNotAllowed, message, &help))
}

/// The price of a model on a day. The built-in model costs nothing.
pub(crate) fn price_of(gateway: &Gateway, provider: &str, model: &str, day: Date) -> Option<Price> {
    let free = Price {
        from: Date::MIN,
        input: Rate::FREE,
        cached_input: Rate::FREE,
        cache_write: Rate::FREE,
        output: Rate::FREE,
        line: 1,
    };
    if provider == BUILT_IN { Some(free) } else { gateway.prices.on(provider, model, day).copied() }
}

/// The most that a call can cost, whichever model of its route or of a fallback answers.
fn most_cost(
    gateway: &Gateway,
    feature: &Feature,
    asking: &Asking<'_>,
    today: Date,
) -> Result<Money, Refusal> {
    let (mut seen, mut open) = (BTreeSet::from([asking.route]), vec![asking.route]);
    let mut most = Money::ZERO;
    while let Some(name) = open.pop() {
        let Some(route) = gateway.routes.get(name) else { continue };
        for target in &route.targets {
            let Some(price) = price_of(gateway, &target.provider, &target.model, today) else {
                let message = format!(
                    "`{}/{}` has no price today, and the money of the feature `{}` is limited",
                    target.provider, target.model, asking.feature
                );
                return Err(Refusal::denied(Code::PriceMissing, message, "add [[prices]] to gateway.toml"));
            };
            most = most.max(price.most(asking.tokens_in, asking.tokens_out_max));
        }
        let allowed = route.fallbacks.iter().filter(|fallback| feature.routes.allows(fallback));
        for fallback in allowed {
            if seen.insert(fallback) {
                open.push(fallback);
            }
        }
    }
    Ok(most)
}

fn scopes<'a>(feature: &'a Feature, asking: &Asking<'a>) -> Vec<Scope<'a>> {
    let mut scopes =
        vec![Scope { kind: "feature", feature: asking.feature, who: "", limits: &feature.limits }];
    if !asking.key.is_empty() {
        scopes.push(Scope {
            kind: "key",
            feature: asking.feature,
            who: asking.key,
            limits: &feature.per_key,
        });
    }
    // Calls that name no end user count as those of one, so that leaving the name out avoids no limit.
    let user = if asking.user.is_empty() { "nobody" } else { asking.user };
    scopes.push(Scope { kind: "user", feature: asking.feature, who: user, limits: &feature.per_user });
    scopes
}

fn reserve(
    inner: &mut Inner,
    gateway: &Gateway,
    scopes: &[Scope<'_>],
    (periods, at): (&Periods, Timestamp),
    (money, tokens): (Money, u64),
    now: u64,
) -> Result<Option<Reserved>, Refusal> {
    let tenant = ("tenant", "", "", &gateway.budget);
    let budgets = scopes.iter().map(|scope| (scope.kind, scope.feature, scope.who, &scope.limits.budget));
    let limited = [tenant].into_iter().chain(budgets).filter(|(.., budget)| budget.limits());
    let mut unit = None;
    let mut all = Vec::new();
    for (kind, feature, who, budget) in limited {
        let soft = (budget.soft * 1_000_000.0) as u64;
        if budget.limits_money() && unit.is_none() {
            unit = Some(format!("money/{}", gateway.prices.currency()));
        }
        all.push((kind, feature, who, budget, soft));
    }
    let unit = unit.unwrap_or_default();
    let (mut held, mut is_money) = (Vec::new(), Vec::new());
    for (kind, feature, who, budget, soft) in all {
        let each = [
            (budget.day.map(Money::pico), &periods.day, unit.as_str(), money.pico()),
            (budget.month.map(Money::pico), &periods.month, unit.as_str(), money.pico()),
            (budget.tokens_day, &periods.day, "tokens", tokens),
            (budget.tokens_month, &periods.month, "tokens", tokens),
        ];
        for (limit, period, unit, amount) in each {
            let Some(limit) = limit else { continue };
            // What costs nothing needs no money.
            if amount == 0 {
                continue;
            }
            is_money.push(unit != "tokens");
            held.push(Held { kind, feature, who, period, unit, limit, soft, amount });
        }
    }
    let mut soft = Vec::new();
    match inner.ledger.reserve(&held, now, &mut soft) {
        Ok(reservations) => {
            let (mut money, mut tokens) = (Vec::new(), Vec::new());
            for (reservation, is_money) in reservations.into_iter().zip(is_money) {
                if is_money { money.push(reservation) } else { tokens.push(reservation) }
            }
            Ok(Some(Reserved { money, tokens, soft }))
        }
        Err(NotReserved::Ask) => Ok(None),
        Err(NotReserved::Exceeded(number)) => {
            let left = held.get(number).map(|held| (held, periods.left(held.period, at)));
            Err(left.map_or_else(Refusal::unavailable, |(held, left)| Refusal::exceeded(held, left)))
        }
        Err(NotReserved::Down | NotReserved::Full) => Err(Refusal::unavailable()),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
