//! The little linear algebra that the decomposition needs. Matrices are stored by rows.

/// The scalar product. Eight sums side by side, which the compiler turns into vector instructions; their order is fixed, so
/// the result is the same everywhere.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (a_blocks, a_rest) = a.as_chunks::<8>();
    let (b_blocks, b_rest) = b.as_chunks::<8>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Adds `factor` times `from` to `to`.
pub(super) fn add(to: &mut [f32], factor: f32, from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// Numbers that look like chance and are the same every time: splitmix64 (Steele, Lea and Flood 2014).
pub(crate) struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap_or(0)
    }
}

/// Aᵀ·A of a matrix with `columns` columns, in double precision.
pub(super) fn gram(matrix: &[f32], columns: usize) -> Vec<f64> {
    let mut out = vec![0.0_f64; columns * columns];
    // Blocks of rows are added up in single precision, which vectorises, and then in double.
    let mut block = vec![0.0_f32; columns * columns];
    for rows in matrix.chunks(columns * 64) {
        block.fill(0.0);
        for row in rows.chunks_exact(columns) {
            for (i, value) in row.iter().enumerate() {
                if *value != 0.0 {
                    add(&mut block[i * columns..=i * columns + i], *value, &row[..=i]);
                }
            }
        }
        for (sum, part) in out.iter_mut().zip(&block) {
            *sum += f64::from(*part);
        }
    }
    for i in 0..columns {
        for j in 0..i {
            out[j * columns + i] = out[i * columns + j];
        }
    }
    out
}

/// Makes the columns of a matrix orthonormal: Cholesky QR, twice. Columns that depend on others become zeros.
pub(super) fn orthonormal(matrix: &mut [f32], columns: usize) {
    for _ in 0..2 {
        let lower = cholesky(gram(matrix, columns), columns);
        let inverse = inverse_of_lower(&lower, columns);
        let mut fresh = vec![0.0_f32; columns];
        for row in matrix.chunks_exact_mut(columns) {
            // Row times the transposed inverse.
            for (j, value) in fresh.iter_mut().enumerate() {
                *value = dot(&row[..=j], &inverse[j * columns..=j * columns + j]);
            }
            row.copy_from_slice(&fresh);
        }
    }
}

/// The lower triangle L of L·Lᵀ = `gram`. Where a pivot is lost in rounding its column is left at zero.
fn cholesky(mut gram: Vec<f64>, n: usize) -> Vec<f64> {
    let largest = (0..n).map(|i| gram[i * n + i]).fold(0.0, f64::max);
    for j in 0..n {
        let (done, row) = gram.split_at_mut(j * n);
        for i in 0..j {
            let above = &done[i * n..i * n + i];
            let sum: f64 = above.iter().zip(&row[..i]).map(|(a, b)| a * b).sum();
            let pivot = done[i * n + i];
            row[i] = if pivot > 0.0 { (row[i] - sum) / pivot } else { 0.0 };
        }
        let sum: f64 = row[..j].iter().map(|a| a * a).sum();
        let left = row[j] - sum;
        row[j] = if left > largest * 1e-12 { left.sqrt() } else { 0.0 };
        row[j + 1..n].fill(0.0);
    }
    gram
}

/// L⁻¹, with rows of zeros for pivots of zero.
#[expect(clippy::cast_possible_truncation, reason = "the matrix it is applied to has single precision")]
fn inverse_of_lower(lower: &[f64], n: usize) -> Vec<f32> {
    let mut inverse = vec![0.0_f64; n * n];
    for i in 0..n {
        let pivot = lower[i * n + i];
        if pivot == 0.0 {
            continue;
        }
        let (above, row) = inverse.split_at_mut(i * n);
        for k in 0..i {
            let factor = lower[i * n + k];
            if factor != 0.0 {
                for (to, from) in row[..=k].iter_mut().zip(&above[k * n..=k * n + k]) {
                    *to -= factor * from;
                }
            }
        }
        row[i] = 1.0;
        for value in &mut row[..=i] {
            *value /= pivot;
        }
    }
    inverse.into_iter().map(|value| value as f32).collect()
}

/// Eigenvalues, largest first, and eigenvectors as rows, of a symmetric matrix: the cyclic Jacobi method (Golub and Van Loan,
/// "Matrix Computations", 8.5).
pub(super) fn eigen(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut vectors = vec![0.0_f64; n * n];
    for i in 0..n {
        vectors[i * n + i] = 1.0;
    }
    let size: f64 = a.iter().map(|x| x * x).sum();
    for _ in 0..30 {
        let off: f64 =
            (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i * n + j].powi(2)).sum();
        if off <= size * 1e-20 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut vectors, n, (p, q));
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|i, j| a[j * n + j].total_cmp(&a[i * n + i]));
    let values = order.iter().map(|i| a[i * n + i]).collect();
    (values, order.iter().map(|i| vectors[i * n..(i + 1) * n].to_vec()).collect())
}

fn rotate(a: &mut [f64], vectors: &mut [f64], n: usize, (p, q): (usize, usize)) {
    let apq = a[p * n + q];
    if apq.abs() <= f64::MIN_POSITIVE {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let t = if theta == 0.0 { 1.0 } else { t };
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for k in 0..n {
        let (x, y) = (a[k * n + p], a[k * n + q]);
        a[k * n + p] = c * x - s * y;
        a[k * n + q] = s * x + c * y;
    }
    let turn = |matrix: &mut [f64]| {
        let (first, second) = matrix.split_at_mut(q * n);
        for (x, y) in first[p * n..(p + 1) * n].iter_mut().zip(&mut second[..n]) {
            (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
        }
    };
    turn(a);
    turn(vectors);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_orthonormal() {
        let mut random = Random(1);
        let columns = 7;
        #[expect(clippy::cast_precision_loss, reason = "a test")]
        let mut matrix: Vec<f32> =
            (0..columns * 50).map(|_| random.below(1_000) as f32 / 500.0 - 1.0).collect();
        // One column depends on another.
        for row in matrix.chunks_exact_mut(columns) {
            row[3] = 2.0 * row[0];
        }
        orthonormal(&mut matrix, columns);
        let gram = gram(&matrix, columns);
        for i in 0..columns {
            for j in 0..columns {
                let expect = if i == j && i != 3 { 1.0 } else { 0.0 };
                assert!((gram[i * columns + j] - expect).abs() < 1e-4, "{i},{j}: {}", gram[i * columns + j]);
            }
        }
    }

    #[test]
    fn eigenvectors_give_the_matrix_back() {
        let matrix = vec![4.0, 1.0, 0.5, 1.0, 3.0, 0.2, 0.5, 0.2, 1.0];
        let (values, vectors) = eigen(matrix.clone(), 3);
        assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
        for i in 0..3 {
            for j in 0..3 {
                let back: f64 = (0..3).map(|k| values[k] * vectors[k][i] * vectors[k][j]).sum();
                assert!((back - matrix[i * 3 + j]).abs() < 1e-9);
            }
        }
    }
}
