//! Lists in pages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ReleaseError;

/// The most items of one page.
const PAGE_MAX: u32 = 500;
/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; absent on the last.
    pub next_cursor: Option<String>,
}

/// How many items a page has.
pub(crate) fn page_size(limit: Option<u32>) -> u32 {
    limit.unwrap_or(100).clamp(1, PAGE_MAX)
}

/// Reads a cursor that is a number.
pub(crate) fn cursor_number(cursor: Option<&str>) -> Result<u64, ReleaseError> {
    match cursor {
        None => Ok(i64::MAX as u64),
        Some(text) => text.parse().map_err(|_| not_a_cursor()),
    }
}

/// The error for a cursor that no page gave.
pub(crate) fn not_a_cursor() -> ReleaseError {
    ReleaseError::invalid("the cursor is not one that this list gave", "start without a cursor")
}

/// Cuts a list that was read one longer than its page and says where the next begins.
pub(crate) fn paged<T>(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_cursor = items.last().filter(|_| more).map(cursor);
    Page { items, next_cursor }
}
