//! The tags of a template: what it uses, what it prints, and what it may not do.
//!
//! Templates of prompts are a small part of Jinja: they print values, decide, loop and include partials. What could build text without
//! bound, define functions or switch off the marks around untrusted text is not there.

use std::collections::BTreeSet;

/// Filters that templates have.
pub(crate) const FILTERS: [&str; 11] =
    ["default", "first", "join", "json", "last", "length", "lower", "round", "title", "trim", "upper"];
/// Tests that templates have.
pub(crate) const TESTS: [&str; 6] = ["defined", "undefined", "none", "number", "string", "sequence"];
/// Tags that templates have.
const TAGS: [&str; 9] = ["if", "elif", "else", "endif", "for", "endfor", "include", "raw", "endraw"];
/// Words of expressions that are no variables.
const WORDS: [&str; 13] =
    ["and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None"];

/// A part of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Name(String),
    Text(String),
    Number,
    Sign(char),
}

/// A tag of a template.
#[derive(Debug)]
struct Tag {
    /// Whether it prints (`{{ }}`), or decides (`{% %}`).
    prints: bool,
    tokens: Vec<Token>,
    /// Its line in the template, from 0.
    line: usize,
}

/// Something that a template may not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misuse {
    /// Its line in the template, from 0.
    pub line: usize,
    /// What is wrong, as a sentence.
    pub message: String,
    /// How to fix it.
    pub help: String,
    /// Whether it would let text of others in without marks.
    pub unmarked: bool,
}

/// What a template does with variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    /// Every variable, with the line where it is first used.
    pub names: Vec<(String, usize)>,
    /// Variables that are printed, also by way of a loop, each with the line.
    pub printed: Vec<(String, usize)>,
    /// Partials that it includes, each with the line.
    pub includes: Vec<(String, usize)>,
    /// What it may not do.
    pub misuses: Vec<Misuse>,
}

impl Uses {
    /// Looks through a template.
    pub(crate) fn of(source: &str) -> Self {
        let mut uses = Self::default();
        // Names of loops, each with the variables that it stands for.
        let mut loops: Vec<(Vec<String>, BTreeSet<String>)> = Vec::new();
        for tag in tags(source) {
            uses.tag(&tag, &mut loops);
        }
        uses
    }

    fn wrong(&mut self, line: usize, message: String, help: impl Into<String>) {
        self.misuses.push(Misuse { line, message, help: help.into(), unmarked: false });
    }

    fn tag(&mut self, tag: &Tag, loops: &mut Vec<(Vec<String>, BTreeSet<String>)>) {
        if tag.prints {
            for name in self.expression(&tag.tokens, tag.line, loops) {
                self.printed.push((name, tag.line));
            }
            return;
        }
        let Some(Token::Name(word)) = tag.tokens.first() else { return };
        let rest = &tag.tokens[1..];
        match word.as_str() {
            "if" | "elif" => drop(self.expression(rest, tag.line, loops)),
            "for" => {
                let at = rest.iter().position(|t| *t == Token::Name("in".to_owned())).unwrap_or(rest.len());
                let names = rest[..at].iter().filter_map(|t| match t {
                    Token::Name(name) => Some(name.clone()),
                    _ => None,
                });
                let names: Vec<String> = names.collect();
                let rest = rest.get(at + 1..).unwrap_or_default();
                let only = rest.iter().position(|t| *t == Token::Name("if".to_owned())).unwrap_or(rest.len());
                let over = self.expression(&rest[..only], tag.line, loops);
                loops.push((names, over));
                self.expression(&rest[only..], tag.line, loops);
            }
            "endfor" => drop(loops.pop()),
            "include" => match rest {
                [Token::Text(file)] => self.includes.push((file.clone(), tag.line)),
                _ => self.wrong(
                    tag.line,
                    "An `include` does not name one partial.".to_owned(),
                    "write {% include \"tone.md\" %}",
                ),
            },
            known if TAGS.contains(&known) => {}
            other => {
                let near = ashlar_model::did_you_mean(
                    other,
                    TAGS,
                    "prompts have if, for, include and raw; write the text out instead",
                );
                self.wrong(tag.line, format!("Prompts have no tag `{other}`."), near);
            }
        }
    }

