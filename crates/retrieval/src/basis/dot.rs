//! Scalar products of bytes with numbers of sixteen bits: the inner loop of every search by meaning. And the range of their results.
//!
//! They are computed with the widest vector instructions that the processor has. All sums are exact, so every processor gives the
//! same result.

use fearless_simd::{Level, dispatch, f32x16, i8x32, i16x16, i32x8, prelude::*};

/// Rows consist of whole blocks of so many values.
pub(super) const BLOCK: usize = 32;

/// Numbers that are compared at the same time.
const LANES: usize = 16;
/// Rows that are multiplied at the same time.
const ROWS: usize = 4;

/// The scalar product of each row with a query of the same length, times the scale of the row and a factor.
pub(super) fn scores(rows: &[i8], scales: &[f32], query: &[i16], factor: f32, out: &mut [f32]) {
    dispatch!(Level::new(), simd => many(simd, rows, scales, query, factor, out));
}

/// [`scores`] of some rows.
pub(super) fn chosen(
    rows: &[i8],
    scales: &[f32],
    query: &[i16],
    factor: f32,
    numbers: &[u16],
    out: &mut [f32],
) {
    dispatch!(Level::new(), simd => some(simd, rows, scales, query, factor, numbers, out));
}

/// The lowest and the highest of some numbers; `None` without any.
pub(crate) fn range(scores: &[f32]) -> Option<(f32, f32)> {
    let (lanes, rest) = scores.as_chunks::<LANES>();
    let begun = *scores.first()?;
    let (low, high) = dispatch!(Level::new(), simd => range_of(simd, lanes, begun));
    Some(rest.iter().fold((low, high), |(low, high), score| (low.min(*score), high.max(*score))))
}

#[expect(clippy::inline_always, reason = "what it calls must be compiled for the instructions of the caller")]
#[inline(always)]
fn range_of<S: Simd>(simd: S, lanes: &[[f32; LANES]], begun: f32) -> (f32, f32) {
    let (mut low, mut high) = (f32x16::splat(simd, begun), f32x16::splat(simd, begun));
    for scores in lanes {
        let scores = f32x16::from_slice(simd, scores);
        low = low.min(scores);
        high = high.max(scores);
    }
    (low.reduce_min(), high.reduce_max())
}

/// The scalar product of one row with a query of the same length.
pub(super) fn dot(row: &[i8], query: &[i16]) -> i32 {
    dispatch!(Level::new(), simd => one(simd, row, query))
}

#[expect(clippy::inline_always, reason = "what it calls must be compiled for the instructions of the caller")]
#[expect(clippy::cast_precision_loss, reason = "scores need few digits")]
#[inline(always)]
fn many<S: Simd>(simd: S, rows: &[i8], scales: &[f32], query: &[i16], factor: f32, out: &mut [f32]) {
    let length = query.len().max(1);
    let whole = out.len().min(scales.len()).min(rows.len() / length) / ROWS * ROWS;
    let (first, last) = out.split_at_mut(whole);
    let (first_scales, last_scales) = scales.split_at(whole);
    let (first_rows, last_rows) = rows.split_at(whole * length);
    let out = first.as_chunks_mut::<ROWS>().0.iter_mut();
    let scales = first_scales.as_chunks::<ROWS>().0;
    for ((out, rows), scales) in out.zip(first_rows.chunks_exact(ROWS * length)).zip(scales) {
        let sums = together(simd, rows, query);
        for row in 0..ROWS {
            out[row] = sums[row] as f32 * (scales[row] * factor);
        }
    }
    for ((out, row), scale) in last.iter_mut().zip(last_rows.chunks_exact(length)).zip(last_scales) {
        *out = one(simd, row, query) as f32 * (scale * factor);
    }
}

