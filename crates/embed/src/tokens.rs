//! From text to the numbers of tokens.

use kitoken::Kitoken;
use serde_json::Value;

use crate::{EmbedError, directory::Directory};

/// The most bytes of a text that are read.
const TEXT_MAX: usize = 1 << 20;

/// Splits text as the model's authors did.
pub(crate) struct Tokenizer(Kitoken);

impl Tokenizer {
    pub fn read(directory: &Directory) -> Result<Self, EmbedError> {
        let (path, mut description) = directory.tokenizer()?;
        let unusable = |why| EmbedError::Unusable { path: path.clone(), why };
        let Some(members) = description.as_object_mut().filter(|m| m.contains_key("model")) else {
            return Err(unusable("is not a tokenizer: it has no `model`".to_owned()));
        };
        // How many tokens are read is decided by the model; padding is for batches.
        members.insert("truncation".to_owned(), Value::Null);
        members.insert("padding".to_owned(), Value::Null);
        let bytes = serde_json::to_vec(&description).map_err(|e| unusable(e.to_string()))?;
        Kitoken::from_tokenizers_slice(&bytes).map(Self).map_err(|e| unusable(e.to_string()))
    }

    /// The tokens of a text. A text that cannot be split has none.
    pub fn ids(&self, text: &str) -> Vec<u32> {
        let mut end = text.len().min(TEXT_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.0.encode(&text[..end], false).unwrap_or_default()
    }
}
