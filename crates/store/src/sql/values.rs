//! Values of columns, read and written.

use std::str::FromStr;

use jiff::Timestamp;
use sqlx::{Row, any::AnyRow};

use super::error::SqlError;

/// Rows that one statement writes; databases bound the values of a statement.
pub(super) const ROWS_MAX: usize = 100;

/// A time as it is stored: RFC 3339 in UTC with microseconds, so that text order is time order.
pub fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

pub(super) fn text(row: &AnyRow, column: &'static str) -> Result<String, SqlError> {
    row.try_get(column).map_err(|e| SqlError::Damaged { column, message: e.to_string() })
}

pub(super) fn maybe_text(row: &AnyRow, column: &'static str) -> Result<Option<String>, SqlError> {
    row.try_get(column).map_err(|e| SqlError::Damaged { column, message: e.to_string() })
}

pub(super) fn unsigned(row: &AnyRow, column: &'static str) -> Result<u64, SqlError> {
    let value: i64 = row.try_get(column).map_err(|e| SqlError::Damaged { column, message: e.to_string() })?;
    u64::try_from(value).map_err(|e| SqlError::Damaged { column, message: e.to_string() })
}

pub(super) fn maybe_unsigned(row: &AnyRow, column: &'static str) -> Result<Option<u64>, SqlError> {
    let value: Option<i64> =
        row.try_get(column).map_err(|e| SqlError::Damaged { column, message: e.to_string() })?;
    value.map(u64::try_from).transpose().map_err(|e| SqlError::Damaged { column, message: e.to_string() })
}

pub(super) fn number(row: &AnyRow, column: &'static str) -> Result<u32, SqlError> {
    u32::try_from(unsigned(row, column)?).map_err(|e| SqlError::Damaged { column, message: e.to_string() })
}

pub(super) fn parsed<T: FromStr>(row: &AnyRow, column: &'static str) -> Result<T, SqlError>
where
    T::Err: std::fmt::Display,
{
    text(row, column)?.parse().map_err(|e: T::Err| SqlError::Damaged { column, message: e.to_string() })
}

pub(super) fn json<T: serde::de::DeserializeOwned>(
    row: &AnyRow,
    column: &'static str,
) -> Result<T, SqlError> {
    serde_json::from_str(&text(row, column)?)
        .map_err(|e| SqlError::Damaged { column, message: e.to_string() })
}

pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, SqlError> {
    serde_json::to_string(value).map_err(|e| SqlError::Engine(e.to_string()))
}

/// Signed form of a count or sequence for binding; the values are far below 2^63.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
