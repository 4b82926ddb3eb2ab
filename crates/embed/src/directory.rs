//! The files of a model.

use std::{
    fs,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;

use crate::EmbedError;

/// The most bytes of a file with weights.
const WEIGHTS_MAX: u64 = 2 << 30;
/// The most bytes of any other file.
const TEXT_MAX: u64 = 64 << 20;

/// How models are read. Another text when the same files give other vectors.
const FORM: &[u8] = b"embed 1";

/// A directory with a model.
pub(crate) struct Directory {
    dir: PathBuf,
    weights_path: PathBuf,
    weights: Vec<u8>,
}

/// Numbers of a tensor, by rows.
pub(crate) struct Tensor {
    pub rows: usize,
    pub columns: usize,
    pub values: Vec<f32>,
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, EmbedError> {
    let io = |source| EmbedError::Io { path: path.to_owned(), source };
    let bytes = fs::metadata(path).map_err(io)?.len();
    if bytes > most {
        return Err(EmbedError::TooLarge { path: path.to_owned(), bytes, most });
    }
    fs::read(path).map_err(io)
}

impl Directory {
    pub fn read(dir: &Path) -> Result<Self, EmbedError> {
        let missing = |wanted| EmbedError::Missing { dir: dir.to_owned(), wanted };
        let weights_path =
            find(dir, "model.safetensors", ".safetensors")?.ok_or_else(|| missing("*.safetensors"))?;
        let weights = read(&weights_path, WEIGHTS_MAX)?;
        let directory = Self { dir: dir.to_owned(), weights_path, weights };
        directory.tensors()?;
        Ok(directory)
    }

    /// A file with JSON, as a value; `None` when it is not there.
    pub fn json(&self, name: &str) -> Result<Option<Value>, EmbedError> {
        let path = self.dir.join(name);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = read(&path, TEXT_MAX)?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| EmbedError::Unusable { path, why: format!("is not JSON: {e}") })
    }

    /// A digest of every file that is read of the directory.
    pub fn digest(&self) -> Result<String, EmbedError> {
        let mut hasher = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        add(FORM);
        add(&self.weights);
        let (path, _) = self.tokenizer()?;
        add(&read(&path, TEXT_MAX)?);
        for name in ["config.json", "1_Pooling/config.json", "sentence_bert_config.json"] {
            let path = self.dir.join(name);
            add(&if path.exists() { read(&path, TEXT_MAX)? } else { Vec::new() });
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// The description of the tokenizer and where it is.
    pub fn tokenizer(&self) -> Result<(PathBuf, Value), EmbedError> {
        let missing = || EmbedError::Missing { dir: self.dir.clone(), wanted: "tokenizer.json" };
        let path = find(&self.dir, "tokenizer.json", "tokenizer_config.json")?.ok_or_else(missing)?;
        let bytes = read(&path, TEXT_MAX)?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok((path, value)),
            Err(e) => Err(EmbedError::Unusable { path, why: format!("is not JSON: {e}") }),
        }
    }

    fn tensors(&self) -> Result<SafeTensors<'_>, EmbedError> {
        SafeTensors::deserialize(&self.weights).map_err(|e| self.unusable(format!("is damaged: {e}")))
    }

    /// Why the weights cannot be used.
    pub fn unusable(&self, why: String) -> EmbedError {
        EmbedError::Unusable { path: self.weights_path.clone(), why }
    }

    /// The names of all tensors.
    pub fn names(&self) -> Result<Vec<String>, EmbedError> {
        let tensors = self.tensors()?;
        let mut names: Vec<String> = tensors.names().into_iter().map(|name| name.to_string()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// A tensor with one or two dimensions; one dimension is one row. `None` when it is not there or has another shape.
    pub fn tensor(&self, name: &str) -> Result<Option<Tensor>, EmbedError> {
        let tensors = self.tensors()?;
        let Ok(view) = tensors.tensor(name) else { return Ok(None) };
        let (rows, columns) = match *view.shape() {
            [columns] => (1, columns),
            [rows, columns] => (rows, columns),
            _ => return Ok(None),
        };
        let values = numbers(&view)
            .ok_or_else(|| self.unusable(format!("`{name}` is stored as {:?}", view.dtype())))?;
        Ok(Some(Tensor { rows, columns, values }))
    }
}

/// The file with a name, else the first whose name ends like this.
fn find(dir: &Path, name: &str, ending: &str) -> Result<Option<PathBuf>, EmbedError> {
    let named = dir.join(name);
    if named.is_file() {
        return Ok(Some(named));
    }
    let io = |source| EmbedError::Io { path: dir.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.file_name().is_some_and(|n| n.to_string_lossy().ends_with(ending)) {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().next())
}

/// Numbers as single precision; `None` for kinds that are not known.
fn numbers(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let data = view.data();
    Some(match view.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::BF16 => data
            .as_chunks()
            .0
            .iter()
            .map(|b| f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16))
            .collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|b| half(u16::from_le_bytes(*b))).collect(),
        _ => return None,
    })
}

/// A number of half precision (IEEE 754 binary16).
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2.0_f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::half;

    #[test]
    fn half_precision_is_read() {
        let pairs =
            [(0x3c00, 1.0), (0xc000, -2.0), (0x3555, 0.333_251_95), (0x0001, 5.960_464_5e-8), (0, 0.0)];
        for (bits, value) in pairs {
            assert!((half(bits) - value).abs() < 1e-12, "{bits:x}");
        }
        assert!(half(0x7c00).is_infinite() && half(0x7e00).is_nan());
    }
}
