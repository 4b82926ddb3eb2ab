//! Frozen drafts and definitions, and their verdicts.

pub(crate) mod evidence;
pub(crate) mod freeze;
pub(crate) mod preview;
