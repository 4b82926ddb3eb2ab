//! Answering questions from a release: `POST /v1/answers`, and the same for the command line.

mod answer;
mod answered;
mod asked;
mod evidence;
mod passages;

pub use answer::ANSWERS;
pub(crate) use answer::{answer, only_posted};
pub use answered::{Answered, Citation, Refused, Retrieved};
pub use asked::{ASKED_BYTES_MAX, Asked, Asker, OneOrMany, QuestionBody};
pub use passages::Grounds;
