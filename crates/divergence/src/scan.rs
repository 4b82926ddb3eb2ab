//! Scans a file in any language, and applies fixes.

use crate::{
    languages::{css, html, jsx},
    lexicon::Lexicon,
    report::{Divergence, Report},
    scanner::Scanner,
};

/// Texts longer than this are not read: generated bundles, not an app's source.
pub const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

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
    let mut scanner = Scanner::new(lexicon, text);
    match language {
        Language::Css => css::sheet(&mut scanner, text, 0),
        Language::Scss => css::scss(&mut scanner, text, 0),
        Language::Html => html::page(&mut scanner, text),
        Language::Jsx => jsx::module(&mut scanner, text),
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
