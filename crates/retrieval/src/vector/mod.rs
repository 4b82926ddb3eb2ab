//! Texts as vectors: what they are about, whatever words they use.

mod linear;
mod lsa;

use crate::corpus::Corpus;

pub(crate) use self::linear::Random;
pub(crate) use self::lsa::Lsa;

/// The vectors of all texts of a corpus.
pub(crate) fn vectors(corpus: &Corpus, lsa: &Lsa) -> Vectors {
    let mut vectors = Vectors::new(lsa.dimensions());
    for text in 0..corpus.len() {
        vectors.push(&lsa.embed(corpus.text(text).iter().map(|found| (found.term, found.count))));
    }
    vectors
}

/// Vectors of one length, side by side.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vectors {
    dimensions: usize,
    count: u32,
    values: Vec<f32>,
}

impl Vectors {
    /// No vectors yet.
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions, count: 0, values: Vec::new() }
    }

    /// Adds a vector, which is cut to the dimensions and brought to length 1.
    pub fn push(&mut self, vector: &[f32]) {
        let from = self.values.len();
        self.values.extend_from_slice(&vector[..self.dimensions]);
        unit(&mut self.values[from..]);
        self.count += 1;
    }

    /// The number of dimensions.
    pub const fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn vector(&self, number: u32) -> &[f32] {
        &self.values[number as usize * self.dimensions..(number as usize + 1) * self.dimensions]
    }

    /// The cosine of two vectors.
    pub fn closeness(&self, a: u32, b: u32) -> f32 {
        linear::dot(self.vector(a), self.vector(b))
    }

    /// The cosine of each vector with that of a query, which has at least as many dimensions.
    pub fn scores(&self, query: &[f32]) -> Vec<f32> {
        let mut query = query[..self.dimensions].to_vec();
        unit(&mut query);
        (0..self.count).map(|number| linear::dot(self.vector(number), &query)).collect()
    }
}

/// Brings a vector to length 1; one of zeros stays as it is.
pub(crate) fn unit(vector: &mut [f32]) {
    let length = linear::dot(vector, vector).sqrt();
    if length > 0.0 {
        for value in vector {
            *value /= length;
        }
    }
}
