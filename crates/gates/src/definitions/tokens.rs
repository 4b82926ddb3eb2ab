//! The tokens of a project, with what its own files say against them.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{Files, Finding, Level, nearest};
use ashlar_tokens::{Checked, Config, Note, Resolved, TokenSet, build, check, variables};

/// The tokens of a project as they were read, with everything that its own files say against them.
#[derive(Default)]
pub(crate) struct Tokens {
    /// The tokens; `None` when the project has none.
    pub(crate) resolved: Option<Resolved>,
    pub(crate) config: Config,
    /// Why `tokens.toml` cannot be read.
    pub(crate) unreadable: Option<Finding>,
    pub(crate) notes: Vec<Note>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) metrics: BTreeMap<String, f64>,
}

/// Unknown custom properties for which a token is looked for that may be meant.
const NEAR_MAX: usize = 50;

/// Files in which custom properties are used.
fn styles(files: &Files) -> impl Iterator<Item = (&str, &str)> {
    files
        .iter()
        .filter(|(path, _)| path.starts_with("components/") || path.starts_with("site/"))
        .filter(|(path, _)| [".css", ".html", ".svg"].iter().any(|e| path.ends_with(e)))
        .filter_map(|(path, bytes)| Some((path, std::str::from_utf8(bytes).ok()?)))
}

/// Custom properties that a text defines: `--name:`, without dashes.
fn defined(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("--").filter_map(|(at, _)| {
        let rest = &text[at + 2..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_')))?;
        (end > 0 && rest[end..].trim_start().starts_with(':')).then(|| &rest[..end])
    })
}

impl Tokens {
    pub(crate) fn load(files: &Files) -> Self {
        let mut out = Self::default();
        match Config::of_project(files) {
            Ok(config) => out.config = config,
            Err(finding) => {
                out.findings.push(finding.clone());
                out.unreadable = Some(finding);
            }
        }
        let Some(set) = TokenSet::of_project(files) else { return out };
        let (resolved, set, findings) = set.resolve();
        // A token that cannot be read is there all the same: neither its name is unknown, nor what it led to unused.
        let whole = findings.iter().all(|f| f.level != Level::Error);
        out.findings.extend(findings);
        let options = out.config.options(&resolved);
        out.findings.extend(build(&resolved, &set, &[], &options).1);
        let used: BTreeSet<String> =
            styles(files).flat_map(|(_, text)| variables(text)).map(|(_, name)| name.to_owned()).collect();
        let Checked { findings, metrics } = check(&set, &resolved, &out.config, Some(&used));
        out.findings.extend(findings.into_iter().filter(|f| whole || f.code != "token-unused"));
        out.metrics = metrics;
        if whole {
            out.unknown(files, &resolved);
        }
        for (path, bytes) in
            files.iter().filter(|(p, _)| p.starts_with("tokens/changes/") && p.ends_with(".md"))
        {
            match Note::parse(path, &String::from_utf8_lossy(bytes)) {
                Ok(note) => out.notes.push(note),
                Err(why) => out.findings.push(
                    Finding::error("token-note", path, why)
                        .help("`ashlar tokens change --note \"…\"` writes one"),
                ),
            }
        }
        out.resolved = Some(resolved);
        out
    }

    /// Custom properties in templates and style sheets that are neither a token nor defined beside it.
    fn unknown(&mut self, files: &Files, resolved: &Resolved) {
        let known: BTreeSet<String> =
            resolved.tokens.iter().map(|t| ashlar_tokens::css_name(&self.config.prefix, &t.name)).collect();
        let own: BTreeSet<&str> = styles(files).flat_map(|(_, text)| defined(text)).collect();
        // `--x-font-size` is a part of the token `x`.
        let part = |name: &str| {
            name.match_indices('-').any(|(at, _)| {
                known.contains(&name[..at])
                    && matches!(
                        &name[at + 1..],
                        "font-family" | "font-size" | "font-weight" | "line-height" | "letter-spacing"
                    )
            })
        };
        let mut looked = 0;
        for (path, text) in styles(files) {
            for (at, name) in variables(text) {
                if known.contains(name) || own.contains(name) || part(name) {
                    continue;
                }
                let line = 1 + text[..at].matches('\n').count();
                let message = format!("`var(--{name})` names no token.");
                let mut finding = Finding::error("token-unknown", format!("{path}:{line}"), message);
                // Each costs a look at every token.
                looked += 1;
                let near =
                    (looked <= NEAR_MAX).then(|| nearest(name, known.iter().map(String::as_str))).flatten();
                finding = match near {
                    Some(near) => finding.help(format!("did you mean `var(--{near})`?")),
                    None => finding.help("use a token, or define the property in the same style sheet"),
                };
                finding = finding.about(name);
                self.findings.push(finding);
            }
        }
    }
}
