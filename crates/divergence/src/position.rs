use crate::report::Divergence;

/// Gives divergences in the order of their offsets a line and a column, in one pass over the text.
pub(crate) fn place(text: &str, divergences: &mut [Divergence]) {
    let (mut line, mut column, mut seen) = (1, 1, 0);
    for d in divergences {
        let passed = text.get(seen..d.offset).unwrap_or_default();
        if let Some((before, last)) = passed.rsplit_once('\n') {
            line += 1 + before.bytes().filter(|b| *b == b'\n').count();
            column = 1 + last.chars().count();
        } else {
            column += passed.chars().count();
        }
        seen = d.offset.max(seen);
        d.line = line;
        d.column = column;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::What;

    #[test]
    fn lines_and_columns_in_characters() {
        let text = "aé😀b\n\nx\r\nyz";
        let at = |offset| Divergence {
            what: What::RawValue,
            line: 0,
            column: 0,
            offset,
            len: 0,
            property: String::new(),
            text: String::new(),
            nearest: None,
            fix: None,
        };
        let mut all = [0, 3, 7, 9, 10, 14].map(at);
        place(text, &mut all);
        let places = all.map(|d| (d.line, d.column));
        assert_eq!(places, [(1, 1), (1, 3), (1, 4), (2, 1), (3, 1), (4, 2)]);
    }
}
