//! Texts as vectors, by a model from a directory.
//!
//! Two forms are read, as they are published: static token embeddings (a table of vectors, of which a text gets the mean) and sentence
//! transformers with a BERT encoder, such as MiniLM. A directory contains `*.safetensors` and `tokenizer.json`. Nothing is
//! downloaded, and everything is read before the first text.

mod bert;
mod directory;
mod error;
mod tables;
mod tokens;

use std::path::Path;

pub use self::error::EmbedError;
use self::{bert::Bert, directory::Directory, tables::Table, tokens::Tokenizer};

/// A model that was read.
pub struct Model {
    tokenizer: Tokenizer,
    form: Form,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("dimensions", &self.dimensions()).finish_non_exhaustive()
    }
}

enum Form {
    Static(Table),
    Bert(Box<Bert>),
}

impl Model {
    /// Reads the model of a directory.
    ///
    /// # Errors
    /// When a file is missing, too large, damaged, or of a kind that is not known.
    pub fn open(dir: &Path) -> Result<Self, EmbedError> {
        let directory = Directory::read(dir)?;
        let form = match Bert::read(&directory)? {
            Some(bert) => Form::Bert(Box::new(bert)),
            None => Form::Static(Table::read(&directory)?),
        };
        Ok(Self { tokenizer: Tokenizer::read(&directory)?, form })
    }

    /// A digest of everything in a directory that decides the vectors of its model, and of how this version reads it.
    ///
    /// # Errors
    /// When a file is missing, too large, or cannot be read.
    pub fn digest_of(dir: &Path) -> Result<String, EmbedError> {
        Directory::read(dir)?.digest()
    }

    /// Whether it is a sentence transformer; otherwise it is a table of token embeddings.
    #[must_use]
    pub const fn is_transformer(&self) -> bool {
        matches!(self.form, Form::Bert(_))
    }

    /// The length of its vectors.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        match &self.form {
            Form::Static(table) => table.dimensions(),
            Form::Bert(bert) => bert.dimensions(),
        }
    }

    /// The vector of a text, of length 1; zeros when no token of it is known. A sentence transformer reads the first tokens only, as many
    /// as it was trained on.
    #[must_use]
    pub fn embed(&self, text: &str) -> Vec<f32> {
        let mut vector = match &self.form {
            Form::Static(table) => table.mean(&self.tokenizer.ids(text)),
            Form::Bert(bert) => bert.embed(&self.tokenizer.ids(text)),
        };
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|value| *value /= length);
        }
        vector
    }
}
