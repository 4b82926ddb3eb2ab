//! The tokens of a Rust source file, as far as the rules of style need them. Comments and the insides of literals are left out.

/// A token and its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    pub kind: Kind<'a>,
    pub line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// An identifier, a keyword or a number.
    Word(&'a str),
    /// `::`
    Sep,
    /// Any other sign.
    Sign(char),
    /// A string, byte string or character.
    Literal,
    /// The text of a `///` comment.
    Doc(&'a str),
}

impl<'a> Token<'a> {
    pub fn word(&self) -> Option<&'a str> {
        match self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    pub fn is(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }

    pub fn is_word(&self, word: &str) -> bool {
        self.word() == Some(word)
    }
}

/// Splits a source file that compiles.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, length) = token(rest, first);
        if let Some(kind) = kind {
            out.push(Token { kind, line });
        }
        line += rest[..length].matches('\n').count();
        at += length;
    }
    out
}

/// The token at the start of a text, if it counts, and its length in bytes.
fn token(rest: &str, first: char) -> (Option<Kind<'_>>, usize) {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    if rest.starts_with("//") {
        let length = rest.find('\n').unwrap_or(rest.len());
        let doc = rest[..length].strip_prefix("///").filter(|d| !d.starts_with('/'));
        return (doc.map(Kind::Doc), length);
    }
    if rest.starts_with("/*") {
        return (None, block_comment(rest));
    }
    if let Some(length) = string(rest) {
        return (Some(Kind::Literal), length);
    }
    let quote = rest.strip_prefix('b').unwrap_or(rest);
    if let Some(length) = character(quote) {
        return (Some(Kind::Literal), rest.len() - quote.len() + length);
    }
    if first == '\'' {
        // A lifetime.
        return (None, 1 + rest[1..].find(|c| !joins(c)).unwrap_or(rest.len() - 1));
    }
    if joins(first) {
        // A raw identifier is named without its mark.
        let from = if rest.starts_with("r#") { 2 } else { 0 };
        let end = rest[from..].find(|c| !joins(c)).map_or(rest.len(), |end| from + end);
        return (Some(Kind::Word(&rest[from..end])), end);
    }
    if rest.starts_with("::") {
        return (Some(Kind::Sep), 2);
    }
    ((!first.is_whitespace()).then_some(Kind::Sign(first)), first.len_utf8())
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let (step, change) = match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth += change;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a string literal at the start: plain, raw, of bytes or of C.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        rest.strip_prefix(prefix).is_some_and(|r| {
            let hashes = if prefix.ends_with('r') { r.trim_start_matches('#') } else { r };
            hashes.starts_with('"')
        })
    })?;
    let body = &rest[prefix.len()..];
    let hashes = body.len() - body.trim_start_matches('#').len();
    let inside = &body[hashes + 1..];
    let end = match prefix.ends_with('r') {
        true => inside.find(&format!("\"{}", "#".repeat(hashes))).map(|end| end + 1 + hashes),
        false => {
            let mut escaped = false;
            let closes = |c: char| {
                let closes = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                closes
            };
            inside.find(closes).map(|end| end + 1)
        }
    };
    Some(prefix.len() + hashes + 1 + end.unwrap_or(inside.len()))
}

/// The length of a character literal at the start; `None` for a lifetime.
fn character(rest: &str) -> Option<usize> {
    rest.strip_prefix('\'')?;
    let mut inside = rest.char_indices().skip(1);
    let (_, first) = inside.next()?;
    let mut end = inside.next()?;
    if first == '\\' {
        // The escaped character may be a quote.
        end = inside.find(|(_, c)| *c == '\'')?;
    }
    (end.1 == '\'').then_some(end.0 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_comments_hide_their_text() {
        let source = "/// One.\n//// no doc\nfn a<'b>(/* x /* y */ z */) { \"c\\\"\"; r#\"d\"\"#; b'\\''; '\\\\'; 'e' } // f\nr#g::h";
        let words: Vec<_> = tokens(source).iter().filter_map(Token::word).collect();
        assert_eq!(words, ["fn", "a", "g", "h"]);
        let found = tokens(source);
        assert_eq!(found[0], Token { kind: Kind::Doc(" One."), line: 1 });
        assert_eq!(found.iter().filter(|t| t.kind == Kind::Literal).count(), 5);
        assert_eq!(found.last().map(|t| t.line), Some(4));
    }
}
