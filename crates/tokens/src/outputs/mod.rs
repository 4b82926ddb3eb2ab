//! What tokens are built into.

mod css;
mod json;
mod native;
mod script;

pub use css::attribute;

use std::collections::BTreeMap;

use ashlar_model::Finding;
use rustc_hash::FxHashSet;

use crate::{Combination, Resolved, TokenSet, Value, index::Index, value::css_value};

/// A form in which tokens are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// Custom properties, with contexts as attributes and media queries: `tokens.css`.
    Css,
    /// Resolved values with their contexts, and the format itself without references: `tokens.json`, `tokens.dtcg.json`.
    Json,
    /// An ES module with types: `tokens.js`, `tokens.d.ts`.
    Ts,
    /// Variables and maps: `_tokens.scss`.
    Scss,
    /// SwiftUI: `Tokens.swift`.
    Swift,
    /// Jetpack Compose: `Tokens.kt`.
    Kotlin,
    /// A theme for Tailwind 4: `tailwind.css`.
    Tailwind,
}

impl Output {
    /// Every output with its word.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Css, "css"),
        (Self::Json, "json"),
        (Self::Ts, "ts"),
        (Self::Scss, "scss"),
        (Self::Swift, "swift"),
        (Self::Kotlin, "kotlin"),
        (Self::Tailwind, "tailwind"),
    ];

    /// The output with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, w)| *w == word).map(|(o, _)| *o)
    }
}

/// A file that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile {
    /// Its name.
    pub path: &'static str,
    /// Its text.
    pub text: String,
}

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

/// The most bytes of all outputs together, by estimate.
pub const OUTPUT_BYTES_MAX: u64 = 512 << 20;

/// About how many bytes of an output are kept before they are passed on: few enough for the caches of a processor.
const PIECE_BYTES: usize = 128 << 10;

/// Takes the outputs piece by piece: the name of a file, and what comes next in it. Files come one after the other, and
/// each begins with an empty piece.
pub type Sink<'s> = &'s mut dyn FnMut(&'static str, &str);

/// Outputs that are ready to be written.
pub struct Build<'a> {
    plan: Plan<'a>,
    outputs: Vec<Output>,
    options: &'a BuildOptions,
}

impl<'a> Build<'a> {
    /// Plans the outputs. Names that would be the same in an output are findings, and the later one is left out. When the
    /// outputs would be too large, that is a finding, and none is written.
    pub fn new(
        resolved: &'a Resolved,
        set: &'a TokenSet,
        outputs: &[Output],
        options: &'a BuildOptions,
    ) -> (Self, Vec<Finding>) {
        let (plan, mut findings) = Plan::new(resolved, set, options);
        let mut outputs = outputs.to_vec();
        outputs.sort_unstable();
        outputs.dedup();
        let bytes = plan.bytes().saturating_mul(outputs.len() as u64);
        if bytes > OUTPUT_BYTES_MAX {
            let message = format!(
                "The outputs would have about {bytes} bytes, because every value is written in every combination of contexts; {OUTPUT_BYTES_MAX} are the most."
            );
            findings.push(
                Finding::error("token-output-size", set.name.clone(), message)
                    .help("build fewer outputs, or let fewer modifiers change the same tokens"),
            );
            outputs.clear();
        }
        (Self { plan, outputs, options }, findings)
    }

    /// Writes the outputs. Only a piece of them is in memory at a time.
    pub fn write(&self, sink: Sink<'_>) {
        let mut out = Out { text: String::with_capacity(2 * PIECE_BYTES), path: "", sink };
        let plan = &self.plan;
        for output in &self.outputs {
            match output {
                Output::Css => css::css(plan, self.options, out.file("tokens.css")),
                Output::Json => {
                    let values = json::values(plan);
                    json::resolved(plan, &values, out.file("tokens.json"));
                    json::dtcg(plan, &values, out.file("tokens.dtcg.json"));
                }
                Output::Ts => {
                    script::module(plan, out.file("tokens.js"));
                    script::types(plan, out.file("tokens.d.ts"));
                }
                Output::Scss => script::scss(plan, out.file("_tokens.scss")),
                Output::Swift => out.file("Tokens.swift").push_str(&native::swift(plan)),
                Output::Kotlin => out.file("Tokens.kt").push_str(&native::kotlin(plan)),
                Output::Tailwind => out.file("tailwind.css").push_str(&css::tailwind(plan)),
            }
        }
        out.pass();
    }
}

/// Builds the outputs as whole texts; see [`Build`].
pub fn build(
    resolved: &Resolved,
    set: &TokenSet,
    outputs: &[Output],
    options: &BuildOptions,
) -> (Vec<OutputFile>, Vec<Finding>) {
    let (built, findings) = Build::new(resolved, set, outputs, options);
    let mut files: Vec<OutputFile> = Vec::new();
    built.write(&mut |path, piece| match files.last_mut().filter(|f| f.path == path) {
        Some(file) => file.text.push_str(piece),
        None => files.push(OutputFile { path, text: piece.to_owned() }),
    });
    (files, findings)
}

/// The file that is being written, as a text of which all but the last piece was passed on already.
pub(crate) struct Out<'s> {
    text: String,
    path: &'static str,
    sink: Sink<'s>,
}

