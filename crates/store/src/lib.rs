//! store
pub mod sql;
