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

mod languages;
mod lexicon;
mod options;
mod position;
mod scanner;
mod system;
mod value;

pub use lexicon::Lexicon;
pub use options::Options;

/// Texts longer than this are not read: generated bundles, not an app's source.
pub const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the scanner knows of a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The CSS custom property without the leading dashes, such as `semantic-color-text-default`.
    pub name: String,
    /// What the token's value is.
    pub kind: Kind,
    /// The CSS text of the value in the default contexts, with aliases resolved, such as `#1a2b3c` or `1rem`.
    pub value: String,
    /// Why the token should no longer be used; the reason may be empty.
    pub deprecated: Option<String>,
    /// The name of the token to use instead of a deprecated one.
    pub replaced_by: Option<String>,
    /// Suggestions prefer lower ranks: tokens of the semantic layer have 0, those of components 1, others 2.
    pub rank: u8,
}

/// What a token's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Any CSS colour.
    Color,
    /// A length.
    Dimension,
    /// A time.
    Duration,
    /// A list of font families.
    FontFamily,
    /// A font weight from 1 to 1000.
    FontWeight,
    /// A number without a unit.
    Number,
    /// An easing curve.
    CubicBezier,
    /// A `box-shadow`.
    Shadow,
    /// Anything else: its uses are recognised, but no raw value is compared with it.
    Other,
}

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

/// The language of a source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Plain CSS, with nesting.
    Css,
    /// SCSS: CSS with `//` comments, `$variables`, maps and arithmetic.
    Scss,
    /// HTML and single-file components that read as HTML.
    Html,
    /// JavaScript and TypeScript, with or without JSX.
    Jsx,
}

impl Language {
    /// The language of a file by its extension; `None` for files that are not scanned.
    ///
    /// ```
    /// use ashlar_divergence::Language;
    /// assert_eq!(Language::of_path("src/Button.module.SCSS"), Some(Language::Scss));
    /// assert_eq!(Language::of_path("README.md"), None);
    /// ```
    pub fn of_path(path: &str) -> Option<Self> {
        let name = path.rsplit(['/', '\\']).next()?;
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "css" | "pcss" | "postcss" => Some(Self::Css),
            "scss" => Some(Self::Scss),
            "html" | "htm" | "vue" | "svelte" => Some(Self::Html),
            "js" | "jsx" | "ts" | "tsx" | "mjs" | "cjs" | "mts" | "cts" => Some(Self::Jsx),
            _ => None,
        }
    }
}

/// Scans one source file. Never fails: see [`Report::note`].
///
/// ```
/// use ashlar_divergence::{Kind, Known, Language, Lexicon, Options, fix, scan};
/// let space = Known {
///     name: "space-4".into(),
///     kind: Kind::Dimension,
///     value: "1rem".into(),
///     deprecated: None,
///     replaced_by: None,
///     rank: 0,
/// };
/// let lexicon = Lexicon::new(vec![space], Options::default());
/// let text = "a { padding: 16px 0 }";
/// let report = scan(&lexicon, Language::Css, text);
/// assert_eq!(report.divergences[0].text, "16px");
/// assert_eq!(fix(text, &report.divergences), ("a { padding: var(--space-4) 0 }".to_owned(), 1));
/// ```
pub fn scan(lexicon: &Lexicon, language: Language, text: &str) -> Report {
    if text.len() > TEXT_BYTES_MAX {
        let note = format!("larger than {} MiB", TEXT_BYTES_MAX / (1024 * 1024));
        return Report { note: Some(note), ..Report::default() };
    }
    let mut scanner = scanner::Scanner::new(lexicon, text);
    match language {
        Language::Css => languages::css::sheet(&mut scanner, text, 0),
        Language::Scss => languages::css::scss(&mut scanner, text, 0),
        Language::Html => languages::html::page(&mut scanner, text),
        Language::Jsx => languages::jsx::module(&mut scanner, text),
    }
    scanner.finish()
}

/// Applies the fixes of a scan to its text; returns the new text and how many were applied.
///
/// A fix is left out when its place no longer contains the text it was found with, or when it overlaps one applied before.
pub fn fix(text: &str, divergences: &[Divergence]) -> (String, usize) {
    let mut fixes: Vec<_> = divergences.iter().filter_map(|d| Some((d, d.fix.as_deref()?))).collect();
    fixes.sort_by_key(|(d, _)| std::cmp::Reverse(d.offset));
    let (mut fixed, mut applied, mut end) = (text.to_owned(), 0, text.len());
    for (d, replacement) in fixes {
        let Some(until) = d.offset.checked_add(d.len).filter(|u| *u <= end) else { continue };
        if text.get(d.offset..until) == Some(d.text.as_str()) {
            fixed.replace_range(d.offset..until, replacement);
            end = d.offset;
            applied += 1;
        }
    }
    (fixed, applied)
}
