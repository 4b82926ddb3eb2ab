use cssparser::{Parser, Token};

use crate::lexicon::Match;
use crate::lexicon::canon::{self, DEPTH_MAX};
use crate::lexicon::property::{Domain, Spec, Takes};
use crate::report::What;
use crate::scanner::Scanner;

/// What replaces, in a template, a `${…}`, as often as it is long: an identifier that means nothing.
pub(crate) const HOLE: u8 = b'_';

/// The value of one declaration.
pub(crate) struct Value<'v> {
    /// The property, as it is reported.
    pub(crate) property: &'v str,
    /// The value as CSS, of the same length as in the file.
    pub(crate) css: &'v str,
    /// The offset of the value in the file.
    pub(crate) at: usize,
    /// What is judged in it.
    pub(crate) spec: Spec,
    /// Whether the property is a variable, whose value may be anything.
    pub(crate) is_variable: bool,
}

/// What a value contains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Tokens of the system are used.
    pub(crate) token: bool,
    /// Raw values were reported.
    pub(crate) raw: bool,
}

/// What a part of a value may be.
#[derive(Clone, Copy)]
struct Env {
    takes: Takes,
    /// Whether names of colours count: not among the arguments of functions that are not CSS's.
    names: bool,
    /// Whether a `var(…)` can stand in the place of a raw value.
    fixable: bool,
}

impl Env {
    fn taking(self, takes: Takes) -> Self {
        Self { takes: self.takes.only(takes), ..self }
    }
}

struct Walk<'w, 's, 'a> {
    value: &'w Value<'w>,
    scanner: &'s mut Scanner<'a>,
    verdict: Verdict,
    /// In the shorthand `font`: what comes after the size, and after the `/`, means something else.
    size_seen: bool,
    slash_seen: bool,
}

impl Value<'_> {
    /// Reports what diverges in the value.
    pub(crate) fn judge(&self, scanner: &mut Scanner<'_>) -> Verdict {
        let takes = self.spec.takes;
        if takes == Takes::NONE && !self.css.contains("--") {
            return Verdict::default();
        }
        if let Some(verdict) = self.whole(scanner) {
            return verdict;
        }
        // A name inside of a variable's longer value may be that of anything.
        let names = !self.is_variable || !self.css.trim().contains([' ', ',', '\n', '(']);
        let mut parser = Parser::new(self.css);
        parser.set_nested_block_limit(DEPTH_MAX);
        let verdict = Verdict::default();
        let mut walk = Walk { value: self, scanner, verdict, size_seen: false, slash_seen: false };
        walk.parts(&mut parser, Env { takes, names, fixable: true });
        walk.verdict
    }

    /// Judges values that are compared as a whole; `None` when the parts are to be looked at.
    fn whole(&self, scanner: &mut Scanner<'_>) -> Option<Verdict> {
        let takes = self.spec.takes;
        if !takes.has(Takes::FAMILY.and(Takes::SHADOW)) {
            return None;
        }
        let important = self.css.rfind('!').unwrap_or(self.css.len());
        let text = self.css.get(..important)?.trim_end();
        let core = text.trim_start();
        let dynamic = ["--", "$", "#{", "____", "@"].iter().any(|d| core.contains(d));
        if core.is_empty() || dynamic || takes.has(Takes::FAMILY) && core.contains('(') {
            return None;
        }
        if scanner.lexicon.allows(self.property, core) {
            return Some(Verdict::default());
        }
        let lexicon = scanner.lexicon;
        let found = if takes.has(Takes::FAMILY) { lexicon.family(core) } else { lexicon.shadow(core) };
        let start = self.at + (text.len() - core.len());
        self.report(scanner, start..start + core.len(), found, true, false);
        Some(Verdict { token: false, raw: true })
    }

    fn report(
        &self,
        scanner: &mut Scanner<'_>,
        range: std::ops::Range<usize>,
        found: Option<Match<'_>>,
        fixable: bool,
        negated: bool,
    ) {
        let fix = found.filter(|f| fixable && f.sure).map(|f| match negated {
            true => format!("calc(var(--{}) * -1)", f.name),
            false => format!("var(--{})", f.name),
        });
        scanner.add(What::RawValue, range, self.property, found.map(Match::nearest), fix);
    }
}

