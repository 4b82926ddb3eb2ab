//! `prompts.toml`: which version of each prompt answers, and for whom another one does.

use std::collections::BTreeMap;

use ashlar_model::{Files, Finding, position, sentence};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{prompt::Prompts, read::near};

/// The file's name.
pub const STATE_FILE: &str = "prompts.toml";
/// The most bytes of the file.
const FILE_BYTES_MAX: usize = 1 << 20;
/// The most flags of a prompt.
const FLAGS_MAX: usize = 50;
/// The most names in a list of a flag.
const NAMES_MAX: usize = 1_000;

/// Which version of a prompt answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Active {
    /// The version that answers when no flag applies.
    pub version: u32,
    /// Who gets another version; the first that applies decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
    /// Its line in the file.
    #[serde(skip)]
    pub line: usize,
}

/// Gives another version to some.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flag {
    /// The version.
    pub version: u32,
    /// The share of those to whom the rest applies, in percent. The same session or user always gets the same version.
    pub percent: f64,
    /// What a share is drawn by.
    pub sticky: Sticky,
    /// Tenants to which it applies; all when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<String>,
    /// Features to which it applies; all when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Keys to which it applies, by name or id; all when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Its line in the file.
    #[serde(skip)]
    pub line: usize,
}

/// What a share is drawn by. Without it in a call, the other is used, else the call itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sticky {
    /// The session of the call.
    #[default]
    Session,
    /// The end user.
    User,
}

impl Flag {
    /// Whether it applies to a share of everybody, as a rollout does.
    #[must_use]
    pub fn is_rollout(&self) -> bool {
        self.tenants.is_empty() && self.features.is_empty() && self.keys.is_empty()
    }
}

type Named<T> = BTreeMap<Spanned<String>, T>;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    prompts: Named<RawActive>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawActive {
    active: Option<Spanned<u32>>,
    #[serde(default)]
    flags: Vec<Spanned<RawFlag>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFlag {
    version: Spanned<u32>,
    percent: Option<Spanned<f64>>,
    #[serde(default)]
    sticky: Sticky,
    #[serde(default)]
    tenants: Vec<String>,
    #[serde(default)]
    features: Vec<String>,
    #[serde(default)]
    keys: Vec<String>,
}

impl Active {
    /// Reads `prompts.toml`. What is wrong is left out, so the highest version answers then.
    pub(super) fn parse(files: &Files, prompts: &Prompts) -> (BTreeMap<String, Self>, Vec<Finding>) {
        let none = |finding: Finding| (BTreeMap::new(), vec![finding]);
        let Some(bytes) = files.get(STATE_FILE) else { return (BTreeMap::new(), Vec::new()) };
        if bytes.len() > FILE_BYTES_MAX {
            let message =
                format!("The file has {} bytes; at most {FILE_BYTES_MAX} are possible.", bytes.len());
            return none(
                Finding::error("prompts-config", STATE_FILE, message).help("remove what is not used"),
            );
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let Ok(text) = std::str::from_utf8(bytes) else {
            let finding = Finding::error("encoding", STATE_FILE, "The file is not UTF-8.");
            return none(finding.help("save the file as UTF-8"));
        };
        let raw: Raw = match toml::from_str(text) {
            Ok(raw) => raw,
            Err(e) => {
                let (line, column) = e.span().map_or((1, 1), |s| position(bytes, s.start));
                let place = format!("{STATE_FILE}:{line}:{column}");
                let help = ashlar_model::nearest_in_message(e.message(), "");
                return none(Finding::error("toml-malformed", place, sentence(e.message())).help(help));
            }
        };
        let mut reading = Reading { bytes, prompts, findings: Vec::new() };
        let mut out = BTreeMap::new();
        for (name, raw) in raw.prompts {
            if let Some(active) = reading.prompt(&name, raw) {
                out.insert(name.into_inner(), active);
            }
        }
        (out, reading.findings)
    }
}

struct Reading<'a> {
    bytes: &'a [u8],
    prompts: &'a Prompts,
    findings: Vec<Finding>,
}

impl Reading<'_> {
    fn line(&self, span: &std::ops::Range<usize>) -> usize {
        position(self.bytes, span.start).0
    }

    fn wrong(&mut self, span: &std::ops::Range<usize>, message: String, help: impl Into<String>) {
        let place = format!("{STATE_FILE}:{}", self.line(span));
        self.findings.push(Finding::error("prompts-config", place, message).help(help));
    }

    fn version(&mut self, name: &str, version: &Spanned<u32>) -> Option<u32> {
        let number = *version.get_ref();
        if self.prompts.get(name, number).is_some() {
            return Some(number);
        }
        let known: Vec<String> = self.prompts.versions(name).map(|v| v.to_string()).collect();
        let message = format!("`{name}` has no version {number}.");
        let help = format!("create prompts/{name}/v{number}.md, or name one of {}", known.join(", "));
        self.wrong(&version.span(), message, help);
        None
    }

    fn prompt(&mut self, name: &Spanned<String>, raw: RawActive) -> Option<Active> {
        let (span, name) = (name.span(), name.get_ref());
        let Some(highest) = self.prompts.versions(name).last() else {
            let shown: String = name.chars().take(80).collect();
            let known = self.prompts.names();
            let help = near(name, known, format!("create prompts/{shown}/v1.md, or remove the table"));
            self.wrong(&span, format!("There is no prompt `{shown}`."), help);
            return None;
        };
        let version = match &raw.active {
            Some(version) => self.version(name, version)?,
            None => highest,
        };
        if raw.flags.len() > FLAGS_MAX {
            self.wrong(
                &span,
                format!("`{name}` has {} flags; at most {FLAGS_MAX} are possible.", raw.flags.len()),
                "remove some",
            );
            return None;
        }
        let mut flags = Vec::new();
        for flag in raw.flags {
            let span = flag.span();
            flags.extend(self.flag(name, &span, flag.into_inner()));
        }
        Some(Active { version, flags, line: self.line(&span) })
    }

    fn flag(&mut self, name: &str, span: &std::ops::Range<usize>, raw: RawFlag) -> Option<Flag> {
        let version = self.version(name, &raw.version)?;
        let percent = raw.percent.as_ref().map_or(100.0, |percent| *percent.get_ref());
        if !(0.0..=100.0).contains(&percent) {
            let at = raw.percent.map_or(span.clone(), |percent| percent.span());
            self.wrong(
                &at,
                format!("`percent = {percent}` is not possible."),
                "write a number from 0 to 100",
            );
            return None;
        }
        if [&raw.tenants, &raw.features, &raw.keys].iter().any(|names| names.len() > NAMES_MAX) {
            self.wrong(span, format!("A flag of `{name}` lists more than {NAMES_MAX} names."), "remove some");
            return None;
        }
        let flag = Flag {
            version,
            percent,
            sticky: raw.sticky,
            tenants: raw.tenants,
            features: raw.features,
            keys: raw.keys,
            line: self.line(span),
        };
        if flag.is_rollout() && flag.percent >= 100.0 {
            let help = format!("write active = {version}, or add percent, tenants, features or keys");
            self.wrong(span, format!("A flag of `{name}` applies to everybody."), help);
        }
        Some(flag)
    }
}
