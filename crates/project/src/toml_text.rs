use ashlar_model::Finding;
use serde::de::DeserializeOwned;

use crate::text::{position, sentence};

/// Reads TOML text into `T`, naming line and column of what is wrong.
pub(crate) fn typed_text<T: DeserializeOwned>(path: &str, text: &str) -> Result<T, Finding> {
    toml::from_str(text).map_err(|e| {
        let (line, column) = e.span().map_or((1, 1), |s| position(text.as_bytes(), s.start));
        Finding::error("toml-malformed", format!("{path}:{line}:{column}"), sentence(e.message()))
            .help(ashlar_model::nearest_in_message(e.message(), ""))
    })
}

/// The line (from 1) on which the `index`-th `[[table]]` header of that name is.
pub(crate) fn line_of_table(text: &str, table: &str, index: usize) -> usize {
    let header = format!("[[{table}]]");
    text.lines()
        .enumerate()
        .filter(|(_, l)| l.trim_start().starts_with(&header))
        .nth(index)
        .map_or(1, |(i, _)| i + 1)
}
