//! Budgets in money and tokens that hold over several nodes.
//!
//! A budget is a row that all nodes share: how much of a limit is taken in one period. A node takes *allotments* from the row, spends them in
//! memory, and takes the next one before the last is used up. So a call waits for the row only when its node has nothing left of it, and
//! the sum of all allotments never exceeds the limit.
//!
//! - A call reserves its upper bound before it is sent, and settles what it used. What it used beyond its reservation is charged to the row;
//!   only by that can a limit be exceeded.
//! - An allotment is at most an eighth of what remains, or what one call needs. It grows while it is used up within seconds, and shrinks
//!   otherwise.
//! - What a node does not use for half a minute, and what it has left at an orderly stop, goes back to the row.
//! - What a node had left when it died counts as spent until the period ends.
//! - When the row cannot be asked, calls are refused once the allotment is used.

mod ledger;

use async_trait::async_trait;

pub use self::ledger::{Held, Ledger, NotReserved, Reservation, Soft};

/// The share of what remains that one allotment takes at most: one in so many.
const SHARE: u64 = 8;

/// The row of one budget in one period.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// Whose budget it is: `tenant`, `feature/NAME`, `key/FEATURE/NAME` or `user/FEATURE/HASH`.
    pub scope: String,
    /// The day (`2026-11-22`) or the month (`2026-11`), in UTC.
    pub period: String,
    /// What is counted: `tokens`, or `money/USD` in picounits.
    pub unit: String,
}

/// What a node asks of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The row.
    pub row: Row,
    /// The limit of the budget.
    pub limit: u64,
    /// What was used beyond earlier allotments. It is added to the row in any case.
    pub owed: u64,
    /// What is needed; less is of no use.
    pub need: u64,
    /// What would be good to have.
    pub want: u64,
}

/// What a node gives back to a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// The row.
    pub row: Row,
    /// How much.
    pub amount: u64,
}

/// What a node got of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// The allotment; 0 when less remains than is needed.
    pub amount: u64,
    /// How much of the limit is taken now, by all nodes.
    pub used: u64,
}

/// What a row answers. `used`: how much of it is taken. Implementations of [`Shared`] decide with this.
#[must_use]
pub fn grant(used: u64, wanted: &Wanted) -> Granted {
    let used = used.saturating_add(wanted.owed);
    let room = wanted.limit.saturating_sub(used);
    let amount = match room >= wanted.need {
        true => wanted.want.min(room / SHARE).max(wanted.need),
        false => 0,
    };
    Granted { amount, used: used + amount }
}

/// Why the rows could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the shared budgets cannot be asked: {0}")]
pub struct SharedError(pub String);

/// The rows of one tenant, as its store keeps them.
#[async_trait]
pub trait Shared: Send + Sync {
    /// Gives back and takes, all or nothing. The answers are in the order of `wanted`. After an error, nothing of it is tried again: it may
    /// have happened.
    ///
    /// # Errors
    /// When the store cannot be asked.
    async fn exchange(
        &self,
        returned: Vec<Returned>,
        wanted: Vec<Wanted>,
    ) -> Result<Vec<Granted>, SharedError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_grants_a_share_of_what_remains_and_never_more_than_its_limit() {
        let row = Row { scope: "tenant".to_owned(), period: "2026-11".to_owned(), unit: "tokens".to_owned() };
        let wanted = |need, want, owed| Wanted { row: row.clone(), limit: 800, owed, need, want };
        assert_eq!(grant(0, &wanted(10, 1_000, 0)), Granted { amount: 100, used: 100 });
        assert_eq!(grant(0, &wanted(10, 40, 0)), Granted { amount: 40, used: 40 });
        assert_eq!(grant(0, &wanted(300, 40, 0)), Granted { amount: 300, used: 300 });
        assert_eq!(grant(600, &wanted(201, 201, 0)), Granted { amount: 0, used: 600 });
        assert_eq!(grant(600, &wanted(200, 900, 0)), Granted { amount: 200, used: 800 });
        assert_eq!(grant(700, &wanted(50, 50, 60)), Granted { amount: 0, used: 760 });
        assert_eq!(grant(900, &wanted(0, 0, 5)), Granted { amount: 0, used: 905 });
    }
}
