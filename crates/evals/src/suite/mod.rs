//! Suites: what is asked, and what a good answer is.

mod bounds;
mod cases;
mod digest;
mod fields;
mod near;
mod raw;
mod read;
mod schedule;
mod types;

pub(crate) use self::bounds::{PATTERN_BYTES_MAX, PATTERN_MEMORY_MAX};
pub use self::{
    bounds::{CASE_BYTES_MAX, CASES_MAX, FOLDER, SAMPLES_MAX},
    cases::read_cases,
    near::near_duplicates,
    read::names,
    schedule::{Schedule, Turn},
    types::*,
};
