use std::collections::BTreeMap;

use ashlar_model::{Files, Finding};
use serde::Deserialize;

use crate::{BuildOptions, Output, Resolved, SourceFile, Token, TokenSet};

/// The file with the rules.
pub const CONFIG: &str = "tokens.toml";

/// `tokens.toml`: what the tokens of a project have to keep to, and what is built of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The npm package, such as `@acme/tokens`.
    pub name: String,
    /// What the package is, in one sentence.
    pub description: String,
    /// The version of the first release; later ones follow from what changed.
    pub version: String,
    /// The prefix of every custom property.
    pub prefix: String,
    /// What is built, by word; everything when absent.
    pub outputs: Vec<String>,
    /// The first step of a token's name, by layer.
    pub layers: Layers,
    /// A regular expression that every step of a name matches.
    pub naming: Option<String>,
    /// The most base tokens: by type (`color`), or by group (`base.color.blue`).
    pub caps: BTreeMap<String, usize>,
    /// When two base colours are almost the same.
    pub near: Near,
    /// Pairs of colours that must be distinguishable, in every combination of contexts.
    pub contrast: Vec<Contrast>,
    /// Sizes that fingers must be able to meet.
    pub target: Vec<Target>,
    /// Durations that must be short for those who ask for less motion.
    pub motion: Vec<Motion>,
    /// What becomes of base tokens that nothing uses.
    pub unused: Severity,
    /// Media queries that choose a context: `"theme=dark" = "(prefers-color-scheme: dark)"`. Those browsers have for the
    /// usual names when absent.
    pub media: Option<BTreeMap<String, String>>,
    /// How far a value may move in a patch.
    pub tolerance: Tolerance,
    /// The allowed percentage of overrides in apps.
    pub divergence: Divergence,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            version: "1.0.0".to_owned(),
            prefix: String::new(),
            outputs: Vec::new(),
            layers: Layers::default(),
            naming: None,
            caps: BTreeMap::new(),
            near: Near::default(),
            contrast: Vec::new(),
            target: Vec::new(),
            motion: Vec::new(),
            unused: Severity::Warning,
            media: None,
            tolerance: Tolerance::default(),
            divergence: Divergence::default(),
        }
    }
}

/// The first steps of names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Layers {
    /// Raw values.
    pub base: String,
    /// What values are for; they only refer.
    pub semantic: String,
    /// Values of one component; they refer to semantic ones.
    pub component: String,
}

impl Default for Layers {
    fn default() -> Self {
        Self { base: "base".into(), semantic: "semantic".into(), component: "component".into() }
    }
}

/// When two base colours are almost the same.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Near {
    /// The least CIEDE2000 difference of two base colours; 0 turns the rule off.
    pub delta_e: f64,
    /// Pairs that are meant to be near.
    pub except: Vec<[String; 2]>,
}

impl Default for Near {
    fn default() -> Self {
        Self { delta_e: 1.0, except: Vec::new() }
    }
}

/// One token or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Names {
    /// One: a name, or `group.*`.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Names {
    /// Each name or pattern.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(name) => std::slice::from_ref(name).iter(),
            Self::Many(names) => names.iter(),
        }
        .map(String::as_str)
    }
}

/// A pair of colours.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contrast {
    /// Text, icons, borders.
    pub foreground: Names,
    /// What they stand on.
    pub background: Names,
    /// The least ratio of WCAG 2.2: 4.5 for text, 3 for large text and controls.
    #[serde(default = "text_ratio")]
    pub ratio: f64,
    /// What lies behind a background that is not opaque.
    pub over: Option<String>,
}

fn text_ratio() -> f64 {
    4.5
}

/// A size that fingers must be able to meet.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The sizes.
    pub tokens: Names,
    /// The least, in CSS pixels: 24 is WCAG 2.2 level AA, 44 level AAA.
    #[serde(default = "target_size")]
    pub min: f64,
}

fn target_size() -> f64 {
    24.0
}

/// Durations for those who ask for less motion.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Motion {
    /// The durations.
    pub tokens: Names,
    /// The context that means less motion, such as `motion=reduced`.
    pub context: String,
    /// The longest there, in milliseconds.
    #[serde(default)]
    pub max_ms: f64,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing.
    Off,
    /// It is reported.
    Warning,
    /// The gate fails.
    Error,
}

/// How far a value may move in a patch.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tolerance {
    /// Of colours, by CIEDE2000.
    pub delta_e: f64,
    /// Of lengths, in CSS pixels.
    pub px: f64,
    /// Of durations, in milliseconds.
    pub ms: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { delta_e: 1.0, px: 0.0, ms: 0.0 }
    }
}

/// The allowed percentage of overrides.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Divergence {
    /// Overrides ÷ styled declarations, in percent.
    pub budget_percent: f64,
    /// Files that are left out, by their path in the app: `legacy/**`, `**/*.stories.tsx`.
    pub exclude: Vec<String>,
}

impl Default for Divergence {
    fn default() -> Self {
        Self { budget_percent: 5.0, exclude: Vec::new() }
    }
}

/// Whether a name is meant by a name or by `group.*`.
pub(crate) fn meant(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix(".*") {
        Some(group) => name.strip_prefix(group).is_some_and(|rest| rest.starts_with('.')),
        None => pattern == name,
    }
}

