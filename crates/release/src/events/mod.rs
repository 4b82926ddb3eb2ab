//! What follows from the event log: followers, and deliveries to webhooks.

pub(crate) mod follow;
pub(crate) mod kinds;
pub(crate) mod outbox;
pub mod receivers;
pub(crate) mod webhooks;
