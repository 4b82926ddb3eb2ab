//! A run: every case is asked, judged and counted.

mod ask;
mod outcome;
mod recording;
mod summary;

pub use self::{
    ask::{Options, Running, judged, run},
    outcome::{CaseResult, CaseStatus, Counts, Outcome, RunStatus, Sample, Stopped},
    recording::{Recorder, Recording, Replay, key},
    summary::{Figure, ThresholdResult, thresholds as judge_thresholds},
};
