//! Search and answers over one release.

mod answers;
mod asked;
mod evidence;
mod facts;
mod trace;

pub use self::{
    answers::{Answered, Asker, Citation, ENGINE, RETRIEVED_MAX, Refused, Retrieved},
    asked::{ASKED_BYTES_MAX, Asked},
    evidence::Passage,
    facts::{FACTS_MAX, Fact, facts},
    trace::{QUESTION_BYTES_MAX, TRACE_BYTES_MAX, Trace, TraceError},
};
