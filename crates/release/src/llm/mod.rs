//! What is kept of model calls: budgets that nodes share, records, and usage.

pub(crate) mod approvals;
pub(crate) mod budgets;
pub(crate) mod calls;
pub(crate) mod ids;
pub(crate) mod reviews;
