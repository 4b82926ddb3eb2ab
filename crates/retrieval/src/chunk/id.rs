use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The id of a chunk: 16 bytes, written as 32 hexadecimal digits. It follows from the entry, the field, the text of the chunk and
/// how often the entry has had that text before. The positions of lists on the way to the field do not count, so a chunk keeps its id when a
/// block is inserted above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId([u8; 16]);

/// The text is not 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of a chunk: 32 hexadecimal digits are expected")]
pub struct ChunkIdParseError(String);

impl ChunkId {
    /// The id whose bytes are known.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub(super) fn of(entry: &[u8], field: &str, text: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        let field = general(field);
        for part in [entry, field.as_bytes(), text.as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self::first_of(&hasher)
    }

    /// The id of the same text when the entry has it again.
    pub(super) fn repeated(self, repetition: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(&repetition.to_le_bytes());
        Self::first_of(&hasher)
    }

    fn first_of(hasher: &blake3::Hasher) -> Self {
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        Self(bytes)
    }
}

/// A JSON pointer with `*` for positions in lists.
fn general(field: &str) -> String {
    let number = |step: &str| !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit());
    let steps: Vec<&str> = field.split('/').map(|step| if number(step) { "*" } else { step }).collect();
    steps.join("/")
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for ChunkId {
    type Err = ChunkIdParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ChunkIdParseError(text.chars().take(80).collect());
        if text.len() != 32 {
            return Err(wrong());
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16).and_then(|d| u8::try_from(d).ok());
            *byte = digit(0).zip(digit(1)).map(|(high, low)| high << 4 | low).ok_or_else(wrong)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for ChunkId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChunkId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
