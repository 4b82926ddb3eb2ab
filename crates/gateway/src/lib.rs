//! Calls of models: one door with routes, prompts, budgets, redaction, grounding and a record of each call.

pub mod ground;
pub mod output;
pub mod prompts;
