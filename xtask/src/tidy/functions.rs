//! No function is long without a reason.

use super::lexer::{Kind, Token, tokens};

/// Lines that a function may have, from the line of its name to its closing brace.
const LINES_MAX: usize = 80;
/// How the line of its documentation begins that gives the reason for a longer one.
const REASON: &str = "Long because";

/// Functions of a source file that are longer than allowed, and whose documentation gives no reason.
pub fn check(path: &str, text: &str, wrong: &mut Vec<String>) {
    let tokens = tokens(text);
    let mut has_reason = false;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.kind {
            Kind::Doc(line) => has_reason |= line.trim_start().starts_with(REASON),
            // What may be between the documentation of a function and its name.
            Kind::Sign('#') => at = after_group(&tokens, at),
            Kind::Word("pub") if tokens.get(at).is_some_and(|t| t.is('(')) => at = after_group(&tokens, at),
            Kind::Word("pub" | "const" | "async" | "unsafe" | "extern") | Kind::Literal => {}
            Kind::Word("fn") => {
                if let Some(name) = tokens.get(at).and_then(Token::word) {
                    let lines = end_line(&tokens, at).map_or(0, |end| end + 1 - token.line);
                    if lines > LINES_MAX && !has_reason {
                        wrong.push(format!(
                            "{path}:{}: `{name}` has {lines} lines; at most {LINES_MAX}, or a line of its documentation that \
                             begins with `{REASON}`",
                            token.line
                        ));
                    }
                }
                has_reason = false;
            }
            _ => has_reason = false,
        }
    }
}

/// Behind a group in brackets or parentheses that begins here.
fn after_group(tokens: &[Token<'_>], start: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.kind {
            Kind::Sign('(' | '[') => depth += 1,
            Kind::Sign(')' | ']') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The line of the closing brace of a function; `None` when it has no body.
fn end_line(tokens: &[Token<'_>], start: usize) -> Option<usize> {
    let (mut braces, mut groups) = (0, 0);
    for token in &tokens[start..] {
        match token.kind {
            Kind::Sign('(' | '[') => groups += 1,
            Kind::Sign(')' | ']') => groups -= 1,
            Kind::Sign('{') => braces += 1,
            Kind::Sign('}') => {
                braces -= 1;
                if braces == 0 {
                    return Some(token.line);
                }
            }
            Kind::Sign(';') if braces == 0 && groups == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        check("a.rs", text, &mut wrong);
        wrong
    }

    #[test]
    fn a_long_function_needs_a_reason() {
        let long = |doc: &str, lines: usize| {
            format!("{doc}#[inline]\npub(crate) async fn a(b: [u8; 2]) {{\n{}}}\n", "b();\n".repeat(lines))
        };
        assert!(found(&long("", 78)).is_empty());
        let wrong = found(&long("/// A.\n", 79));
        assert!(wrong.len() == 1 && wrong[0].starts_with("a.rs:3: `a` has 81 lines"), "{wrong:?}");
        assert!(found(&long("/// A.\n/// Long because it lists every kind.\n", 79)).is_empty());
        // The reason of one function is not that of the next.
        let two = format!("/// Long because.\nfn z() {{}}\n{}", long("", 79));
        assert_eq!(found(&two).len(), 1);
        assert!(found("trait A { fn a(); }\ntype B = fn(u8);\n").is_empty());
    }
}
