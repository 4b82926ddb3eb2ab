//! What models wrote: only as drafts, with their provenance, and known again wherever the text is put.
//!
//! This room does not know models: what one wrote, and where that comes from, is given to it.

mod free;
pub(crate) mod made;
pub(crate) mod marks;
pub(crate) mod read;
pub(crate) mod released;
pub(crate) mod switch;
pub(crate) mod texts;
pub(crate) mod write;
