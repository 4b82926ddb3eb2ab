//! The event log, and what follows from it: followers, and deliveries to webhooks.

pub(crate) mod follow;
pub(crate) mod kinds;
mod log;
pub(crate) mod outbox;
pub mod receivers;
pub(crate) mod searches;
pub(crate) mod webhooks;
