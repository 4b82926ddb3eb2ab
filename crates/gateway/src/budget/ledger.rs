//! What one node has of the budgets of a tenant, in memory.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use super::{Granted, Returned, Row, Wanted};

/// The most budgets that a node keeps of a tenant.
const ACCOUNTS_MAX: usize = 50_000;
/// An allotment that was used up within this time is followed by a larger one.
const QUICK_NANOS: u64 = 5_000_000_000;
/// What is not used for this long goes back.
const IDLE_NANOS: u64 = 30_000_000_000;
/// For how long a refusal of the row is remembered.
const SHORT_NANOS: u64 = 1_000_000_000;
/// For how long the rows are not asked again after they could not be.
const DOWN_NANOS: u64 = 250_000_000;
/// The first allotment is this many times what the first call needs.
const FIRST: u64 = 4;
/// The next allotment is taken when less than one in so many of the last is left.
const LOW: u64 = 4;

/// A budget of which a call reserves.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// The kind of scope: `tenant`, `feature`, `key` or `user`.
    pub kind: &'static str,
    /// The feature; empty for the tenant.
    pub feature: &'a str,
    /// The key or the hash of the user; empty otherwise.
    pub who: &'a str,
    /// The period.
    pub period: &'a str,
    /// What is counted.
    pub unit: &'a str,
    /// The limit.
    pub limit: u64,
    /// The share of the limit from which on calls warn, in millionths.
    pub soft: u64,
    /// How much is reserved.
    pub amount: u64,
}

impl Held<'_> {
    fn row(&self) -> Row {
        let parts = [self.kind, self.feature, self.who].into_iter().filter(|part| !part.is_empty());
        let scope = parts.collect::<Vec<_>>().join("/");
        Row { scope, period: self.period.to_owned(), unit: self.unit.to_owned() }
    }
}

/// What a call has reserved of one budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    account: u64,
    amount: u64,
}

/// A budget that is nearly used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Soft {
    /// The budget.
    pub row: Row,
    /// How much of it is used, as far as this node knows.
    pub used: u64,
    /// The limit.
    pub limit: u64,
    /// Whether this node says so for the first time in this period.
    pub first: bool,
}

/// Why nothing was reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotReserved {
    /// The node has not enough, and the row may have more: take what [`Ledger::wanted`] says, and reserve again.
    Ask,
    /// The budget with this number in the list is used up.
    Exceeded(usize),
    /// The rows could not be asked just now.
    Down,
    /// There are too many budgets in use.
    Full,
}

#[derive(Debug)]
struct Account {
    row: Row,
    limit: u64,
    /// What was taken from the row and not given back.
    allotted: u64,
    reserved: u64,
    spent: u64,
    /// What the row said last.
    used: u64,
    /// The last allotment, and when it was taken.
    slice: u64,
    taken_at: u64,
    /// What calls are waiting for.
    need: u64,
    /// The row refused this much, until that time.
    short: (u64, u64),
    /// The row cannot be asked until that time.
    down: u64,
    /// The row is being asked.
    asking: bool,
    touched: u64,
    warned: bool,
}

impl Account {
    fn new(row: Row, limit: u64) -> Self {
        Self {
            row,
            limit,
            allotted: 0,
            reserved: 0,
            spent: 0,
            used: 0,
            slice: 0,
            taken_at: 0,
            need: 0,
            short: (0, 0),
            down: 0,
            asking: false,
            touched: 0,
            warned: false,
        }
    }

    fn taken(&self) -> u64 {
        self.reserved.saturating_add(self.spent)
    }

    fn free(&self) -> u64 {
        self.allotted.saturating_sub(self.taken())
    }

    /// What was spent beyond the allotments.
    fn owed(&self) -> u64 {
        self.taken().saturating_sub(self.allotted)
    }

    fn is_low(&self) -> bool {
        self.free() < self.slice / LOW || self.owed() > 0
    }

    /// Gives back what is free.
    fn give_back(&mut self) -> Option<Returned> {
        let amount = self.free();
        self.allotted -= amount;
        self.used = self.used.saturating_sub(amount);
        self.slice = 0;
        (amount > 0).then(|| Returned { row: self.row.clone(), amount })
    }
}

