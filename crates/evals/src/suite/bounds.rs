//! How large suites may be.

/// The folder of suites in a project.
pub const FOLDER: &str = "evals";
/// The most cases of a suite.
pub const CASES_MAX: usize = 10_000;
/// The most labels of a suite.
pub const LABELS_MAX: usize = 1_000;
/// The longest case, in bytes of its line.
pub const CASE_BYTES_MAX: usize = 256 << 10;
/// The most replies that are asked for per case.
pub const SAMPLES_MAX: u32 = 20;
/// The most findings that are reported.
pub(super) const FINDINGS_MAX: usize = 100;
/// How deep the JSON of a case may be nested.
pub(super) const DEPTH_MAX: usize = 16;
/// The most items of one list of a case.
pub(super) const ITEMS_MAX: usize = 100;
/// The most messages and contexts of a case.
pub(super) const MESSAGES_MAX: usize = 200;
/// The longest name, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 128;
/// The longest regular expression, in bytes.
pub(crate) const PATTERN_BYTES_MAX: usize = 2_000;
/// The most memory that a compiled regular expression may take, in bytes.
pub(crate) const PATTERN_MEMORY_MAX: usize = 1 << 20;
