//! Who may do what: API keys, tenants, and secrets that are stored.

pub(crate) mod keys;
mod seal;
pub(crate) mod secrets;