    /// Notes what an expression uses, and returns the variables that its value can come from.
    fn expression(
        &mut self,
        tokens: &[Token],
        line: usize,
        loops: &[(Vec<String>, BTreeSet<String>)],
    ) -> BTreeSet<String> {
        let mut from = BTreeSet::new();
        for (at, token) in tokens.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|before| tokens.get(before));
            let next = tokens.get(at + 1);
            match token {
                Token::Sign(sign @ ('~' | '*')) => self.wrong(
                    line,
                    format!("The operator `{sign}` cannot be used in a prompt."),
                    "write values one after the other: {{ a }} {{ b }}",
                ),
                Token::Name(name) => {
                    let filter = before == Some(&Token::Sign('|'));
                    let is_not = before == Some(&Token::Name("not".to_owned()))
                        && at >= 2
                        && tokens[at - 2] == Token::Name("is".to_owned());
                    if filter {
                        self.filter(name, line);
                    } else if before == Some(&Token::Name("is".to_owned())) && name != "not" || is_not {
                        if !TESTS.contains(&name.as_str()) {
                            let help = ashlar_model::did_you_mean(
                                name,
                                TESTS,
                                format!("tests are {}", TESTS.join(", ")),
                            );
                            self.wrong(line, format!("There is no test `{name}`."), help);
                        }
                    } else if before == Some(&Token::Sign('.')) || WORDS.contains(&name.as_str()) {
                    } else if next == Some(&Token::Sign('(')) {
                        let help = "prompts have variables and filters, and no functions";
                        self.wrong(line, format!("There is no function `{name}`."), help);
                    } else if next == Some(&Token::Sign('=')) && tokens.get(at + 2) != Some(&Token::Sign('='))
                    {
                        // The name of an argument.
                    } else if name == "loop" && !loops.is_empty() {
                    } else if let Some((_, over)) = loops.iter().rev().find(|(names, _)| names.contains(name))
                    {
                        from.extend(over.iter().cloned());
                    } else {
                        if !self.names.iter().any(|(known, _)| known == name) {
                            self.names.push((name.clone(), line));
                        }
                        from.insert(name.clone());
                    }
                }
                Token::Sign('(')
                    if matches!(before, Some(Token::Name(_)))
                        && at >= 2
                        && tokens[at - 2] == Token::Sign('.') =>
                {
                    let help = "prompts have variables and filters, and no functions";
                    self.wrong(line, "A method of a value is called.".to_owned(), help);
                }
                Token::Text(_) | Token::Number | Token::Sign(_) => {}
            }
        }
        from
    }

    fn filter(&mut self, name: &str, line: usize) {
        if FILTERS.contains(&name) {
            return;
        }
        if matches!(name, "safe" | "escape" | "e" | "tojson" | "urlencode") {
            let help =
                "remove the filter. If only your own code sets the variable, declare it with `trusted: true`";
            let message =
                format!("The filter `{name}` would put text of others into the prompt without marks.");
            self.misuses.push(Misuse { line, message, help: help.to_owned(), unmarked: true });
            return;
        }
        let help = ashlar_model::did_you_mean(name, FILTERS, format!("filters are {}", FILTERS.join(", ")));
        self.wrong(line, format!("There is no filter `{name}`."), help);
    }
}

/// The tags of a template, without comments and raw parts.
fn tags(source: &str) -> Vec<Tag> {
    let mut out = Vec::new();
    let mut at = 0;
    let mut raw = false;
    while let Some(found) = source[at..].find('{') {
        let start = at + found;
        let open = source[start..].get(..2).unwrap_or_default();
        let close = match open {
            "{{" => "}}",
            "{%" => "%}",
            "{#" => "#}",
            _ => {
                at = start + 1;
                continue;
            }
        };
        let inside = start + 2;
        if open == "{#" {
            at = source[inside..].find(close).map_or(source.len(), |end| inside + end + 2);
            continue;
        }
        let (tokens, end) = tokens(&source[inside..], close);
        let line = source[..start].matches('\n').count();
        let is_raw = |word: &str| open == "{%" && tokens.first() == Some(&Token::Name(word.to_owned()));
        if raw {
            raw = !is_raw("endraw");
            at = if raw { start + 1 } else { inside + end };
            continue;
        }
        raw = is_raw("raw");
        out.push(Tag { prints: open == "{{", tokens, line });
        at = inside + end;
    }
    out
}

