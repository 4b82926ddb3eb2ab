//! A BERT encoder with mean pooling, as sentence transformers use it.
//!
//! Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers" (2019); Reimers and Gurevych, "Sentence-BERT" (2019).

use ndarray::{Array1, Array2, Axis, s};
use serde_json::Value;

use crate::{EmbedError, directory::Directory};

/// Tokens that a model reads when it does not say how many.
const TOKENS: usize = 256;
/// The most layers of a model that is read.
const LAYERS_MAX: u64 = 48;

/// A linear layer; the matrix is already transposed.
struct Linear {
    weight: Array2<f32>,
    bias: Array1<f32>,
}

impl Linear {
    fn of(&self, x: &Array2<f32>) -> Array2<f32> {
        x.dot(&self.weight) + &self.bias
    }
}

/// Layer normalisation.
struct Norm {
    weight: Array1<f32>,
    bias: Array1<f32>,
    epsilon: f32,
}

impl Norm {
    #[expect(clippy::cast_precision_loss, reason = "vectors have a few hundred values")]
    fn apply(&self, x: &mut Array2<f32>) {
        for mut row in x.rows_mut() {
            let count = row.len().max(1) as f32;
            let mean = row.sum() / count;
            let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count;
            let scale = 1.0 / (variance + self.epsilon).sqrt();
            for ((value, weight), bias) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
                *value = (*value - mean) * scale * weight + bias;
            }
        }
    }
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    attended: Norm,
    wide: Linear,
    narrow: Linear,
    done: Norm,
}

/// The encoder.
pub(crate) struct Bert {
    words: Array2<f32>,
    /// Position embeddings, with those of the first segment added.
    positions: Array2<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
    /// The tokens that stand before and behind every text.
    around: (u32, u32),
    tokens: usize,
    /// Whether a text is its first token instead of the mean of all.
    first: bool,
}

/// Reads tensors by name.
struct Reader<'a> {
    directory: &'a Directory,
    prefix: &'static str,
    epsilon: f32,
}

impl Reader<'_> {
    fn matrix(&self, name: &str) -> Result<Array2<f32>, EmbedError> {
        let full = format!("{}{name}", self.prefix);
        let missing = || self.directory.unusable(format!("has no matrix `{full}`"));
        let tensor = self.directory.tensor(&full)?.ok_or_else(missing)?;
        Array2::from_shape_vec((tensor.rows, tensor.columns), tensor.values).map_err(|_| missing())
    }

    fn vector(&self, name: &str, length: usize) -> Result<Array1<f32>, EmbedError> {
        let matrix = self.matrix(name)?;
        match matrix.dim() {
            (1, columns) if columns == length => Ok(matrix.row(0).to_owned()),
            (rows, columns) => Err(self
                .directory
                .unusable(format!("`{name}` has {rows}×{columns} values where {length} are needed"))),
        }
    }

    fn linear(&self, name: &str, (from, to): (usize, usize)) -> Result<Linear, EmbedError> {
        let weight = self.matrix(&format!("{name}.weight"))?;
        if weight.dim() != (to, from) {
            let (rows, columns) = weight.dim();
            return Err(self.directory.unusable(format!(
                "`{name}.weight` has {rows}×{columns} values where {to}×{from} are needed"
            )));
        }
        let weight = weight.reversed_axes().as_standard_layout().to_owned();
        Ok(Linear { weight, bias: self.vector(&format!("{name}.bias"), to)? })
    }

    fn norm(&self, name: &str, length: usize) -> Result<Norm, EmbedError> {
        Ok(Norm {
            weight: self.vector(&format!("{name}.weight"), length)?,
            bias: self.vector(&format!("{name}.bias"), length)?,
            epsilon: self.epsilon,
        })
    }
}

fn whole(config: &Value, name: &str) -> Option<usize> {
    config.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok())
}

impl Bert {
    /// Reads an encoder; `None` when the directory contains none.
    pub fn read(directory: &Directory) -> Result<Option<Self>, EmbedError> {
        let Some(config) = directory.json("config.json")? else { return Ok(None) };
        let names = directory.names()?;
        let word = "embeddings.word_embeddings.weight";
        let prefix = ["", "bert."].into_iter().find(|p| names.contains(&format!("{p}{word}")));
        let Some(prefix) = prefix else { return Ok(None) };
        let unusable = |why: String| Err(directory.unusable(why));
        match config["hidden_act"].as_str() {
            None | Some("gelu") => {}
            Some(other) => return unusable(format!("uses the activation `{other}`; `gelu` is known")),
        }
        #[expect(clippy::cast_possible_truncation, reason = "a tiny number")]
        let epsilon = config["layer_norm_eps"].as_f64().unwrap_or(1e-12) as f32;
        let reader = Reader { directory, prefix, epsilon };
        let words = reader.matrix(word)?;
        let width = words.ncols();
        let mut positions = reader.matrix("embeddings.position_embeddings.weight")?;
        let kinds = reader.matrix("embeddings.token_type_embeddings.weight")?;
        let heads = whole(&config, "num_attention_heads").unwrap_or(12);
        if positions.ncols() != width || kinds.ncols() != width || kinds.nrows() == 0 {
            return unusable("has embeddings of different lengths".to_owned());
        }
        if heads == 0 || !width.is_multiple_of(heads) {
            return unusable(format!("cannot share {width} values between {heads} heads"));
        }
        positions += &kinds.row(0);
        let count = config["num_hidden_layers"].as_u64().unwrap_or(0).min(LAYERS_MAX);
        let layers = (0..count).map(|number| layer(&reader, number, width)).collect::<Result<_, _>>()?;
        let pooling = directory.json("1_Pooling/config.json")?.unwrap_or_default();
        let said = directory.json("sentence_bert_config.json")?.unwrap_or_default();
        let tokens = whole(&said, "max_seq_length").unwrap_or(TOKENS).clamp(3, positions.nrows().max(3));
        if positions.nrows() < tokens {
            return unusable(format!("knows {} positions only", positions.nrows()));
        }
        let norm = reader.norm("embeddings.LayerNorm", width)?;
        let first = pooling["pooling_mode_cls_token"] == true;
        let around = around(directory, words.nrows())?;
        Ok(Some(Self { words, positions, norm, layers, heads, around, tokens, first }))
    }

