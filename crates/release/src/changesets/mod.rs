//! Drafts that ship together, now or at a given time.

pub(crate) mod edit;
pub(crate) mod forecast;
pub(crate) mod run;
