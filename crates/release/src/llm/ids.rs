//! Ids of calls: the time first, so that their order is that of the calls.

use jiff::Timestamp;

use crate::ReleaseError;

/// Hexadecimal digits of the time in the id of a call.
const TIME_DIGITS: usize = 12;
/// The longest id of a call.
pub(super) const ID_BYTES_MAX: usize = 64;

/// The start of the ids of calls from a time on.
pub(super) fn id_from(at: Timestamp) -> String {
    format!("{:0TIME_DIGITS$x}", at.as_millisecond().max(0))
}

/// A new id for a call. Calls of later milliseconds have greater ones.
///
/// # Errors
/// When the system has no randomness.
pub fn call_id(at: Timestamp) -> Result<String, ReleaseError> {
    let random = crate::new_id()?;
    Ok(format!("{}{}", id_from(at), random.get(..12).unwrap_or(&random)))
}
