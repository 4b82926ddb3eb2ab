//! What is said about references that lead nowhere or in a circle.

use crate::{read::Wrong, resolve::HOPS_MAX};

/// References that lead back to where they began, or that do not end.
pub(crate) fn circle(names: &[&str]) -> Wrong {
    const SHOWN: usize = 12;
    let wrong = match (names.first(), names.last()) {
        (Some(first), Some(last)) if first == last => {
            let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(" → ");
            let rest = if names.len() > SHOWN { " → …" } else { "" };
            Wrong::new("token-cycle", format!("The references run in a circle: {shown}{rest}."))
        }
        _ => Wrong::new("token-cycle", format!("More than {HOPS_MAX} references lead from one to the next.")),
    };
    wrong.help("give one of them a value of its own")
}

/// The number of letters to change, bounded: for "perhaps … is meant".
pub(crate) fn distance(one: &str, two: &str) -> usize {
    let (one, two): (Vec<char>, Vec<char>) = (one.chars().collect(), two.chars().collect());
    if one.len().abs_diff(two.len()) > 3 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in two.iter().enumerate() {
            let cost = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[two.len()]
}
