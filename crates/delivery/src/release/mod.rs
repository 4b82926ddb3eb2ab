//! An opened release with its definitions, and what differs between two.

mod definitions;
mod locales;
mod openapi;
mod purge;
mod release_view;

pub(crate) use definitions::indexed;
pub use definitions::{Definitions, FieldKind, read_files};
pub(crate) use locales::Wanted;
pub use openapi::openapi;
pub use purge::{Purge, purge_between, purge_dates};
pub use release_view::{ReleaseRoots, ReleaseView};