impl Config {
    /// Reads the rules of a project: `tokens.toml` beside `ashlar.toml`, or in `tokens/`.
    ///
    /// # Errors
    /// When they cannot be used, with the place.
    pub fn of_project(files: &Files) -> Result<Self, Finding> {
        for path in [CONFIG.to_owned(), format!("tokens/{CONFIG}")] {
            match files.text(&path) {
                Ok(None) => {}
                Ok(text) => return Self::parse(text),
                Err(e) => return Err(Finding::error("token-config", path, e.to_string())),
            }
        }
        Ok(Self::default())
    }

    /// Reads `tokens.toml`; the default when there is none.
    ///
    /// # Errors
    /// When it cannot be used, with the place.
    pub fn parse(text: Option<&str>) -> Result<Self, Finding> {
        let Some(text) = text else { return Ok(Self::default()) };
        let wrong = |at: Option<usize>, message: String, help: &str| {
            let line = at.map(|at| 1 + text[..at.min(text.len())].matches('\n').count());
            let place = line.map_or_else(|| CONFIG.to_owned(), |line| format!("{CONFIG}:{line}"));
            Finding::error("token-config", place, message).help(help)
        };
        let config: Self = toml::from_str(text).map_err(|e| {
            wrong(
                e.span().map(|s| s.start),
                format!("{}.", e.message().trim_end()),
                &ashlar_model::nearest_in_message(e.message(), "compare it with docs/tokens.md"),
            )
        })?;
        let place = |word: &str| text.find(word);
        if let Some(naming) = &config.naming {
            regex::Regex::new(naming).map_err(|e| {
                let why = e.to_string();
                let why = why.lines().last().unwrap_or_default().trim().to_owned();
                wrong(
                    place("naming"),
                    format!("`naming` is not a regular expression: {why}."),
                    "correct the pattern",
                )
            })?;
        }
        for output in &config.outputs {
            if Output::parse(output).is_none() {
                let known = Output::ALL.map(|(_, word)| word).join(", ");
                return Err(wrong(
                    place("outputs"),
                    format!("There is no output `{output}`."),
                    &format!("one of: {known}"),
                ));
            }
        }
        if crate::versions::version::Version::parse(&config.version).is_none() {
            return Err(wrong(
                place("version"),
                format!("`{}` is not a version.", config.version),
                "write \"1.0.0\"",
            ));
        }
        if !config.name.is_empty() && !is_package_name(&config.name) {
            return Err(wrong(
                place("name"),
                format!("`{}` cannot be the name of an npm package.", config.name),
                "use lower-case letters, digits and dashes, such as \"@acme/tokens\"",
            ));
        }
        Ok(config)
    }

    /// How names and contexts are written.
    pub fn options(&self, resolved: &Resolved) -> BuildOptions {
        let media = self.media.clone().unwrap_or_else(|| BuildOptions::usual_media(resolved));
        BuildOptions { prefix: self.prefix.clone(), media }
    }

    /// What is built.
    pub fn outputs(&self) -> Vec<Output> {
        if self.outputs.is_empty() {
            return Output::ALL.map(|(output, _)| output).to_vec();
        }
        self.outputs.iter().filter_map(|o| Output::parse(o)).collect()
    }

    /// The layer a token lies in, by the first step of its name.
    pub(crate) fn is_in(layer: &str, token: &Token) -> bool {
        token.name.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'))
    }
}

fn is_package_name(name: &str) -> bool {
    let part = |p: &str| {
        !p.is_empty()
            && p.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && p.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'))
    };
    name.len() <= 214
        && match name.strip_prefix('@') {
            Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| part(scope) && part(name)),
            None => part(name),
        }
}

impl TokenSet {
    /// The tokens of a project: those its resolver document names, or else every `tokens/*.tokens.json`. `None` when it
    /// has no tokens.
    pub fn of_project(files: &Files) -> Option<Self> {
        let text = |path: &str| match files.text(path) {
            Ok(Some(text)) => Ok(text.to_owned()),
            Ok(None) => Err("there is no such file".to_owned()),
            Err(e) => Err(e.to_string()),
        };
        let named = |suffix: &str| {
            files
                .iter()
                .map(|(path, _)| path)
                .filter(|p| p.starts_with("tokens/") && p.ends_with(suffix))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let mut broken = Vec::new();
        let mut read = |path: &str| match text(path) {
            Ok(text) => Some(SourceFile { path: path.to_owned(), text }),
            Err(why) => {
                broken.push(Finding::error("token-json", path, format!("The file cannot be read: {why}.")));
                None
            }
        };
        let resolvers = named(".resolver.json");
        let mut set = match resolvers.as_slice() {
            [] => {
                let paths = named(".tokens.json");
                if paths.is_empty() {
                    return None;
                }
                Self::of_files("", paths.iter().filter_map(|p| read(p)).collect())
            }
            [first, ..] => {
                let dir = first.rsplit_once('/').map_or("", |(dir, _)| dir);
                let fetch = |path: &str| text(&join(dir, path));
                match read(first) {
                    Some(file) => Self::of_resolver(file, &fetch),
                    None => Self::of_files("", Vec::new()),
                }
            }
        };
        for other in resolvers.iter().skip(1) {
            broken.push(
                Finding::error("token-resolver", other.clone(), "A project has one resolver document.")
                    .help("name its sets and modifiers in the first one"),
            );
        }
        set.findings.append(&mut broken);
        Some(set)
    }
}

/// A path relative to a directory, with `..` followed.
fn join(dir: &str, path: &str) -> String {
    let mut steps: Vec<&str> = dir.split('/').filter(|s| !s.is_empty()).collect();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    steps.join("/")
}
