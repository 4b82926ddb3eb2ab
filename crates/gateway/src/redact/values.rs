//! Values of a call that are personal wherever they occur.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, MatchKind};

use super::{begins, ends};

/// The shortest value that is looked for, in characters.
pub const VALUE_CHARS_MIN: usize = 3;
/// The most values of one call.
pub const VALUES_MAX: usize = 1_000;
/// The most bytes of all values of one call together.
pub const VALUES_BYTES_MAX: usize = 64 << 10;

/// Values that are found wherever they occur, also inside words. As whole words they are found in other case of ASCII letters as well.
#[derive(Debug)]
pub struct Values {
    exact: AhoCorasick,
    folded: AhoCorasick,
}

/// Values that are too many, or too long together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "there are more than {VALUES_MAX} personal values, or they have more than {VALUES_BYTES_MAX} bytes together"
)]
pub struct TooMany;

impl Values {
    /// Values, prepared for being found. `None` when there are none of [`VALUE_CHARS_MIN`] characters or more. JSON strings are found as
    /// well.
    ///
    /// # Errors
    /// When there are too many.
    pub fn new<'v>(values: impl IntoIterator<Item = &'v str>) -> Result<Option<Self>, TooMany> {
        let (mut forms, mut bytes) = (BTreeSet::new(), 0_usize);
        for value in values {
            let value = value.trim();
            if value.chars().take(VALUE_CHARS_MIN).count() < VALUE_CHARS_MIN {
                continue;
            }
            let quoted = serde_json::Value::from(value).to_string();
            for form in [value, quoted.trim_matches('"')] {
                if forms.insert(form.to_owned()) {
                    bytes = bytes.saturating_add(form.len());
                }
            }
            if forms.len() > VALUES_MAX || bytes > VALUES_BYTES_MAX {
                return Err(TooMany);
            }
        }
        if forms.is_empty() {
            return Ok(None);
        }
        let build = |folds: bool| {
            let mut builder = AhoCorasick::builder();
            builder.match_kind(MatchKind::LeftmostLongest).ascii_case_insensitive(folds).build(&forms)
        };
        // The bounds above are far below those of an automaton.
        match (build(false), build(true)) {
            (Ok(exact), Ok(folded)) => Ok(Some(Self { exact, folded })),
            _ => Err(TooMany),
        }
    }

    /// Where values are in a text, as the first byte and the one behind the last. They may overlap.
    pub(super) fn find<'t>(&'t self, text: &'t str) -> impl Iterator<Item = (usize, usize)> + 't {
        let bytes = text.as_bytes();
        let folded = self.folded.find_iter(text).map(|found| (found.start(), found.end()));
        let whole = folded.filter(move |(start, end)| begins(bytes, *start) && ends(bytes, *end));
        self.exact.find_iter(text).map(|found| (found.start(), found.end())).chain(whole)
    }
}
