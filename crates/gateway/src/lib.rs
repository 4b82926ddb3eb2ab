//! Calls of models: one door with routes, prompts, budgets, redaction, grounding and a record of each call.

pub mod budget;
pub mod config;
pub mod ground;
pub mod limits;
pub mod output;
pub mod policy;
pub mod price;
pub mod prompts;
