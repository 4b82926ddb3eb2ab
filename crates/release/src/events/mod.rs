//! What follows from the event log: deliveries to webhooks.

pub(crate) mod outbox;
pub mod receivers;
pub(crate) mod webhooks;
