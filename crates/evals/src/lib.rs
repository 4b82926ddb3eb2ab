//! Eval suites: cases with what a good answer must and must not say, metrics, statistics, and the reports people read.
//!
//! The room asks nobody itself. Whoever answers implements [`Subject`].

pub mod compare;
pub mod completion;
pub mod evidence;
pub mod figures;
pub mod grow;
pub mod import;
pub mod judge;
pub mod metric;
pub mod reply;
pub mod report;
pub mod review;
pub mod run;
pub mod stats;
pub mod suite;
mod verdict;

mod error;

pub use self::{
    error::EvalError,
    figures::Metric,
    reply::{Reply, Retrieved, Subject, Unasked},
};
