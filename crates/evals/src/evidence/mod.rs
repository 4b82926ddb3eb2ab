//! Evidence: what a run leaves behind for the gate `evals`. Whoever ran a suite sends its replies; figures and verdict are computed from them
//! again, by the suite of what was asked.

mod document;
mod submission;
mod verdict;

pub use self::{
    document::{Evidence, FailedCase},
    submission::{Submission, SubmittedReply},
    verdict::{Critical, Verdict},
};
