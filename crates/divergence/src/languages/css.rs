use std::borrow::Cow;

use crate::declaration::Declaration;
use crate::languages::tailwind;
use crate::scanner::Scanner;

/// At-rules whose declarations describe something and style nothing.
const DESCRIBING: [&str; 6] = [
    "@font-face",
    "@property",
    "@counter-style",
    "@font-palette-values",
    "@font-feature-values",
    "@view-transition",
];

/// Longer ones are taken for something else, so that broken text is not searched again and again.
const INTERPOLATION_BYTES_MAX: usize = 256;

/// Scans a style sheet, or the declarations of a `style` attribute, that is at `at` in the file.
pub(crate) fn sheet(scanner: &mut Scanner<'_>, css: &str, at: usize) {
    Sheet { scanner, css, at, sass: false }.read();
}

/// Scans SCSS.
pub(crate) fn scss(scanner: &mut Scanner<'_>, text: &str, at: usize) {
    Sheet { scanner, css: &without_line_comments(text), at, sass: true }.read();
}

struct Sheet<'s, 'a, 'c> {
    scanner: &'s mut Scanner<'a>,
    css: &'c str,
    at: usize,
    sass: bool,
}

impl Sheet<'_, '_, '_> {
    /// Cuts the text into statements at `;`, `{` and `}`. What is broken ends with its statement.
    fn read(&mut self) {
        let css = self.css;
        let bytes = css.as_bytes();
        // How many blocks are open, and the depth of the outermost one that only describes.
        let (mut depth, mut describing) = (0usize, None::<usize>);
        let (mut start, mut i, mut blank) = (0, 0, true);
        while let Some(&byte) = bytes.get(i) {
            match byte {
                b'"' | b'\'' => i = after_string(bytes, i),
                b'\\' => i += 2,
                b'/' if bytes.get(i + 1) == Some(&b'*') => {
                    i = after_comment(bytes, i);
                    if blank {
                        start = i.min(css.len());
                    }
                    continue;
                }
                b'(' if is_url(bytes, i) => i = after_url(bytes, i),
                b'#' if bytes.get(i + 1) == Some(&b'{') => i = after_interpolation(bytes, i),
                b';' | b'{' | b'}' => {
                    let statement = css.get(start..i).unwrap_or_default();
                    if byte != b'{' {
                        if describing.is_none() {
                            self.statement(statement, start);
                        }
                    } else if describing.is_none() && is_describing(statement) {
                        describing = Some(depth);
                    }
                    match byte {
                        b'{' => depth += 1,
                        b'}' => {
                            depth = depth.saturating_sub(1);
                            describing = describing.filter(|d| *d < depth);
                        }
                        _ => {}
                    }
                    i += 1;
                    (start, blank) = (i, true);
                    continue;
                }
                b' ' | b'\n' | b'\t' | b'\r' | b'\x0c' => {
                    i += 1;
                    continue;
                }
                _ => i += 1,
            }
            blank = false;
        }
        if describing.is_none() {
            self.statement(css.get(start..).unwrap_or_default(), start);
        }
    }

    fn statement(&mut self, statement: &str, start: usize) {
        let trimmed = statement.trim_ascii_start();
        let start = start + (statement.len() - trimmed.len());
        if let Some(classes) = trimmed.strip_prefix("@apply") {
            if self.scanner.lexicon.options.tailwind {
                tailwind::classes(self.scanner, classes, self.at + start + "@apply".len());
            }
            return;
        }
        let Some((name, value)) = trimmed.split_once(':') else { return };
        let property = name.trim_ascii_end();
        if !is_property(property) {
            return;
        }
        let space = value.len() - value.trim_ascii_start().len();
        self.scanner.declaration(Declaration {
            property,
            property_at: self.at + start,
            value: value.trim_ascii(),
            value_at: self.at + start + name.len() + 1 + space,
            sass: self.sass,
            optional: false,
        });
    }
}

fn is_describing(prelude: &str) -> bool {
    let prelude = prelude.trim_ascii_start();
    prelude.starts_with('@')
        && DESCRIBING.iter().any(|rule| {
            let head = prelude.get(..rule.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(rule))
                && !prelude
                    .as_bytes()
                    .get(rule.len())
                    .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'-')
        })
}

