//! Rows of budgets in memory, in the place of a database.

#![allow(dead_code, reason = "each test uses what it needs")]

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use ashlar_gateway::budget::{Granted, Returned, Row, Shared, SharedError, Wanted, grant};
use async_trait::async_trait;

/// The rows.
#[derive(Default)]
pub struct InMemory {
    rows: Mutex<HashMap<Row, u64>>,
    pub down: AtomicBool,
}

#[async_trait]
impl Shared for InMemory {
    async fn exchange(
        &self,
        returned: Vec<Returned>,
        wanted: Vec<Wanted>,
    ) -> Result<Vec<Granted>, SharedError> {
        tokio::task::yield_now().await;
        if self.down.load(Ordering::SeqCst) {
            return Err(SharedError("down".to_owned()));
        }
        let mut rows = self.rows.lock().unwrap();
        for back in returned {
            *rows.get_mut(&back.row).unwrap() -= back.amount;
        }
        let granted = |wanted: &Wanted| {
            let used = rows.entry(wanted.row.clone()).or_default();
            let granted = grant(*used, wanted);
            *used = granted.used;
            granted
        };
        Ok(wanted.iter().map(granted).collect())
    }
}

impl InMemory {
    pub fn used(&self, scope: &str, period: &str, unit: &str) -> u64 {
        let row = Row { scope: scope.to_owned(), period: period.to_owned(), unit: unit.to_owned() };
        self.rows.lock().unwrap().get(&row).copied().unwrap_or_default()
    }

    /// What is taken of all rows together.
    pub fn total(&self) -> u64 {
        self.rows.lock().unwrap().values().sum()
    }
}
