//! Reading and writing stored forms: numbers of variable length, and strings with their length.

use thiserror::Error;

/// Stored bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the {what} is damaged at byte {at}: {message}; build it again")]
pub struct StoredError {
    /// What should have been read.
    pub what: &'static str,
    /// Where reading failed.
    pub at: usize,
    /// What is wrong there.
    pub message: &'static str,
}

/// Adds a number, seven bits to a byte.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or(0));
}

/// Adds bytes with their length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads stored bytes from the first to the last.
pub(crate) struct Reader<'a> {
    what: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Begins, and checks the mark at the start.
    pub fn new(what: &'static str, mark: &[u8], bytes: &'a [u8]) -> Result<Self, StoredError> {
        let mut reader = Self { what, bytes, at: 0 };
        if reader.take(mark.len())? != mark {
            reader.at = 0;
            return Err(reader.wrong("it does not begin as it should, or another version wrote it"));
        }
        Ok(reader)
    }

    pub const fn wrong(&self, message: &'static str) -> StoredError {
        StoredError { what: self.what, at: self.at, message }
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], StoredError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..count).ok_or_else(|| self.wrong("it ends too early"))?;
        self.at += count;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], StoredError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| self.wrong("it ends too early"))
    }

    pub fn f32(&mut self) -> Result<f32, StoredError> {
        let number = f32::from_le_bytes(self.array()?);
        if number.is_finite() { Ok(number) } else { Err(self.wrong("a number is not finite")) }
    }

    /// A number that is at most `most`.
    pub fn number(&mut self, most: usize) -> Result<usize, StoredError> {
        let mut number = 0_u64;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(number)
                    .ok()
                    .filter(|number| *number <= most)
                    .ok_or_else(|| self.wrong("a number is too large"));
            }
        }
        Err(self.wrong("a number is too long"))
    }

    /// Bytes with their length, of which there are at most `most`.
    pub fn bytes(&mut self, most: usize) -> Result<&'a [u8], StoredError> {
        let count = self.number(most)?;
        self.take(count)
    }

    pub fn string(&mut self, most: usize) -> Result<&'a str, StoredError> {
        let bytes = self.bytes(most)?;
        std::str::from_utf8(bytes).map_err(|_| self.wrong("a string is not UTF-8"))
    }

    /// Checks that nothing follows.
    pub fn end(&self) -> Result<(), StoredError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.wrong("something follows its end")) }
    }
}
