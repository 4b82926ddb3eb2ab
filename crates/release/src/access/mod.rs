//! Who may do what: API keys, tenants, and secrets that are stored.

pub(crate) mod keys;
pub(crate) mod secrets;
