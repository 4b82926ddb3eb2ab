//! Calls of models: one door with routes, prompts, budgets, redaction, grounding and a record of each call.

pub mod call;
pub mod config;
pub mod price;
pub mod routing;
pub mod upstream;
pub mod wire;