#[expect(clippy::inline_always, reason = "what it calls must be compiled for the instructions of the caller")]
#[expect(clippy::cast_precision_loss, reason = "scores need few digits")]
#[inline(always)]
fn some<S: Simd>(
    simd: S,
    rows: &[i8],
    scales: &[f32],
    query: &[i16],
    factor: f32,
    numbers: &[u16],
    out: &mut [f32],
) {
    let length = query.len();
    for number in numbers {
        let number = usize::from(*number);
        let row = rows.get(number * length..(number + 1) * length).unwrap_or_default();
        if let (Some(out), Some(scale)) = (out.get_mut(number), scales.get(number)) {
            *out = one(simd, row, query) as f32 * (scale * factor);
        }
    }
}

/// The scalar products of [`ROWS`] rows with a query: memory answers for all of them at once, and the query is read once.
#[expect(clippy::inline_always, reason = "what it calls must be compiled for the instructions of the caller")]
#[inline(always)]
fn together<S: Simd>(simd: S, rows: &[i8], query: &[i16]) -> [i32; ROWS] {
    let mut sums = [i32x8::splat(simd, 0); ROWS];
    let length = query.len();
    let rows: [&[[i8; BLOCK]]; ROWS] = std::array::from_fn(|row| {
        rows.get(row * length..(row + 1) * length).unwrap_or_default().as_chunks().0
    });
    for (block, query) in query.as_chunks::<BLOCK>().0.iter().enumerate() {
        let (first, second) = query.split_at(BLOCK / 2);
        let (first, second) = (i16x16::from_slice(simd, first), i16x16::from_slice(simd, second));
        for (sum, row) in sums.iter_mut().zip(rows) {
            if let Some(row) = row.get(block) {
                let (low, high) = i8x32::from_slice(simd, row).widen();
                *sum += low.pairwise_dot_product(first);
                *sum += high.pairwise_dot_product(second);
            }
        }
    }
    sums.map(|sum| sum.reduce_sum())
}

#[expect(clippy::inline_always, reason = "what it calls must be compiled for the instructions of the caller")]
#[inline(always)]
fn one<S: Simd>(simd: S, row: &[i8], query: &[i16]) -> i32 {
    let mut sum = i32x8::splat(simd, 0);
    let (rows, queries) = (row.as_chunks::<BLOCK>().0, query.as_chunks::<BLOCK>().0);
    for (row, query) in rows.iter().zip(queries) {
        let (low, high) = i8x32::from_slice(simd, row).widen();
        let (first, second) = query.split_at(BLOCK / 2);
        sum += low.pairwise_dot_product(i16x16::from_slice(simd, first));
        sum += high.pairwise_dot_product(i16x16::from_slice(simd, second));
    }
    sum.reduce_sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::Random;

    #[test]
    fn sums_are_exact() {
        let mut random = Random(3);
        for blocks in 0..6 {
            let length = blocks * BLOCK;
            let row: Vec<i8> =
                (0..length).map(|_| i8::from_le_bytes([random.next().to_le_bytes()[0]])).collect();
            let query: Vec<i16> =
                (0..length).map(|_| i16::try_from(random.below(32_767)).unwrap() - 16_383).collect();
            let expected: i32 = row.iter().zip(&query).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
            assert_eq!(dot(&row, &query), expected);
            let mut out = [0.0; 2];
            scores(&[row.clone(), row.clone()].concat(), &[1.0, 0.5], &query, 2.0, &mut out);
            if blocks > 0 {
                #[expect(clippy::cast_precision_loss, reason = "a test")]
                let expected = expected as f32;
                assert_eq!(out, [expected * 2.0, expected]);
                // Many rows, which are multiplied together, and what is left of them.
                let other: Vec<i8> = row.iter().map(|value| value / 2).collect();
                let rows = [&other[..], &row, &other, &row, &row, &other, &row].concat();
                let (mut all, mut each) = ([0.0; 7], [0.0; 7]);
                scores(&rows, &[0.5; 7], &query, 2.0, &mut all);
                chosen(&rows, &[0.5; 7], &query, 2.0, &[0, 1, 2, 3, 4, 5, 6], &mut each);
                assert_eq!(all, each);
            }
        }
    }
}
