//! Runs of eval suites by servers: who started them, who asks which case, and what came of them. What a suite is, this room does not know.

pub(crate) mod runs;
pub(crate) mod work;
