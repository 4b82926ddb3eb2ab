//! Frozen drafts and definitions, and their verdicts.

pub(crate) mod approve;
pub(crate) mod docket;
pub(crate) mod evals;
pub(crate) mod evidence;
pub(crate) mod freeze;
pub(crate) mod judge;
pub(crate) mod preview;
mod read;
pub(crate) mod view;