impl Out<'_> {
    /// Begins a file.
    fn file(&mut self, path: &'static str) -> &mut Self {
        self.pass();
        self.path = path;
        (self.sink)(path, "");
        self
    }

    fn pass(&mut self) {
        if !self.text.is_empty() {
            (self.sink)(self.path, &self.text);
            self.text.clear();
        }
    }

    /// Passes on what was written when it is enough; called between tokens.
    pub(crate) fn step(&mut self) {
        if self.text.len() >= PIECE_BYTES {
            self.pass();
        }
    }

    /// Writes a text that may be long without a copy of it.
    pub(crate) fn long(&mut self, text: &str) {
        if text.len() < PIECE_BYTES {
            self.text.push_str(text);
        } else {
            self.pass();
            (self.sink)(self.path, text);
        }
    }
}

impl std::ops::Deref for Out<'_> {
    type Target = String;

    fn deref(&self) -> &String {
        &self.text
    }
}

impl std::ops::DerefMut for Out<'_> {
    fn deref_mut(&mut self) -> &mut String {
        &mut self.text
    }
}

/// Many texts in one piece of memory.
#[derive(Default)]
pub(crate) struct Texts {
    all: String,
    ends: Vec<usize>,
}

impl Texts {
    /// One text for each item.
    pub(crate) fn of<T>(
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

    pub(crate) fn get(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.all[start..self.ends[at]]
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|at| self.get(at))
    }
}

/// What all outputs need: names and CSS texts, computed once.
pub(crate) struct Plan<'a> {
    pub(crate) resolved: &'a Resolved,
    pub(crate) set: &'a TokenSet,
    names: Texts,
    left_out: FxHashSet<usize>,
    css: Texts,
    /// Combinations other than the default with the tokens that differ there, by how many contexts they name.
    pub(crate) differing: Vec<(Combination, Vec<(u32, u32)>)>,
}

impl<'a> Plan<'a> {
    fn new(resolved: &'a Resolved, set: &'a TokenSet, options: &BuildOptions) -> (Self, Vec<Finding>) {
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
        let attributes: Vec<String> = resolved.modifiers.iter().map(|m| css::attribute(&m.name)).collect();
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
    fn bytes(&self) -> u64 {
        let tokens = self.resolved.tokens.iter().enumerate();
        // What says of a value in which combination it holds.
        let longest =
            |m: &crate::Modifier| m.name.len() + m.contexts.iter().map(String::len).max().unwrap_or(0);
        let switch = 24 + self.resolved.modifiers.iter().map(longest).max().unwrap_or(0);
        let one = |(at, token): (usize, &crate::Token)| {
            let name = self.names.get(at).len();
            let each = if token.modifiers.count_ones() > 1 { name + 16 + switch } else { name + 16 };
            token.variants.iter().map(|(_, v)| (self.css(*v).len() + each) as u64).sum::<u64>()
        };
        tokens.map(one).sum()
    }

    /// Position, name and default value of every token that has one.
    pub(crate) fn defaults(&self) -> impl Iterator<Item = (usize, &str, u32)> {
        self.resolved.tokens.iter().enumerate().filter_map(|(at, token)| {
            let (combination, value) = token.variants.first()?;
            (*combination == 0).then_some((at, self.name(at)?, *value))
        })
    }

    /// The name of a token in CSS, without dashes before it; `None` for one that is left out.
    pub(crate) fn name(&self, at: usize) -> Option<&str> {
        (!self.left_out.contains(&at)).then(|| self.names.get(at))
    }

    /// The CSS of a value.
    pub(crate) fn css(&self, value: u32) -> &str {
        self.css.get(value as usize)
    }

    pub(crate) fn value(&self, at: u32) -> &Value {
        &self.resolved.values[at as usize]
    }

    /// The lines of one declaration: the value, and the parts that CSS needs one by one.
    pub(crate) fn declarations(&self, value: u32, mut line: impl FnMut(&str, &str)) {
        line("", self.css(value));
        for (part, text) in css_value::parts(self.value(value)) {
            line(part, &text);
        }
    }
}

/// The name of a token in CSS: `semantic.color.textDefault.$root` becomes `semantic-color-text-default`.
pub fn css_name(prefix: &str, name: &str) -> String {
    let mut out = String::with_capacity(prefix.len() + name.len() + 4);
    write_css_name(&mut out, prefix, name);
    out
}

fn write_css_name(out: &mut String, prefix: &str, name: &str) {
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

/// A JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    quote(&mut out, text);
    out
}

/// Writes a JSON string.
pub(crate) fn quote(out: &mut String, text: &str) {
    // Most texts hold nothing that has to be escaped. All bytes are looked at, because that takes many at once.
    if text.bytes().fold(false, |found, b| found | (b < b' ') | (b == b'"') | (b == b'\\')) {
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}

/// Writes several pieces.
pub(crate) fn push(out: &mut String, pieces: &[&str]) {
    for piece in pieces {
        out.push_str(piece);
    }
}

/// Text that cannot end a comment.
pub(crate) fn comment(text: &str) -> String {
    text.replace("*/", "* /").replace(['\n', '\r'], " ")
}
