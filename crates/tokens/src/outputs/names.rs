//! Names of tokens and modifiers in outputs.

/// The name of a token in CSS: `semantic.color.textDefault.$root` becomes `semantic-color-text-default`.
pub fn css_name(prefix: &str, name: &str) -> String {
    let mut out = String::with_capacity(prefix.len() + name.len() + 4);
    write_css_name(&mut out, prefix, name);
    out
}

/// Writes the name of a token in CSS.
pub(super) fn write_css_name(out: &mut String, prefix: &str, name: &str) {
    let start = out.len();
    let dashed = |out: &str| out.len() > start && out.ends_with('-');
    out.push_str(prefix);
    for step in name.split('.').filter(|s| *s != "$root") {
        if out.len() > start && !dashed(out) {
            out.push('-');
        }
        let mut before = ' ';
        for c in step.chars() {
            if c.is_ascii_uppercase() {
                if before.is_ascii_lowercase() || before.is_ascii_digit() {
                    out.push('-');
                }
                out.push(c.to_ascii_lowercase());
            } else if c.is_alphanumeric() || matches!(c, '-' | '_') {
                out.push(c);
            } else if !dashed(out) {
                out.push('-');
            }
            before = c;
        }
    }
}

/// `theme` → `data-theme`; what cannot stand in an attribute's name becomes a dash.
pub fn attribute(modifier: &str) -> String {
    let name: String = modifier
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '-' })
        .collect();
    format!("data-{name}")
}
