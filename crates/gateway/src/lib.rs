//! Calls of models: one door with routes, prompts, budgets, redaction, grounding and a record of each call.

pub mod budget;
pub mod cache;
pub mod call;
pub mod config;
pub mod filter;
pub mod ground;
pub mod limits;
pub mod output;
pub mod policy;
pub mod price;
pub mod prompts;
pub mod record;
pub mod redact;
pub mod review;
pub mod routing;
pub mod tools;
pub mod upstream;
pub mod wire;
