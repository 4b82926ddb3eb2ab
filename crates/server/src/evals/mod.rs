//! Runs of eval suites by this node: reading what a run asks, asking its cases, and judging what came back.
//!
//! Invariant: suites, cases and answers are hostile. They are read, judged and rendered in `Workers`, never on a thread that serves.

mod asking;
mod judging;
mod kept;
mod opened;
mod suites;

pub use self::{
    asking::{Came, ask},
    judging::outcome,
    kept::Kept,
    opened::{KEY, Opened, Parts},
    suites::{Found, Settings, Suites},
};
