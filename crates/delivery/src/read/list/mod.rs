//! Lists of entries: filters, order and cursors over the look-up tree.

mod page;
mod query;
mod walk;

pub(crate) use page::{answer, select};
pub(crate) use walk::Selected;
