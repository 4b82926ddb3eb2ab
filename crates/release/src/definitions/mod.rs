//! Definition files of a project, pushed as a whole.

pub(crate) mod adopt;
pub(crate) mod files;
pub(crate) mod push;
pub(crate) mod revise;
