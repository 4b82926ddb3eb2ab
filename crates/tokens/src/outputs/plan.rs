//! What all outputs need: names and CSS texts, computed once.

use std::collections::BTreeMap;

use ashlar_model::Finding;
use rustc_hash::FxHashSet;

use super::names::{attribute, write_css_name};
use crate::{Combination, Modifier, Resolved, Token, TokenSet, Value, index::Index, value::css_value};

/// How names and contexts are written.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// The prefix of every name, such as `acme`.
    pub prefix: String,
    /// Media queries that choose a context when no attribute does: `theme=dark` → `(prefers-color-scheme: dark)`.
    pub media: BTreeMap<String, String>,
}

impl BuildOptions {
    /// The media queries that browsers have for contexts with the usual names.
    pub fn usual_media(resolved: &Resolved) -> BTreeMap<String, String> {
        const USUAL: [(&str, &str); 4] = [
            ("dark", "(prefers-color-scheme: dark)"),
            ("high-contrast", "(prefers-contrast: more)"),
            ("reduced", "(prefers-reduced-motion: reduce)"),
            ("reduced-motion", "(prefers-reduced-motion: reduce)"),
        ];
        let mut media = BTreeMap::new();
        for modifier in &resolved.modifiers {
            for context in &modifier.contexts[1..] {
                if let Some((_, query)) = USUAL.iter().find(|(word, _)| word == context) {
                    media.insert(format!("{}={context}", modifier.name), (*query).to_owned());
                }
            }
        }
        media
    }
}

/// Many texts in one piece of memory.
#[derive(Default)]
pub(super) struct Texts {
    all: String,
    ends: Vec<usize>,
}

impl Texts {
    /// One text for each item.
    pub(super) fn of<T>(
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut String, T),
    ) -> Self {
        let mut texts = Self { all: String::new(), ends: Vec::with_capacity(items.len()) };
        for item in items {
            write(&mut texts.all, item);
            texts.ends.push(texts.all.len());
        }
        texts
    }

    pub(super) fn get(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.all[start..self.ends[at]]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|at| self.get(at))
    }
}

/// What all outputs need: names and CSS texts, computed once.
pub(super) struct Plan<'a> {
    pub(super) resolved: &'a Resolved,
    pub(super) set: &'a TokenSet,
    pub(super) names: Texts,
    left_out: FxHashSet<usize>,
    css: Texts,
    /// Combinations other than the default with the tokens that differ there, by how many contexts they name.
    pub(super) differing: Vec<(Combination, Vec<(u32, u32)>)>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        resolved: &'a Resolved,
        set: &'a TokenSet,
        options: &BuildOptions,
    ) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let names = Texts::of(resolved.tokens.iter(), |out, t| write_css_name(out, &options.prefix, &t.name));
        let mut taken = Index::with_capacity(resolved.tokens.len());
        let mut left_out = FxHashSet::default();
        for ((at, token), name) in resolved.tokens.iter().enumerate().zip(names.iter()) {
            if let Some(other) = taken.insert(name, at as u32, |at| names.get(at as usize)) {
                let other = &resolved.tokens[other as usize].name;
                findings.push(
                    Finding::error(
                        "token-clash",
                        set.place_of_token(token),
                        format!("`{}` and `{other}` would both be `--{name}`.", token.name),
                    )
                    .help("rename one of them"),
                );
                left_out.insert(at);
            }
        }
        let attributes: Vec<String> = resolved.modifiers.iter().map(|m| attribute(&m.name)).collect();
        for (at, attribute) in attributes.iter().enumerate() {
            if let Some(other) = attributes[..at].iter().position(|a| a == attribute) {
                let (one, two) = (&resolved.modifiers[other].name, &resolved.modifiers[at].name);
                findings.push(
                    Finding::error(
                        "token-clash",
                        set.name.clone(),
                        format!(
                            "The modifiers `{one}` and `{two}` would both be the attribute `{attribute}`."
                        ),
                    )
                    .help("rename one of them"),
                );
            }
        }
        let css = Texts::of(resolved.values.iter(), css_value::write);
        let mut differing: BTreeMap<(usize, Combination), Vec<(u32, u32)>> = BTreeMap::new();
        for (at, token) in resolved
            .tokens
            .iter()
            .enumerate()
            .filter(|(_, t)| t.variants.len() > 1 || t.variants.first().is_some_and(|v| v.0 != 0))
        {
            // What the cascade gives without a rule of its own: the last rule that applies among those with the most contexts.
            let mut rules: Vec<(usize, Combination, u32)> = Vec::new();
            let mut variants: Vec<_> =
                token.variants.iter().map(|(c, v)| (resolved.contexts(*c).count(), *c, *v)).collect();
            variants.sort_unstable();
            for (count, combination, value) in variants {
                let applies = |rule: Combination| {
                    resolved.modifiers.iter().enumerate().all(|(m, _)| {
                        let digit = resolved.digit(rule, m);
                        digit == 0 || digit == resolved.digit(combination, m)
                    })
                };
                let given = rules.iter().rev().find(|(_, c, _)| applies(*c)).map(|(_, _, v)| *v);
                if given.is_some_and(|g| g == value || css.get(g as usize) == css.get(value as usize)) {
                    continue;
                }
                rules.push((count, combination, value));
                if combination != 0 {
                    differing.entry((count, combination)).or_default().push((at as u32, value));
                }
            }
        }
        let differing = differing.into_iter().map(|((_, c), tokens)| (c, tokens)).collect();
        (Self { resolved, set, names, left_out, css, differing }, findings)
    }

    /// About what one output has: each value with its name, in every combination in which it has one of its own.
    pub(super) fn bytes(&self) -> u64 {
        let tokens = self.resolved.tokens.iter().enumerate();
        // What says of a value in which combination it holds.
        let longest = |m: &Modifier| m.name.len() + m.contexts.iter().map(String::len).max().unwrap_or(0);
        let switch = 24 + self.resolved.modifiers.iter().map(longest).max().unwrap_or(0);
        let one = |(at, token): (usize, &Token)| {
            let name = self.names.get(at).len();
            let each = if token.modifiers.count_ones() > 1 { name + 16 + switch } else { name + 16 };
            token.variants.iter().map(|(_, v)| (self.css(*v).len() + each) as u64).sum::<u64>()
        };
        tokens.map(one).sum()
    }

    /// Position, name and default value of every token that has one.
    pub(super) fn defaults(&self) -> impl Iterator<Item = (usize, &str, u32)> {
        self.resolved.tokens.iter().enumerate().filter_map(|(at, token)| {
            let (combination, value) = token.variants.first()?;
            (*combination == 0).then_some((at, self.name(at)?, *value))
        })
    }

    /// The name of a token in CSS, without dashes before it; `None` for one that is left out.
    pub(super) fn name(&self, at: usize) -> Option<&str> {
        (!self.left_out.contains(&at)).then(|| self.names.get(at))
    }

    /// The CSS of a value.
    pub(super) fn css(&self, value: u32) -> &str {
        self.css.get(value as usize)
    }

    pub(super) fn value(&self, at: u32) -> &Value {
        &self.resolved.values[at as usize]
    }

    /// The lines of one declaration: the value, and the parts that CSS needs one by one.
    pub(super) fn declarations(&self, value: u32, mut line: impl FnMut(&str, &str)) {
        line("", self.css(value));
        for (part, text) in css_value::parts(self.value(value)) {
            line(part, &text);
        }
    }
}
