//! What runs actions, and the seams to the rooms above.

pub(crate) mod health;
pub(crate) mod installation;
pub(crate) mod judge;
