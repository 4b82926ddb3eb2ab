//! Numbers as CSS writes them.

/// A number as CSS writes it: at most five decimals, none of them needless.
pub(crate) struct Number(pub(crate) f64);

impl std::fmt::Display for Number {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rounded = (self.0 * 1e5).round() / 1e5;
        if rounded == 0.0 { out.write_str("0") } else { rounded.fmt(out) }
    }
}

pub(crate) fn number(value: f64) -> String {
    Number(value).to_string()
}
