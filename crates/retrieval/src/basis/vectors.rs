//! The vectors of a segment's chunks.

use super::{
    Basis, Row,
    dot::{chosen, dot, scores},
    quantized,
};
use crate::{
    bytes::{Reader, StoredError, put},
    segment::{BREAK, CHUNKS_MAX, Segment},
    text::term_hash,
    vector::unit,
};

/// How vectors begin. The last byte is the version of the format.
const MARK: &[u8] = b"ashlvec\x01";

/// The vectors of the chunks of one segment: a byte for each dimension, and a scale for each chunk. A second byte says what the first
/// leaves out; only chunks that are nearly the best are compared with it. Vectors follow from the segment and the basis alone.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentVectors {
    /// Dimensions, rounded up to whole blocks.
    stride: usize,
    dimensions: usize,
    values: Vec<i8>,
    /// What rounding took from the values, in parts of [`REST_STEPS`].
    rests: Vec<i8>,
    scales: Vec<f32>,
}

/// Steps of the second byte in one of the first.
const REST_STEPS: f32 = 254.0;

impl SegmentVectors {
    /// The vectors of a segment.
    #[must_use]
    pub fn of(segment: &Segment, basis: &Basis) -> Self {
        Self::given(basis.dimensions(), Self::exact(segment, basis))
    }

    /// Vectors that were made elsewhere, in the order of the chunks. Each is brought to `dimensions` and to length 1.
    #[must_use]
    pub fn given(dimensions: usize, vectors: impl IntoIterator<Item = Vec<f32>>) -> Self {
        let mut out = Self::none(dimensions);
        for vector in vectors {
            out.push(vector);
        }
        out
    }

    /// No vectors, to be filled.
    #[must_use]
    pub fn none(dimensions: usize) -> Self {
        let dimensions = dimensions.min(super::DIMENSIONS_MAX);
        let stride = super::stride(dimensions);
        Self { stride, dimensions, values: Vec::new(), rests: Vec::new(), scales: Vec::new() }
    }

    /// Adds a vector, brought to these dimensions and to length 1.
    pub fn push(&mut self, mut vector: Vec<f32>) {
        vector.resize(self.dimensions, 0.0);
        unit(&mut vector);
        vector.resize(self.stride, 0.0);
        let from = self.values.len();
        let scale = quantized(&vector, &mut self.values);
        let of = |(value, rounded): (&f32, &i8)| rounding(*value, *rounded, scale);
        self.rests.extend(vector.iter().zip(&self.values[from..]).map(of));
        self.scales.push(scale);
    }

    /// Adds a vector of others as it is. Whether they have it, with as many dimensions.
    pub fn push_from(&mut self, other: &Self, chunk: usize) -> bool {
        let Some(scale) = other.scales.get(chunk).filter(|_| other.dimensions == self.dimensions) else {
            return false;
        };
        self.values.extend_from_slice(other.row(&other.values, chunk));
        self.rests.extend_from_slice(other.row(&other.rests, chunk));
        self.scales.push(*scale);
        true
    }

    /// Whether a chunk has a vector that says something.
    #[must_use]
    pub fn is_known(&self, chunk: usize) -> bool {
        self.scales.get(chunk).is_some_and(|scale| *scale > 0.0)
    }

    /// The vector of a chunk, about as it was given; empty for a chunk without one.
    #[must_use]
    pub fn vector(&self, chunk: usize) -> Vec<f32> {
        let scale = self.scales.get(chunk).copied().unwrap_or(0.0);
        let both = self.row(&self.values, chunk).iter().zip(self.row(&self.rests, chunk));
        let exact = |(value, rest): (&i8, &i8)| (f32::from(*value) + f32::from(*rest) / REST_STEPS) * scale;
        both.take(self.dimensions).map(exact).collect()
    }

    /// The vectors of a segment's chunks before they are quantised, each of length 1.
    #[must_use]
    pub fn exact(segment: &Segment, basis: &Basis) -> Vec<Vec<f32>> {
        let rows: Vec<Option<Row<'_>>> = (0..segment.terms())
            .map(|term| basis.row(term_hash(segment.term(u16::try_from(term).unwrap_or(BREAK)))))
            .collect();
        let mut counts = vec![0_u32; rows.len()];
        let mut seen: Vec<u16> = Vec::new();
        let mut out = Vec::with_capacity(segment.len());
        for chunk in 0..segment.len() {
            for term in segment.tokens(chunk).filter(|term| *term != BREAK) {
                let count = &mut counts[usize::from(term)];
                if *count == 0 {
                    seen.push(term);
                }
                *count += 1;
            }
            // The order in which terms are added up must not depend on the numbers they have in this segment.
            let mut vector = vec![0.0; basis.dimensions()];
            for term in seen.drain(..) {
                let count = std::mem::take(&mut counts[usize::from(term)]);
                if let Some(row) = &rows[usize::from(term)] {
                    row.add(count, &mut vector);
                }
            }
            unit(&mut vector);
            out.push(vector);
        }
        out
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scales.is_empty()
    }