    pub fn dimensions(&self) -> usize {
        self.words.ncols()
    }

    /// The vector of some tokens.
    pub fn embed(&self, ids: &[u32]) -> Vec<f32> {
        let known = |id: &u32| (*id as usize) < self.words.nrows();
        let inner = ids.iter().copied().filter(known).take(self.tokens - 2);
        let ids: Vec<u32> = std::iter::once(self.around.0).chain(inner).chain([self.around.1]).collect();
        let mut x = Array2::<f32>::zeros((ids.len(), self.dimensions()));
        for ((mut row, id), position) in x.rows_mut().into_iter().zip(&ids).zip(self.positions.rows()) {
            row.assign(&self.words.row(*id as usize));
            row += &position;
        }
        self.norm.apply(&mut x);
        for layer in &self.layers {
            layer.apply(&mut x, self.heads);
        }
        match self.first {
            true => x.row(0).to_vec(),
            false => x.sum_axis(Axis(0)).to_vec(),
        }
    }
}

/// The tokens `[CLS]` and `[SEP]`, as the tokenizer names them.
fn around(directory: &Directory, known: usize) -> Result<(u32, u32), EmbedError> {
    let (path, description) = directory.tokenizer()?;
    let find = |name: &str| {
        let added = description["added_tokens"].as_array().into_iter().flatten();
        let added = added.filter(|t| t["content"] == name).find_map(|t| t["id"].as_u64());
        added
            .or_else(|| description["model"]["vocab"][name].as_u64())
            .and_then(|id| u32::try_from(id).ok())
            .filter(|id| (*id as usize) < known)
            .ok_or_else(|| EmbedError::Unusable { path: path.clone(), why: format!("has no token `{name}`") })
    };
    Ok((find("[CLS]")?, find("[SEP]")?))
}

fn layer(reader: &Reader<'_>, number: u64, width: usize) -> Result<Layer, EmbedError> {
    let name = |part: &str| format!("encoder.layer.{number}.{part}");
    let wide = reader.matrix(&name("intermediate.dense.weight"))?.nrows();
    let square = (width, width);
    Ok(Layer {
        query: reader.linear(&name("attention.self.query"), square)?,
        key: reader.linear(&name("attention.self.key"), square)?,
        value: reader.linear(&name("attention.self.value"), square)?,
        output: reader.linear(&name("attention.output.dense"), square)?,
        attended: reader.norm(&name("attention.output.LayerNorm"), width)?,
        wide: reader.linear(&name("intermediate.dense"), (width, wide))?,
        narrow: reader.linear(&name("output.dense"), (wide, width))?,
        done: reader.norm(&name("output.LayerNorm"), width)?,
    })
}

impl Layer {
    #[expect(clippy::cast_precision_loss, reason = "heads have a few dozen values")]
    fn apply(&self, x: &mut Array2<f32>, heads: usize) {
        let (query, key, value) = (self.query.of(x), self.key.of(x), self.value.of(x));
        let size = x.ncols() / heads;
        let scale = 1.0 / (size as f32).sqrt();
        let mut mixed = Array2::<f32>::zeros(x.raw_dim());
        for head in 0..heads {
            let part = s![.., head * size..(head + 1) * size];
            let mut attention = query.slice(part).dot(&key.slice(part).t()) * scale;
            for mut row in attention.rows_mut() {
                let most = row.fold(f32::MIN, |a, b| a.max(*b));
                row.mapv_inplace(|value| (value - most).exp());
                let sum = row.sum();
                row /= sum;
            }
            mixed.slice_mut(part).assign(&attention.dot(&value.slice(part)));
        }
        *x += &self.output.of(&mixed);
        self.attended.apply(x);
        let mut wide = self.wide.of(x);
        wide.mapv_inplace(gelu);
        *x += &self.narrow.of(&wide);
        self.done.apply(x);
    }
}

/// Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016).
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
}
