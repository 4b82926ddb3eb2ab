//! What runs actions, and the seam to the rooms above.

pub(crate) mod action;
pub(crate) mod health;
pub(crate) mod installation;
pub(crate) mod judge;
mod probe;
