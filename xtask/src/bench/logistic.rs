//! Logistic regression with a ridge penalty, by Newton's method.

/// Steps of Newton's method; it has converged long before.
const STEPS: usize = 25;

/// Fits weights to rows. The first figure of each row is the constant 1, and is not held back.
pub fn fit<const N: usize>(rows: &[([f32; N], bool)], ridge: f64) -> [f32; N] {
    let mut weights = [0.0_f64; N];
    for _ in 0..STEPS {
        let mut gradient = [0.0_f64; N];
        let mut hessian = vec![[0.0_f64; N]; N];
        for (figures, right) in rows {
            let z: f64 = figures.iter().zip(&weights).map(|(x, w)| f64::from(*x) * w).sum();
            let p = 1.0 / (1.0 + (-z).exp());
            let (error, slope) = (f64::from(u8::from(*right)) - p, p * (1.0 - p));
            for (i, x) in figures.iter().enumerate() {
                let x = f64::from(*x);
                gradient[i] += error * x;
                for (j, y) in figures.iter().enumerate() {
                    hessian[i][j] += slope * x * f64::from(*y);
                }
            }
        }
        for i in 0..N {
            let held = if i == 0 { 1e-6 } else { ridge };
            gradient[i] -= held * weights[i];
            hessian[i][i] += held;
        }
        for (weight, step) in weights.iter_mut().zip(solve(hessian, gradient)) {
            *weight += step;
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "weights need few digits")]
    weights.map(|weight| weight as f32)
}

/// Solves a system of linear equations whose matrix is positive definite.
fn solve<const N: usize>(mut matrix: Vec<[f64; N]>, mut right: [f64; N]) -> [f64; N] {
    for i in 0..N {
        let row = matrix[i];
        for below in i + 1..N {
            let factor = matrix[below][i] / row[i];
            for (value, above) in matrix[below].iter_mut().zip(&row).skip(i) {
                *value -= factor * above;
            }
            right[below] -= factor * right[i];
        }
    }
    for i in (0..N).rev() {
        let known: f64 = (i + 1..N).map(|j| matrix[i][j] * right[j]).sum();
        right[i] = (right[i] - known) / matrix[i][i];
    }
    right
}

/// Weights as they are written in the source.
pub fn weights(weights: &[f32]) -> String {
    let written: Vec<String> = weights.iter().map(|weight| format!("{weight:.3}")).collect();
    format!("[{}]", written.join(", "))
}
