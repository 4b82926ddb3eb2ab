//! What each channel serves, and how it moves.

pub(crate) mod at;
pub(crate) mod diff;
pub(crate) mod moves;
mod pointers;
pub(crate) mod promote;
mod read;
pub(crate) mod rollback;
pub(crate) mod state;
pub(crate) mod view;