/// What one node has of the budgets of a tenant. It knows no clock: `now` are nanoseconds that do not go back.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: HashMap<u64, Account>,
    hasher: RandomState,
    /// Budgets whose next allotment is due.
    due: Vec<u64>,
    /// What goes back with the next exchange.
    returned: Vec<Returned>,
    /// Which budgets are being asked for, in order.
    asked: Vec<u64>,
}

impl Ledger {
    fn id(&self, held: &Held<'_>) -> u64 {
        self.hasher.hash_one((held.kind, held.feature, held.who, held.period, held.unit))
    }

    /// Reserves of all budgets or of none. Adds to `soft` the budgets that are nearly used.
    ///
    /// # Errors
    /// Why nothing was reserved.
    pub fn reserve(
        &mut self,
        held: &[Held<'_>],
        now: u64,
        soft: &mut Vec<Soft>,
    ) -> Result<Vec<Reservation>, NotReserved> {
        let mut out = Vec::with_capacity(held.len());
        let mut lacking = None;
        for (number, held) in held.iter().enumerate() {
            let id = self.id(held);
            let account = self.account(id, held, now)?;
            out.push(Reservation { account: id, amount: held.amount });
            if account.free() >= held.amount {
                continue;
            }
            let why = if held.amount > held.limit || (held.amount >= account.short.0 && now < account.short.1)
            {
                NotReserved::Exceeded(number)
            } else if now < account.down {
                NotReserved::Down
            } else {
                account.need = account.need.max(held.amount);
                if !self.due.contains(&id) {
                    self.due.push(id);
                }
                NotReserved::Ask
            };
            // A refusal is the answer even if another budget has to be asked.
            if lacking.is_none() || lacking == Some(NotReserved::Ask) {
                lacking = Some(why);
            }
        }
        if let Some(lacking) = lacking {
            return Err(lacking);
        }
        for (reservation, held) in out.iter().zip(held) {
            let Some(account) = self.accounts.get_mut(&reservation.account) else { continue };
            account.reserved = account.reserved.saturating_add(reservation.amount);
            let used = account.used.saturating_sub(account.free());
            let from = u128::from(held.limit) * u128::from(held.soft) / 1_000_000;
            if u128::from(used) >= from {
                let first = !std::mem::replace(&mut account.warned, true);
                soft.push(Soft { row: account.row.clone(), used, limit: held.limit, first });
            }
            if account.is_low() && !account.asking && !self.due.contains(&reservation.account) {
                self.due.push(reservation.account);
            }
        }
        Ok(out)
    }

    /// Reserves once more what these reservations have, of all budgets or of none: each is doubled. Nothing is waited for: what the node
    /// lacks is asked for in the background.
    pub fn double<'r>(&mut self, reservations: impl Iterator<Item = &'r mut Reservation>) -> bool {
        let all: Vec<&mut Reservation> = reservations.collect();
        let mut fits = true;
        for reservation in &all {
            let Some(account) = self.accounts.get_mut(&reservation.account) else { return false };
            if account.free() >= reservation.amount {
                continue;
            }
            fits = false;
            account.need = account.need.max(reservation.amount);
            if !account.asking && !self.due.contains(&reservation.account) {
                self.due.push(reservation.account);
            }
        }
        for reservation in all.into_iter().filter(|_| fits) {
            let Some(account) = self.accounts.get_mut(&reservation.account) else { continue };
            account.reserved = account.reserved.saturating_add(reservation.amount);
            reservation.amount = reservation.amount.saturating_mul(2);
        }
        fits
    }

    fn account(&mut self, id: u64, held: &Held<'_>, now: u64) -> Result<&mut Account, NotReserved> {
        if !self.accounts.contains_key(&id) {
            if self.accounts.len() >= ACCOUNTS_MAX {
                self.drop_idle(now, 0);
            }
            if self.accounts.len() >= ACCOUNTS_MAX {
                return Err(NotReserved::Full);
            }
        }
        let account = self.accounts.entry(id).or_insert_with(|| Account::new(held.row(), held.limit));
        account.touched = now;
        if account.limit != held.limit {
            // Another release has another limit. What was taken under the old one goes back, so that the new one holds.
            account.limit = held.limit;
            account.short = (0, 0);
            account.warned = false;
            if !account.asking {
                self.returned.extend(account.give_back());
            }
        }
        Ok(account)
    }

