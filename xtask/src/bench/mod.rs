//! Benchmarks: each prints its figures beside its target or yardstick.

pub mod answers;
pub mod composed;
pub mod delivery;
pub mod evals;
pub mod gateway;
pub mod import;
mod logistic;
pub mod publish;
pub mod search;
pub mod shelf;
pub mod site;
mod token_set;
pub mod tokens;
pub mod webhooks;
