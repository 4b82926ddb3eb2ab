//! Finds the places where an app's source departs from its design system.
//!
//! [`scan`] reads one source file (CSS, SCSS, HTML or JavaScript with JSX) and reports raw values that should be tokens,
//! redefined tokens, unknown tokens and deprecated tokens, each with its place, the nearest token and, when the value is
//! exactly that of a token, a replacement. [`fix`] applies the replacements.
//!
//! Invariants:
//! - No I/O, no globals: the answer is a function of the [`Lexicon`], the language and the text.
//! - Every divergence belongs to a declaration that is counted, so that [`Report::overrides`] is a share of
//!   [`Report::declarations`].
//! - `scan` cannot fail: what cannot be read is left out, and [`Report::note`] says so.
//! - `text[offset..offset + len] == divergence.text` is true for every divergence of a text.
//! - Applying a fix and scanning again does not report the same place again.

mod declaration;
mod languages;
mod lexicon;
mod options;
mod position;
mod report;
mod scan;
mod scanner;
mod system;
mod value;

pub use lexicon::{Kind, Known, Lexicon};
pub use options::Options;
pub use report::{Divergence, Nearest, Report, What};
pub use scan::{Language, TEXT_BYTES_MAX, fix, scan};