/// The tokens of a tag, and how many bytes it takes with its end.
fn tokens(text: &str, close: &str) -> (Vec<Token>, usize) {
    let mut out = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if text[at..].starts_with(close) {
            return (out, at + close.len());
        }
        match c {
            '"' | '\'' => {
                let mut value = String::new();
                while let Some((_, inner)) = chars.next() {
                    match inner {
                        '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
                        end if end == c => break,
                        other => value.push(other),
                    }
                }
                out.push(Token::Text(value));
            }
            c if c.is_alphabetic() || c == '_' => {
                let mut name = c.to_string();
                while let Some((_, next)) = chars.next_if(|(_, n)| n.is_alphanumeric() || *n == '_') {
                    name.push(next);
                }
                out.push(Token::Name(name));
            }
            c if c.is_ascii_digit() => {
                while chars.next_if(|(_, n)| n.is_ascii_alphanumeric() || matches!(n, '.' | '_')).is_some() {}
                out.push(Token::Number);
            }
            c if c.is_whitespace() => {}
            // The signs that trim white space around a tag.
            '-' | '+' if out.is_empty() && at == 0 => {}
            '-' | '+' if text[at + 1..].starts_with(close) => {}
            sign => out.push(Token::Sign(sign)),
        }
    }
    (out, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(uses: &[(String, usize)]) -> Vec<(&str, usize)> {
        uses.iter().map(|(name, line)| (name.as_str(), *line)).collect()
    }

    #[test]
    fn variables_loops_and_includes_are_seen() {
        let uses = Uses::of(
            "{# {{ comment }} #}{{ question | trim }}\n{% for x in items if x %}{{ x | lower }} {{ loop.index }}{% endfor %}\n\
             {%- if plan == \"pro }}\" -%}{% include \"tone.md\" %}{% endif %}{{ names | join(sep=\", \") }}{% raw %}{{ raw }}{% endraw %}",
        );
        assert_eq!(names(&uses.names), [("question", 0), ("items", 1), ("plan", 2), ("names", 2)]);
        assert_eq!(names(&uses.printed), [("question", 0), ("items", 1), ("names", 2)]);
        assert_eq!(names(&uses.includes), [("tone.md", 2)]);
        assert_eq!(uses.misuses, []);
    }

    #[test]
    fn what_could_grow_or_hide_is_refused() {
        let of = |source: &str| {
            let misuses = Uses::of(source).misuses;
            misuses.into_iter().map(|m| (m.message, m.unmarked)).collect::<Vec<_>>()
        };
        assert_eq!(of("{{ a ~ a }}")[0].0, "The operator `~` cannot be used in a prompt.");
        assert_eq!(of("{{ \"x\" * 100000000 }}")[0].0, "The operator `*` cannot be used in a prompt.");
        assert_eq!(of("{% set a = 1 %}")[0].0, "Prompts have no tag `set`.");
        assert_eq!(of("{% autoescape false %}")[0].0, "Prompts have no tag `autoescape`.");
        assert_eq!(of("{{ range(10) }}")[0].0, "There is no function `range`.");
        assert_eq!(of("{{ a.b() }}")[0].0, "A method of a value is called.");
        assert_eq!(of("{{ a | shout }}")[0].0, "There is no filter `shout`.");
        assert!(of("{{ a | safe }}")[0].1);
        assert_eq!(of("{{ a is not odd }}")[0].0, "There is no test `odd`.");
        assert!(of("{{ unfinished").is_empty() && of("{{ 'unfinished").is_empty());
    }
}
