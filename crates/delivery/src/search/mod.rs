//! Search and answers over one release.

mod facts;
mod trace;

pub use self::{
    facts::{FACTS_MAX, Fact, facts},
    trace::{TRACE_BYTES_MAX, Trace, TraceError},
};
