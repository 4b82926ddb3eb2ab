//! What a scan finds.

/// What kind of departure a [`Divergence`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// A literal where a token of that kind exists in the system.
    RawValue,
    /// A custom property of the system that is (re)defined locally.
    Override,
    /// A variable with the system's prefix that the system does not have.
    UnknownToken,
    /// A token that should no longer be used.
    DeprecatedToken,
}

/// One place where a file departs from the system.
#[derive(Debug, Clone, PartialEq)]
pub struct Divergence {
    /// What kind of departure it is.
    pub what: What,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The byte offset in the file.
    pub offset: usize,
    /// The length in bytes.
    pub len: usize,
    /// The CSS property, or the prefix of a Tailwind class.
    pub property: String,
    /// The raw text: `text[offset..offset + len]` of the file.
    pub text: String,
    /// The token that comes closest.
    pub nearest: Option<Nearest>,
    /// What to put in place of the text, where that changes nothing that can be seen in the default contexts and one token
    /// alone has the value and is for the purpose.
    pub fix: Option<String>,
}

/// The token that comes closest to a raw value.
#[derive(Debug, Clone, PartialEq)]
pub struct Nearest {
    /// The token's name.
    pub name: String,
    /// How far it is: deltaE2000 for colours, a share of the token's value for quantities, edits for names.
    pub distance: f64,
    /// Whether the values are the same.
    pub exact: bool,
    /// How many tokens come as close and are for the same purpose, this one among them.
    pub candidates: usize,
}

/// What a scan of one file found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// The divergences, by offset.
    pub divergences: Vec<Divergence>,
    /// The declarations of properties that tokens of the system can stand in, whether by token, keyword or raw value,
    /// and any other in which something diverges. A Tailwind class that sets a colour, space, size or font counts as one.
    pub declarations: usize,
    /// The declarations that use tokens.
    pub tokens: usize,
    /// The declarations that depart from the system in at least one place.
    pub overrides: usize,
    /// How many of the system's tokens the file defines. A file that defines most of them was built from them.
    pub defines: usize,
    /// Places that diverge and that a comment in the file accepts, with its reason.
    pub suppressed: usize,
    /// Lines with such a comment that gives no reason; it accepts nothing.
    pub without_reason: Vec<usize>,
    /// Why the file could not be (fully) read.
    pub note: Option<String>,
}
