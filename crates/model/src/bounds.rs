//! Bounds that hold before a parser sees a text.

/// The largest YAML text that is read, in bytes.
pub const YAML_BYTES_MAX: usize = 1 << 20;

/// How deep brackets and braces of a YAML text may nest. The parser's work grows with their depth for every token.
pub const YAML_FLOW_DEPTH_MAX: usize = 64;

/// Where a lexer of YAML can be inside brackets. What is uncertain is followed in both ways.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// A token begins here.
    Token,
    /// In a plain scalar.
    Plain,
    /// In a plain scalar, behind white space: `#` starts a comment here.
    Spaced,
    Single,
    /// Behind a quote that ends a scalar, or is the first of two.
    SingleEnd,
    Double,
    Escape,
    Comment,
    /// In the name of an anchor or alias, or in the mark of a document.
    Name,
    /// In a tag, whose brackets may be part of it.
    Tag,
}

const MODES: [Mode; 10] = [
    Mode::Token,
    Mode::Plain,
    Mode::Spaced,
    Mode::Single,
    Mode::SingleEnd,
    Mode::Double,
    Mode::Escape,
    Mode::Comment,
    Mode::Name,
    Mode::Tag,
];

/// For each mode the greatest depth of brackets with which the lexer can be in it; 0 when it cannot.
#[derive(Clone, Copy, Default)]
struct Depths([usize; MODES.len()]);

impl Depths {
    fn reach(&mut self, mode: Mode, depth: usize) {
        let known = &mut self.0[mode as usize];
        *known = depth.max(*known);
    }

    /// A character where a token may begin, and the text behind it.
    fn token(&mut self, c: char, depth: usize, line_start: bool, behind: &str) {
        match c {
            '[' | '{' => self.reach(Mode::Token, depth + 1),
            // At depth 0 the lexer is outside of brackets, where each of them is looked at anew.
            ']' | '}' => self.reach(Mode::Token, depth - 1),
            '\'' => self.reach(Mode::Single, depth),
            '"' => self.reach(Mode::Double, depth),
            '#' => self.reach(Mode::Comment, depth),
            '&' | '*' => self.reach(Mode::Name, depth),
            '!' => {
                self.reach(Mode::Tag, depth);
                self.reach(Mode::Token, depth);
            }
            '%' if line_start => {
                self.reach(Mode::Comment, depth);
                self.reach(Mode::Plain, depth);
            }
            ',' | ':' | '?' => self.reach(Mode::Token, depth),
            '-' if begins_blank(behind) => self.reach(Mode::Token, depth),
            c if is_blank(c) => self.reach(Mode::Token, depth),
            _ => self.reach(Mode::Plain, depth),
        }
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{feff}') || is_break(c)
}

fn begins_blank(text: &str) -> bool {
    text.chars().next().is_none_or(is_blank)
}

/// An upper bound of how deep brackets and braces of a YAML text nest, or `None` when that is more than `max`.
///
/// Inside brackets YAML does not depend on indentation, so one pass over the characters is enough. Whether a bracket
/// outside of others opens anything does depend on it; each is taken to do so. A text in quotes or a block scalar that
/// looks like deeply nested YAML is therefore counted as such. The real parser never nests deeper than this says.
pub fn yaml_flow_depth(text: &str, max: usize) -> Option<usize> {
    // Most texts do not have as many brackets as may nest.
    let openers = text.bytes().filter(|b| matches!(b, b'[' | b'{')).take(max + 1).count();
    if openers <= max {
        return Some(openers);
    }
    let mut now = Depths::default();
    let mut deepest = 0;
    let mut line_start = true;
    for (at, c) in text.char_indices() {
        let mut next = Depths::default();
        if matches!(c, '[' | '{') {
            next.reach(Mode::Token, 1);
        }
        let (rest, behind) = (&text[at..], &text[at + c.len_utf8()..]);
        let marker = line_start && (rest.starts_with("---") || rest.starts_with("..."));
        for mode in MODES {
            let depth = now.0[mode as usize];
            if depth == 0 {
                continue;
            }
            if marker && matches!(mode, Mode::Token | Mode::Plain | Mode::Spaced | Mode::SingleEnd) {
                // The mark of a document ends what came before it; a token begins behind it.
                next.reach(Mode::Name, depth);
            }
            match mode {
                Mode::Token => next.token(c, depth, line_start, behind),
                Mode::Plain | Mode::Spaced => match c {
                    '[' | '{' | ']' | '}' | ',' => next.token(c, depth, line_start, behind),
                    '#' if mode == Mode::Spaced => next.reach(Mode::Comment, depth),
                    ':' if begins_blank(behind) => next.reach(Mode::Token, depth),
                    c if is_blank(c) => next.reach(Mode::Spaced, depth),
                    _ => next.reach(Mode::Plain, depth),
                },
                Mode::Single => next.reach(if c == '\'' { Mode::SingleEnd } else { Mode::Single }, depth),
                Mode::SingleEnd if c == '\'' => next.reach(Mode::Single, depth),
                Mode::SingleEnd => next.token(c, depth, line_start, behind),
                Mode::Double => next.reach(
                    match c {
                        '"' => Mode::Token,
                        '\\' => Mode::Escape,
                        _ => Mode::Double,
                    },
                    depth,
                ),
                Mode::Escape => next.reach(Mode::Double, depth),
                Mode::Comment => next.reach(if is_break(c) { Mode::Token } else { Mode::Comment }, depth),
                Mode::Name if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') => {
                    next.reach(Mode::Name, depth);
                }
                Mode::Name => next.token(c, depth, line_start, behind),
                Mode::Tag if is_blank(c) => next.reach(Mode::Token, depth),
                Mode::Tag => {
                    next.reach(Mode::Tag, depth);
                    // Where the tag has ended already.
                    if matches!(c, '[' | '{' | ']' | '}' | ',' | '"') {
                        next.token(c, depth, line_start, behind);
                    }
                }
            }
        }
        now = next;
        deepest = deepest.max(now.0.into_iter().max().unwrap_or(0));
        if deepest > max {
            return None;
        }
        line_start = is_break(c);
    }
    Some(deepest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, depth: usize) {
        // More brackets than `max` lets it count them all.
        let padded = format!("{text}\n{}", "[]\n".repeat(70));
        assert_eq!(yaml_flow_depth(&padded, 64), Some(depth.max(1)), "{text}");
    }

    #[test]
    fn depths() {
        check("a: [b, [c], {d: [e]}]", 3);
        check("a: [\"b]\", 'c]', [d]]", 2);
        check("a: [it's [b]]", 2);
        check("a: ['it''s ]', [b]]", 2);
        check("a: [b # ]\n, [c]]", 2);
        check("a: [b#c]", 1);
        check("a: [\"\\\"]\", [[b]]]", 3);
        check(&"- sections[].title\n".repeat(200), 1);
        check(&"see [it's](/x) and [that](/y)\n".repeat(200), 1);
    }

    #[test]
    fn closers_that_are_text_close_nothing() {
        for closer in
            ["#]\n", "\"]\",", "']',", "!<]> ,", "'a''],' ,", "a, #]\u{85}", "a\n--- ']',", "\n... \"]\","]
        {
            let text = format!("[{closer}").repeat(100);
            assert_eq!(yaml_flow_depth(&text, 64), None, "{closer:?}");
        }
        assert_eq!(yaml_flow_depth(&"[a: b,".repeat(100), 64), None);
        assert_eq!(yaml_flow_depth(&"- x\n- [\n".repeat(100), 64), None);
    }
}
