//! Drafts that ship together, now or at a given time.

pub(crate) mod edit;
pub(crate) mod find;
pub(crate) mod forecast;
mod read;
pub(crate) mod run;
pub(crate) mod step;
pub(crate) mod view;
