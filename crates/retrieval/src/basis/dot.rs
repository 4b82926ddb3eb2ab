//! Scalar products of bytes with numbers of sixteen bits: the inner loop of every search by meaning.
//!
//! They are computed with the widest vector instructions that the processor has. All sums are exact, so every processor gives the
//! same result.

use fearless_simd::{Level, dispatch, i8x32, i16x16, i32x8, prelude::*};

/// Rows consist of whole blocks of so many values.
pub(super) const BLOCK: usize = 32;

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

/// The scalar product of one row with a query of the same length.
pub(super) fn dot(row: &[i8], query: &[i16]) -> i32 {
    dispatch!(Level::new(), simd => one(simd, row, query))
}

#[expect(clippy::inline_always, reason = "what it calls must be compiled for the instructions of the caller")]
#[expect(clippy::cast_precision_loss, reason = "scores need few digits")]
#[inline(always)]
fn many<S: Simd>(simd: S, rows: &[i8], scales: &[f32], query: &[i16], factor: f32, out: &mut [f32]) {
    let rows = rows.chunks_exact(query.len().max(1));
    for ((out, row), scale) in out.iter_mut().zip(rows).zip(scales) {
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
            scores(&[row.clone(), row].concat(), &[1.0, 0.5], &query, 2.0, &mut out);
            if blocks > 0 {
                #[expect(clippy::cast_precision_loss, reason = "a test")]
                let expected = expected as f32;
                assert_eq!(out, [expected * 2.0, expected]);
            }
        }
    }
}
