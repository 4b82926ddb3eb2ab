//! What is said about references that lead nowhere or in a circle.

use crate::{resolve::HOPS_MAX, resolve::read::Wrong};

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
