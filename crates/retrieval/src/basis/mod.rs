//! What words mean in a corpus: a vector for each term, learned from the corpus itself, and how far it is to be trusted.

mod dot;
mod learn;
mod vectors;

use serde::{Deserialize, Serialize};

pub use self::vectors::SegmentVectors;
pub(crate) use self::{dot::range, vectors::QueryVector};
use crate::{
    bytes::{Reader, StoredError, put, put_bytes},
    fusion::Calibration,
};

/// How a basis begins. The last byte is the version of the format.
const MARK: &[u8] = b"ashlbas\x01";
/// The largest piece of a stored basis, in bytes.
const PIECE_BYTES: usize = 256 * 1024;
/// The largest stored basis, in bytes.
const BYTES_MAX: usize = 64 << 20;
/// Terms that a basis knows.
const TERMS_MAX: usize = 50_000;
/// Dimensions that vectors may have.
const DIMENSIONS_MAX: usize = 1_024;

/// Vectors for terms.
#[derive(Debug, Clone, PartialEq)]
pub struct Basis {
    dimensions: usize,
    /// Hashes of terms, sorted.
    terms: Vec<u64>,
    /// What each term weighs in a text.
    weights: Vec<f32>,
    rows: Vec<i8>,
    scales: Vec<f32>,
    taught: u32,
    calibration: Calibration,
}

/// The vector of a term, with its weight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    values: &'a [i8],
    /// The scale of the values times the weight of the term.
    factor: f32,
}

impl Row<'_> {
    /// Adds what a term that a text has so many times adds to the text's vector.
    #[expect(clippy::cast_precision_loss, reason = "counts need few digits")]
    pub fn add(&self, count: u32, to: &mut [f32]) {
        let factor = self.factor * (1.0 + (count as f32).ln());
        for (to, value) in to.iter_mut().zip(self.values) {
            *to += factor * f32::from(*value);
        }
    }
}

/// What a stored basis says besides its rows.
#[derive(Serialize, Deserialize)]
struct Head {
    dimensions: usize,
    terms: usize,
    taught: u32,
    calibration: Calibration,
}

impl Basis {
    /// A basis of vectors that an embedder makes. It knows no terms; who asks brings the vector of the query.
    #[must_use]
    pub fn given(taught: u32, calibration: Calibration) -> Self {
        Self {
            dimensions: calibration.dimensions,
            terms: Vec::new(),
            weights: Vec::new(),
            rows: Vec::new(),
            scales: Vec::new(),
            taught,
            calibration,
        }
    }

    /// How many dimensions its vectors have. None when it has learned nothing.
    #[must_use]
    pub const fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// How many terms it knows.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.terms.len()
    }

    /// How many chunks there were to learn from.
    #[must_use]
    pub const fn taught(&self) -> u32 {
        self.taught
    }

    /// How far its vectors are trusted.
    #[must_use]
    pub const fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// How many bytes of memory it takes, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.rows.len() + self.terms.len() * 16
    }

    /// The vector of a term, by [`crate::text::term_hash`].
    pub(crate) fn row(&self, hash: u64) -> Option<Row<'_>> {
        let at = self.terms.binary_search(&hash).ok()?;
        let values = self.rows.get(at * self.dimensions..(at + 1) * self.dimensions)?;
        Some(Row { values, factor: self.scales[at] * self.weights[at] })
    }

    /// The vector of terms, which are given as hashes with their counts.
    #[must_use]
    pub fn embed(&self, terms: impl IntoIterator<Item = (u64, u32)>) -> Vec<f32> {
        let mut vector = vec![0.0; self.dimensions];
        for (hash, count) in terms {
            if let Some(row) = self.row(hash) {
                row.add(count, &mut vector);
            }
        }
        vector
    }

    /// The stored form, in pieces of at most 256 KiB.
    #[must_use]
    pub fn encode(&self) -> Vec<Vec<u8>> {
        let head = Head {
            dimensions: self.dimensions,
            terms: self.terms.len(),
            taught: self.taught,
            calibration: self.calibration.clone(),
        };
        let mut out = MARK.to_vec();
        put_bytes(&mut out, &serde_json::to_vec(&head).unwrap_or_default());
        put(&mut out, self.terms.len() as u64);
        for (term, hash) in self.terms.iter().enumerate() {
            out.extend_from_slice(&hash.to_le_bytes());
            out.extend_from_slice(&self.weights[term].to_le_bytes());
            out.extend_from_slice(&self.scales[term].to_le_bytes());
            let row = &self.rows[term * self.dimensions..(term + 1) * self.dimensions];
            out.extend(row.iter().map(|value| value.to_le_bytes()[0]));
        }
        out.chunks(PIECE_BYTES).map(<[u8]>::to_vec).collect()
    }

    /// Reads the stored form and checks all of it.
    ///
    /// # Errors
    /// When the pieces are not a basis.
    pub fn open<P: AsRef<[u8]>>(pieces: &[P]) -> Result<Self, StoredError> {
        let size: usize = pieces.iter().map(|piece| piece.as_ref().len()).sum();
        if size > BYTES_MAX {
            return Err(StoredError { what: "basis", at: 0, message: "it is too large" });
        }
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.as_ref()).copied().collect();
        let mut reader = Reader::new("basis", MARK, &bytes)?;
        let head: Head = serde_json::from_slice(reader.bytes(4_096)?)
            .map_err(|_| reader.wrong("its head cannot be read"))?;
        let Head { dimensions, terms: count, taught, calibration } = head;
        if dimensions > DIMENSIONS_MAX || !calibration.is_sound() {
            return Err(reader.wrong("its head has numbers out of range"));
        }
        if reader.number(TERMS_MAX)? != count {
            return Err(reader.wrong("it has another number of terms than its head says"));
        }
        let mut basis = Self {
            dimensions,
            terms: Vec::with_capacity(count),
            weights: Vec::with_capacity(count),
            rows: Vec::with_capacity((count * dimensions).min(bytes.len())),
            scales: Vec::with_capacity(count),
            taught,
            calibration,
        };
        for _ in 0..count {
            let hash = u64::from_le_bytes(reader.array()?);
            if basis.terms.last().is_some_and(|last| *last >= hash) {
                return Err(reader.wrong("the terms are not in order"));
            }
            let (weight, scale) = (reader.f32()?, reader.f32()?);
            if !(0.0..=1_000.0).contains(&weight) || !(0.0..=1_000.0).contains(&scale) {
                return Err(reader.wrong("a weight is out of range"));
            }
            basis.terms.push(hash);
            basis.weights.push(weight);
            basis.scales.push(scale);
            basis.rows.extend(reader.take(dimensions)?.iter().map(|byte| i8::from_le_bytes([*byte])));
        }
        reader.end()?;
        Ok(basis)
    }
}

/// Dimensions rounded up to whole blocks.
const fn stride(dimensions: usize) -> usize {
    dimensions.div_ceil(dot::BLOCK) * dot::BLOCK
}

/// Adds the values of a vector as bytes; returns what one step of them is worth.
#[expect(clippy::cast_possible_truncation, reason = "the values are brought into range before")]
fn quantized(vector: &[f32], out: &mut Vec<i8>) -> f32 {
    let largest = vector.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let factor = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    out.extend(vector.iter().map(|value| (value * factor).round() as i8));
    largest / 127.0
}
