//! The permit of a call: what it has reserved, and what it used so far.

use std::{fmt, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};

use super::{Asking, State, price_of};
use crate::{
    budget::{Reservation, Soft},
    config::Gateway,
    limits::Take,
    price::{Money, Price, Tokens},
};

/// What a call cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Money, of all attempts.
    pub cost: Money,
    /// The currency; empty when the project has no prices.
    pub currency: String,
    /// Tokens of all attempts.
    pub tokens: Tokens,
}

/// An attempt of a call, as its permit counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptId(u32);

/// An attempt that was sent to a provider and has not ended.
struct Attempt {
    id: AttemptId,
    price: Option<Price>,
    /// What the provider reported so far.
    so_far: Option<Tokens>,
}

/// What a call has reserved. It ends with [`Permit::settle`]. Its attempts are charged one by one; two can be under way at a time.
///
/// A permit that is dropped settles itself: with nothing when the call was never sent to a provider; with what was reported so far when its
/// answer was cut; with everything that was reserved when nothing was reported.
pub struct Permit {
    state: Arc<State>,
    gateway: Arc<Gateway>,
    money: Vec<Reservation>,
    tokens: Vec<Reservation>,
    rates: Vec<Take>,
    soft: Vec<Soft>,
    /// The most that the call can cost and use.
    most: (Money, Tokens),
    now: Timestamp,
    /// The attempts that have not ended: one, or two when a second target is asked as well.
    attempts: [Option<Attempt>; 2],
    begun: u32,
    total: (Money, Tokens),
    ended: bool,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("most", &self.most).field("total", &self.total).finish_non_exhaustive()
    }
}

impl Permit {
    pub(super) fn new(
        state: Arc<State>,
        gateway: Arc<Gateway>,
        (money, tokens, rates): (Vec<Reservation>, Vec<Reservation>, Vec<Take>),
        soft: Vec<Soft>,
        (most, asking): (Money, &Asking<'_>),
    ) -> Self {
        let most =
            (most, Tokens { input: asking.tokens_in, output: asking.tokens_out_max, ..Tokens::default() });
        Self {
            state,
            gateway,
            money,
            tokens,
            rates,
            soft,
            most,
            now: asking.now,
            attempts: [None, None],
            begun: 0,
            total: (Money::ZERO, Tokens::default()),
            ended: false,
        }
    }

    /// Budgets that are nearly used.
    #[must_use]
    pub fn soft(&self) -> &[Soft] {
        &self.soft
    }

    /// Reserves for a second attempt beside the first what was reserved for the call. `false`: this node does not have it now, so the
    /// second attempt must not begin.
    #[must_use]
    pub fn widen(&mut self) -> bool {
        self.state.double(&mut self.money, &mut self.tokens)
    }

    /// An attempt begins: the call is sent to a model now. Two attempts can be under way; with a third, the older one of them ends with what
    /// is known.
    pub fn sending(&mut self, provider: &str, model: &str) -> AttemptId {
        let day = self.now.to_zoned(TimeZone::UTC).date();
        let price = price_of(&self.gateway, provider, model, day);
        let id = AttemptId(self.begun);
        self.begun += 1;
        if let [Some(_), Some(_)] = &self.attempts {
            self.attempts.swap(0, 1);
            let older = self.attempts[1].take();
            self.charge(older);
        }
        let free = usize::from(self.attempts[0].is_some());
        self.attempts[free] = Some(Attempt { id, price, so_far: None });
        id
    }

    fn open(&mut self, id: AttemptId) -> Option<&mut Attempt> {
        self.attempts.iter_mut().flatten().find(|attempt| attempt.id == id)
    }

    /// The attempt failed before the provider produced anything, so it is not charged. What was reported of it is.
    pub fn failed(&mut self, id: AttemptId) {
        if let Some(attempt) = self.open(id) {
            attempt.so_far.get_or_insert_default();
        }
        self.close(id);
    }

    /// Nobody waits for the attempt any more. It is charged what is known of it, or its upper bound when nothing is.
    pub fn close(&mut self, id: AttemptId) {
        let ends = |attempt: &&mut Option<Attempt>| attempt.as_ref().is_some_and(|open| open.id == id);
        let ended = self.attempts.iter_mut().find(ends).and_then(Option::take);
        self.charge(ended);
        if self.attempts[0].is_none() {
            self.attempts.swap(0, 1);
        }
    }

    /// What the attempt used so far: reported by the provider, or counted from what arrived.
    pub fn so_far(&mut self, id: AttemptId, tokens: Tokens) {
        if let Some(attempt) = self.open(id) {
            attempt.so_far = Some(tokens);
        }
    }

    /// What the call cost so far.
    #[must_use]
    pub fn cost(&self) -> Money {
        let open = self.attempts.iter().flatten().filter_map(|open| Some((open.price?, open.so_far?)));
        open.fold(self.total.0, |sum, (price, tokens)| sum.plus(price.cost(tokens)))
    }

    /// Ends the call with what its last attempt used.
    pub fn settle(mut self, tokens: Tokens) -> Settled {
        if let Some(last) = self.attempts.iter_mut().flatten().last() {
            last.so_far = Some(tokens);
        }
        self.end()
    }

    /// Ends the call with what is known, as dropping it does.
    pub fn finish(mut self) -> Settled {
        self.end()
    }

    fn end(&mut self) -> Settled {
        for ended in std::mem::take(&mut self.attempts) {
            self.charge(ended);
        }
        let (cost, tokens) = self.total;
        if !std::mem::replace(&mut self.ended, true) {
            self.state.settle((&self.money, &self.tokens, &self.rates), cost, tokens.total());
        }
        Settled { cost, currency: self.gateway.prices.currency().to_owned(), tokens }
    }

    /// Adds what an attempt used.
    fn charge(&mut self, ended: Option<Attempt>) {
        let Some(attempt) = ended else { return };
        let (cost, tokens) = match (attempt.price, attempt.so_far) {
            (Some(price), Some(tokens)) => (price.cost(tokens), tokens),
            (None, Some(tokens)) => (Money::ZERO, tokens),
            // Sent, and nothing is known of what the provider did.
            (Some(price), None) => (price.most(self.most.1.input, self.most.1.output), self.most.1),
            (None, None) => (Money::ZERO, self.most.1),
        };
        let (money, all) = &mut self.total;
        *money = money.plus(cost);
        all.input = all.input.saturating_add(tokens.input);
        all.cached_input = all.cached_input.saturating_add(tokens.cached_input);
        all.cache_write = all.cache_write.saturating_add(tokens.cache_write);
        all.output = all.output.saturating_add(tokens.output);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end();
    }
}