    /// The number of dimensions.
    #[must_use]
    pub const fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// How many bytes of memory they take, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.values.len() * 2 + self.scales.len() * 4
    }

    fn row<'a>(&self, values: &'a [i8], chunk: usize) -> &'a [i8] {
        values.get(chunk * self.stride..(chunk + 1) * self.stride).unwrap_or_default()
    }

    /// The cosine of a chunk's vector and that of a query, about.
    #[expect(clippy::cast_precision_loss, reason = "scores need few digits")]
    pub(crate) fn score(&self, chunk: usize, query: &QueryVector) -> f32 {
        let Some(scale) = self.scales.get(chunk) else { return 0.0 };
        dot(self.row(&self.values, chunk), &query.values) as f32 * (scale * query.scale)
    }

    /// What must be added to [`Self::score`] to be exact.
    #[expect(clippy::cast_precision_loss, reason = "scores need few digits")]
    pub(crate) fn rest(&self, chunk: usize, query: &QueryVector) -> f32 {
        let Some(scale) = self.scales.get(chunk) else { return 0.0 };
        dot(self.row(&self.rests, chunk), &query.values) as f32 / REST_STEPS * (scale * query.scale)
    }

    /// [`Self::score`] of each chunk.
    pub(crate) fn scores(&self, query: &QueryVector, out: &mut [f32]) {
        scores(&self.values, &self.scales, &query.values, query.scale, out);
    }

    /// [`Self::score`] of some chunks.
    pub(crate) fn scores_of(&self, chunks: &[u16], query: &QueryVector, out: &mut [f32]) {
        chosen(&self.values, &self.scales, &query.values, query.scale, chunks, out);
    }

    /// A chunk's vector as that of a query.
    pub(crate) fn as_query(&self, chunk: usize) -> QueryVector {
        let values = self.row(&self.values, chunk).iter().map(|value| i16::from(*value)).collect();
        QueryVector { values, scale: self.scales.get(chunk).copied().unwrap_or(0.0) }
    }

    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len() * (self.dimensions * 2 + 4) + 16);
        out.extend_from_slice(MARK);
        put(&mut out, self.dimensions as u64);
        put(&mut out, self.len() as u64);
        for (chunk, scale) in self.scales.iter().enumerate() {
            out.extend_from_slice(&scale.to_le_bytes());
            for row in [self.row(&self.values, chunk), self.row(&self.rests, chunk)] {
                out.extend(row.iter().take(self.dimensions).map(|value| value.to_le_bytes()[0]));
            }
        }
        out
    }

    /// Reads the stored form and checks all of it.
    ///
    /// # Errors
    /// When the bytes are not vectors.
    pub fn open(bytes: &[u8]) -> Result<Self, StoredError> {
        let mut reader = Reader::new("vectors", MARK, bytes)?;
        let dimensions = reader.number(super::DIMENSIONS_MAX)?;
        let count = reader.number(CHUNKS_MAX)?;
        let stride = super::stride(dimensions);
        // No larger than the bytes that follow, whatever the count says.
        let most = count.min(bytes.len() / (dimensions * 2 + 4));
        let (mut values, mut rests) = (Vec::with_capacity(most * stride), Vec::with_capacity(most * stride));
        let mut scales = Vec::with_capacity(most);
        for _ in 0..count {
            let scale = reader.f32()?;
            if !(0.0..=1.0).contains(&scale) {
                return Err(reader.wrong("a scale is not between 0 and 1"));
            }
            scales.push(scale);
            for values in [&mut values, &mut rests] {
                values.extend(reader.take(dimensions)?.iter().map(|byte| i8::from_le_bytes([*byte])));
                values.resize(scales.len() * stride, 0);
            }
        }
        reader.end()?;
        Ok(Self { stride, dimensions, values, rests, scales })
    }
}

/// What rounding took from a value.
#[expect(clippy::cast_possible_truncation, reason = "the value is brought into range before")]
fn rounding(value: f32, rounded: i8, scale: f32) -> i8 {
    if scale > 0.0 {
        ((value / scale - f32::from(rounded)) * REST_STEPS).round().clamp(-127.0, 127.0) as i8
    } else {
        0
    }
}

/// The vector of a query: sixteen bits for each dimension, so that nearly nothing is lost on this side.
#[derive(Debug, Clone)]
pub(crate) struct QueryVector {
    values: Vec<i16>,
    scale: f32,
}

impl QueryVector {
    /// The vector of what is asked. `None` when nothing is known of its meaning.
    #[expect(clippy::cast_possible_truncation, reason = "the values are brought into range before")]
    pub fn new(mut vector: Vec<f32>) -> Option<Self> {
        unit(&mut vector);
        let largest = vector.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        if largest <= 0.0 || !largest.is_finite() {
            return None;
        }
        // A sum of 1,024 products of at most 127 · 16,383 fits into 32 bits.
        let factor = 16_383.0 / largest;
        let mut values: Vec<i16> = vector.iter().map(|value| (value * factor).round() as i16).collect();
        values.resize(super::stride(vector.len()), 0);
        Some(Self { values, scale: 1.0 / factor })
    }

    pub fn fits(&self, vectors: &SegmentVectors) -> bool {
        self.values.len() == vectors.stride
    }
}
