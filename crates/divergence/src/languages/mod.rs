//! One reader for each kind of source; all of them report declarations to the scanner.

pub(crate) mod css;
pub(crate) mod html;
pub(crate) mod jsx;
pub(crate) mod palette;
pub(crate) mod style_object;
pub(crate) mod tailwind;
pub(crate) mod template;
