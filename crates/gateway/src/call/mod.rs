//! One call from beginning to end.

mod attempt;
mod built_in;
mod desk;
mod flow;

pub use built_in::{Answer, BuiltIn, Cited, Question};
pub use desk::{Body, Caller, Desk, Facts, Reply, Scene};