    /// Ends a reservation: `used` was spent of it.
    pub fn settle(&mut self, reservation: Reservation, used: u64, now: u64) {
        let Some(account) = self.accounts.get_mut(&reservation.account) else { return };
        account.reserved = account.reserved.saturating_sub(reservation.amount);
        account.spent = account.spent.saturating_add(used);
        account.touched = now;
        if account.owed() > 0 && !account.asking && !self.due.contains(&reservation.account) {
            self.due.push(reservation.account);
        }
    }

    /// Whether rows have to be asked before calls that wait can go on, or soon.
    #[must_use]
    pub fn is_due(&self) -> bool {
        !self.due.is_empty() || !self.returned.is_empty()
    }

    /// What to give back and what to ask for. The answer goes to [`Ledger::granted`] or [`Ledger::failed`]; until then nothing else is
    /// asked.
    pub fn wanted(&mut self, now: u64) -> (Vec<Returned>, Vec<Wanted>) {
        let mut wanted = Vec::new();
        self.asked.clear();
        for id in std::mem::take(&mut self.due) {
            let Some(account) = self.accounts.get_mut(&id) else { continue };
            if now < account.down {
                // Asked again later; a call that needs it says so again.
                if account.owed() > 0 {
                    self.due.push(id);
                }
                continue;
            }
            let quick = now.saturating_sub(account.taken_at) < QUICK_NANOS;
            let next = if quick { account.slice.saturating_mul(2) } else { account.slice / 2 };
            let need = account.need.saturating_sub(account.free());
            let want = if account.slice == 0 { need.saturating_mul(FIRST) } else { next.max(need) };
            account.asking = true;
            self.asked.push(id);
            let (row, limit, owed) = (account.row.clone(), account.limit, account.owed());
            // Whoever only owes wants nothing more.
            let need = if want == 0 { need } else { need.max(1) };
            wanted.push(Wanted { row, limit, owed, need, want });
        }
        (std::mem::take(&mut self.returned), wanted)
    }

    /// What the rows answered to the last [`Ledger::wanted`].
    pub fn granted(&mut self, wanted: &[Wanted], granted: &[Granted], now: u64) {
        let asked = std::mem::take(&mut self.asked);
        for ((id, wanted), granted) in asked.into_iter().zip(wanted).zip(granted) {
            let Some(account) = self.accounts.get_mut(&id) else { continue };
            account.asking = false;
            account.need = 0;
            account.allotted = account.allotted.saturating_add(wanted.owed).saturating_add(granted.amount);
            account.used = granted.used;
            match granted.amount {
                0 if wanted.need == 0 => account.slice = 0,
                0 => {
                    // What calls asked for is what the node has and what it lacked.
                    account.short =
                        (account.free().saturating_add(wanted.need), now.saturating_add(SHORT_NANOS));
                    account.slice = 0;
                }
                amount => (account.slice, account.taken_at) = (amount, now),
            }
            if account.limit != wanted.limit {
                // The limit changed meanwhile.
                self.returned.extend(account.give_back());
            }
        }
    }

    /// The rows could not be asked. What was to be given back may have arrived, so it is not given back again.
    pub fn failed(&mut self, now: u64) {
        for id in std::mem::take(&mut self.asked) {
            let Some(account) = self.accounts.get_mut(&id) else { continue };
            account.asking = false;
            account.need = 0;
            account.down = now.saturating_add(DOWN_NANOS);
            if account.owed() > 0 {
                self.due.push(id);
            }
        }
    }

    /// Gives back what was not used for a while. Budgets of which nothing is reserved are forgotten.
    pub fn tidy(&mut self, now: u64) {
        self.drop_idle(now, IDLE_NANOS);
    }

    /// Gives back everything that is free, for an orderly stop.
    pub fn close(&mut self) {
        for account in self.accounts.values_mut().filter(|account| !account.asking) {
            account.need = 0;
            self.returned.extend(account.give_back());
        }
        // A next allotment would stay with this node.
        let accounts = &self.accounts;
        self.due.retain(|id| accounts.get(id).is_some_and(|account| account.owed() > 0));
    }

    /// How many budgets are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    fn drop_idle(&mut self, now: u64, idle: u64) {
        let returned = &mut self.returned;
        self.accounts.retain(|_, account| {
            let busy = account.reserved > 0 || account.asking || account.owed() > 0 || account.need > 0;
            if busy || now.saturating_sub(account.touched) < idle {
                return true;
            }
            returned.extend(account.give_back());
            false
        });
    }
}
