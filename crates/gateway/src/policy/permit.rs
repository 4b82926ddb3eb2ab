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

/// An attempt that was sent to a provider and has not ended.
struct Attempt {
    price: Option<Price>,
    /// What the provider reported so far.
    so_far: Option<Tokens>,
}

/// What a call has reserved. It ends with [`Permit::settle`].
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
    attempt: Option<Attempt>,
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
            attempt: None,
            total: (Money::ZERO, Tokens::default()),
            ended: false,
        }
    }

    /// Budgets that are nearly used.
    #[must_use]
    pub fn soft(&self) -> &[Soft] {
        &self.soft
    }

    /// The call is sent to a model now. What an earlier attempt used stays counted.
    pub fn sending(&mut self, provider: &str, model: &str) {
        self.end_attempt();
        let day = self.now.to_zoned(TimeZone::UTC).date();
        let price = price_of(&self.gateway, provider, model, day);
        self.attempt = Some(Attempt { price, so_far: None });
    }

    /// The attempt failed before the provider produced anything, so it is not charged.
    pub fn failed(&mut self) {
        if let Some(attempt) = &mut self.attempt {
            attempt.so_far.get_or_insert_default();
        }
        self.end_attempt();
    }

    /// What the attempt used so far: reported by the provider, or counted from what arrived.
    pub fn so_far(&mut self, tokens: Tokens) {
        if let Some(attempt) = &mut self.attempt {
            attempt.so_far = Some(tokens);
        }
    }

    /// What the call cost so far.
    #[must_use]
    pub fn cost(&self) -> Money {
        let open = self.attempt.as_ref().and_then(|attempt| Some((attempt.price?, attempt.so_far?)));
        self.total.0.plus(open.map_or(Money::ZERO, |(price, tokens)| price.cost(tokens)))
    }

    /// Ends the call with what its last attempt used.
    pub fn settle(mut self, tokens: Tokens) -> Settled {
        self.so_far(tokens);
        self.end()
    }

    /// Ends the call with what is known, as dropping it does.
    pub fn finish(mut self) -> Settled {
        self.end()
    }

    fn end(&mut self) -> Settled {
        self.end_attempt();
        let (cost, tokens) = self.total;
        if !std::mem::replace(&mut self.ended, true) {
            self.state.settle((&self.money, &self.tokens, &self.rates), cost, tokens.total());
        }
        Settled { cost, currency: self.gateway.prices.currency().to_owned(), tokens }
    }

    fn end_attempt(&mut self) {
        let Some(attempt) = self.attempt.take() else { return };
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
