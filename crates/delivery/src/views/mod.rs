//! Views: versioned response shapes, one file each in `views/`.

mod check;
mod parse;
mod shape;
mod view;

pub use view::{INCLUDE_DEPTH_MAX, Include, LookupBy, Selection, VIEWS_MAX, View, Views};
