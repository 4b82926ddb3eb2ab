//! What works behind the requests: webhooks, purges of upstream caches, checks of stored objects.

pub mod purge;
pub mod scrub;
pub mod webhooks;
