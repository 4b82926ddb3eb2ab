/// Every custom property that a text refers to with `var(--…)`: the offset of its name, and the name without dashes.
pub fn variables(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices("var(").filter_map(|(at, _)| {
        let rest = &text[at + 4..];
        let inner = rest.trim_start();
        let name = inner.strip_prefix("--")?;
        let start = at + 4 + (rest.len() - inner.len()) + 2;
        let end = name.find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_'))).unwrap_or(name.len());
        (end > 0).then(|| (start, &name[..end]))
    })
}
