//! The modules of a crate: what each defines, imports and names.

use std::collections::{BTreeMap, BTreeSet};

use super::lexer::{Kind, Token, tokens};

/// Words behind which an item has its name.
const ITEMS: [&str; 9] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static", "macro_rules"];

/// A module: a file, or `mod name { … }` inside one.
#[derive(Debug, Default)]
pub struct Module {
    pub file: usize,
    /// The root is its own parent.
    pub parent: usize,
    pub children: BTreeMap<String, usize>,
    /// Names of items that are defined here.
    pub items: BTreeSet<String>,
    pub imports: Vec<Import>,
    /// Paths in the code, with their lines.
    pub paths: Vec<(Vec<String>, usize)>,
    /// Names that are used alone, with the first line of each.
    pub words: BTreeMap<String, usize>,
}

/// One name of a `use`.
#[derive(Debug)]
pub struct Import {
    pub path: Vec<String>,
    pub alias: String,
    /// `use path::*`
    pub is_glob: bool,
    /// `pub use`, also with a restriction.
    pub is_public: bool,
    pub line: usize,
}

/// The modules of a crate; the first is its root.
#[derive(Debug, Default)]
pub struct Crate {
    pub modules: Vec<Module>,
    pub files: Vec<String>,
}

/// A module that is being read: its tokens come from this folder.
struct Place {
    module: usize,
    /// Where files of its children are.
    dir: String,
}

impl Crate {
    /// Reads a crate from its root file. `read` returns the text of a file that exists.
    pub fn read(root: &str, read: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut out = Self::default();
        let dir = root.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned();
        let text = read(root).unwrap_or_default();
        out.files.push(root.to_owned());
        out.modules.push(Module::default());
        out.items(&tokens(&text), &mut 0, &Place { module: 0, dir }, read);
        out
    }

    fn child(&mut self, parent: usize, name: &str, file: usize) -> usize {
        let id = self.modules.len();
        self.modules.push(Module { file, parent, ..Module::default() });
        self.modules[parent].children.insert(name.to_owned(), id);
        id
    }

    /// Reads `mod name;`.
    fn file(&mut self, name: &str, place: &Place, read: &dyn Fn(&str) -> Option<String>) {
        let dir = format!("{}/{name}", place.dir);
        for path in [format!("{dir}.rs"), format!("{dir}/mod.rs")] {
            if let Some(text) = read(&path) {
                self.files.push(path);
                let module = self.child(place.module, name, self.files.len() - 1);
                self.items(&tokens(&text), &mut 0, &Place { module, dir }, read);
                return;
            }
        }
    }

