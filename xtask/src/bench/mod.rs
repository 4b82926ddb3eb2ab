//! Benchmarks: each prints its figures beside its target or yardstick.

pub mod composed;
pub mod delivery;
pub mod import;
pub mod publish;
pub mod search;
pub mod site;
mod token_set;
pub mod tokens;
pub mod webhooks;
