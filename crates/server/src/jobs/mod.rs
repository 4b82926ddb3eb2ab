//! What works behind the requests: upkeep, webhooks, purges of upstream caches, checks of stored objects.

pub mod purge;
mod scrub;
pub mod upkeep;
pub mod webhooks;
