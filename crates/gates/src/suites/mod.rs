//! Eval suites as the gate `evals` needs them: what each depends on, and what a run of it showed.

pub(crate) mod inputs;
pub(crate) mod read;
pub(crate) mod state;
pub(crate) mod weigh;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests;
