//! Eval suites: cases with what a good answer must and must not say, metrics, statistics, and the reports people read.
//!
//! The room asks nobody itself. Whoever answers implements [`Subject`].

pub mod metric;
pub mod reply;
pub mod stats;
pub mod suite;

mod error;

pub use self::{
    error::EvalError,
    reply::{Reply, Subject},
};