    /// Reads items up to the end of the module.
    fn items(
        &mut self,
        tokens: &[Token<'_>],
        at: &mut usize,
        place: &Place,
        read: &dyn Fn(&str) -> Option<String>,
    ) {
        let mut depth = 0;
        while let Some(token) = tokens.get(*at) {
            let start = *at;
            *at += 1;
            let next = tokens.get(*at);
            match token.kind {
                Kind::Sign('#') => {
                    let is_test = is_test(&tokens[start..]);
                    skip_group(tokens, at);
                    if is_test {
                        skip_item(tokens, at);
                    }
                }
                Kind::Sign('{') => depth += 1,
                Kind::Sign('}') if depth == 0 => return,
                Kind::Sign('}') => depth -= 1,
                Kind::Word("mod") if depth == 0 => {
                    let Some(name) = next.and_then(Token::word) else { continue };
                    *at += 2;
                    if tokens.get(*at - 1).is_some_and(|t| t.is('{')) {
                        let module = self.child(place.module, name, self.modules[place.module].file);
                        let dir = format!("{}/{name}", place.dir);
                        self.items(tokens, at, &Place { module, dir }, read);
                    } else {
                        self.file(name, place, read);
                    }
                }
                Kind::Word("use") if !next.is_some_and(|t| t.is('<')) => {
                    let is_public =
                        start > 0 && (tokens[start - 1].is_word("pub") || tokens[start - 1].is(')'));
                    let imports = &mut self.modules[place.module].imports;
                    tree(tokens, at, &[], is_public, imports);
                }
                Kind::Word(word) if depth == 0 && ITEMS.contains(&word) => {
                    let name = tokens[*at..].iter().find_map(Token::word).filter(|n| *n != "fn");
                    self.modules[place.module].items.extend(name.map(str::to_owned));
                }
                Kind::Word(word) => self.modules[place.module].word(tokens, at, word),
                _ => {}
            }
        }
    }
}

impl Module {
    /// Notes a path that begins here, or a name that is used alone.
    fn word(&mut self, tokens: &[Token<'_>], at: &mut usize, first: &str) {
        let start = *at - 1;
        let line = tokens[start].line;
        let before = start.checked_sub(1).map(|b| tokens[b].kind);
        if matches!(before, Some(Kind::Sign('.') | Kind::Sep)) {
            return;
        }
        let mut path = vec![first.to_owned()];
        while tokens.get(*at).is_some_and(|t| t.kind == Kind::Sep)
            && let Some(name) = tokens.get(*at + 1).and_then(Token::word)
        {
            path.push(name.to_owned());
            *at += 2;
        }
        if path.len() > 1 {
            self.paths.push((path, line));
            return;
        }
        let is_called = tokens.get(*at).is_some_and(|t| t.is('(') || t.is('!') || t.kind == Kind::Sep);
        let is_type = first.starts_with(char::is_uppercase);
        if is_type || is_called && before != Some(Kind::Word("fn")) {
            self.words.entry(first.to_owned()).or_insert(line);
        }
    }
}

/// Whether an attribute at the start is `#[cfg(test)]`.
fn is_test(tokens: &[Token<'_>]) -> bool {
    let kinds: Vec<Kind<'_>> = tokens.iter().take(7).map(|t| t.kind).collect();
    let sign = Kind::Sign;
    kinds == [sign('#'), sign('['), Kind::Word("cfg"), sign('('), Kind::Word("test"), sign(')'), sign(']')]
}

/// Goes behind a group in brackets, braces or parentheses that begins here.
fn skip_group(tokens: &[Token<'_>], at: &mut usize) {
    let mut depth = 0;
    while let Some(token) = tokens.get(*at) {
        *at += 1;
        match token.kind {
            Kind::Sign('(' | '[' | '{') => depth += 1,
            Kind::Sign(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 && !token.is('!') {
            return;
        }
    }
}

/// Goes behind an item: its semicolon, or the braces of its body. A field ends with its struct at the latest.
fn skip_item(tokens: &[Token<'_>], at: &mut usize) {
    let is_use = tokens[*at..].iter().take(5).any(|t| t.is_word("use"));
    while let Some(token) = tokens.get(*at) {
        match token.kind {
            Kind::Sign('{') => {
                skip_group(tokens, at);
                if !is_use {
                    return;
                }
            }
            Kind::Sign('(' | '[') => skip_group(tokens, at),
            Kind::Sign('}') => return,
            Kind::Sign(';') => {
                *at += 1;
                return;
            }
            _ => *at += 1,
        }
    }
}

/// Reads one tree of a `use`, up to the comma, brace or semicolon that ends it.
fn tree(tokens: &[Token<'_>], at: &mut usize, prefix: &[String], is_public: bool, out: &mut Vec<Import>) {
    let mut path = prefix.to_vec();
    let mut alias = None;
    let line = tokens.get(*at).map_or(0, |t| t.line);
    while let Some(token) = tokens.get(*at) {
        match token.kind {
            Kind::Sign('{') => {
                *at += 1;
                while tokens.get(*at).is_some_and(|t| !t.is('}')) {
                    tree(tokens, at, &path, is_public, out);
                    if tokens.get(*at).is_some_and(|t| t.is(',')) {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            Kind::Sign('*') => {
                *at += 1;
                out.push(Import { path, alias: String::new(), is_glob: true, is_public, line });
                return;
            }
            Kind::Word("as") => {
                alias = tokens.get(*at + 1).and_then(Token::word);
                *at += 1;
            }
            Kind::Word("self") if !path.is_empty() => {}
            Kind::Word(word) if alias.is_none() => path.push(word.to_owned()),
            Kind::Word(_) | Kind::Sep => {}
            _ => break,
        }
        *at += 1;
    }
    if let Some(last) = path.last() {
        let alias = alias.unwrap_or(last).to_owned();
        out.push(Import { path, alias, is_glob: false, is_public, line });
    }
}
