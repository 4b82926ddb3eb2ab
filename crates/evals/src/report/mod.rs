//! What a run leaves: `metrics.json`, `failure_cases.jsonl`, `junit.xml` and `report.html`.

mod failures;
mod files;
mod html;
mod junit;
mod summary;

pub use self::{
    failures::failure_cases,
    files::{FAILURES, JUNIT, METRICS, REPORT, write},
    html::html,
    junit::junit,
    summary::{CaseSummary, FORMAT, MetricSummary, Summary, ThresholdSummary},
};