fn is_property(name: &str) -> bool {
    let rest = name.strip_prefix('$').unwrap_or(name);
    let starts = rest.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'-' || b == b'_');
    let custom = name.starts_with("--");
    starts && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || custom && b >= 0x80)
}

/// The index after a string that begins at `i`; one that is not closed ends with its line.
fn after_string(bytes: &[u8], i: usize) -> usize {
    let quote = bytes.get(i).copied();
    let mut i = i + 1;
    while let Some(&byte) = bytes.get(i) {
        match byte {
            b'\\' => i += 2,
            b'\n' => return i,
            _ if Some(byte) == quote => return i + 1,
            _ => i += 1,
        }
    }
    bytes.len()
}

/// The index after a `/* … */` that begins at `i`.
fn after_comment(bytes: &[u8], i: usize) -> usize {
    let inside = bytes.get(i + 2..).unwrap_or_default();
    inside.windows(2).position(|w| w == b"*/").map_or(bytes.len(), |end| i + 2 + end + 2)
}

/// Whether the parenthesis at `i` opens a `url(…)` without quotes.
fn is_url(bytes: &[u8], i: usize) -> bool {
    let before = bytes.get(i.saturating_sub(3)..i).unwrap_or_default();
    let inside = bytes.get(i + 1..).unwrap_or_default().trim_ascii_start();
    before.eq_ignore_ascii_case(b"url") && !matches!(inside.first(), Some(b'"' | b'\''))
}

/// The index after a `url(…)` whose parenthesis is at `i`; one that is not closed ends with its line.
fn after_url(bytes: &[u8], i: usize) -> usize {
    let mut i = i + 1;
    while let Some(&byte) = bytes.get(i) {
        match byte {
            b')' => return i + 1,
            b'\n' => return i,
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
    bytes.len()
}

/// The index after a `#{…}` that begins at `i`; one that is not closed is no interpolation.
fn after_interpolation(bytes: &[u8], i: usize) -> usize {
    let mut open = 0usize;
    for (at, byte) in bytes.iter().enumerate().skip(i + 1).take(INTERPOLATION_BYTES_MAX) {
        match byte {
            b'{' => open += 1,
            b'}' if open == 1 => return at + 1,
            b'}' => open -= 1,
            _ => {}
        }
    }
    i + 1
}

/// The text with every `// …` comment turned into as many spaces.
pub(crate) fn without_line_comments(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut blanked: Option<Vec<u8>> = None;
    let mut i = 0;
    while let Some(&byte) = bytes.get(i) {
        match (byte, bytes.get(i + 1)) {
            (b'"' | b'\'', _) => i = after_string(bytes, i),
            (b'\\', _) => i += 2,
            (b'/', Some(b'*')) => i = after_comment(bytes, i),
            (b'(', _) if is_url(bytes, i) => i = after_url(bytes, i),
            (b'/', Some(b'/')) => {
                let rest = bytes.get(i..).unwrap_or_default();
                let end = i + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                let blanked = blanked.get_or_insert_with(|| bytes.to_vec());
                if let Some(comment) = blanked.get_mut(i..end) {
                    comment.fill(b' ');
                }
                i = end;
            }
            _ => i += 1,
        }
    }
    match blanked.map(String::from_utf8) {
        Some(Ok(blanked)) => Cow::Owned(blanked),
        _ => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_comments_become_spaces() {
        let blank = |text| without_line_comments(text).into_owned();
        assert_eq!(blank("a // é\nb"), "a      \nb");
        assert_eq!(blank("a: url(http://x) \"//\" /* // */ b"), "a: url(http://x) \"//\" /* // */ b");
        assert_eq!(blank("// it's\na: 'x'"), "       \na: 'x'");
        assert_eq!(blank("a: 'b // c"), "a: 'b // c");
    }

    #[test]
    fn properties() {
        for name in ["color", "--x", "$brand", "-webkit-x", "--é"] {
            assert!(is_property(name), "{name}");
        }
        for name in ["", "a b", "&:hover", ".a", "#{$x}", "é", "$"] {
            assert!(!is_property(name), "{name}");
        }
    }
}
