//! What each channel serves, and how it moves.

pub(crate) mod pointers;
pub(crate) mod promote;
