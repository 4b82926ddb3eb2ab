//! Where a call goes: weights, sticky choices, fallbacks, how often it is tried, and targets that are left alone because
//! they failed.

mod breaker;
mod health;
mod plan;

pub use breaker::{Breakers, FAILURES_MAX, PAUSE, PAUSE_MAX};
pub use health::{PROBES_MAX, ProviderState, Standing};
pub use plan::{RETRY_AFTER_MAX, Stage, backoff, plan, point};
