//! The measures of the field.

use std::{collections::HashMap, time::Instant};

use serde::Serialize;

use super::Judged;
use crate::{Document, Embedder, Index, Mode, StoredError, fusion::Calibration};

/// How good and how fast a search is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Normalised discounted cumulative gain of the first ten, the mean over the queries.
    #[serde(rename = "ndcg@10")]
    pub ndcg: f64,
    /// The share of relevant documents among the first hundred, the mean over the queries.
    #[serde(rename = "recall@100")]
    pub recall: f64,
    /// Queries with at least one relevant document.
    pub queries: usize,
    /// Documents.
    pub documents: usize,
    /// Half of the queries took at most this long, in milliseconds.
    pub p50_ms: f64,
    /// 99 % of the queries took at most this long, in milliseconds.
    pub p99_ms: f64,
    /// How long indexing and calibrating took, in milliseconds.
    pub index_ms: f64,
    /// What the index learned from its corpus, unless words alone are searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// Indexes judged documents and asks all judged queries.
///
/// # Errors
/// See [`Index::build`].
pub fn evaluate(judged: &Judged, locale: &str, mode: Mode) -> Result<Figures, StoredError> {
    evaluate_with(judged, locale, mode, None)
}

/// As [`evaluate`], with the vectors of an embedder where there is one.
///
/// # Errors
/// See [`Index::build`].
pub fn evaluate_with(
    judged: &Judged,
    locale: &str,
    mode: Mode,
    embedder: Option<&dyn Embedder>,
) -> Result<Figures, StoredError> {
    let embedder = embedder.filter(|_| mode != Mode::Bm25);
    let documents: Vec<Document<'_>> =
        judged.documents.iter().map(|(_, title, text)| Document { title, text }).collect();
    let begun = Instant::now();
    let index = Index::build_with(locale, &documents, mode, embedder)?;
    let index_ms = begun.elapsed().as_secs_f64() * 1_000.0;
    let (mut gains, mut recalls, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for (id, text) in &judged.queries {
        let Some(relevant) = judged.relevant.get(id).filter(|r| r.values().any(|gain| *gain > 0)) else {
            continue;
        };
        let begun = Instant::now();
        // One more than counts: a query that is itself a document does not count as its own answer.
        let vector = embedder.map(|embedder| embedder.embed(text));
        let hits = index.search_with(text, vector.as_deref(), mode, 101);
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        let found: Vec<&str> = hits
            .iter()
            .map(|hit| judged.documents[hit.document as usize].0.as_str())
            .filter(|found| found != id)
            .take(100)
            .collect();
        gains.push(ndcg(&found, relevant, 10));
        recalls.push(recall(&found, relevant));
    }
    times.sort_by(f64::total_cmp);
    Ok(Figures {
        ndcg: mean(&gains),
        recall: mean(&recalls),
        queries: gains.len(),
        documents: documents.len(),
        p50_ms: percentile(&times, 50),
        p99_ms: percentile(&times, 99),
        index_ms,
        calibration: index.calibration().cloned(),
    })
}

/// Normalised discounted cumulative gain of the first `k` (Järvelin and Kekäläinen 2002), with linear gains as `trec_eval` has
/// them; between 0 and 1.
#[must_use]
pub fn ndcg<S: AsRef<str>>(found: &[S], relevant: &HashMap<String, i64>, k: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "gains and ranks are small")]
    let discounted = |gains: &mut dyn Iterator<Item = i64>| -> f64 {
        gains.take(k).zip(2_u32..).map(|(gain, rank)| gain.max(0) as f64 / f64::from(rank).log2()).sum()
    };
    let mut best: Vec<i64> = relevant.values().copied().collect();
    best.sort_unstable_by(|a, b| b.cmp(a));
    let ideal = discounted(&mut best.into_iter());
    let own = discounted(&mut found.iter().map(|id| relevant.get(id.as_ref()).copied().unwrap_or(0)));
    if ideal > 0.0 { own / ideal } else { 0.0 }
}

/// The share of the relevant documents that was found; between 0 and 1.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of documents need few digits")]
pub fn recall<S: AsRef<str>>(found: &[S], relevant: &HashMap<String, i64>) -> f64 {
    let wanted = relevant.values().filter(|gain| **gain > 0).count();
    let got = found.iter().filter(|id| relevant.get(id.as_ref()).is_some_and(|gain| *gain > 0)).count();
    if wanted > 0 { got as f64 / wanted as f64 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "counts of queries need few digits")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The nearest-rank percentile of sorted values.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_are_discounted_and_normalised() {
        let relevant = HashMap::from([("a".to_owned(), 2), ("b".to_owned(), 1), ("c".to_owned(), 0)]);
        assert!((ndcg(&["a", "b"], &relevant, 10) - 1.0).abs() < 1e-12);
        let swapped = (1.0 + 2.0 / 3.0_f64.log2()) / (2.0 + 1.0 / 3.0_f64.log2());
        assert!((ndcg(&["b", "a"], &relevant, 10) - swapped).abs() < 1e-12);
        assert_eq!(ndcg(&["c", "x"], &relevant, 10), 0.0);
        assert_eq!(recall(&["c", "b"], &relevant), 0.5);
        assert_eq!(percentile(&[1.0, 2.0, 3.0, 4.0], 50), 2.0);
        assert_eq!(percentile(&[], 99), 0.0);
    }
}
