//! The site: pages of a release, rendered when something they show has changed, and kept until then.

mod answer;
mod lists;
mod page;
mod pages;

pub use answer::PAGE_POLICY;
pub(crate) use answer::{answer, missing};
pub use pages::{PageAt, Rendered};
