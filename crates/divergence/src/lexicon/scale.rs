/// Quantities of one kind in order, each with the token it belongs to.
#[derive(Debug, Default)]
pub(crate) struct Scale(Vec<(f64, u32)>);

/// The entries that come closest to a quantity.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Close {
    /// The share of the entry's quantity by which it differs; zero when they are the same.
    pub(crate) distance: f64,
    pub(crate) tokens: Vec<u32>,
}

/// Differences that no screen shows: up to this is the same quantity.
const SAME: f64 = 0.000_5;

impl Scale {
    pub(crate) fn new(mut entries: Vec<(f64, u32)>) -> Self {
        entries.retain(|(quantity, _)| quantity.is_finite());
        entries.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Self(entries)
    }

    /// The entries that are `quantity`, among those that `fits` takes.
    pub(crate) fn same(&self, quantity: f64, fits: impl Fn(u32) -> bool) -> Option<Close> {
        let from = self.0.partition_point(|e| e.0 < quantity - SAME);
        let rest = self.0.get(from..).unwrap_or_default();
        let same = rest.iter().take_while(|e| e.0 <= quantity + SAME);
        let tokens: Vec<u32> = same.map(|e| e.1).filter(|t| fits(*t)).collect();
        (!tokens.is_empty()).then_some(Close { distance: 0.0, tokens })
    }

    /// The entries closest to `quantity` among those that `fits` takes, no further than the share `near`.
    pub(crate) fn closest(&self, quantity: f64, near: f64, fits: impl Fn(u32) -> bool) -> Option<Close> {
        if let Some(same) = self.same(quantity, &fits) {
            return Some(same);
        }
        let mut best: Option<Close> = None;
        for &(entry, token) in self.0.iter().filter(|e| fits(e.1)) {
            let distance = (entry - quantity).abs() / entry.abs().max(SAME);
            match &mut best {
                _ if distance > near => {}
                Some(b) if (distance - b.distance).abs() < 1e-9 => b.tokens.push(token),
                Some(b) if distance > b.distance => {}
                _ => best = Some(Close { distance, tokens: vec![token] }),
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_before_near_before_none() {
        let scale = Scale::new(vec![(16.0, 2), (8.0, 1), (f64::NAN, 9), (16.0, 3)]);
        let closest = |q| scale.closest(q, 0.15, |_| true).map(|c| (c.tokens, c.distance));
        assert_eq!(closest(16.0), Some((vec![2, 3], 0.0)));
        assert_eq!(closest(15.0), Some((vec![2, 3], 0.0625)));
        assert_eq!(closest(9.0), Some((vec![1], 0.125)));
        assert_eq!(closest(12.0), None);
        assert_eq!(scale.closest(16.0, 0.15, |t| t == 3).map(|c| c.tokens), Some(vec![3]));
    }
}