impl Walk<'_, '_, '_> {
    /// Looks at the component values up to the end of a block.
    fn parts(&mut self, parser: &mut Parser<'_>, env: Env) {
        // Whether the token before makes a name out of the next one, as in `$red`.
        let mut sigil = false;
        loop {
            parser.skip_whitespace();
            let before = parser.state();
            let start = before.position().byte_index();
            let Ok(token) = parser.next() else { return };
            let token = token.clone();
            let end = parser.position().byte_index();
            let named =
                std::mem::replace(&mut sigil, matches!(token, Token::Delim('$' | '@' | '.' | '&' | '#')));
            match token {
                Token::Hash(ref hex) | Token::IDHash(ref hex)
                    if env.takes.has(Takes::COLOR) && is_hex(hex) =>
                {
                    self.color(start, end, env);
                }
                Token::Ident(ref name)
                    if env.names && env.takes.has(Takes::COLOR) && !named && is_name(name) =>
                {
                    self.color(start, end, env);
                }
                Token::Dimension { value, ref unit, .. } => {
                    self.dimension(f64::from(value), unit, start, end, env)
                }
                Token::Number { value, .. } => self.number(f64::from(value), start, end, env),
                Token::Delim('/') => self.slash_seen = true,
                Token::Function(ref name) => self.function(parser, name, &before, env),
                Token::ParenthesisBlock => self.block(parser, env),
                _ => {}
            }
        }
    }

    fn block(&mut self, parser: &mut Parser<'_>, env: Env) {
        // An error says that the block nests too deep; its parts are then read as if they stood here.
        let _: Result<(), cssparser::ParseError<()>> = parser.parse_nested_block(|inner| {
            self.parts(inner, env);
            Ok(())
        });
    }

    fn function(&mut self, parser: &mut Parser<'_>, name: &str, before: &cssparser::ParserState, env: Env) {
        let lower = crate::scanner::lower(name);
        match lower.as_ref() {
            "var" => {
                let _: Result<(), cssparser::ParseError<()>> = parser.parse_nested_block(|inner| {
                    self.variable(inner, env);
                    Ok(())
                });
            }
            "url" | "src" | "image-set" | "steps" | "linear" | "attr" | "env" => {}
            "rgb" | "rgba" | "hsl" | "hsla" | "hwb" | "lab" | "lch" | "oklab" | "oklch" | "color" => {
                if env.takes.has(Takes::COLOR) && parser.parse_nested_block(canon::skip).is_ok() {
                    let (start, end) = (before.position().byte_index(), parser.position().byte_index());
                    if self.color(start, end, env) {
                        return;
                    }
                }
                parser.reset(before);
                if parser.next().is_ok() {
                    self.block(parser, Env { fixable: false, ..env.taking(Takes::COLOR) });
                }
            }
            "cubic-bezier" => {
                if env.takes.has(Takes::EASING) && parser.parse_nested_block(canon::skip).is_ok() {
                    let (start, end) = (before.position().byte_index(), parser.position().byte_index());
                    let found =
                        self.value.css.get(start..end).and_then(|text| self.scanner.lexicon.easing(text));
                    self.raw(start, end, found, env, false);
                }
            }
            "calc" | "min" | "max" | "clamp" | "round" | "abs" => {
                self.block(parser, env.taking(Takes::LENGTH.and(Takes::TIME)));
            }
            "linear-gradient"
            | "radial-gradient"
            | "conic-gradient"
            | "repeating-linear-gradient"
            | "repeating-radial-gradient"
            | "repeating-conic-gradient"
            | "color-mix"
            | "light-dark"
            | "drop-shadow"
            | "image" => self.block(parser, env.taking(Takes::COLOR)),
            // Functions of a preprocessor: they compute with what they are given.
            _ => self.block(parser, Env { fixable: false, names: false, ..env.taking(Takes::COLOR) }),
        }
    }

    /// Reads the inside of `var(…)`.
    fn variable(&mut self, parser: &mut Parser<'_>, env: Env) {
        parser.skip_whitespace();
        let start = self.value.at + parser.position().byte_index();
        let Ok(Token::Ident(name)) = parser.next().cloned() else { return };
        let Some(name) = name.strip_prefix("--") else { return };
        let end = self.value.at + parser.position().byte_index();
        let known = self.scanner.refer(name, start..end, self.value.property);
        self.verdict.token |= known;
        if parser.next().is_ok() {
            let env = if known { env.taking(Takes::NONE) } else { env };
            self.parts(parser, env);
        }
    }

    fn raw(&mut self, start: usize, end: usize, found: Option<Match<'_>>, env: Env, negated: bool) {
        let at = self.value.at;
        self.value.report(self.scanner, at + start..at + end, found, env.fixable, negated);
        self.verdict.raw = true;
    }

    /// Judges what may be a colour; returns whether it is one.
    fn color(&mut self, start: usize, end: usize, env: Env) -> bool {
        let Some(text) = self.value.css.get(start..end) else { return false };
        let lexicon = self.scanner.lexicon;
        let Some(close) = lexicon.color(text) else { return false };
        if !lexicon.allows(self.value.property, text) {
            let found = lexicon.best_color(text, &close, self.value.spec.role);
            self.raw(start, end, found, env, false);
        }
        true
    }

    fn dimension(&mut self, value: f64, unit: &str, start: usize, end: usize, env: Env) {
        let lexicon = self.scanner.lexicon;
        let mut spec = self.value.spec;
        let font = spec.takes.has(Takes::WEIGHT) && spec.takes.has(Takes::LENGTH);
        self.size_seen = true;
        spec.exact_only |= spec.domain == Domain::Line;
        if font && self.slash_seen {
            spec.domain = Domain::LineHeight;
        }
        let time = canon::milliseconds(unit);
        let takes = if time.is_some() { Takes::TIME } else { Takes::LENGTH };
        let text = self.value.css.get(start..end).unwrap_or_default();
        if value == 0.0
            || !env.takes.has(takes)
            || lexicon.allows_unit(unit)
            || lexicon.allows(self.value.property, text)
        {
            return;
        }
        let find = |v: f64| match time {
            Some(ms) => lexicon.time(v * ms, spec),
            None => lexicon.length(v, unit, spec),
        };
        let direct = find(value);
        // A negative value may be the opposite of a token.
        let opposite = if value < 0.0 && !direct.is_some_and(|d| d.exact) { find(-value) } else { None };
        let comparable = time.is_some() || canon::pixels(unit, 1.0).is_some();
        let found = opposite.or(direct);
        if found.is_some() || comparable && !spec.exact_only {
            // A length that grows with the reader's font is not turned into one that does not.
            let scales = |unit: &str| unit.len() > 1 && unit.to_ascii_lowercase().ends_with("em");
            let fixed_size = |f: Match<'_>| {
                lexicon
                    .known(f.name)
                    .is_some_and(|k| canon::quantity(&k.value).is_some_and(|q| !scales(&q.1)))
            };
            let stops_scaling = scales(unit) && found.is_some_and(fixed_size);
            let env = Env { fixable: env.fixable && !stops_scaling, ..env };
            self.raw(start, end, found, env, opposite.is_some());
        }
    }

    fn number(&mut self, value: f64, start: usize, end: usize, env: Env) {
        let (lexicon, spec) = (self.scanner.lexicon, self.value.spec);
        let text = self.value.css.get(start..end).unwrap_or_default();
        let found = if env.takes.has(Takes::WEIGHT) && !self.size_seen && (1.0..=1000.0).contains(&value) {
            lexicon.weight(value, spec)
        } else if env.takes.has(Takes::NUMBER) && value != 0.0 {
            lexicon.number(value, spec)
        } else {
            return;
        };
        if !lexicon.allows(self.value.property, text) {
            self.raw(start, end, found, env, false);
        }
    }
}

fn is_hex(text: &str) -> bool {
    matches!(text.len(), 3 | 4 | 6 | 8) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether an identifier may name a colour; the longest is `lightgoldenrodyellow`.
fn is_name(text: &str) -> bool {
    text.len() <= 20 && text.bytes().all(|b| b.is_ascii_alphabetic())
}
