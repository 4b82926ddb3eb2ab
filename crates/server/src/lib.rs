//! HTTP: the delivery lane and its router.

pub mod lane;
