//! Suites: what is asked, and what a good answer is.

mod bounds;
mod cases;
mod digest;
mod fields;
mod labels;
mod lines;
mod near;
mod raw;
mod read;
mod schedule;
mod types;

pub use self::{
    bounds::{CASE_BYTES_MAX, CASES_MAX, FOLDER, LABELS_MAX, SAMPLES_MAX},
    cases::read_cases,
    labels::{Label, read_labels},
    near::near_duplicates,
    read::names,
    schedule::{Schedule, Turn},
    types::*,
};
pub(crate) use self::{
    bounds::{PATTERN_BYTES_MAX, PATTERN_MEMORY_MAX},
    near::pairs,
};
