//! Static token embeddings: a vector per token, and a text is their mean.
//!
//! The forms of model2vec and wordllama: one table, perhaps with a weight per token and a mapping from tokens to rows.

use crate::{EmbedError, directory::Directory};

/// Names that the table goes by.
const NAMES: [&str; 4] = ["embeddings", "embedding.weight", "embedding", "embeddings.weight"];

/// A table of vectors.
pub(crate) struct Table {
    dimensions: usize,
    values: Vec<f32>,
}

impl Table {
    pub fn read(directory: &Directory) -> Result<Self, EmbedError> {
        let names = directory.names()?;
        let name = NAMES.into_iter().find(|wanted| names.iter().any(|name| name == wanted));
        let Some(tensor) = name.map(|name| directory.tensor(name)).transpose()?.flatten() else {
            let shown = names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(directory.unusable(format!(
                "is neither a table of token embeddings (`{}`) nor a BERT encoder; it contains {shown}",
                NAMES[0]
            )));
        };
        if tensor.rows == 0 || tensor.columns == 0 {
            return Err(directory.unusable("has an empty table".to_owned()));
        }
        let mut values = tensor.values;
        let weights = directory.tensor("weights")?;
        if let Some(weights) = weights.filter(|w| w.values.len() == tensor.rows) {
            for (row, weight) in values.chunks_exact_mut(tensor.columns).zip(&weights.values) {
                row.iter_mut().for_each(|value| *value *= weight);
            }
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(directory.unusable("contains a value that is not a number".to_owned()));
        }
        Ok(Self { dimensions: tensor.columns, values })
    }

    pub const fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The mean of the vectors of tokens; those that the table does not have do not count.
    pub fn mean(&self, ids: &[u32]) -> Vec<f32> {
        let mut sum = vec![0.0_f32; self.dimensions];
        for id in ids {
            let from = *id as usize * self.dimensions;
            if let Some(row) = self.values.get(from..from + self.dimensions) {
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        }
        // The mean has the direction of the sum, and the caller brings it to length 1.
        sum
    }
}
